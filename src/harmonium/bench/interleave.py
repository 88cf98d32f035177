"""Timing contenders in turn, so that a drift of the machine's speed meets them all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# The threads of a pool stay awake for a while after their last work (OpenBLAS's for tens of milliseconds) and would
# take the cores from the next contender's; after the rest, caches and clocks need time to be as in steady work.
_REST_SECONDS = 0.08
_WARM_UP_SECONDS = 0.03
_TIMED_SECONDS = 0.06


@dataclass(frozen=True)
class Timing:
    """Seconds that one call took.

    Attributes
    ----------
    median, low, high : float
        The median and the quartiles over the rounds.
    rounds : tuple of float
        All rounds, in order; round i of one contender ran beside round i of the others.
    """

    median: float
    low: float
    high: float
    rounds: tuple[float, ...]

    def times_faster_than(self, other: Timing) -> float:
        """Median over the rounds of the other's time over this one's."""
        return statistics.median(b / a for a, b in zip(self.rounds, other.rounds, strict=True))


def interleave(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Time every contender `rounds` times, in turn A B C A B C ..., each after a rest and a warm-up.

    Parameters
    ----------
    contenders : mapping from name to a function without arguments
    rounds : int

    Returns
    -------
    dict of Timing
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            time.sleep(_REST_SECONDS)
            _seconds_per_call(call, _WARM_UP_SECONDS)
            seconds[name].append(_seconds_per_call(call, _TIMED_SECONDS))
    return {name: _timing(times) for name, times in seconds.items()}


def _seconds_per_call(call: Callable[[], object], at_least: float) -> float:
    n_calls, start = 0, time.perf_counter()
    while True:
        call()
        n_calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= at_least:
            return elapsed / n_calls


def _timing(times: list[float]) -> Timing:
    low, median, high = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    return Timing(median, low, high, tuple(times))
