"""What the native engine runs on: the processor's instruction sets, of which one is in use, and its threads.

The environment variable HARMONIUM_INSTRUCTION_SET (amx, avx512, avx2 or portable), read when this module is loaded,
takes the place of the best that the processor runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from harmonium.engines._native import _kernels
from harmonium.errors import InvalidParameter

_WANTED = os.environ.get("HARMONIUM_INSTRUCTION_SET", "")
_IS_HERE = _WANTED in _kernels.instruction_sets()
if _IS_HERE:
    _kernels.use(_WANTED)


def description() -> str:
    """One line about how the engine runs here."""
    return f"{instruction_set()} instructions, at most {_kernels.max_threads()} threads"


def use_instruction_set(name: str) -> None:
    """Compute with other kernels from now on, in all of this process; for measurements, as the results are the same.

    Raises
    ------
    InvalidParameter
        There is no such set, or this processor does not run it.
    """
    _use(name, "The instruction set")


@contextmanager
def threads_awake() -> Iterator[None]:
    """Calls of few rows take as many threads as if these had just worked, for what compares numbers of threads."""
    before = _kernels.assume_awake(True)
    try:
        yield
    finally:
        _kernels.assume_awake(before)


def instruction_sets() -> list[str]:
    """Those that this processor runs, the best one first."""
    return list(_kernels.instruction_sets())


def instruction_set() -> str:
    """The instruction set in use: amx, avx512, avx2 or portable."""
    check_wanted()
    return str(_kernels.instruction_set())


def _use(name: str, source: str) -> None:
    try:
        _kernels.use(name)
    except ValueError:
        known, here = ("amx", "avx512", "avx2", "portable"), instruction_sets()
        got = f"{name!r}, which this processor does not run" if name in known else repr(name)
        raise InvalidParameter(
            f"{source} must be one of {', '.join(here)} on this processor. Got {got}. "
            "Leave it out for the first of those."
        ) from None


def check_wanted() -> None:
    """Refuse what the environment asks for where it is not here: at first use, as an import cannot fail in words."""
    if _WANTED and not _IS_HERE:
        _use(_WANTED, "HARMONIUM_INSTRUCTION_SET")
