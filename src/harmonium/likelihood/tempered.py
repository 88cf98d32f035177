"""Samples of the machine by parallel tempering along a path of biases, for the starts of the reverse chains.

Each chain has a ladder of its own with walkers from beta = 0, where every sweep is an exact sample, to beta = 1.
Neighbours on a ladder exchange states with the probability that keeps f_a(v_a) f_b(v_b) invariant; even and odd pairs
take turns, which carries states along instead of letting them diffuse. Journeys from one end to the other are counted,
as are states at beta = 1 whose walkers have not left the colder half of the ladder since the start.

References
----------
Syed, Bouchard-Côté, Deligiannidis, Doucet, "Non-reversible parallel tempering: a scalable highly parallel MCMC scheme",
J. R. Stat. Soc. B 84, 2022.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.engines import States
from harmonium.engines.arithmetic import log
from harmonium.likelihood.annealed import Float64Array, Path, Tick
from harmonium.random import Key

SWAP = 3  # noise stream, beside those of a path
_MOST = 60  # rungs
_ROWS = 2000  # moved at once, which bounds memory


class Ladders(NamedTuple):
    """One ladder for each chain.

    Attributes
    ----------
    v : uint8 array of shape (rungs, chains, n_visible)
    from_base : bool array of shape (rungs, chains)
        Whether the walker that is there has been at beta = 0 since it was last at beta = 1.
    stuck : bool array of shape (rungs, chains)
        Whether it has never been in the hotter half of the ladder.
    arrivals : int array of shape (chains,)
        Journeys from beta = 0 to beta = 1.
    """

    v: npt.NDArray[np.uint8]
    from_base: npt.NDArray[np.bool_]
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


def rungs(betas: Float64Array, lengths: Float64Array) -> Float64Array:
    """Temperatures of a ladder, from 0 to 1, whose neighbours exchange about every second time.

    Parameters
    ----------
    betas : float64 array of shape (temperatures,)
    lengths : float64 array of shape (temperatures - 1,)
        As in `harmonium.likelihood.annealed.Works`: standard deviations of the log ratios, which add up along the
        path. Two normal distributions whose log ratio has the deviation 1 exchange with probability erfc(1/2) = 0.48.
    """
    distance = np.concatenate([[0.0], np.cumsum(lengths)])
    if not np.isfinite(distance[-1]):
        return np.array([0.0, 1.0])
    found = np.interp(np.linspace(0, distance[-1], min(_MOST, math.ceil(distance[-1]) + 1)), distance, betas)
    return np.concatenate([[0.0], found[1:-1], [1.0]])


def ladders(v: npt.NDArray[np.uint8]) -> Ladders:
    """Ladders whose walkers set out from `v`, shape (rungs, chains, n_visible)."""
    shape = v.shape[:2]
    return Ladders(v, np.zeros(shape, bool), np.ones(shape, bool), np.zeros(shape[1], np.intp))


def temper(
    path: Path, betas: Float64Array, state: Ladders, sweeps: int, key: Key, tick: Tick = lambda: None
) -> tuple[Ladders, Float64Array]:
    """The ladders after some sweeps, and what -F(v) gained at beta = 1 over the second half of them.

    `tick` is called `sweeps` times for each of `Ladders.n_blocks`.
    """
    betas = betas.astype(np.float32).astype(np.float64)
    parts, drifts = [], []
    for number in range(state.n_blocks):
        chains = slice(number * state.block, (number + 1) * state.block)
        part = Ladders(state.v[:, chains], state.from_base[:, chains], state.stuck[:, chains], state.arrivals[chains])
        part, drift = _temper(path, betas, part, sweeps, key.derive("part", number), tick)
        parts.append(part)
        drifts.append(drift)
    v, from_base, stuck = (np.concatenate([part[i] for part in parts], axis=1) for i in range(3))
    return Ladders(v, from_base, stuck, np.concatenate([part.arrivals for part in parts])), np.concatenate(drifts)


def _temper(
    path: Path, betas: Float64Array, state: Ladders, sweeps: int, key: Key, tick: Tick
) -> tuple[Ladders, Float64Array]:
    n, chains, n_visible = state.v.shape
    v = path.engine.encode(state.v.reshape(-1, n_visible))
    from_base, stuck, arrivals, middle = state.from_base, state.stuck, state.arrivals, np.zeros(chains)
    cold = np.arange((n - 1) * chains, n * chains)
    for sweep in range(sweeps):
        if sweep == sweeps // 2:
            middle = path.minus_free_energy(path.engine.take(v, cold))
        v, order = step(path, betas, v, sweep % 2, key.at(sweep))
        from_base, stuck = (np.take_along_axis(x, order, axis=0) for x in (from_base, stuck))
        from_base[0], stuck[: n // 2] = True, False
        arrivals = arrivals + from_base[-1]
        from_base[-1] = False
        tick()
    drift = path.minus_free_energy(path.engine.take(v, cold)) - middle
    return Ladders(path.engine.decode(v).reshape(state.v.shape), from_base, stuck, arrivals), drift


def step(path: Path, betas: Float64Array, v: States, first: int, key: Key) -> tuple[States, npt.NDArray[np.intp]]:
    """Exchange every second pair of neighbours from `first` on, then sweep every rung.

    Parameters
    ----------
    path : Path
    betas : float64 array of shape (rungs,)
    v : States
        Rung by rung: row k * chains + i is chain i at rung k.
    first : {0, 1}
    key : Key

    Returns
    -------
    v : States
    order : int array of shape (rungs, chains)
        The rung that each state came from.
    """
    n, chains = len(betas), len(v) // len(betas)
    low = np.arange(first, n - 1, 2)
    partner = np.arange(n)
    partner[low], partner[low + 1] = low + 1, low
    products = path.products(v)
    gain = path.log_f(products, betas[partner]) - path.log_f(products, betas)
    gain = gain.reshape(n, chains)
    with np.errstate(invalid="ignore"):  # weights beyond all bounds; such swaps are refused
        swapped = log(key.on(SWAP).uniform(len(low), chains)) < gain[low] + gain[low + 1]
    order = np.tile(np.arange(n)[:, None], chains)
    order[low] += swapped
    order[low + 1] -= swapped
    rows = (order * chains + np.arange(chains)).ravel()
    return path.sweep(path.engine.take(products.logits, rows), betas, key), order
