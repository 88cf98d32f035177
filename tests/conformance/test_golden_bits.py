"""Faster kernels give the numbers that the first ones gave, on every instruction set and number of threads."""

import json

import golden_bits
import pytest
from every_engine import instruction_sets
from threadpoolctl import threadpool_limits

from harmonium.engines._native import _kernels

GOLDEN = json.loads(golden_bits.FILE.read_text())


@pytest.fixture(params=instruction_sets(), autouse=True)
def _instruction_set(request):
    usual = _kernels.instruction_set()
    _kernels.use(request.param)
    yield
    _kernels.use(usual)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", golden_bits.CASES)
def test_results_are_the_bits_that_they_were(case, threads):
    with threadpool_limits(threads, "openmp"):
        assert golden_bits.digest(case) == GOLDEN[case]


def test_noise_is_the_bits_that_it_was():
    assert golden_bits.noise_digest() == GOLDEN["noise"]


def test_every_golden_digest_is_compared():
    assert GOLDEN.keys() == {*golden_bits.CASES, "noise"}
