"""Bounds of the bias of CD-k that hold at any size of machine, from the literature and tighter.

Every component of a gradient is the expectation of a statistic in [0, 1] (p(h_i|v) v_j, v_j or p(h_i|v)), so the bias
is at most TV(q T^k, p): q is the law of the data, T the visible sweep, p the model. All bounds here bound that
distance, with TV(q, p) <= `distance` known or 1, except `coupling_bias`, which bounds the bias component by component.
They are computed in logs, and overflow to infinity rather than fail. Proofs stand in ``docs/cd-bias.md``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import InvalidData
from harmonium.inputs import check_count, check_matrix, check_number, is_binary
from harmonium.likelihood.partition import log_partition
from harmonium.rbm import RBM, float64
from harmonium.special import expit, log_expit
from harmonium.statistics import Statistics
from harmonium.theory.contraction import contraction_rate, influence, log_overlap, logit_range

Float64Array = npt.NDArray[np.float64]

_LARGEST = math.log(np.finfo(np.float64).max)


def bengio_delalleau(rbm: RBM, k: int = 1) -> float:
    """2^m (1 - 2^m 2^n s(-alpha)^m s(-beta)^n)^k, with s(.) the logistic function.

    ``alpha = max_j (sum_i |w_ij| + |b_j|)`` and ``beta = max_i (sum_j |w_ij| + |c_i|)``.

    References
    ----------
    Bengio, Delalleau, "Justifying and generalizing contrastive divergence", Neural Computation 21, 2009.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> round(harmonium.theory.bengio_delalleau(rbm, 10), 3)
    3.869
    """
    k, W = check_count(k, "k"), np.abs(rbm.W.astype(np.float64))
    m, n = rbm.n_visible, rbm.n_hidden
    alpha = (W.sum(axis=0) + np.abs(rbm.b)).max()
    beta = (W.sum(axis=1) + np.abs(rbm.c)).max(initial=0)
    log_shared = (m + n) * math.log(2) + m * log_expit(-alpha) + n * log_expit(-beta)
    return _exp(m * math.log(2) + k * _log_one_minus_exp(float(log_shared)))


def fischer_igel(rbm: RBM, k: int = 1, *, distance: float = 1.0) -> float:
    """TV(q, p) (1 - exp(-(m + n) Delta))^k, with Delta the largest absolute logit that any unit can have.

    That is the largest change of the energy by one unit: the maximum over units of
    ``|sum_i max(w_ij, 0) + b_j|``, ``|sum_i min(w_ij, 0) + b_j|`` and the same for the hidden layer.

    References
    ----------
    Fischer, Igel, "Bounding the bias of contrastive divergence learning", Neural Computation 23, 2011.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> round(harmonium.theory.fischer_igel(rbm, 5), 4)
    0.9972
    """
    largest = np.concatenate([_largest_logits(rbm, layer) for layer in ("visible", "hidden")])
    return _geometric(distance, -len(largest) * float(largest.max()), k)


def site_wise(rbm: RBM, k: int = 1, *, distance: float = 1.0) -> float:
    """TV(q, p) (1 - exp(-sum of all units' largest absolute logits))^k: Fischer and Igel's bound unit by unit.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> round(harmonium.theory.site_wise(rbm, 5), 4)
    0.9797
    """
    total = sum(float(_largest_logits(rbm, layer).sum()) for layer in ("visible", "hidden"))
    return _geometric(distance, -total, k)


def dobrushin(rbm: RBM, k: int = 1, *, distance: float = 1.0) -> float:
    """TV(q, p) (delta_h delta_v)^k, with the half sweeps' Dobrushin coefficients.

    delta_h <= 1 - prod_i [1 - (s(c_i + W_i^+) - s(c_i + W_i^-))], and delta_v likewise. Never above `site_wise`.

    References
    ----------
    As in `harmonium.theory.contraction.log_overlap`.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> round(harmonium.theory.dobrushin(rbm, 5), 4)
    0.0019
    """
    k, distance = check_count(k, "k"), _check_distance(distance)
    logs = [_log_one_minus_exp(log_overlap(rbm, layer)) for layer in ("hidden", "visible")]
    return 0.0 if distance == 0 else _exp(math.log(distance) + k * sum(logs))


def path_coupling(rbm: RBM, k: int = 1, *, distance: float = 1.0, use_biases: bool = True) -> float:
    """TV(q, p) 1'(D_v D_h)^k 1: the expected number of units in which two coupled chains differ after k sweeps.

    With ``use_biases=False`` both matrices are ``D = tanh(|W| / 4)``: TV(q, p) 1'(D'D)^k 1.

    References
    ----------
    Bubley, Dyer, "Path coupling: a technique for proving rapid mixing in Markov chains", FOCS 1997; Tosh, "Mixing rates
    for the alternating Gibbs sampler over restricted Boltzmann machines and friends", ICML 2016.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> round(harmonium.theory.path_coupling(rbm, 5), 4)
    0.0011
    """
    k, distance = check_count(k, "k"), _check_distance(distance)
    return 0.0 if distance == 0 else distance * float(_differing(rbm, k, use_biases).sum())


def path_coupling_rate(rbm: RBM, k: int = 1, *, distance: float = 1.0, use_biases: bool = True) -> float:
    """TV(q, p) m rho^k, with rho of `harmonium.theory.contraction.contraction_rate`; never below `path_coupling`.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> round(harmonium.theory.path_coupling_rate(rbm, 5), 4)
    0.0011
    """
    k, distance = check_count(k, "k"), _check_distance(distance)
    rho = contraction_rate(rbm, use_biases=use_biases)
    return 0.0 if rho == 0 or distance == 0 else distance * _exp(math.log(rbm.n_visible) + k * math.log(rho))


def coupling_bias(rbm: RBM, k: int = 1, *, distance: float = 1.0) -> Statistics:
    """A bound of the bias of CD-k for each parameter, without the factor m of `path_coupling`.

    Parameters
    ----------
    rbm : RBM
    k : int
    distance : float
        TV(q, p), or any upper bound of it.

    Returns
    -------
    Statistics
        With x = TV(q, p) min(1, (D_v D_h)^k 1), the probabilities that two coupled chains differ in a unit: b_j: x_j;
        c_i: (D_h x)_i; w_ij: s(c_i + W_i^+) x_j + sum_{l != j} (D_h)_il x_l; none above TV(q, p).

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.coupling_bias(rbm, 5).v.round(4)
    array([0.0007, 0.0004])
    """
    k, distance = check_count(k, "k"), _check_distance(distance)
    D = influence(rbm, "hidden")
    x = distance * np.minimum(_differing(rbm, k, use_biases=True), 1)
    h = D @ x
    hv = h[:, None] + (expit(logit_range(rbm, "hidden")[1])[:, None] - D) * x
    return Statistics(*(np.minimum(part, distance) for part in (hv, x, h)))


def data_model_distance(rbm: RBM, X: Any, *, log_z: float | None = None) -> float:
    """TV(q, p) between the law q of the rows of `X` and the model, exactly: a sum over distinct rows only.

    Parameters
    ----------
    rbm : RBM
    X : array-like of 0 and 1, shape (n_samples, n_visible)
    log_z : float, optional
        Enumerated if left out.

    Raises
    ------
    InvalidData, OutOfReach

    Notes
    -----
    TV(q, p) = sum over v of max(q(v) - p(v), 0), whose terms vanish where there are no data.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> round(harmonium.theory.data_model_distance(rbm, [[1, 0], [1, 1]]), 3)
    0.261
    """
    X = check_matrix(X, n_columns=rbm.n_visible)
    if not is_binary(X):
        raise InvalidData(
            "X must hold only 0 and 1 to have a distance from the model. Got values between. Binarise it."
        )
    if log_z is None:
        log_z = log_partition(rbm, "exact").value
        assert log_z is not None  # an exact result has a value
    rows, counts = np.unique(X, axis=0, return_counts=True)
    p = np.exp(-float64(rbm).free_energy(rows) - log_z)
    return float(min(1.0, np.maximum(counts / len(X) - p, 0).sum()))


def _differing(rbm: RBM, k: int, use_biases: bool) -> Float64Array:
    """(D_v D_h)^k 1, shape (n_visible,); infinite where it overflows."""
    if rbm.n_hidden == 0:
        return np.zeros(rbm.n_visible)
    D_h, D_v = (influence(rbm, layer, use_biases=use_biases) for layer in ("hidden", "visible"))
    x = np.ones(rbm.n_visible)
    for _ in range(k):
        x = D_v @ (D_h @ x)
        if x.max() == 0 or x.sum() > 1e280:
            return np.where(x > 0, np.inf, 0) if x.max() > 0 else x
    return x


def _largest_logits(rbm: RBM, layer: str) -> Float64Array:
    low, high = logit_range(rbm, layer)
    return np.maximum(np.abs(low), np.abs(high))


def _geometric(distance: float, log_shared: float, k: int) -> float:
    """The bound distance * (1 - exp(log_shared))**k."""
    k, distance = check_count(k, "k"), _check_distance(distance)
    return distance * _exp(k * _log_one_minus_exp(log_shared))


def _check_distance(distance: float) -> float:
    return check_number(distance, "distance", low=0, high=1)


def _log_one_minus_exp(x: float) -> float:
    """log(1 - e^x) for x <= 0, to full precision at both ends."""
    if x >= 0:
        return -math.inf
    return math.log(-math.expm1(x)) if x > -math.log(2) else math.log1p(-math.exp(x))


def _exp(x: float) -> float:
    return math.exp(x) if x <= _LARGEST else math.inf
