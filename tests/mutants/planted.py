"""A planted bug: what it replaces in which file, and the tests that must fail with it.

The old text must stand exactly once in its file; `test_table.py` fails as soon as one does not. When code that is named
in a table changes, change its row with it: the bug stays a bug.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One planted bug."""

    what: str
    file: str
    old: str
    new: str
    tests: str


def of(file: str, *rows: tuple[str, str, str, str]) -> list[Mutant]:
    return [Mutant(what, file, old, new, tests) for what, old, new, tests in rows]
