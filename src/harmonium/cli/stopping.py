"""Ctrl-C and SIGTERM as a wish that is granted at the next safe place."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_PATIENCE = 1.0  # seconds; wrappers such as process managers may pass the same Ctrl-C on twice


class StopWish:
    """Whether a signal has come.

    Attributes
    ----------
    signal : int or None
        Its number.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._since = 0.0

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal; a later, second one means at once."""
        if self.signal is None:
            self.signal, self._since = number, time.monotonic()
        elif time.monotonic() - self._since > _PATIENCE:
            self.signal = number
            raise KeyboardInterrupt


@contextmanager
def deferred_signals() -> Iterator[StopWish]:
    """Collect SIGINT and SIGTERM instead of dying of them."""
    wish = StopWish()
    before = {number: signal.signal(number, wish.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
