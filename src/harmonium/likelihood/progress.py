"""Progress of work whose length grows as it turns out that there is more to do."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]


class Meter:
    """Counts temperatures and sweeps against those that are expected so far.

    Parameters
    ----------
    progress : callable, optional
        Called as ``progress(done, total)`` after each.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress, self._done, self._total = progress, 0, 0

    def expect(self, steps: int) -> None:
        """There is this much more to do."""
        self._total += steps

    def tick(self) -> None:
        """One step is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)
