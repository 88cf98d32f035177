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
# Beyond these the machine had other work to do.
_WIDEST_SPREAD, _LEAST_SHARE = 1.3, 0.85


@dataclass(frozen=True)
class Timing:
    """Seconds that one call took.

    Attributes
    ----------
    median, low, high : float
        The median and the quartiles over the rounds.
    rounds : tuple of float
        All rounds, in order; round i of one contender ran beside round i of the others.
    cores : tuple of float
        The process' CPU time over the time that passed, for each round: how many cores it had.
    """

    median: float
    low: float
    high: float
    rounds: tuple[float, ...]
    cores: tuple[float, ...]

    def times_faster_than(self, other: Timing) -> float:
        """Median over the rounds of the other's time over this one's."""
        return statistics.median(b / a for a, b in zip(self.rounds, other.rounds, strict=True))

    def doubts(self, threads: int) -> list[str]:
        """Why no ratio to this yardstick should be believed; nothing on a quiet machine.

        Libraries for linear algebra wait for their slowest thread. Beside another program they may need five times
        as long as alone, and whatever is measured by them then looks fast.

        Parameters
        ----------
        threads : int
            Those that may be used. A call that never has more than one core at a time is taken to need no more.
        """
        found = []
        if (spread := self.high / self.low) > _WIDEST_SPREAD:
            found.append(f"its quartiles are {spread:.2f} apart")
        needed = threads if max(self.cores) > 1 / _LEAST_SHARE else 1
        if (had := statistics.median(self.cores)) < _LEAST_SHARE * needed:
            found.append(f"it had {had:.2f} cores and {threads} threads")
        return found


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
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            time.sleep(_REST_SECONDS)
            _measure(call, _WARM_UP_SECONDS)
            measured[name].append(_measure(call, _TIMED_SECONDS))
    return {name: _timing(pairs) for name, pairs in measured.items()}


def _measure(call: Callable[[], object], at_least: float) -> tuple[float, float]:
    """Seconds a call, and how many cores the process had meanwhile."""
    n_calls, start, cpu = 0, time.perf_counter(), time.process_time()
    while True:
        call()
        n_calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= at_least:
            return elapsed / n_calls, (time.process_time() - cpu) / elapsed


def _timing(pairs: list[tuple[float, float]]) -> Timing:
    times, cores = ([pair[i] for pair in pairs] for i in (0, 1))
    low, median, high = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    return Timing(median, low, high, tuple(times), tuple(cores))
