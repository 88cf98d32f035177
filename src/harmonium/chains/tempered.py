"""Parallel tempering: chains at every temperature between independent units and the machine exchange their states.

Exact samples are free at beta = 0, chains move easily on the way, and beta = 1 is the machine. The way is a path of
biases as annealed importance sampling takes it (`harmonium.chains.path`).

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

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.chains.gibbs import HIDDEN, START, VISIBLE
from harmonium.chains.path import BiasPath, Float64Array, Point
from harmonium.engines import Engine, Reals, States
from harmonium.engines.arithmetic import exp
from harmonium.random import Key

SWAP = 3  # noise stream, beside those of Gibbs sampling
_NOWHERE, _UP, _DOWN = 0, 1, -1


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
    def points(self) -> Point:
        """The places on the path, one for each temperature."""
        return self.path.at(np.asarray(self.betas, np.float32))


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
        Whether a walker came to beta = 1 that was at beta = 0 since it was last there.
    """

    acceptance: Float64Array
    arrived: npt.NDArray[np.bool_]


def init(engine: Engine, ladder: Ladder, chains: int, key: Key) -> TemperedState:
    """Ladders whose chains all are exact samples of beta = 0.

    Parameters
    ----------
    engine : Engine
    ladder : Ladder
    chains : int
        Independent ladders.
    key : Key
    """
    n = len(ladder.betas)
    return set_out(ladder.path.start(engine, n * chains, key.on(START)), n)


def set_out(v: States, n: int, sweep: int = 0, *, from_base: bool = True) -> TemperedState:
    """Ladders of `n` temperatures on which no walker has gone anywhere yet.

    Parameters
    ----------
    v : States of shape (n * chains, n_visible)
        Temperature-major.
    n : int
    sweep : int
        Steps that have used noise of the key.
    from_base : bool
        Whether the states at the first temperature are samples of it.
    """
    chains = len(v) // n
    replica = np.tile(np.arange(n)[:, None], chains)
    direction = np.full((n, chains), _NOWHERE, np.int8)
    if from_base:
        direction[0] = _UP
    return TemperedState(v, sweep, replica, direction, np.zeros(chains, np.intp))


def spread(engine: Engine, state: TemperedState, n: int) -> TemperedState:
    """The same ladders with `n` temperatures: each takes the states that stood as far up. Walks begin anew."""
    before, chains = state.replica.shape
    source = np.rint(np.linspace(0, before - 1, n)).astype(np.intp)
    rows = (source[:, None] * chains + np.arange(chains)).ravel()
    return set_out(engine.take(state.v, rows), n, state.sweep)


def step(engine: Engine, state: TemperedState, key: Key, ladder: Ladder) -> tuple[TemperedState, SwapInfo]:
    """Swaps between neighbours, then one full sweep v -> h -> v at every temperature.

    The engine's machine may have changed since the last step, as it does in training: everything is computed with the
    present one. Afterwards the rows of `cold_rows` are fresh from a sweep at beta = 1.

    Parameters
    ----------
    engine : Engine
    state : TemperedState
    key : Key
        That of the chains, the same at every step.
    ladder : Ladder
    """
    n, chains = state.replica.shape
    key, points = key.at(state.sweep), ladder.points
    logits = engine.logits_h(state.v)
    low = np.arange(state.sweep % 2, n - 1, 2)
    p = exp(swap_log_probability(engine, state.v, logits, ladder, low))
    order = exchange(p, low, n, key)
    # A swap is its own inverse, so `order` also says where each row goes, and at which place it draws h.
    h = engine.bernoulli(logits, key.on(HIDDEN), *points._replace(x=None).take(order.ravel()).of_h)
    h = engine.take(h, (order * chains + np.arange(chains)).ravel())
    v = engine.sample_v(h, key.on(VISIBLE), *points.of_v)
    acceptance = np.full(n - 1, np.nan)
    acceptance[low] = p.mean(axis=1)
    state, arrived = walk(state, order)
    return state._replace(v=v, sweep=state.sweep + 1), SwapInfo(acceptance, arrived)


def swap_log_probability(
    engine: Engine, v: States, logits: Reals, ladder: Ladder, low: npt.NDArray[np.intp]
) -> Float64Array:
    """log min(1, f_a(v_b) f_b(v_a) / (f_a(v_a) f_b(v_b))) of the temperatures a in `low` and b = a + 1.

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

    Returns
    -------
    float64 array of shape (len(low), chains)
    """
    points = ladder.points
    partner = np.arange(len(ladder.betas))
    partner[low], partner[low + 1] = low + 1, low
    gain = ladder.path.log_ratio(engine, v, logits, points, points.take(partner)).reshape(len(partner), -1)
    return np.minimum(gain[low] + gain[low + 1], 0)


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


def cold_rows(state: TemperedState) -> npt.NDArray[np.intp]:
    """The rows of ``state.v`` that are at beta = 1, those of the last temperature: a sample of the machine itself."""
    n, chains = state.replica.shape
    return np.arange((n - 1) * chains, n * chains)
