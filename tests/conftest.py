"""What every test shares: deterministic Hypothesis, engines as a fixture, and the sum of the false-alarm rates.

A statistical test compares random numbers with a bound, and declares with ``@pytest.mark.false_alarm(rate)`` how often
sound code would fail it at another seed. All seeds are fixed, so that a test that passes goes on passing.
"""

import hypothesis
import pytest

from harmonium.engines import ENGINES

RATES = pytest.StashKey()

# No clock and no luck: the same examples every time, whatever the load of the machine.
hypothesis.settings.register_profile("harmonium", derandomize=True, deadline=None, max_examples=60, database=None)
hypothesis.settings.load_profile("harmonium")


def pytest_configure(config):
    config.addinivalue_line("markers", "false_alarm(rate): how often sound code fails the test at another seed")


@pytest.hookimpl(trylast=True)  # of the tests that are left when others are deselected
def pytest_collection_modifyitems(config, items):
    rates = [mark.args[0] for item in items if (mark := item.get_closest_marker("false_alarm"))]
    config.stash[RATES] = sorted(rates)


def pytest_terminal_summary(terminalreporter, config):
    rates = config.stash.get(RATES, [])
    if rates:
        small, total = [rate for rate in rates if rate <= 1e-6], sum(rates)
        terminalreporter.write_line(
            f"{len(rates)} statistical tests; at other seeds sound code fails one of them with a probability of at "
            f"most {total:.1g}, the {len(small)} with rates below 1e-6 with one of {sum(small):.1g}"
        )


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    """The name of an engine; the test runs once for each."""
    return request.param
