"""Sums over what is missing, given what is observed: exactly, where the missing units or the hidden ones are few.

With the observed visible units held, a machine is another RBM of the missing ones. Rows are float64 arrays that are
zero where an entry is missing, beside a mask of those entries; observed grey levels act on the hidden layer as they
are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.engines.arithmetic import exp, log, log_sum_exp, logistic, matmul, softplus
from harmonium.random import Key
from harmonium.rbm import RBM, all_states

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Terms = tuple[Float64Array, Float64Array, Float64Array]

ROWS = 500  # at a time
STATE, UNITS = 0, 1  # noise streams
_STATES = 2048  # at a time
# Hidden units, and missing ones, that are enumerated. By default as far as takes no longer than the default chains: the
# hidden layer is enumerated for all rows in one matrix product, missing units row by row.
LIMITS = {"auto": (16, 10), "exact": (20, 16), "gibbs": (-1, 0)}


class Sums(NamedTuple):
    """What sums over the missing and the hidden units of some rows give.

    Attributes
    ----------
    log_mass : float64 array of shape (rows,)
        log of the sum of exp(-F(v)) over the missing entries, in nats.
    mean : float64 array of shape (rows, n_visible)
        E[v | observed], the entries of missing units; what stands elsewhere has no meaning.
    mean_h : float64 array of shape (rows, n_hidden)
        E[h | observed].
    """

    log_mass: Float64Array
    mean: Float64Array
    mean_h: Float64Array


def enumerable(n_missing: npt.NDArray[np.intp], n_hidden: int, method: str = "auto") -> tuple[BoolArray, BoolArray]:
    """The rows whose missing units are few enough to be enumerated, and those for which the hidden layer is.

    No row is both; `LIMITS` of `method` say what is few.
    """
    most_hidden, most_missing = LIMITS[method]
    by_missing = (n_missing <= most_missing) & ((n_missing < n_hidden) | (n_hidden > most_hidden))
    return by_missing, ~by_missing & (n_hidden <= most_hidden)


def blocks(rows: npt.NDArray[np.intp], size: int) -> Iterator[npt.NDArray[np.intp]]:
    """`rows` in parts of at most `size`."""
    return (rows[i : i + size] for i in range(0, len(rows), size))


def over_missing(rbm: RBM, v: Float64Array, missing: BoolArray) -> Sums:
    """The sums for each row by all states of its missing units, row by row."""
    log_mass, mean, mean_h = np.empty(len(v)), np.zeros(v.shape), np.empty((len(v), rbm.n_hidden))
    for i, (row, free) in enumerate(zip(v, missing, strict=True)):
        states, logits, log_p = _missing_states(rbm, row, free)
        total = log_sum_exp(log_p)
        p = exp(log_p - total)
        log_mass[i] = total + matmul(row, rbm.b)
        mean[i, free], mean_h[i] = matmul(p, states), matmul(p, logistic(logits))
    return Sums(log_mass, mean, mean_h)


def over_hidden(rbm: RBM, v: Float64Array, missing: BoolArray) -> Sums:
    """The sums for all rows together, by all states of the hidden layer; blocks relative to the largest term so far."""
    n, highest = rbm.n_hidden, np.full((len(v), 1), -np.inf)
    total, mean, mean_h = np.zeros((len(v), 1)), np.zeros(v.shape), np.zeros((len(v), n))
    for h, a, log_p in hidden_states(rbm, v, missing):
        before, highest = highest, np.maximum(highest, log_p.max(axis=1, keepdims=True))
        p, shrink = exp(log_p - highest), exp(before - highest)
        total = shrink * total + p.sum(axis=1, keepdims=True)
        mean, mean_h = shrink * mean + matmul(p, logistic(a)), shrink * mean_h + matmul(p, h)
    return Sums((highest + log(total))[:, 0], mean / total, mean_h / total)


def draw_over_missing(rbm: RBM, v: Float64Array, missing: BoolArray, key: Key) -> BoolArray:
    """The rows with their missing units drawn from p(missing | observed), from all states of those; False elsewhere."""
    drawn, u = np.zeros(v.shape, np.bool_), key.on(STATE).uniform(len(v), 1)[:, 0]
    for i, (row, free) in enumerate(zip(v, missing, strict=True)):
        states, _, log_p = _missing_states(rbm, row, free)
        cumulative = np.cumsum(exp(log_p - log_p.max()))
        drawn[i, free] = (
            states[min(int(np.searchsorted(cumulative, u[i] * cumulative[-1], side="right")), len(cumulative) - 1)] > 0
        )
    return drawn


def draw_over_hidden(rbm: RBM, v: Float64Array, missing: BoolArray, key: Key) -> BoolArray:
    """As `draw_over_missing`, by way of a hidden state: one of all, and what is drawn for missing units from it.

    Each block of states takes the place of what was drawn before with the probability of its share in the sum so far.
    """
    chosen, total, highest = np.zeros((len(v), rbm.n_hidden)), np.zeros(len(v)), np.full(len(v), -np.inf)
    for number, (h, _, log_p) in enumerate(hidden_states(rbm, v, missing)):
        before, highest = highest, np.maximum(highest, log_p.max(axis=1))
        p = exp(log_p - highest[:, None])
        mass = p.sum(axis=1)
        total = exp(before - highest) * total + mass
        place = key.on(STATE).at(number).uniform(len(v), 1)[:, 0] * total
        new = np.flatnonzero(place < mass)
        ahead = np.cumsum(p[new], axis=1) <= place[new, None]
        chosen[new] = h[np.minimum(ahead.sum(axis=1), len(h) - 1)]
    p_v = logistic(matmul(chosen, rbm.W) + rbm.b)
    return missing & (key.on(UNITS).uniform(*v.shape) < p_v)


def _missing_states(rbm: RBM, row: Float64Array, free: BoolArray) -> Terms:
    """All states of a row's missing units, the log-odds of h for each, and their log-probability but for a constant."""
    states: Float64Array = all_states(int(free.sum())).astype(np.float64)
    logits: Float64Array = rbm.c + matmul(row, rbm.W.T) + matmul(states, rbm.W[:, free].T)
    return states, logits, matmul(states, rbm.b[free]) + softplus(logits).sum(axis=1)


def hidden_states(rbm: RBM, v: Float64Array, missing: BoolArray) -> Iterator[Terms]:
    """All hidden states in blocks, W'h + b for each, and log p(h | observed) of each row but for a constant.

    p(h | observed) is proportional to exp(c'h + the sum of a_j v_j over observed units), times the product of
    1 + exp(a_j) over missing ones, with a = W'h + b.
    """
    n = rbm.n_hidden
    for start in range(0, 2**n, _STATES):
        numbers = np.arange(start, min(start + _STATES, 2**n))
        h = ((numbers[:, None] >> np.arange(n)) & 1).astype(np.float64)
        a: Float64Array = matmul(h, rbm.W) + rbm.b
        yield h, a, matmul(h, rbm.c) + matmul(v, a.T) + matmul(missing, softplus(a).T)
