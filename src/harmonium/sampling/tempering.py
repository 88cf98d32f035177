"""Parallel tempering: chains at every temperature between independent units and the machine exchange their states.

At inverse temperature beta the energy is E_beta(v, h) = beta E(v, h) - (1 - beta) base'v, the path that annealed
importance sampling takes (`harmonium.likelihood.annealed`): exact samples are free at beta = 0, chains move easily on
the way, and beta = 1 is the machine. With base = 0 it is the energy times beta.

**What is swapped.** Neighbours exchange v with the hidden units summed out, and h is drawn anew, from the very
activations Wv + c that the swap has used. So a swap is accepted with probability

    min(1, f_a(v_b) f_b(v_a) / (f_a(v_a) f_b(v_b))),
    f_beta(v) = exp((beta b + (1 - beta) base)'v + sum_i softplus(beta (c_i + W_i v))),

which is detailed balance for f_a(v_a) f_b(v_b), whatever the rest of the ladder does. To exchange pairs (v, h) by their
energies E(v, h) + base'v is as correct and swaps less often: the mean acceptance is 1 - TV(p_a x p_b, p_b x p_a), and
summing units out can only lower a total variation distance.

Rows are temperature-major, and all temperatures move in one batched product a layer. Even and odd pairs of neighbours
take turns, which carries states through the ladder instead of letting them diffuse.

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

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.engines import Engine, Reals, States, make_engine
from harmonium.engines.arithmetic import exp
from harmonium.engines.generic import independent_v, visible_biases
from harmonium.inputs import check_choice, check_count, check_matrix, observed_totals
from harmonium.random import Key, as_key
from harmonium.rbm import RBM, bias_of_means
from harmonium.reprs import short_repr
from harmonium.sampling.gibbs import HIDDEN, START, VISIBLE, Progress
from harmonium.sampling.ladder import Float64Array, adapt, n_temperatures

FloatArray = npt.NDArray[np.floating[Any]]

SWAP = 3  # noise stream, beside those of Gibbs sampling
_NOWHERE, _UP, _DOWN = 0, 1, -1
_TEMPERATURES = 10
ADAPTIVE = "adaptive"
_MOST = 200  # temperatures that "adaptive" may take
_FIRST = 16  # sweeps before the ladder is first moved


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
    round_trips : int
        Of all chains, so far.
    """

    acceptance: Float64Array
    round_trips: int


class TemperedSamples(NamedTuple):
    """Samples, and how well the ladder that they come from has worked.

    Attributes
    ----------
    samples : uint8 array of shape (n, n_visible)
    acceptance : float64 array of shape (T - 1,)
        Mean probability of a swap between each temperature and the next, while the ladder stood still.
    round_trips : int
        Walks from beta = 0 to 1 and back in that time, of all n * T walkers. None at all: the ladder has not mixed.
    betas : float64 array of shape (T,)
        The inverse temperatures, from 0 to 1.
    """

    samples: npt.NDArray[np.uint8]
    acceptance: Float64Array
    round_trips: int
    betas: Float64Array

    def __repr__(self) -> str:
        return short_repr(self)


def init(engine: Engine, ladder: FloatArray, base: FloatArray, chains: int, key: Key) -> TemperedState:
    """Ladders whose chains all are exact samples of beta = 0.

    Parameters
    ----------
    engine : Engine
    ladder : array of shape (T,)
        Inverse temperatures rising from 0 to 1; at least two.
    base : array of shape (n_visible,)
        Biases of the independent units at beta = 0.
    chains : int
        Independent ladders.
    key : Key
    """
    rows = len(ladder) * chains
    v = independent_v(engine, rows, key.on(START), 0.0, np.asarray(base, np.float32))
    return _at_the_start(v, 0, len(ladder))


def step(
    engine: Engine, state: TemperedState, ladder: FloatArray, base: FloatArray, key: Key
) -> tuple[TemperedState, SwapInfo]:
    """Swaps between neighbours, then one full sweep v -> h -> v at every temperature.

    The engine's machine may have changed since the last step, as it does in training: everything is computed with the
    present one. Afterwards the rows of `cold_rows` are fresh from a sweep at beta = 1.
    """
    betas = np.asarray(ladder, np.float32)
    base = np.asarray(base, np.float32)
    n, chains = state.replica.shape
    key = key.at(state.sweep)
    logits = engine.logits_h(state.v)
    low = np.arange(state.sweep % 2, n - 1, 2)
    p = exp(swap_log_probability(engine, state.v, logits, betas, base, low))
    order = np.tile(np.arange(n)[:, None], chains)  # where the state at each temperature comes from
    swapped = key.on(SWAP).uniform(len(low), chains) < p
    order[low] += swapped
    order[low + 1] -= swapped
    # A swap is its own inverse, so `order` also says where each row goes, and at which beta it draws h.
    h = engine.bernoulli(logits, key.on(HIDDEN), betas[order].ravel())
    h = engine.take(h, (order * chains + np.arange(chains)).ravel())
    offset = (1 - betas)[:, None] * base if base.any() else None
    v = engine.sample_v(h, key.on(VISIBLE), betas, offset)
    acceptance = np.full(n - 1, np.nan)
    acceptance[low] = p.mean(axis=1)
    state = _walk(state, order)._replace(v=v, sweep=state.sweep + 1)
    return state, SwapInfo(acceptance, int(state.round_trips.sum()))


def swap_log_probability(
    engine: Engine,
    v: States,
    logits: Reals,
    betas: npt.NDArray[np.float32],
    base: npt.NDArray[np.float32],
    low: npt.NDArray[np.intp],
) -> Float64Array:
    """log min(1, f_a(v_b) f_b(v_a) / (f_a(v_a) f_b(v_b))) of the temperatures a in `low` and b = a + 1.

    Parameters
    ----------
    engine : Engine
    v : States of shape (T * chains, n_visible)
        Temperature-major.
    logits : Reals of shape (T * chains, n_hidden)
        Wv + c.
    betas : float32 array of shape (T,)
    base : float32 array of shape (n_visible,)
    low : int array
        No two of them neighbours.

    Returns
    -------
    float64 array of shape (len(low), chains)
    """
    chains = len(v) // len(betas)
    partner = np.arange(len(betas))
    partner[low], partner[low + 1] = low + 1, low
    rise = np.repeat(betas[partner].astype(np.float64) - betas, chains)
    gain = rise * engine.dot(v, visible_biases(engine) - base)
    gain += engine.softplus_sum(logits, betas[partner]) - engine.softplus_sum(logits, betas)
    gain = gain.reshape(len(betas), chains)
    return np.minimum(gain[low] + gain[low + 1], 0)


def cold_rows(state: TemperedState) -> npt.NDArray[np.intp]:
    """The rows of ``state.v`` that are at beta = 1, those of the last temperature: a sample of the machine itself."""
    n, chains = state.replica.shape
    return np.arange((n - 1) * chains, n * chains)


def sample_tempered(
    rbm: RBM,
    n: int,
    *,
    sweeps: int = 1000,
    temperatures: int | str = _TEMPERATURES,
    data: Any = None,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> TemperedSamples:
    """Samples of a machine whose modes are too far apart for Gibbs sampling, from `n` independent tempered ladders.

    Each sample is the state at beta = 1 of a ladder of its own. The first half of the sweeps moves the temperatures to
    equal acceptance; then they stand still.

    Parameters
    ----------
    rbm : RBM
    n : int
        Number of samples, and of ladders.
    sweeps : int
        At every temperature; at least 2, as pairs take turns.
    temperatures : int or "adaptive"
        How many in a ladder, or as many as swap half of the time (at most 200).
    data : array-like of shape (n_samples, n_visible), values in [0, 1], NaN where missing, optional
        Samples of what the machine has learnt, whose means become those of the units at beta = 0; this brings the two
        ends of the ladder closer. Without, all states are equally likely there. The machine's bias b would be no
        substitute: it can be far from the means that the hidden units make of it, and so can the means of its own
        chains, which have seen one mode; a base that knows one mode hides the others, and swaps look the better for it.
    seed : int or Key
    engine : {"native", "numpy"}
    progress : callable, optional
        Called as ``progress(done, total)`` after every sweep. May raise, to stop.

    Returns
    -------
    TemperedSamples

    Raises
    ------
    InvalidParameter, InvalidData
        A count is out of range, or the data do not fit the machine.

    References
    ----------
    See `harmonium.sampling.tempering`.
    """
    n, sweeps = check_count(n, "n"), check_count(sweeps, "sweeps", minimum=2)
    if isinstance(temperatures, str):
        check_choice(temperatures, "temperatures", (ADAPTIVE,))
        count = _TEMPERATURES
    else:
        count = check_count(temperatures, "temperatures", minimum=2)
    data = None if data is None else check_matrix(data, n_columns=rbm.n_visible, name="data", allow_nan=True)
    key = as_key(seed).derive("sample_tempered")
    base = np.zeros(rbm.n_visible) if data is None else bias_of_means(*observed_totals(data))
    engine_, ladder = make_engine(rbm, engine), np.linspace(0, 1, count)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, sweeps)

    state = init(engine_, ladder, base, n, key)
    for length in _rounds(sweeps // 2):
        state, acceptance = _run(engine_, state, ladder, base, key, length, tick)
        if temperatures == ADAPTIVE:
            count = min(n_temperatures(acceptance), _MOST)
        state = _spread(engine_, state, count)
        ladder = adapt(ladder, acceptance, count)
    state, acceptance = _run(engine_, state, ladder, base, key, sweeps - done, tick)
    samples = engine_.decode(engine_.take(state.v, cold_rows(state)))
    return TemperedSamples(samples, acceptance, int(state.round_trips.sum()), ladder)


def _run(
    engine: Engine,
    state: TemperedState,
    ladder: Float64Array,
    base: FloatArray,
    key: Key,
    sweeps: int,
    tick: Callable[[], None],
) -> tuple[TemperedState, Float64Array]:
    """Some steps with one ladder, and the mean acceptances over them; NaN for pairs that never had their turn."""
    total, times = np.zeros(len(ladder) - 1), np.zeros(len(ladder) - 1)
    for _ in range(sweeps):
        state, info = step(engine, state, ladder, base, key)
        tried = ~np.isnan(info.acceptance)
        total[tried] += info.acceptance[tried]
        times += tried
        tick()
    return state, np.divide(total, times, out=np.full(len(total), np.nan), where=times > 0)


def _rounds(total: int) -> Iterator[int]:
    """Lengths that double, so that each ladder is judged by states which the one before has brought closer."""
    length = _FIRST
    while total >= _FIRST:
        taken = length if total >= 3 * length else total
        yield taken
        total, length = total - taken, 2 * length


def _at_the_start(v: States, sweep: int, n: int) -> TemperedState:
    """No walker has gone anywhere yet."""
    chains = len(v) // n
    replica = np.tile(np.arange(n)[:, None], chains)
    direction = np.full((n, chains), _NOWHERE, np.int8)
    direction[0] = _UP
    return TemperedState(v, sweep, replica, direction, np.zeros(chains, np.intp))


def _spread(engine: Engine, state: TemperedState, n: int) -> TemperedState:
    """The same ladders with `n` temperatures: each takes the states that stood as far up. Walks begin anew."""
    before, chains = state.replica.shape
    source = np.rint(np.linspace(0, before - 1, n)).astype(np.intp)
    rows = (source[:, None] * chains + np.arange(chains)).ravel()
    return _at_the_start(engine.take(state.v, rows), state.sweep, n)


def _walk(state: TemperedState, order: npt.NDArray[np.intp]) -> TemperedState:
    """Move the walkers, and count those that are back at beta = 0 from beta = 1."""
    replica = np.take_along_axis(state.replica, order, axis=0)
    direction = np.take_along_axis(state.direction, order, axis=0)
    direction[-1][direction[-1] == _UP] = _DOWN
    back = direction[0] == _DOWN
    direction[0] = _UP
    return state._replace(replica=replica, direction=direction, round_trips=state.round_trips + back)
