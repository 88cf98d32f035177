"""What every test shares: deterministic Hypothesis, engines as a fixture, and the sum of the false-alarm rates.

A statistical test compares random numbers with a bound, and declares with ``@pytest.mark.false_alarm(rate)`` how often
sound code would fail it at another seed. All seeds are fixed, so that a test that passes goes on passing; it takes them
from the fixture ``seed``, so that ``--base-seed`` moves all of them (``make seeds``). The rates sum to less than
`BUDGET`: a test that fails has found a bug.
"""

import importlib.util

import hypothesis
import pytest

from harmonium.engines import ENGINES
from harmonium.engines._native import _kernels

RATES = pytest.StashKey()
BUDGET = 1e-6
TORCH = pytest.param(
    "torch", marks=pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch: make test-torch")
)

# No clock and no luck: the same examples every time, whatever the load of the machine.
hypothesis.settings.register_profile("harmonium", derandomize=True, deadline=None, max_examples=60, database=None)
hypothesis.settings.load_profile("harmonium")


def pytest_addoption(parser):
    parser.addoption("--base-seed", type=int, default=0, help="another number: other seeds for the statistical tests")


def pytest_configure(config):
    _kernels.assume_awake(True)
    config.addinivalue_line("markers", "false_alarm(rate): how often sound code fails the test at another seed")


@pytest.hookimpl(trylast=True)  # of the tests that are left when others are deselected
def pytest_collection_modifyitems(config, items):
    rates = [mark.args[0] for item in items if (mark := item.get_closest_marker("false_alarm"))]
    config.stash[RATES] = rates
    if sum(rates) > BUDGET:
        raise pytest.UsageError(f"false-alarm rates must sum to at most {BUDGET}. Got {sum(rates):.2g}. Lower one.")


def pytest_terminal_summary(terminalreporter, config):
    rates = config.stash.get(RATES, [])
    if rates:
        terminalreporter.write_line(
            f"{len(rates)} statistical tests; at other seeds sound code fails one of them with a probability of at "
            f"most {sum(rates):.1g}"
        )


@pytest.fixture(scope="session")
def seed(request):
    """What makes a test's own number the seed of this run: the number itself, unless ``--base-seed`` says otherwise."""
    base = request.config.getoption("--base-seed")
    return lambda number: number + 1_000_003 * base


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    """The name of an engine; the test runs once for each."""
    return request.param
