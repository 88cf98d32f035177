"""How strongly one layer can steer the other: logit ranges, Dobrushin coefficients and influence matrices.

They cost O(mn) at any size of machine. A hidden unit's logit c_i + W_i v lies in
[c_i + W_i^-, c_i + W_i^+], with W_i^+ and W_i^- the sums of its positive and negative weights, and reaches both ends; a
visible unit's likewise.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harmonium.inputs import check_choice
from harmonium.rbm import RBM
from harmonium.special import expit, log_expit

Float64Array = npt.NDArray[np.float64]

LAYERS = ("hidden", "visible")

_ITERATIONS = 200


def logit_range(rbm: RBM, layer: str) -> tuple[Float64Array, Float64Array]:
    """The smallest and the largest logit of each unit of a layer, over all states of the other layer.

    Parameters
    ----------
    rbm : RBM
    layer : {"hidden", "visible"}

    Returns
    -------
    low, high : ndarrays of shape (n_hidden,) or (n_visible,)

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.logit_range(rbm, 'visible')
    (array([ 0., -1.]), array([2., 0.]))
    """
    W, bias = _inputs(rbm, layer)
    return bias + np.minimum(W, 0).sum(axis=1), bias + np.maximum(W, 0).sum(axis=1)


def log_overlap(rbm: RBM, layer: str) -> float:
    """Log of a lower bound of what the laws of a layer given any two states of the other share: 1 - their distance.

    Parameters
    ----------
    rbm : RBM
    layer : {"hidden", "visible"}

    Notes
    -----
    With s(.) the logistic function, sum_h min_v p(h | v) >= prod_i [min_v p(h_i = 0 | v) + min_v p(h_i = 1 | v)]
    = prod_i [s(-high_i) + s(low_i)] = prod_i [1 - (s(high_i) - s(low_i))]. One minus it bounds Dobrushin's ergodic
    coefficient of the half sweep v -> h. In logs, since the product underflows for wide or strong layers.

    References
    ----------
    Dobrushin, "Central limit theorem for non-stationary Markov chains", Theory Probab. Appl. 1, 1956; Brémaud, "Markov
    chains: Gibbs fields, Monte Carlo simulation, and queues", Springer 1999, chapter 6.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> round(harmonium.theory.log_overlap(rbm, 'visible'), 3)
    -0.742
    """
    low, high = logit_range(rbm, layer)
    return min(0.0, float(np.logaddexp(log_expit(-high), log_expit(low)).sum()))


def influence(rbm: RBM, layer: str, *, use_biases: bool = True) -> Float64Array:
    """How much flipping one unit of the other layer can change a unit's mean, whatever the remaining units are.

    Parameters
    ----------
    rbm : RBM
    layer : {"hidden", "visible"}
        The layer that is influenced.
    use_biases : bool
        Whether to use that a unit's logit stays within its range. Otherwise ``D_ij = tanh(|w_ij| / 4)``, the largest
        of s(a + w_ij) - s(a) over all a, reached at a = -w_ij / 2.

    Returns
    -------
    ndarray of shape (n_hidden, n_visible) or (n_visible, n_hidden), entries in [0, 1]

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.influence(rbm, 'visible').round(3)
    array([[0.381],
           [0.231]])
    """
    W, _ = _inputs(rbm, layer)
    anywhere: Float64Array = np.tanh(np.abs(W) / 4)
    if not use_biases:
        return anywhere
    low, high = (x[:, None] for x in logit_range(rbm, layer))
    # The logit while the flipped unit is off; the change is largest as near to a = -w / 2 as that range allows.
    a = np.clip(-W / 2, low - np.minimum(W, 0), high - np.maximum(W, 0))
    return np.minimum(np.abs(expit(a + W) - expit(a)), anywhere)


def contraction_rate(rbm: RBM, *, use_biases: bool = True) -> float:
    """rho, such that the expected number of differing visible units of two coupled chains is at most m rho**k.

    Parameters
    ----------
    rbm : RBM
    use_biases : bool
        As in `influence`.

    Returns
    -------
    float
        The smallest of ``||D_v||_2 ||D_h||_2``, ``||D_v D_h||_1`` and ``||D_v D_h||_inf``. From one upwards it
        certifies nothing. The first is taken from above, by iteration.

    Notes
    -----
    Without biases D_v = D_h', so that rho <= sigma_max(D)**2: below one if, for example, ``||W||_1 ||W||_inf < 16`` or
    the largest singular value of ``|W|`` is below 4.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> round(harmonium.theory.contraction_rate(rbm), 3)
    0.224
    """
    if rbm.n_hidden == 0:
        return 0.0
    D_h, D_v = (influence(rbm, layer, use_biases=use_biases) for layer in LAYERS)
    row_sums, column_sums = D_v @ D_h.sum(axis=1), D_v.sum(axis=0) @ D_h
    return min(_norm(D_h) * _norm(D_v), float(row_sums.max()), float(column_sums.max()))


def _norm(D: Float64Array) -> float:
    """The largest singular value of a matrix without negative entries, from above.

    For any x > 0 the largest eigenvalue of D'D is at most the largest of (D'Dx)_j / x_j (Collatz, Wielandt), which
    power iteration drives down to it: a bound at every step, and much cheaper than singular values of a wide machine.
    """
    x, bound = np.ones(D.shape[1]), np.inf
    for _ in range(_ITERATIONS):
        y = D.T @ (D @ x)
        largest = float(y.max())
        if largest == 0:
            return 0.0
        ratios = y / x
        bound = min(bound, float(ratios.max()))
        if ratios.min() > bound * (1 - 1e-12):
            break
        x = np.maximum(y / largest, 1e-100)
    return float(np.sqrt(bound))


def _inputs(rbm: RBM, layer: str) -> tuple[Float64Array, Float64Array]:
    """The weights into each unit of a layer, a row a unit, and the biases."""
    hidden = check_choice(layer, "layer", LAYERS) == "hidden"
    W, bias = (rbm.W, rbm.c) if hidden else (rbm.W.T, rbm.b)
    return W.astype(np.float64), bias.astype(np.float64)
