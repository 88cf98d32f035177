"""What contrastive divergence does on average over all of its noise, and how far that is from the gradient.

Nothing is sampled: the distribution of the chain is carried from layer to layer as a vector over all states.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.enumeration.exact import exact_statistics
from harmonium.inputs import check_choice, check_count, check_matrix, is_binary
from harmonium.rbm import RBM, all_states, float64
from harmonium.statistics import Statistics
from harmonium.theory.transition import check_reach, product_table, state_blocks

Float64Array = npt.NDArray[np.float64]

LAST_STATISTICS = ("sampled", "mean_field")


def cd_gradient(rbm: RBM, X: Any, k: int = 1, *, last_statistic: str = "sampled", max_units: int = 24) -> Statistics:
    """The expectation of the CD-k update over all of its noise, with the data as chains' starts.

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_samples, n_visible), values in [0, 1]
        Grey levels enter the first hidden sample as they are.
    k : int
        Full sweeps of the chain.
    last_statistic : {"sampled", "mean_field"}
        The last v is a sample, or E[v | h]: Hinton's approximation E[v h'] ~ E[v | h] E[h | v].
    max_units : int
        The largest machine that is attempted, both layers together: 2k passes over 2**units probabilities.

    Returns
    -------
    Statistics
        The expected update of W (`hv`), b (`v`) and c (`h`), float64.

    Raises
    ------
    InvalidData, InvalidParameter, OutOfReach

    References
    ----------
    Hinton, "Training products of experts by minimizing contrastive divergence", Neural Computation 14, 2002.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.cd_gradient(rbm, [[1, 0], [1, 1]]).v.round(4)
    array([0.1684, 0.2012])
    """
    negative = _negative_statistics(rbm, X, k, last_statistic, max_units)
    return float64(rbm).expected_statistics(X) - negative


def cd_bias(rbm: RBM, X: Any, k: int = 1, *, last_statistic: str = "sampled", max_units: int = 24) -> Statistics:
    """The bias of CD-k: its expected update minus the exact gradient of the mean log-likelihood, for W, b and c.

    Parameters
    ----------
    rbm, X, k, last_statistic, max_units
        As in `cd_gradient`.

    Returns
    -------
    Statistics

    Raises
    ------
    InvalidData, InvalidParameter, OutOfReach

    Notes
    -----
    The positive phases cancel. With q the law of the data, T the visible sweep and s the sufficient statistics
    (p(h|v) v', v, p(h|v)), the bias is E_p[s] - E_{q T^k}[s] = -E_{q T^k}[d log p(v) / d theta].

    References
    ----------
    Bengio, Delalleau, "Justifying and generalizing contrastive divergence", Neural Computation 21, 2009.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.cd_bias(rbm, [[1, 0], [1, 1]]).v.round(4)
    array([-0.0173,  0.0105])
    """
    negative = _negative_statistics(rbm, X, k, last_statistic, max_units)
    return _model_statistics(rbm) - negative


def worst_cd_bias(rbm: RBM, k: int = 1, *, max_units: int = 16) -> Statistics:
    """The largest bias of CD-k, component by component, over all binary data sets there are.

    Parameters
    ----------
    rbm : RBM
    k : int
    max_units : int
        The largest machine that is attempted, both layers together.

    Returns
    -------
    Statistics
        Absolute values.

    Raises
    ------
    InvalidParameter, OutOfReach

    Notes
    -----
    The bias is linear in the law q of the data, so its extremes lie at data sets of one point: for each statistic s,
    the largest of ``|T^k s - E_p[s]|`` over the states v.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.worst_cd_bias(rbm).v.round(4)
    array([0.1706, 0.1035])
    """
    k = check_count(k, "k")
    check_reach(rbm, max_units)
    machine = float64(rbm)
    v = all_states(machine.n_visible)
    mean_h = machine.mean_h_from_v(v)
    hv = (mean_h[:, :, None] * v[:, None, :]).reshape(len(v), -1)
    values = np.concatenate([hv, v, mean_h], axis=1)
    model = _model_statistics(rbm)
    for _ in range(k):
        values = _pull(machine, "visible", _pull(machine, "hidden", values))
    worst = np.abs(values - np.concatenate([x.ravel() for x in model])).max(axis=0)
    parts = np.split(worst, np.cumsum([model.hv.size, model.v.size]))
    return Statistics(parts[0].reshape(model.hv.shape), parts[1], parts[2])


def _negative_statistics(rbm: RBM, X: Any, k: int, last_statistic: str, max_units: int) -> Statistics:
    """E[p(h|v) v'], E[v] and E[p(h|v)] at the end of the chain."""
    k = check_count(k, "k")
    check_choice(last_statistic, "last_statistic", LAST_STATISTICS)
    X = check_matrix(X, n_columns=rbm.n_visible)
    check_reach(rbm, max_units)
    machine = float64(rbm)
    law = _first_hidden_law(machine, X)
    for _ in range(k - 1):
        law = _push(machine, "visible", _push(machine, "hidden", law))
    if last_statistic == "sampled":
        law = _push(machine, "hidden", law)
    n_units = machine.n_visible if last_statistic == "sampled" else machine.n_hidden
    total, first = Statistics(np.zeros_like(machine.W), np.zeros_like(machine.b), np.zeros_like(machine.c)), 0
    for states in state_blocks(n_units, machine.n_visible + machine.n_hidden):
        v = states if last_statistic == "sampled" else machine.mean_v_from_h(states)
        p, mean_h = law[first : first + len(v)], machine.mean_h_from_v(v)
        part = Statistics((mean_h * p[:, None]).T @ v, p @ v, p @ mean_h)
        total = Statistics(*(x + y for x, y in zip(total, part, strict=True)))
        first += len(v)
    return total


def _first_hidden_law(machine: RBM, X: npt.NDArray[Any]) -> Float64Array:
    """The law of h drawn from p(h | x) for a row x of `X` picked at random, shape (2**n_hidden,)."""
    counts = np.ones(len(X))
    if is_binary(X):
        X, repeats = np.unique(X, axis=0, return_counts=True)
        counts = repeats.astype(np.float64)
    law, rows = np.zeros(2**machine.n_hidden), max(1, (1 << 20) >> machine.n_hidden)
    for i in range(0, len(X), rows):
        law += counts[i : i + rows] @ product_table(machine.logits_h(X[i : i + rows]))
    return law / counts.sum()


def _push(machine: RBM, layer: str, law: Float64Array) -> Float64Array:
    """Half a sweep of a law: from one over the states of `layer` to one over those of the other layer."""
    result, first = np.zeros(1), 0
    for table in _conditionals(machine, layer):
        result = result + law[first : first + len(table)] @ table
        first += len(table)
    return result


def _pull(machine: RBM, layer: str, values: Float64Array) -> Float64Array:
    """E[f(y) | x] for every state x of `layer`: (2**n_others, any) to (2**n_units, any)."""
    return np.concatenate([table @ values for table in _conditionals(machine, layer)])


def _conditionals(machine: RBM, layer: str) -> Iterator[Float64Array]:
    """P(y | x) in blocks of states x of `layer`, with all states y of the other layer in the columns."""
    if layer == "visible":
        return (product_table(machine.logits_h(v)) for v in state_blocks(machine.n_visible, 2**machine.n_hidden))
    return (product_table(machine.logits_v(h)) for h in state_blocks(machine.n_hidden, 2**machine.n_visible))


def _model_statistics(rbm: RBM) -> Statistics:
    return exact_statistics(rbm, max_units=min(rbm.n_visible, rbm.n_hidden))
