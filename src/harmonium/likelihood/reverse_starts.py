"""Samples of the machine for the starts of the reverse chains: tempered chains, and which of them to distrust.

Each chain has a ladder of its own on the path of the annealing. Journeys from beta = 0, where every sweep is an exact
sample, to beta = 1 are counted, as are states at beta = 1 whose walkers have not left the colder half of the ladder
since the start.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.chains import tempered
from harmonium.chains.path import Float64Array
from harmonium.chains.tempered import Ladder
from harmonium.likelihood.annealed import Annealer, Tick
from harmonium.random import Key

_ROWS = 2000  # moved at once, which bounds memory


class Ladders(NamedTuple):
    """One ladder for each chain.

    Attributes
    ----------
    v : uint8 array of shape (T, chains, n_visible)
    direction : int8 array of shape (T, chains)
        As in `TemperedState`.
    stuck : bool array of shape (T, chains)
        Whether the walker that is there has never been in the hotter half of the ladder.
    arrivals : int array of shape (chains,)
        Journeys from beta = 0 to beta = 1.
    """

    v: npt.NDArray[np.uint8]
    direction: npt.NDArray[np.int8]
    stuck: npt.NDArray[np.bool_]
    arrivals: npt.NDArray[np.intp]

    @property
    def n_blocks(self) -> int:
        """How many parts `temper` moves one after the other."""
        return -(-self.v.shape[1] // self.block)

    @property
    def block(self) -> int:
        """Chains in a part."""
        return max(1, _ROWS // len(self.v))


def ladders(v: npt.NDArray[np.uint8]) -> Ladders:
    """Ladders whose walkers set out from `v`, shape (T, chains, n_visible)."""
    shape = v.shape[:2]
    return Ladders(v, np.zeros(shape, np.int8), np.ones(shape, bool), np.zeros(shape[1], np.intp))


def temper(
    annealer: Annealer, betas: Float64Array, state: Ladders, sweeps: int, key: Key, tick: Tick = lambda: None
) -> tuple[Ladders, Float64Array]:
    """The ladders after some sweeps, and what -F(v) gained at beta = 1 over the second half of them.

    `tick` is called `sweeps` times for each of `Ladders.n_blocks`.
    """
    parts, gains = [], []
    for number in range(state.n_blocks):
        chains = slice(number * state.block, (number + 1) * state.block)
        part = Ladders(state.v[:, chains], state.direction[:, chains], state.stuck[:, chains], state.arrivals[chains])
        part, gain = _temper(annealer, Ladder(annealer.path, betas), part, sweeps, key.derive("part", number), tick)
        parts.append(part)
        gains.append(gain)
    v, direction, stuck = (np.concatenate([part[i] for part in parts], axis=1) for i in range(3))
    return Ladders(v, direction, stuck, np.concatenate([part.arrivals for part in parts])), np.concatenate(gains)


def _temper(
    annealer: Annealer, ladder: Ladder, part: Ladders, sweeps: int, key: Key, tick: Tick
) -> tuple[Ladders, Float64Array]:
    engine, (n, chains, n_visible) = annealer.engine, part.v.shape
    state = tempered.set_out(engine.encode(part.v.reshape(-1, n_visible)), n)._replace(direction=part.direction)
    stuck, arrivals, middle = part.stuck.copy(), part.arrivals, np.zeros(chains)  # of walkers, by where they set out
    column = np.arange(chains)
    for sweep in range(sweeps):
        if sweep == sweeps // 2:
            middle = annealer.minus_free_energy(ladder.cold(engine, state.v))
        state, info = tempered.step(engine, state, key, ladder)
        stuck[state.replica[: n // 2], column] = False
        arrivals = arrivals + info.arrived
        tick()
    gain = annealer.minus_free_energy(ladder.cold(engine, state.v)) - middle
    v = engine.decode(state.v).reshape(part.v.shape)
    return Ladders(v, state.direction, stuck[state.replica, column], arrivals), gain
