"""How far long work is, and how long it takes: what a caller is told, and what counts it."""

from __future__ import annotations

from collections.abc import Callable

from harmonium.errors import InvalidParameter

Progress = Callable[[int, int], None]  # called with how much is done, and how much there is to do in all


def check_progress(progress: Progress | None) -> None:
    """Refuse what cannot be called, before any work is done.

    Raises
    ------
    InvalidParameter
        It is neither None nor a function.
    """
    if progress is not None and not callable(progress):
        raise InvalidParameter(
            f"progress must be a function that is called as progress(done, total). Got {progress!r}. "
            "Pass one; docs/ecosystem.md has a bar for terminals and notebooks."
        )


class Counter:
    """Counts what is done against what is expected so far, which may grow as it turns out that there is more to do.

    Parameters
    ----------
    progress : callable, optional
        Called as ``progress(done, total)`` whenever something is done.
    total : int
        What is expected at first.
    """

    def __init__(self, progress: Progress | None = None, total: int = 0) -> None:
        check_progress(progress)
        self._progress, self.done, self._total = progress, 0, total

    def expect(self, steps: int) -> None:
        """There is this much more to do."""
        self._total += steps

    def tick(self, steps: int = 1) -> None:
        """So much more is done."""
        self.done += steps
        if self._progress is not None:
            self._progress(self.done, self._total)


def in_words(seconds: float) -> str:
    """A time, roughly: "3 hours"."""
    for size, unit in ((3.2e7, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}" if seconds < 1e4 * size else f"{seconds / size:.0e} {unit}"
    return f"{max(seconds, 1):.0f} seconds"
