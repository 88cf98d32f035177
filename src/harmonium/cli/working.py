"""How a computation of known length is shown: a bar with the time left on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_REDRAW = 0.1  # seconds between two looks
_PATIENCE = 1.0  # seconds of work that need no bar


class WorkProgress:
    """A callback ``(done, total)`` and context manager; stderr shows what it is told.

    Parameters
    ----------
    label : str
        What is being worked on.
    """

    def __init__(self, label: str) -> None:
        self._label, self._start, self._drawn = label, time.monotonic(), 0.0
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._drawn < _REDRAW or now - self._start < _PATIENCE or not sys.stderr.isatty():
            return
        self._drawn = now
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._label)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)
