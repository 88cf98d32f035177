"""Results are the same bits for every instruction set, number of threads of either library, and processor.

Other processors are emulated: the variables below make NumPy, OpenBLAS and the C library take the versions of their
functions that they would take on older ones. `results.py` has the table of what is compared; a public function that is
in none of its lists fails here.
"""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import golden_results
import numpy as np
import pytest
import results
from every_engine import instruction_sets
from threadpoolctl import threadpool_limits

import harmonium
from harmonium import deep, theory
from harmonium.engines._native import _kernels
from harmonium.sklearn import BernoulliRBM

SETS, THREADS, BLAS_THREADS = instruction_sets(), (1, 2, 3, 4), (1, 2, 4)
# Functions that compute nothing: they hold, name or convert.
FACE_ONLY = {"get_feature_names_out", "get_metadata_routing", "get_params", "rbm_", "set_output", "set_params"}
PROCESSORS = {
    "numpy-2009": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512_SKX"},
    "blas-2008": {"OPENBLAS_CORETYPE": "Nehalem"},
    "blas-haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "libm-2008": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F,-AVX2_Usable,-FMA_Usable"},
    "portable": {"HARMONIUM_INSTRUCTION_SET": "portable", "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "1"},
}


def in_a_process(environment):
    """The digests and numbers of the table, as a process with these variables computes them."""
    command = [sys.executable, "-W", "ignore", str(Path(results.__file__))]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True, timeout=300
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def reference():
    """What this process computes, as it is."""
    return results.digests()


@pytest.fixture(scope="module")
def close_reference():
    return results.close()


def test_the_results_are_those_of_the_last_version(reference):
    """A change of bits is a change of `golden_results.json`, which `golden_results.py` writes anew."""
    assert reference == json.loads(golden_results.FILE.read_text())["native"]


def test_the_table_has_every_public_function():
    tabled = {name.partition(":")[0] for name in results.CALLS}
    functions = {name for name in harmonium.__all__ if inspect.isfunction(getattr(harmonium, name))}
    assert functions <= tabled
    methods = {name for name in dir(BernoulliRBM) if not name.startswith("_")} - FACE_ONLY
    methods = {name for name in methods if not name.endswith(("_", "_request"))}  # fitted arrays, and routing
    assert {f"BernoulliRBM.{name}" for name in methods} <= tabled
    stacks = {"deep.train_stack", *(f"deep.Stack.{name}" for name in ("transform", "reconstruct"))}
    assert stacks <= tabled
    assert all(hasattr(deep, name.split(".")[1]) for name in stacks)
    bounded = {f"theory.{name}" for name in theory.__all__ if inspect.isfunction(getattr(theory, name))}
    assert bounded <= set(results.CLOSE)


@pytest.mark.parametrize("blas_threads", BLAS_THREADS)
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("instruction_set", SETS)
def test_every_result_is_the_same_bits(instruction_set, threads, blas_threads, reference):
    edge = blas_threads == BLAS_THREADS[-1] and (instruction_set == SETS[0] or threads == THREADS[-1])
    names = [name for name in results.CALLS if edge or name not in results.SLOW]
    usual = _kernels.instruction_set()
    _kernels.use(instruction_set)
    try:
        with threadpool_limits(threads, "openmp"), threadpool_limits(blas_threads, "blas"):
            assert _kernels.max_threads() == threads
            got = results.digests(names)
    finally:
        _kernels.use(usual)
    assert got == {name: reference[name] for name in names}


@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_result_is_the_same_on_other_processors(processor, reference, close_reference):
    got = in_a_process(PROCESSORS[processor])
    assert got["digests"] == reference
    for name, expected in close_reference.items():
        digits = results.SINGLE_DIGITS if name == "engine numpy" else results.DIGITS
        np.testing.assert_allclose(got["close"][name], expected, rtol=digits, atol=1e-12, err_msg=name)


def test_the_emulated_processors_are_other_ones():
    """What the tests above would miss if a variable had another name: BLAS, exp and the C library's log do differ."""
    code = """
import hashlib, math, numpy as np
from threadpoolctl import threadpool_info
x = np.random.default_rng(0).standard_normal((300, 300))
print([hashlib.md5(y.tobytes()).hexdigest() for y in (x @ x, np.exp(x))])
print(hashlib.md5(repr([math.exp(y) + math.log(abs(y)) + math.sin(y) for y in x.ravel()]).encode()).hexdigest())
"""

    def fingerprint(environment):
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return run.stdout

    if "avx2" not in SETS:
        pytest.skip("this processor is one of the older ones")
    here = fingerprint({})
    assert any(fingerprint(PROCESSORS[name]) != here for name in ("numpy-2009", "blas-2008", "libm-2008"))


@pytest.mark.parametrize("name", SETS)
def test_the_environment_chooses_the_instruction_set(name):
    code = "from harmonium.engines import processor; print(processor.instruction_set())"
    environment = {**os.environ, "HARMONIUM_INSTRUCTION_SET": name}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == name


def test_an_instruction_set_that_there_is_not_is_refused_in_words(tmp_path):
    environment = {**os.environ, "HARMONIUM_INSTRUCTION_SET": "sse9"}
    message = (
        f"HARMONIUM_INSTRUCTION_SET must be one of {', '.join(SETS)} on this processor. Got 'sse9'. "
        "Leave it out for the first of those."
    )
    code = (
        "import harmonium, sys\n"
        "try: harmonium.train([[0, 1], [1, 0]], 1, epochs=1)\n"
        "except harmonium.errors.HarmoniumError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == message
    command = [sys.executable, "-m", "harmonium.cli", "train", "bars-and-stripes-3x3", "--hidden", "2"]
    done = subprocess.run([*command, "--out", str(tmp_path / "run")], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"error: {message}\n")
