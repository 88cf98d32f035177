"""What is missing, given what is observed: probabilities with error bars, and draws.

Entries that are NaN are missing, all others stay as they are; observed grey levels act on the hidden layer as they do
in training. With the observed visible units held, the machine is another RBM of the missing ones. Its expectations are
sums over all hidden states or over all states of the missing units where these are few, and averages over Gibbs chains
elsewhere.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.chains import gibbs
from harmonium.chains.diagnostics import APART, scale_reduction
from harmonium.chains.gibbs import GibbsState
from harmonium.chains.starts import alternating
from harmonium.engines import Engine, States, make_engine
from harmonium.engines.generic import add_up
from harmonium.engines.records import Beta
from harmonium.enumeration.missing import (
    LIMITS,
    ROWS,
    BoolArray,
    blocks,
    draw_over_hidden,
    draw_over_missing,
    enumerable,
    over_hidden,
    over_missing,
)
from harmonium.errors import OutOfReach, SamplingAlarm
from harmonium.inputs import check_choice, check_count, check_matrix
from harmonium.progress import Counter, Progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM, float64
from harmonium.reprs import short_repr
from harmonium.sampling.watch import ENOUGH, named_features, still_there, told_apart

Float64Array = npt.NDArray[np.float64]

_CELLS = 2**22  # logits of all chains at a time
_COMPARED = 100  # rows of `complete` of which pairs of chains are compared
_COMPARABLE = 10  # rows; fewer take part several times
_AGREED = 1e-3  # standard deviation of chains that differ by nothing that matters


@dataclass(frozen=True, eq=False)
class Imputation:
    """Expectations given the observed entries of each row.

    Attributes
    ----------
    mean : float64 array of shape (n_samples, n_visible)
        The observed entries as they are; p(v_j = 1 | observed) for the missing ones.
    standard_error : float64 array of shape (n_samples, n_visible)
        Monte Carlo standard error of `mean`, from the differences between chains; zero where it is exact.
    mean_h : float64 array of shape (n_samples, n_hidden)
        p(h_i = 1 | observed).
    r_hat : float64 array of shape (n_samples,)
        Potential scale reduction (Gelman and Rubin 1992) of the row's worst missing entry; 1 where the row is exact.
        Above 1.1 the chains still remember where they started, and `standard_error` is a guess: take more sweeps.
    exact : bool array of shape (n_samples,)
        Whether the row's expectations were enumerated.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> found = harmonium.impute(rbm, [[1, float('nan')]])
    >>> found.mean.round(3)
    array([[1.   , 0.294]])
    """

    mean: Float64Array
    standard_error: Float64Array
    mean_h: Float64Array
    r_hat: Float64Array
    exact: npt.NDArray[np.bool_]

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def n_doubtful(self) -> int:
        """The number of rows whose chains have not come together, or cannot be told to have."""
        return int((~(self.r_hat <= APART)).sum())


def impute(
    rbm: RBM,
    X: Any,
    *,
    method: str = "auto",
    chains: int = 20,
    burn_in: int = 100,
    sweeps: int = 200,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> Imputation:
    """p(v_j = 1 | observed) for each missing entry of `X`.

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_samples, n_visible), values in [0, 1], NaN where missing
    method : {"auto", "exact", "gibbs"}
        "exact" enumerates the hidden layer, or the missing units of a row if they are fewer. "gibbs" averages
        E[v_j | h] over chains with the observed units held. "auto" is exact for rows where the hidden layer has at most
        16 units or at most 10 are missing.
    chains : int
        Chains a row; of one alone, standard error and R-hat are NaN. Half of them start from noise with the visible
        biases, half from fair coins.
    burn_in, sweeps : int
        Sweeps of each chain before the averages begin, and sweeps that are averaged over.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` with rows, many times. May raise, to stop.

    Returns
    -------
    Imputation

    Raises
    ------
    OutOfReach
        The method is "exact", the hidden layer has more than 20 units, and a row has more than 16 missing ones.
    InvalidData, InvalidParameter

    Notes
    -----
    E[v_j | h] has the mean of v_j and less variance (Rao and Blackwell). A row without observed entries gets the
    probabilities of the machine itself.

    References
    ----------
    Gelman, Rubin, "Inference from iterative simulation using multiple sequences", Statistical Science 7, 1992.

    Examples
    --------
    >>> found = impute(RBM(W=[[4.0, 4.0]], b=[-2.0, -2.0], c=[-2.0]), [[1.0, float("nan")]])
    >>> found.mean.round(3)
    array([[1.   , 0.867]])
    """
    check_choice(method, "method", ("auto", "exact", "gibbs"))
    chains = check_count(chains, "chains")
    burn_in, sweeps = check_count(burn_in, "burn_in", minimum=0), check_count(sweeps, "sweeps", minimum=2)
    X = check_matrix(X, n_columns=rbm.n_visible, allow_nan=True)
    missing = np.isnan(X)
    v = np.where(missing, 0, X).astype(np.float64)
    by_missing, by_hidden = _enumerable(rbm, missing, method)
    exact = by_missing | by_hidden
    found = Imputation(v.copy(), np.zeros(X.shape), np.empty((len(X), rbm.n_hidden)), np.ones(len(X)), exact)
    machine = float64(rbm)
    counter = Counter(progress, len(X))
    for few, sums in ((by_missing, over_missing), (by_hidden, over_hidden)):
        for rows in blocks(np.flatnonzero(few), ROWS):
            _, mean, found.mean_h[rows] = sums(machine, v[rows], missing[rows])
            found.mean[rows] = np.where(missing[rows], mean, v[rows])
            counter.tick(len(rows))
    settings, engine_, key = (chains, burn_in, sweeps), make_engine(rbm, engine), as_key(seed).derive("impute")
    first = 0
    for rows in blocks(np.flatnonzero(~exact), max(1, _CELLS // (chains * max(rbm.n_visible, rbm.n_hidden)))):
        mean, error, found.mean_h[rows], found.r_hat[rows] = _over_chains(
            engine_, v[rows], missing[rows], *settings, key.rows_from(first)
        )
        found.mean[rows] = np.where(missing[rows], mean, v[rows])
        found.standard_error[rows] = np.where(missing[rows], error, 0)
        first += chains * len(rows)
        counter.tick(len(rows))
    return found


def complete(
    rbm: RBM,
    X: Any,
    *,
    method: str = "auto",
    sweeps: int = 100,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """`X` with its missing entries drawn from p(missing | observed): multiple imputation, one draw a call.

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_samples, n_visible), values in [0, 1], NaN where missing
    method : {"auto", "exact", "gibbs"}
        As in `impute`: "auto" draws exactly where the hidden layer has at most 16 units or at most 10 entries of a row
        are missing, and from Gibbs chains elsewhere.
    sweeps : int
        Gibbs sweeps of each such row's chain; every other one starts from noise with the machine's visible biases, the
        rest from fair coins.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` with rows, every 500. May raise, to stop.

    Returns
    -------
    ndarray of shape (n_samples, n_visible), float32
        0 or 1 where `X` is NaN, and `X` elsewhere.

    Raises
    ------
    OutOfReach
        As in `impute`.
    InvalidData, InvalidParameter

    Warns
    -----
    SamplingAlarm
        Of up to 100 of the rows, chains that start from the two kinds of noise differ, or differ as they did at
        half-time. `impute` says which rows (`r_hat`). Sound draws are warned of once in some 250 calls.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.complete(rbm, [[1, float('nan')]]).shape
    (1, 2)
    """
    check_choice(method, "method", ("auto", "exact", "gibbs"))
    X = check_matrix(X, n_columns=rbm.n_visible, allow_nan=True)
    sweeps, key = check_count(sweeps, "sweeps", minimum=0), as_key(seed).derive_for_rows("complete")
    engine_ = make_engine(rbm, engine)
    counter = Counter(progress, len(X))
    missing = np.isnan(X)
    drawn, observed = np.asarray(X, np.float32).copy(), np.where(missing, 0, X).astype(np.float64)
    by_missing, by_hidden = _enumerable(rbm, missing, method)
    machine = float64(rbm)
    for few, draw, name in ((by_missing, draw_over_missing, "missing"), (by_hidden, draw_over_hidden, "hidden")):
        exact, first = key.derive("exact", name), 0
        for rows in blocks(np.flatnonzero(few), ROWS):
            states = draw(machine, observed[rows], missing[rows], exact.rows_from(first))
            drawn[rows] = np.where(missing[rows], states, drawn[rows])
            first += len(rows)
            counter.tick(len(rows))
    first, by_chains = 0, np.flatnonzero(~(by_missing | by_hidden))
    for rows in blocks(by_chains, ROWS):
        noise, beta = key.rows_from(first), alternating(len(rows), first)
        state, free = _start(engine_, observed[rows], missing[rows], noise, beta)
        drawn[rows] = engine_.to_numpy(gibbs.run(engine_, state, noise, sweeps, free=free).v)
        first += len(rows)
        counter.tick(len(rows))
    if sweeps and (doubt := _remembered(engine_, observed, missing, by_chains[:_COMPARED], sweeps, key)):
        warnings.warn(f"{doubt} after {sweeps} sweeps: take more, or ask impute", SamplingAlarm, stacklevel=2)
    return drawn


def _remembered(
    engine: Engine, observed: npt.NDArray[Any], missing: BoolArray, rows: npt.NDArray[np.intp], sweeps: int, key: Key
) -> str:
    """Whether chains of `rows`, two of each that start from either kind of noise, tell where they come from.

    Rows differ, so what a pair is asked at half-time is how it differs.
    """
    if len(rows) == 0:
        return ""
    rows = np.resize(rows, ENOUGH // 2) if len(rows) < _COMPARABLE else rows
    both, noise = np.tile(rows, 2), key.derive("other start")
    second = np.arange(len(both)) >= len(rows)
    state, free = _start(engine, observed[both], missing[both], noise, (~second).astype(np.float32))
    half = gibbs.run(engine, state, noise, (sweeps + 1) // 2, free=free)
    end = gibbs.run(engine, half, noise, sweeps - half.sweep, free=free)
    if (doubt := told_apart(engine, end.v, second)) or end.sweep == half.sweep:
        return doubt
    pairs = [{k: x[~second] - x[second] for k, x in named_features(engine, s.v).items()} for s in (half, end)]
    return still_there(*pairs)


def _enumerable(rbm: RBM, missing: BoolArray, method: str) -> tuple[BoolArray, BoolArray]:
    """`enumerable`, or a refusal where the method is "exact" and some row is neither."""
    n_missing = missing.sum(axis=1)
    by_missing, by_hidden = enumerable(n_missing, rbm.n_hidden, method)
    if method == "exact" and not (by_missing | by_hidden).all():
        most_hidden, most_missing = LIMITS[method]
        raise OutOfReach(
            f"The machine must have at most {most_hidden} hidden units, or a row at most {most_missing} missing ones, "
            f'to enumerate them. Got {rbm.n_hidden} and {n_missing.max()}. Use method="gibbs".'
        )
    return by_missing, by_hidden


def _start(
    engine: Engine, v: npt.NDArray[Any], missing: npt.NDArray[Any], key: Key, beta: Beta = 1.0
) -> tuple[GibbsState, States]:
    """Chains in which what is missing is drawn from the biases times `beta`, and the mask of that."""
    free = engine.encode(missing.astype(np.uint8))
    noise = gibbs.init(engine, len(v), key, beta)
    return noise._replace(v=engine.overwrite(engine.visible(v), free, noise.v)), free


def _over_chains(
    engine: Engine, v: Float64Array, missing: npt.NDArray[np.bool_], chains: int, burn_in: int, sweeps: int, key: Key
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """E[v], its standard error, E[h] and the worst R-hat of each row, by `chains` Gibbs chains a row."""
    n_rows, n_visible = v.shape
    beta = np.tile(alternating(chains), n_rows)
    state, free = _start(engine, np.repeat(v, chains, axis=0), np.repeat(missing, chains, axis=0), key, beta)
    sums: list[Any] = []
    for sweep in range(burn_in + sweeps):
        counts = sweep >= burn_in
        state, info = gibbs.step(engine, state, key, free=free, watched=counts)
        if counts:
            p, p_h = (engine.own(engine.mean(logits)) for logits in (info.logits_v, info.logits_h))
            add_up(sums, (engine.wide(p), _over(chains, engine, p, 2), _over(chains, engine, p_h) / chains))
    total, squares, total_h = (engine.to_numpy(x, np.float64) for x in sums)
    means = total.reshape(n_rows, chains, n_visible) / sweeps
    between = means.var(axis=1, ddof=1) if chains > 1 else np.full(v.shape, np.nan)
    within = np.maximum(squares - sweeps * (means**2).sum(axis=1), 0) / (chains * (sweeps - 1))
    apart = missing & (between > _AGREED**2)
    with np.errstate(divide="ignore"):
        r_hat = scale_reduction(np.divide(between, within, where=apart, out=np.zeros(v.shape)), sweeps)
    worst = np.where(apart, r_hat, 1).max(axis=1) if chains > 1 else np.full(n_rows, np.nan)
    return means.mean(axis=1), np.sqrt(between / chains), total_h / sweeps, np.maximum(worst, 1)


def _over(chains: int, engine: Engine, x: Any, power: int = 1) -> Any:
    """The sum over the chains of each row, one after the other, of an array of the engine or its squares; float64."""
    of_rows = x.reshape(len(x) // chains, chains, -1)
    total = engine.wide(of_rows[:, 0]) ** power
    for chain in range(1, chains):
        total += engine.wide(of_rows[:, chain]) ** power
    return total
