"""Free energies: F(v), and where entries are missing that of what is observed, -log of the sum of exp(-F(v)) over them.

Where neither the missing units nor the hidden ones are few, the sum is annealed. With the observed units held, and
c' = c + W v_observed, unnormalised distributions of the missing units are

    f_beta(v) = exp(b'v + sum_i softplus(c'_i + beta (Wv)_i)),

from independent units (beta = 0: the hidden layer sees what is observed and nothing else, and the sum of f_0 is known)
to the row's own machine (beta = 1). The mean of the chains' weights is an unbiased estimate of the sum, whatever the
number of chains and temperatures; by Jensen's inequality its negative logarithm errs upwards, by about half the
variance of the weights over the number of chains.

References
----------
Neal, "Annealed importance sampling", Statistics and Computing 11, 2001.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.chains import gibbs
from harmonium.chains.gibbs import START, GibbsState
from harmonium.chains.path import Point
from harmonium.engines import generic, make_engine
from harmonium.engines.arithmetic import exp, log, matmul, softplus
from harmonium.enumeration.missing import ROWS, BoolArray, Float64Array, blocks, enumerable, over_hidden, over_missing
from harmonium.inputs import check_count, check_matrix, missing_entries
from harmonium.progress import Counter, Progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM, float64

_ROWS = 2000  # complete rows at a time
_CELLS = 2**22  # logits of all chains at a time


class Marginals(NamedTuple):
    """The free energies of what is observed in each row, and how sure they are.

    Attributes
    ----------
    free_energy : float64 array of shape (rows,)
        In nats.
    standard_error : float64 array of shape (rows,)
        Of the estimate by the delta method; zero where the row is exact.
    exact : bool array of shape (rows,)
        Whether the missing units or the hidden ones were enumerated.
    """

    free_energy: Float64Array
    standard_error: Float64Array
    exact: BoolArray


def free_energy(rbm: RBM, X: Any, *, engine: str = "native") -> Float64Array:
    """F(v) for each row of `X`, shape (n_samples,): log p(v) = -F(v) - log Z. `X` may hold grey levels.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.free_energy(rbm, [[0, 0], [1, 0]]).round(3)
    array([-0.974, -2.579])
    """
    return _free_energy(rbm, check_matrix(X, n_columns=rbm.n_visible), engine)


def _free_energy(rbm: RBM, X: npt.NDArray[Any], engine: str) -> Float64Array:
    engine_ = make_engine(rbm, engine)
    chunks = (engine_.visible(X[i : i + _ROWS]) for i in range(0, len(X), _ROWS))
    return np.concatenate([engine_.free_energy(v) for v in chunks])


def marginal_free_energy(
    rbm: RBM,
    X: Any,
    *,
    chains: int = 20,
    temperatures: int = 100,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> Float64Array:
    """-log of the sum of exp(-F(v)) over the missing entries of each row: log p(observed) is its negative less log Z.

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_samples, n_visible), values in [0, 1], NaN where missing
    chains, temperatures : int
        Of annealed importance sampling, for rows that are not exact.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` with rows, many times. May raise, to stop.

    Returns
    -------
    float64 array of shape (n_samples,)
        In nats. F(v) for complete rows. Exact where at most 10 entries are missing or the machine has at most 16
        hidden units.

    Raises
    ------
    InvalidData, InvalidParameter

    References
    ----------
    See `harmonium.likelihood.marginal`.

    Examples
    --------
    >>> rbm = RBM(W=[[4.0, 4.0]], b=[-2.0, -2.0], c=[-2.0])
    >>> marginal_free_energy(rbm, [[1.0, float("nan")]]).round(4)
    array([-2.1451])
    """
    how: dict[str, Any] = {"chains": chains, "temperatures": temperatures, "seed": seed}
    X = check_matrix(X, n_columns=rbm.n_visible, allow_nan=True)
    return marginals(rbm, X, **how, engine=engine, progress=progress).free_energy


def marginals(
    rbm: RBM,
    X: npt.NDArray[Any],
    *,
    chains: int = 20,
    temperatures: int = 100,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> Marginals:
    """`marginal_free_energy` with its standard errors; of rows that `check_matrix` has returned."""
    chains = check_count(chains, "chains", minimum=2)
    temperatures = check_count(temperatures, "temperatures", minimum=2)
    counter = Counter(progress, len(X))
    holes = missing_entries(X)
    if holes is None:
        counter.tick(len(X))
        return Marginals(_free_energy(rbm, X, engine), np.zeros(len(X)), np.ones(len(X), np.bool_))
    whole = ~holes.any(axis=1)
    found = Marginals(np.empty(len(X)), np.zeros(len(X)), np.ones(len(X), np.bool_))
    if whole.any():
        found.free_energy[whole] = _free_energy(rbm, X[whole], engine)
        counter.tick(int(whole.sum()))
    numbers, missing = np.flatnonzero(~whole), holes[~whole]
    v = np.where(missing, 0, X[~whole]).astype(np.float64)
    by_missing, by_hidden = enumerable(missing.sum(axis=1), rbm.n_hidden)
    machine = float64(rbm)
    for few, sums in ((by_missing, over_missing), (by_hidden, over_hidden)):
        for rows in blocks(np.flatnonzero(few), ROWS):
            found.free_energy[numbers[rows]] = -sums(machine, v[rows], missing[rows]).log_mass
            counter.tick(len(rows))
    key, first = as_key(seed).derive("marginal free energy"), 0
    many = np.flatnonzero(~(by_missing | by_hidden))
    found.exact[numbers[many]] = False
    for rows in blocks(many, max(1, _CELLS // (chains * max(rbm.W.shape)))):
        log_w = _anneal(machine, v[rows], missing[rows], chains, temperatures, key.rows_from(first), engine)
        high = log_w.max(axis=1, keepdims=True)
        w = exp(log_w - high)
        mean = w.mean(axis=1)
        found.free_energy[numbers[rows]] = -high[:, 0] - log(mean)
        found.standard_error[numbers[rows]] = w.std(axis=1, ddof=1) / (mean * np.sqrt(chains))
        first += log_w.size
        counter.tick(len(rows))
    return found


def _anneal(
    rbm: RBM, v: Float64Array, missing: BoolArray, chains: int, temperatures: int, key: Key, engine: str
) -> Float64Array:
    """The logarithm of the sum for each row as each of its chains sees it, shape (rows, chains)."""
    weights = make_engine(RBM(rbm.W, np.zeros(rbm.n_visible), np.zeros(rbm.n_hidden)), engine)
    logits = matmul(v, rbm.W.T) + rbm.c
    log_base = matmul(v, rbm.b) + softplus(logits).sum(axis=1) + matmul(missing, softplus(rbm.b))
    seen = weights.own(logits.astype(np.float32))  # its rows serve `chains` each
    n = len(seen) * chains
    where = weights.encode(np.repeat(missing, chains, axis=0).astype(np.uint8))
    nothing, b = weights.encode(np.zeros((n, rbm.n_visible), np.uint8)), rbm.b.astype(np.float32)
    state = GibbsState(weights.overwrite(nothing, where, generic.independent_v(weights, n, key.on(START), 0.0, b)))
    points = (Point(beta, b, seen) for beta in np.linspace(0, 1, temperatures, dtype=np.float32))
    log_w = np.zeros(n)
    for point, after in pairwise(points):
        logits = weights.logits_h(state.v)
        log_w += weights.softplus_sum(logits, *after.of_h) - weights.softplus_sum(logits, *point.of_h)
        state, _ = gibbs.step(weights, state._replace(logits=logits), key, after, where)
    return log_base[:, None] + log_w.reshape(len(v), chains)
