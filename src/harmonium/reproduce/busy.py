"""Whether a speed was measured on a machine that had nothing else to do."""

from __future__ import annotations

import os
import time

BUSY = 0.2  # cores; the clock ticks of the system and the threads of the desktop take less


class Others:
    """How many cores other programs take, from now on. Linux tells; elsewhere nothing is known."""

    def __init__(self) -> None:
        self._wall, self._own, self._all = time.perf_counter(), time.process_time(), _busy_seconds()

    def cores(self) -> float | None:
        """The mean since this object was made; None where the system does not tell."""
        now, before = _busy_seconds(), self._all
        if now is None or before is None:
            return None
        own, wall = time.process_time() - self._own, time.perf_counter() - self._wall
        return max(0.0, now - before - own) / max(wall, 1e-9)


def _busy_seconds() -> float | None:
    """Processor time of all programs and of the kernel since the system started, in seconds."""
    try:
        with open("/proc/stat") as file:
            user, nice, system, _idle, _waiting, *_ = map(int, file.readline().split()[1:])
    except (OSError, ValueError):
        return None
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")
