"""Levels that are moved to equal acceptance while their chains run, and then stand still."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harmonium.chains.ladder import adapt, n_temperatures
from harmonium.chains.path import Float64Array
from harmonium.chains.tempered import Levels, SwapInfo, TemperedState, spread, step
from harmonium.engines import Engine
from harmonium.random import Key

_MOST = 200  # levels, where as many are taken as are needed
_FIRST = 16  # sweeps before they are first moved

Tick = Callable[[], None]


def settle(
    engine: Engine, levels: Levels, state: TemperedState, key: Key, sweeps: int, n: int | None, tick: Tick
) -> tuple[TemperedState, Levels]:
    """The chains after some sweeps, and the levels moved to equal acceptance meanwhile; walks begin anew.

    Parameters
    ----------
    n : int or None
        How many levels there are to be; None for as many as swap half of the time, at most 200.
    tick : callable
        Called after every sweep.
    """
    for length in _rounds(sweeps):
        state, acceptance = run(engine, levels, state, key, length, tick)
        count = min(max(n_temperatures(acceptance), levels.fewest), _MOST) if n is None else n
        state = spread(engine, levels, state, count)
        levels = levels.at(adapt(levels.places, acceptance, count))
    return state, levels


def run(
    engine: Engine,
    levels: Levels,
    state: TemperedState,
    key: Key,
    sweeps: int,
    tick: Tick,
    see: Callable[[SwapInfo], None] | None = None,
) -> tuple[TemperedState, Float64Array]:
    """Some steps, each told to `see`, and the mean acceptances over them; NaN for pairs that never had their turn."""
    total, times = np.zeros((2, len(levels.places) - 1))
    for _ in range(sweeps):
        state, info = step(engine, state, key, levels)
        if see is not None:
            see(info)
        tried = ~np.isnan(info.acceptance)
        total[tried] += info.acceptance[tried]
        times += tried
        tick()
    return state, np.divide(total, times, out=np.full(len(total), np.nan), where=times > 0)


def _rounds(total: int) -> Iterator[int]:
    """Lengths that double, so that levels are judged by states which the ones before have brought closer."""
    length = _FIRST
    while total >= _FIRST:
        taken = length if total >= 3 * length else total
        yield taken
        total, length = total - taken, 2 * length
