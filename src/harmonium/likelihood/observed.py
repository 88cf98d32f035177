"""The pseudo-likelihood of rows with missing entries: log p(v_j | what else is observed), summed over observed units.

The odds of the other state of a unit j, given what else is observed, are an expectation over the rest of the row:

    p(not v_j | rest observed) / p(v_j | rest observed) = E[p(not v_j, x | h) / p(v_j, x | h)],

where the expectation is over p(h | observed), v_j included, or, with h summed out, over p(missing | observed). So the
same hidden states, or the same completions of the row, serve all its units.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harmonium.engines.arithmetic import exp, log, matmul, softplus
from harmonium.enumeration.missing import ROWS, BoolArray, Float64Array, blocks, hidden_states
from harmonium.inputs import check_count, check_matrix
from harmonium.likelihood.pseudo import pseudo_log_likelihood
from harmonium.random import Key, as_key
from harmonium.rbm import RBM, all_states, float64
from harmonium.sampling.conditional import complete
from harmonium.special import logsumexp

_MOST_HIDDEN, _MOST_MISSING = 16, 4  # that are enumerated
_STEEP = 500.0  # log-odds beyond which exp() would overflow, and which no longer differ


def observed_pseudo_log_likelihood(
    rbm: RBM, X: Any, *, draws: int = 10, sweeps: int = 100, seed: int | Key = 0, engine: str = "native"
) -> Float64Array:
    """Sum over the observed units of each row of log p(v_j | the other observed units).

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_samples, n_visible), of 0, 1 and NaN where missing
    draws, sweeps : int
        Completions of a row that is not exact, and the Gibbs sweeps of each.
    seed : int or Key
    engine : {"native", "numpy", "torch"}

    Returns
    -------
    float64 array of shape (n_samples,)
        In nats; `pseudo_log_likelihood` for complete rows. Exact where the machine has at most 16 hidden units or a row
        at most 4 missing entries. Elsewhere the logarithm of an average over draws, which errs upwards by about half
        its variance.

    Raises
    ------
    InvalidData, InvalidParameter
    """
    X = check_matrix(X, n_columns=rbm.n_visible, binary=True, allow_nan=True)
    draws, sweeps, key = check_count(draws, "draws"), check_count(sweeps, "sweeps"), as_key(seed)
    missing = np.isnan(X)
    n_missing = missing.sum(axis=1)
    found = np.empty(len(X))
    whole = n_missing == 0
    if whole.any():
        found[whole] = pseudo_log_likelihood(rbm, X[whole], engine=engine)
    machine, v = float64(rbm), np.where(missing, 0.0, X)
    by_hidden = ~whole & (rbm.n_hidden <= _MOST_HIDDEN)
    for rows in blocks(np.flatnonzero(by_hidden), ROWS):
        found[rows] = _total(_over_hidden(machine, v[rows], missing[rows]), missing[rows])
    by_missing = ~whole & ~by_hidden & (n_missing <= _MOST_MISSING)
    for row in np.flatnonzero(by_missing):
        completed = np.repeat(v[row : row + 1], 2 ** n_missing[row], axis=0)
        completed[:, missing[row]] = all_states(int(n_missing[row]))
        log_odds, log_p = _log_odds(machine, completed)
        mean = logsumexp(log_odds + (log_p - logsumexp(log_p))[:, None], axis=0)
        found[row] = _total(mean[None], missing[row : row + 1])[0]
    for row in np.flatnonzero(~(whole | by_hidden | by_missing)):
        noise = key.derive("observed", int(row))
        completed = complete(rbm, np.repeat(X[row : row + 1], draws, axis=0), sweeps=sweeps, seed=noise, engine=engine)
        mean = logsumexp(_log_odds(machine, completed.astype(np.float64))[0], axis=0) - np.log(draws)
        found[row] = _total(mean[None], missing[row : row + 1])[0]
    return found


def _total(log_odds: Float64Array, missing: BoolArray) -> Float64Array:
    """The sum of log p(v_j | rest) over the observed units of each row, from the log-odds of their other states."""
    total: Float64Array = -np.where(missing, 0.0, softplus(log_odds)).sum(axis=1)
    return total


def _log_odds(rbm: RBM, v: Float64Array) -> tuple[Float64Array, Float64Array]:
    """F(v) - F(v with unit j flipped) for complete rows, shape (rows, n_visible), and -F(v)."""
    flip, logits = 1 - 2 * v, matmul(v, rbm.W.T) + rbm.c
    before = softplus(logits).sum(axis=1)
    log_odds = flip * rbm.b
    for j in range(rbm.n_visible):
        log_odds[:, j] += softplus(logits + flip[:, j : j + 1] * rbm.W[:, j]).sum(axis=1) - before
    return log_odds, matmul(v, rbm.b) + before


def _over_hidden(rbm: RBM, v: Float64Array, missing: BoolArray) -> Float64Array:
    """Log-odds of the other state of each unit, shape (rows, n_visible), by all states of the hidden layer."""
    highest = np.full((len(v), 1), -np.inf)
    total, on, off = np.zeros((len(v), 1)), np.zeros(v.shape), np.zeros(v.shape)
    for _, a, log_p in hidden_states(rbm, v, missing):
        before, highest = highest, np.maximum(highest, log_p.max(axis=1, keepdims=True))
        p, shrink, steep = exp(log_p - highest), exp(before - highest), np.clip(a, -_STEEP, _STEEP)
        total = shrink * total + p.sum(axis=1, keepdims=True)
        on, off = shrink * on + matmul(p, exp(steep)), shrink * off + matmul(p, exp(-steep))
    log_odds: Float64Array = log(np.where(v > 0, off, on) / total)
    return log_odds
