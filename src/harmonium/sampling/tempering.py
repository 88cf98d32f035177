"""Samples of machines whose modes are far apart, by parallel tempering (`harmonium.chains.tempered`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from harmonium.chains.ladder import adapt, n_temperatures
from harmonium.chains.path import Float64Array, linear_path
from harmonium.chains.tempered import Ladder, TemperedState, cold_rows, init, spread, step
from harmonium.engines import Engine, make_engine
from harmonium.inputs import check_choice, check_count, check_rows
from harmonium.progress import Counter, Progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM, bias_of_means
from harmonium.sampling.samples import Samples

_TEMPERATURES = 10
ADAPTIVE = "adaptive"
_MOST = 200  # temperatures that "adaptive" may take
_FIRST = 16  # sweeps before the ladder is first moved


def sample_tempered(
    rbm: RBM,
    n: int,
    *,
    sweeps: int = 1000,
    temperatures: int | str = _TEMPERATURES,
    X: Any = None,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> Samples:
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
    X : array-like of shape (n_samples, n_visible), values in [0, 1], NaN where missing, optional
        Samples of what the machine has learnt, whose means become those of the units at beta = 0; this brings the two
        ends of the ladder closer. Without, all states are equally likely there. The machine's bias b would be no
        substitute: it can be far from the means that the hidden units make of it, and so can the means of its own
        chains, which have seen one mode; a base that knows one mode hides the others, and swaps look the better for it.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` after every sweep. May raise, to stop.

    Returns
    -------
    Samples

    Raises
    ------
    InvalidParameter, InvalidData
        A count is out of range, or the data do not fit the machine.

    References
    ----------
    See `harmonium.chains.tempered`.
    """
    n, sweeps = check_count(n, "n"), check_count(sweeps, "sweeps", minimum=2)
    if isinstance(temperatures, str):
        check_choice(temperatures, "temperatures", (ADAPTIVE,))
        count = _TEMPERATURES
    else:
        count = check_count(temperatures, "temperatures", minimum=2)
    rows = None if X is None else check_rows(X, n_columns=rbm.n_visible)
    key = as_key(seed).derive("sample_tempered")
    base = np.zeros(rbm.n_visible) if rows is None else bias_of_means(*rows.totals)
    engine_, ladder = make_engine(rbm, engine), Ladder(linear_path(base, rbm.n_hidden), np.linspace(0, 1, count))
    counter = Counter(progress, sweeps)
    state = init(engine_, ladder, n, key)
    for length in _rounds(sweeps // 2):
        state, acceptance = _run(engine_, state, ladder, key, length, counter)
        if temperatures == ADAPTIVE:
            count = min(n_temperatures(acceptance), _MOST)
        state = spread(engine_, state, count)
        ladder = ladder._replace(betas=adapt(ladder.betas, acceptance, count))
    state, acceptance = _run(engine_, state, ladder, key, sweeps - counter.done, counter)
    samples = engine_.decode(engine_.take(state.v, cold_rows(state)))
    tempered: dict[str, Any] = {"betas": ladder.betas, "acceptance": acceptance}
    return Samples(samples, "tempered", sweeps, every=sweeps, round_trips=int(state.round_trips.sum()), **tempered)


def _run(
    engine: Engine,
    state: TemperedState,
    ladder: Ladder,
    key: Key,
    sweeps: int,
    counter: Counter,
) -> tuple[TemperedState, Float64Array]:
    """Some steps with one ladder, and the mean acceptances over them; NaN for pairs that never had their turn."""
    total, times = np.zeros((2, len(ladder.betas) - 1))
    for _ in range(sweeps):
        state, info = step(engine, state, key, ladder)
        tried = ~np.isnan(info.acceptance)
        total[tried] += info.acceptance[tried]
        times += tried
        counter.tick()
    return state, np.divide(total, times, out=np.full(len(total), np.nan), where=times > 0)


def _rounds(total: int) -> Iterator[int]:
    """Lengths that double, so that each ladder is judged by states which the one before has brought closer."""
    length = _FIRST
    while total >= _FIRST:
        taken = length if total >= 3 * length else total
        yield taken
        total, length = total - taken, 2 * length
