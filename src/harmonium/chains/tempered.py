"""Parallel tempering: chains at every level between independent units and a machine exchange their states.

Exact samples are free at the first level, chains move easily on the way, and the last is the machine. The levels are
the temperatures of one machine, beta = 0 to 1 on a path of biases as annealed importance sampling takes it
(`harmonium.chains.path`, `Ladder`), or machines of their own (`harmonium.chains.rungs`).

**What is swapped.** Neighbours exchange v with the hidden units summed out, and h is drawn anew, from the very
activations Wv + c that the swap has used. So a swap is accepted with probability

    min(1, f_a(v_b) f_b(v_a) / (f_a(v_a) f_b(v_b))),

which is detailed balance for f_a(v_a) f_b(v_b), whatever the rest of the ladder does. To exchange pairs (v, h) by their
energies is as correct and swaps less often: the mean acceptance is 1 - TV(p_a x p_b, p_b x p_a), and summing units out
can only lower a total variation distance.

Rows are temperature-major, and all temperatures move in one batched product a layer. Even and odd pairs of neighbours
take turns, which carries states through the ladder instead of letting them diffuse. What changes places is h, which is
cheaper to move than its log-odds.

References
----------
Desjardins, Courville, Bengio, Vincent, Delalleau, "Parallel tempering for training of restricted Boltzmann machines",
AISTATS 2010.
Syed, Bouchard-Côté, Deligiannidis, Doucet, "Non-reversible parallel tempering: a scalable highly parallel MCMC scheme",
J. R. Stat. Soc. B 84, 2022.
Katzgraber, Trebst, Huse, Troyer, "Feedback-optimized parallel tempering Monte Carlo", J. Stat. Mech. P03018, 2006
(round trips).
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from harmonium.chains.gibbs import HIDDEN, START, VISIBLE
from harmonium.chains.path import BiasPath, Float64Array, Point
from harmonium.engines import Engine, Reals, States
from harmonium.engines.arithmetic import exp
from harmonium.random import Key

SWAP = 3  # noise stream, beside those of Gibbs sampling
_NOWHERE, _UP, _DOWN = 0, 1, -1


class Levels(Protocol):
    """What chains are tempered through: distributions of v, of which the engine's machine has the last.

    Attributes
    ----------
    places : float64 array of shape (levels,)
        Where they are on a way from 0, independent units, to 1, the machine.
    fewest : int
        How many levels the way needs, however readily they swap.
    log_z_base : float
        log Z of the first, exactly.
    """

    @property
    def places(self) -> Float64Array: ...

    @property
    def fewest(self) -> int: ...

    @property
    def log_z_base(self) -> float: ...

    def at(self, places: Float64Array) -> Levels:
        """Others on the same way."""

    def start(self, engine: Engine, chains: int, key: Key) -> Any:
        """Exact samples of the first level, as many for each of the levels as there are chains."""

    def put(self, engine: Engine, v: Any, where: npt.NDArray[np.bool_], values: npt.NDArray[np.uint8]) -> Any:
        """`v` with the states of some chains, at every level, replaced; `values` have the shape (chains, n_visible)."""

    def spread(self, engine: Engine, v: Any, source: npt.NDArray[np.intp]) -> Any:
        """The states of the levels in `source`, in that order."""

    def cold(self, engine: Engine, v: Any) -> States:
        """The states of the last level: a sample of the machine itself."""

    def compare(self, engine: Engine, v: Any, low: npt.NDArray[np.intp]) -> tuple[Any, Float64Array]:
        """What `sweep` goes on from, and what states gain that change places: those in `low` with the next.

        The gains are log f_b(v_a) - log f_a(v_a) and log f_a(v_b) - log f_b(v_b), of the levels a in `low`, no two of
        them neighbours, and b = a + 1; shape (2, len(low), chains). Their sum is the logarithm of the ratio above.
        """

    def sweep(self, engine: Engine, seen: Any, order: npt.NDArray[np.intp], key: Key) -> Any:
        """The states exchanged as `order` says (see `exchange`), then one full sweep v -> h -> v at every level."""


class Ladder(NamedTuple):
    """The temperatures of tempered chains.

    Attributes
    ----------
    path : BiasPath
    betas : float64 array of shape (T,)
        Inverse temperatures rising from 0 to 1; at least two.
    """

    path: BiasPath
    betas: Float64Array

    @property
    def places(self) -> Float64Array:
        """The inverse temperatures."""
        return self.betas

    @property
    def fewest(self) -> int:
        """The two ends."""
        return 2

    @property
    def log_z_base(self) -> float:
        """log Z at beta = 0, exactly."""
        return self.path.log_z_base

    def at(self, places: Float64Array) -> Ladder:
        """Other temperatures."""
        return self._replace(betas=places)

    def start(self, engine: Engine, chains: int, key: Key) -> States:
        """As `Levels` says."""
        return self.path.start(engine, len(self.betas) * chains, key)

    def put(self, engine: Engine, v: States, where: npt.NDArray[np.bool_], values: npt.NDArray[np.uint8]) -> States:
        """As `Levels` says."""
        n = len(self.betas)
        return engine.overwrite(v, np.tile(where, n), engine.encode(np.tile(values, (n, 1))))

    def spread(self, engine: Engine, v: States, source: npt.NDArray[np.intp]) -> States:
        """As `Levels` says."""
        chains = len(v) // len(self.betas)
        return engine.take(v, (source[:, None] * chains + np.arange(chains)).ravel())

    def cold(self, engine: Engine, v: States) -> States:
        """As `Levels` says."""
        chains = len(v) // len(self.betas)
        return engine.take(v, np.arange(len(v) - chains, len(v)))

    @property
    def points(self) -> Point:
        """The places on the path, one for each temperature."""
        return self.path.at(np.asarray(self.betas, np.float32))

    def compare(self, engine: Engine, v: States, low: npt.NDArray[np.intp]) -> tuple[Reals, Float64Array]:
        """As `Levels` says."""
        logits = engine.logits_h(v)
        return logits, swap_gains(engine, v, logits, self, low)

    def sweep(self, engine: Engine, seen: Reals, order: npt.NDArray[np.intp], key: Key) -> States:
        """As `Levels` says."""
        points, chains = self.points, order.shape[1]
        # A swap is its own inverse, so `order` also says where each row goes, and at which place it draws h.
        h = engine.bernoulli(seen, key.on(HIDDEN), *points._replace(x=None).take(order.ravel()).of_h)
        h = engine.take(h, (order * chains + np.arange(chains)).ravel())
        return engine.sample_v(h, key.on(VISIBLE), *points.of_v)


class TemperedState(NamedTuple):
    """Ladders of chains between two steps; plain arrays but for `v`.

    Attributes
    ----------
    v : States of shape (T * chains, n_visible)
        Temperature-major: row k * chains + c is chain c at the k-th temperature.
    sweep : int
        Steps done so far; with the key it determines all noise to come.
    replica : int array of shape (T, chains)
        Which of a chain's T walkers is at each temperature; walker k set out from the k-th.
    direction : int8 array of shape (T, chains)
        Of the walker that is there: 1 since it was at beta = 0, -1 since it went on to reach beta = 1, 0 before either.
    round_trips : int array of shape (chains,)
        Walks from beta = 0 to 1 and back that were completed.
    """

    v: States
    sweep: int
    replica: npt.NDArray[np.intp]
    direction: npt.NDArray[np.int8]
    round_trips: npt.NDArray[np.intp]


class SwapInfo(NamedTuple):
    """What a step tells beside the new state.

    Attributes
    ----------
    acceptance : float64 array of shape (T - 1,)
        Mean over the chains of the probability that each temperature swaps with the next; NaN where it was not their
        turn.
    arrived : bool array of shape (chains,)
        Whether a walker came to the last level that was at the first since it was last there.
    low : int array
        The levels whose turn it was to swap with the next.
    gains : float64 array of shape (2, len(low), chains)
        Of the states before the step, as `Levels` says.
    """

    acceptance: Float64Array
    arrived: npt.NDArray[np.bool_]
    low: npt.NDArray[np.intp]
    gains: Float64Array


def init(engine: Engine, levels: Levels, chains: int, key: Key) -> TemperedState:
    """Ladders whose chains all are exact samples of the first level.

    Parameters
    ----------
    engine : Engine
    levels : Levels
    chains : int
        Independent ladders.
    key : Key
    """
    return set_out(levels.start(engine, chains, key.on(START)), len(levels.places), chains=chains)


def set_out(v: Any, n: int, sweep: int = 0, *, from_base: bool = True, chains: int | None = None) -> TemperedState:
    """Ladders of `n` levels on which no walker has gone anywhere yet.

    Parameters
    ----------
    v : States of shape (n * chains, n_visible)
        Level-major; or whatever else the levels take.
    n : int
    sweep : int
        Steps that have used noise of the key.
    from_base : bool
        Whether the states at the first level are samples of it.
    chains : int, optional
        As many as `v` has rows for, if left out.
    """
    chains = len(v) // n if chains is None else chains
    replica = np.tile(np.arange(n)[:, None], chains)
    direction = np.full((n, chains), _NOWHERE, np.int8)
    if from_base:
        direction[0] = _UP
    return TemperedState(v, sweep, replica, direction, np.zeros(chains, np.intp))


def spread(engine: Engine, levels: Levels, state: TemperedState, n: int) -> TemperedState:
    """The same ladders with `n` levels: each takes the states that stood as far up. Walks begin anew."""
    before, chains = state.replica.shape
    source = np.rint(np.linspace(0, before - 1, n)).astype(np.intp)
    return set_out(levels.spread(engine, state.v, source), n, state.sweep, chains=chains)


def step(engine: Engine, state: TemperedState, key: Key, levels: Levels) -> tuple[TemperedState, SwapInfo]:
    """Swaps between neighbours, then one full sweep v -> h -> v at every level.

    The engine's machine may have changed since the last step, as it does in training: everything is computed with the
    present one. Afterwards the states of the last level are fresh from a sweep of that machine.

    Parameters
    ----------
    engine : Engine
    state : TemperedState
    key : Key
        That of the chains, the same at every step.
    levels : Levels
    """
    n = len(state.replica)
    key, low = key.at(state.sweep), np.arange(state.sweep % 2, n - 1, 2)
    seen, gains = levels.compare(engine, state.v, low)
    p = swap_probability(gains)
    order = exchange(p, low, n, key)
    v = levels.sweep(engine, seen, order, key)
    acceptance = np.full(n - 1, np.nan)
    acceptance[low] = p.mean(axis=1)
    state, arrived = walk(state, order)
    return state._replace(v=v, sweep=state.sweep + 1), SwapInfo(acceptance, arrived, low, gains)


def swap_gains(engine: Engine, v: States, logits: Reals, ladder: Ladder, low: npt.NDArray[np.intp]) -> Float64Array:
    """The gains of `Levels`, of temperatures: shape (2, len(low), chains).

    Parameters
    ----------
    engine : Engine
    v : States of shape (T * chains, n_visible)
        Temperature-major.
    logits : Reals of shape (T * chains, n_hidden)
        Wv + c.
    ladder : Ladder
    low : int array
        No two of them neighbours.
    """
    points = ladder.points
    partner = np.arange(len(ladder.betas))
    partner[low], partner[low + 1] = low + 1, low
    gain = ladder.path.log_ratio(engine, v, logits, points, points.take(partner)).reshape(len(partner), -1)
    return np.stack([gain[low], gain[low + 1]])


def swap_probability(gains: Float64Array) -> Float64Array:
    """min(1, f_a(v_b) f_b(v_a) / (f_a(v_a) f_b(v_b))) from the two gains of each pair, which come first."""
    return exp(np.minimum(gains[0] + gains[1], 0))


def exchange(p: Float64Array, low: npt.NDArray[np.intp], n: int, key: Key) -> npt.NDArray[np.intp]:
    """Which temperature the state at each comes from, shape (n, chains), where those in `low` swap with the next.

    `p`, of shape (len(low), chains), are the probabilities.
    """
    order = np.tile(np.arange(n)[:, None], p.shape[1])
    swapped = key.on(SWAP).uniform(*p.shape) < p
    order[low] += swapped
    order[low + 1] -= swapped
    return order


def walk(state: TemperedState, order: npt.NDArray[np.intp]) -> tuple[TemperedState, npt.NDArray[np.bool_]]:
    """The walkers moved, and the chains in which one of them came to beta = 1 from beta = 0; trips are counted."""
    replica = np.take_along_axis(state.replica, order, axis=0)
    direction = np.take_along_axis(state.direction, order, axis=0)
    arrived = direction[-1] == _UP
    direction[-1][arrived] = _DOWN
    back = direction[0] == _DOWN
    direction[0] = _UP
    return state._replace(replica=replica, direction=direction, round_trips=state.round_trips + back), arrived
