"""How far long work is: what a caller is told, and what counts it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # called with how much is done, and how much there is to do in all


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
        self._progress, self.done, self._total = progress, 0, total

    def expect(self, steps: int) -> None:
        """There is this much more to do."""
        self._total += steps

    def tick(self, steps: int = 1) -> None:
        """So much more is done."""
        self.done += steps
        if self._progress is not None:
            self._progress(self.done, self._total)
