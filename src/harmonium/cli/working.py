"""How a computation of known length is shown: a bar with the time left on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:  # loaded where a bar is drawn, so that --help is quick
    from rich.progress import Progress

REDRAW = 0.1  # seconds between two looks; a step may take microseconds
_PATIENCE = 1.0  # seconds of work that need no bar


class WithBar:
    """A context manager that starts its bar, if it has one, and stops the one that it has at the end."""

    _bar: Progress | None = None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


class WorkProgress(WithBar):
    """A callback ``(done, total)`` and context manager; stderr shows what it is told.

    Parameters
    ----------
    label : str
        What is being worked on.
    """

    def __init__(self, label: str) -> None:
        self._label, self._start, self._drawn = label, time.monotonic(), 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._drawn < REDRAW or now - self._start < _PATIENCE or not sys.stderr.isatty():
            return
        self._drawn = now
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._label)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)
