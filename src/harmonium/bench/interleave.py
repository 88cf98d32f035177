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
_CALLED = {"floor": "the floor", "native": "the native engine"}


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
    most_cores : float
        The most that it had in any round, those that were measured again among them.
    """

    median: float
    low: float
    high: float
    rounds: tuple[float, ...]
    cores: tuple[float, ...]
    most_cores: float

    @property
    def waited(self) -> list[bool]:
        """For each round, whether it had fewer cores than it uses: it waited for the machine, which did other work.

        Nothing is said about how fast a round was: a choice among rounds by their speed would flatter.
        """
        return [had < _LEAST_SHARE * self.most_cores for had in self.cores]

    def times_faster_than(self, other: Timing) -> float:
        """Median over the rounds of the other's time over this one's."""
        return statistics.median(b / a for a, b in zip(self.rounds, other.rounds, strict=True))

    def as_yardstick(self, threads: int) -> list[str]:
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
        needed = threads if self.most_cores > 1 / _LEAST_SHARE else 1
        if (had := statistics.median(self.cores)) < _LEAST_SHARE * needed:
            found.append(f"it had {had:.2f} cores and {threads} threads")
        return found


def doubts(times: Mapping[str, Timing], threads: int) -> list[str]:
    """Why ratios of these to "floor", which is one of them, should not be believed, and because of which of them."""
    found = [f"{_CALLED['floor']}: {why}" for why in times["floor"].as_yardstick(threads)]
    for name, timing in times.items():
        if n := sum(timing.waited):
            had = f"it had as few as {min(timing.cores):.2f} of the {timing.most_cores:.2f} cores that it uses"
            found.append(f"{_CALLED.get(name, name)}: {had} in {n} of {len(timing.cores)} rounds")
    return found


def interleave(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Time every contender `rounds` times, in turn A B C A B C ..., each after a rest and a warm-up.

    A round in which one of them waited (`Timing.waited`) is no evidence about any: all are measured again in its place,
    which is done `rounds` times at most.

    Parameters
    ----------
    contenders : mapping from name to a function without arguments
    rounds : int

    Returns
    -------
    dict of Timing
    """
    kept = [_round(contenders) for _ in range(rounds)]
    most = {name: max(one[name][1] for one in kept) for name in contenders}
    times = _timings(kept, most)
    for _ in range(rounds):
        waited = [any(each) for each in zip(*(timing.waited for timing in times.values()), strict=True)]
        if not any(waited):
            break
        again = kept[waited.index(True)] = _round(contenders)
        most = {name: max(before, again[name][1]) for name, before in most.items()}
        times = _timings(kept, most)
    return times


_Measured = tuple[float, float]


def _round(contenders: Mapping[str, Callable[[], object]]) -> dict[str, _Measured]:
    found = {}
    for name, call in contenders.items():
        time.sleep(_REST_SECONDS)
        _measure(call, _WARM_UP_SECONDS)
        found[name] = _measure(call, _TIMED_SECONDS)
    return found


def _measure(call: Callable[[], object], at_least: float) -> _Measured:
    """Seconds a call, and how many cores the process had meanwhile."""
    n_calls, start, cpu = 0, time.perf_counter(), time.process_time()
    while True:
        call()
        n_calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= at_least:
            return elapsed / n_calls, (time.process_time() - cpu) / elapsed


def _timings(rounds: list[dict[str, _Measured]], most: Mapping[str, float]) -> dict[str, Timing]:
    return {name: _timing([one[name] for one in rounds], most[name]) for name in most}


def _timing(pairs: list[_Measured], most_cores: float) -> Timing:
    times, cores = ([pair[i] for pair in pairs] for i in (0, 1))
    low, median, high = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    return Timing(median, low, high, tuple(times), tuple(cores), most_cores)
