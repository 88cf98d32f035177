"""What every test shares: deterministic Hypothesis, and one fixture that runs a test on each engine."""

import hypothesis
import pytest

from harmonium.engines import ENGINES

# No clock and no luck: the same examples every time, whatever the load of the machine.
hypothesis.settings.register_profile("harmonium", derandomize=True, deadline=None, max_examples=60, database=None)
hypothesis.settings.load_profile("harmonium")


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    """The name of an engine; the test runs once for each."""
    return request.param
