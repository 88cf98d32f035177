"""The table of planted bugs fits the code; ``make mutants`` plants them."""

import shlex
from pathlib import Path

import pytest
from table import NATIVE, PYTHON

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", PYTHON + NATIVE, ids=lambda mutant: f"{mutant.file}: {mutant.what}")
def test_every_planted_bug_has_its_place(mutant):
    code = (ROOT / "src/harmonium" / mutant.file).read_text()
    assert code.count(mutant.old) == 1, "the code has changed: change its row in tests/mutants with it"
    assert mutant.old != mutant.new
    assert (ROOT / shlex.split(mutant.tests)[0]).is_file()


def test_there_are_enough_of_them():
    assert len(PYTHON) + len(NATIVE) >= 60
    assert len({(mutant.file, mutant.what) for mutant in PYTHON + NATIVE}) == len(PYTHON) + len(NATIVE)
