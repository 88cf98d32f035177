"""Averages over long chains whose states are never stored: of h v', v and h, with their standard errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.chains import gibbs
from harmonium.chains.diagnostics import r_hat, verdict_of
from harmonium.chains.gibbs import GibbsState
from harmonium.chains.path import Float64Array
from harmonium.chains.starts import leading_directions, spread_out
from harmonium.engines import Engine, Phase, Reals, States, make_engine
from harmonium.engines.generic import add_up
from harmonium.enumeration.exact import exact_statistics, is_quick
from harmonium.inputs import check_choice, check_count, check_matrix
from harmonium.progress import Progress, check_progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM
from harmonium.reprs import short_repr
from harmonium.sampling.gibbs import sample
from harmonium.sampling.watch import Watch
from harmonium.statistics import Statistics

GROUPS = 10


class Moments(NamedTuple):
    """Expectations under the model, exact or as chains see them.

    Attributes
    ----------
    mean : Statistics
        Averages over all chains and sweeps of E[h | v] v', v and E[h | v], float64.
    error : Statistics
        Their standard errors, from groups of chains that know nothing of each other (9 degrees of freedom).
    r_hat : float
        The largest of the free energy and of the two leading directions of W; 1 where the moments are exact. Well
        above 1 the chains have not converged, and the errors mean nothing.
    exact : bool
        Whether all states of the smaller layer were enumerated.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> found = harmonium.running_moments(rbm, chains=200, sweeps=200)
    >>> found.mean.v.shape, found.verdict
    ((2,), 'ok')
    """

    mean: Statistics
    error: Statistics
    r_hat: float
    exact: bool = False

    @property
    def verdict(self) -> str:
        """Whether to rely on them: "ok", or "unreliable" where R-hat is above 1.1."""
        return verdict_of(self.r_hat)

    def __repr__(self) -> str:
        return short_repr(self)


def running_moments(
    rbm: RBM,
    *,
    method: str = "auto",
    chains: int = 100,
    sweeps: int = 1000,
    burn_in: int = 1000,
    start: npt.NDArray[Any] | None = None,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> Moments:
    """E[h v'], E[v] and E[h] under the model: exactly, or by Gibbs sampling whose states are never stored.

    Parameters
    ----------
    rbm : RBM
    method : {"auto", "exact", "gibbs"}
        "exact" is `exact_statistics`, "gibbs" averages over chains. "auto" is exact where that takes about a second and
        no `start` is given.
    chains : int
        At least 2; 10 or more make 10 groups. Rows of `start`, if that is given. Otherwise one of two chains starts as
        in `sample`, the others as far apart as the directions of W reach, so that R-hat sees modes that do not mix.
    sweeps : int
        That count, for each chain; at least 4.
    burn_in : int
        Sweeps before, that do not.
    start : array of 0 and 1, shape (chains, n_visible), optional
        Such as the samples of `sample_tempered`, which need no burn-in.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` after every sweep. May raise, to stop.

    Returns
    -------
    Moments

    Raises
    ------
    OutOfReach
        The method is "exact", and the smaller layer has more than 25 units.
    InvalidParameter, InvalidData
        A count is out of range, or states do not fit the machine.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> found = harmonium.running_moments(rbm, chains=200, sweeps=200)
    >>> bool(abs(found.mean.v - harmonium.exact_statistics(rbm).v).max() < 0.05)
    True
    """
    check_progress(progress)
    check_choice(method, "method", ("auto", "exact", "gibbs"))
    chains, sweeps, burn_in = check_chains(rbm, chains, sweeps, burn_in, start)
    key = as_key(seed).derive("running_moments")
    if method == "exact" or (method == "auto" and start is None and is_quick(rbm)):
        mean = exact_statistics(rbm, engine=engine, progress=progress)
        return Moments(mean, Statistics(*(np.zeros_like(x) for x in mean)), 1.0, True)
    groups = np.array_split(np.arange(chains), min(GROUPS, chains))
    totals: list[list[Any]] = [[] for _ in groups]
    traces = []
    for engine_, v, logits, features in watched_walk(rbm, (chains, sweeps, burn_in), start, key, engine, progress):
        mean_h = engine_.mean(logits)
        traces.append(features)
        for rows, total in zip(groups, totals, strict=True):
            found = engine_.moments(Phase(engine_.take(v, rows), engine_.take(mean_h, rows)))
            add_up(total, (engine_.wide(x) for x in found))
    return _combine(
        [[engine_.to_numpy(x, np.float64) for x in total] for total in totals],
        [len(rows) for rows in groups],
        sweeps,
        largest_r_hat(traces),
    )


def check_chains(
    rbm: RBM, chains: int, sweeps: int, burn_in: int, start: npt.NDArray[Any] | None
) -> tuple[int, int, int]:
    """The counts, where they are fit for averages with errors; `start` says how many chains there are."""
    sweeps, burn_in = check_count(sweeps, "sweeps", minimum=4), check_count(burn_in, "burn_in", minimum=0)
    if start is not None:
        chains = len(check_matrix(start, n_columns=rbm.n_visible, name="start", binary=True))
    return check_count(chains, "chains", minimum=2), sweeps, burn_in


def walk(
    rbm: RBM, chains: int, start: npt.NDArray[Any] | None, key: Key, name: str
) -> Iterator[tuple[Engine, States, Reals]]:
    """Chains from `start`, or from dispersed states: engine, v and Wv + c, then after every sweep, endlessly.

    The activations serve whoever looks at the state, and then the next sweep.
    """
    engine = make_engine(rbm, name)
    state = GibbsState(engine.encode(first_states(rbm, chains, start, key, name)))
    while True:
        state = state._replace(logits=engine.logits_h(state.v))
        yield engine, state.v, state.logits
        state, _ = gibbs.step(engine, state, key)


def watched_walk(
    rbm: RBM,
    settings: tuple[int, int, int],
    start: npt.NDArray[Any] | None,
    key: Key,
    name: str,
    progress: Progress | None,
) -> Iterator[tuple[Engine, States, Reals, Float64Array]]:
    """The chains of `walk` after every sweep that counts, and by what they are judged (`Watch.features`).

    `settings` are the number of chains, of sweeps that count, and of sweeps before.
    """
    chains, sweeps, burn_in = settings
    watch, run = Watch(rbm), walk(rbm, chains, start, key, name)
    next(run)  # the start
    for sweep, (engine, v, logits) in zip(range(-burn_in, sweeps), run, strict=False):
        if sweep >= 0:
            yield engine, v, logits, watch.features(engine, v, logits)
        if progress is not None:
            progress(burn_in + sweep + 1, burn_in + sweeps)


def largest_r_hat(features: Sequence[Float64Array]) -> float:
    """R-hat of the feature that agrees least; `features` has one array of shape (n_features, chains) a sweep."""
    return max(r_hat(x.T) for x in np.stack(features).swapaxes(0, 1))


def first_states(rbm: RBM, chains: int, start: npt.NDArray[Any] | None, key: Key, name: str) -> npt.NDArray[np.uint8]:
    """`start`; or every other state as in `sample`, the rest as far apart as the directions of W reach."""
    states = sample(rbm, chains, sweeps=0, start=start, seed=key, engine=name)
    if start is None:
        states[1::2] = spread_out(rbm, leading_directions(rbm), None, chains // 2, key.derive("spread"))
    return states


def _combine(totals: list[list[Float64Array]], sizes: list[int], sweeps: int, agreement: float) -> Moments:
    """Means weighted by the sizes of the groups, and the standard errors of them."""
    fractions = np.array(sizes) / sum(sizes)
    mean, error = [], []
    for parts in zip(*totals, strict=True):
        groups = [x / sweeps for x in parts]
        centre = sum(fraction * x for fraction, x in zip(fractions, groups, strict=True))
        variance = sum((fraction * (x - centre)) ** 2 for fraction, x in zip(fractions, groups, strict=True))
        mean.append(centre)
        error.append(np.sqrt(variance * len(groups) / (len(groups) - 1)))
    return Moments(Statistics(*mean), Statistics(*error), agreement)
