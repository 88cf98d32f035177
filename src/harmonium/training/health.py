"""Weights and hidden units: how large, how many of use, how fast they change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmonium.engines import Velocity
from harmonium.engines.engine import FloatArray
from harmonium.random import Key
from harmonium.rbm import RBM

IDLE = 0.01  # a unit that is on, or off, with no more than this probability for any row says nothing about the rows
_VALUES = 3
_BLOCK, _ROUNDS = 8, 6  # of the iteration for singular vectors


@dataclass(frozen=True)
class WeightHealth:
    """The state of the weights and of the hidden units.

    Attributes
    ----------
    n_hidden : int
    norm_mean, norm_max : float
        Of the norms of the hidden units' weights.
    singular_values : tuple of float
        The leading ones of W, to about 1 %, and never too large.
    n_dead, n_saturated : int or None
        Hidden units with E[h|v] below 0.01, and above 0.99, for every row that is scored; None without such rows.
    update_ratio : float or None
        Norm of the last update of W over the norm of W: per step, about 1e-3 in good order (Hinton 2010, section 7).

    References
    ----------
    Hinton, "A practical guide to training restricted Boltzmann machines", UTML TR 2010-003.
    """

    n_hidden: int
    norm_mean: float
    norm_max: float
    singular_values: tuple[float, ...]
    n_dead: int | None
    n_saturated: int | None
    update_ratio: float | None


def weight_health(rbm: RBM, velocity: Velocity, logits: FloatArray | None, key: Key) -> WeightHealth:
    """The health of a machine.

    Parameters
    ----------
    rbm : RBM
    velocity : Velocity
        What the last step added to the parameters.
    logits : float array of shape (rows, n_hidden), optional
        Wv + c for rows of data.
    key : Key
        Of the start of the iteration for singular values.
    """
    norms, norm = np.linalg.norm(rbm.W, axis=1), float(np.linalg.norm(rbm.W))
    edge = np.log((1 - IDLE) / IDLE)
    return WeightHealth(
        n_hidden=rbm.n_hidden,
        norm_mean=float(norms.mean()),
        norm_max=float(norms.max()),
        singular_values=tuple(float(x) for x in leading_pairs(rbm.W, key)[1][:_VALUES]),
        n_dead=None if logits is None else int((logits.max(axis=0) < -edge).sum()),
        n_saturated=None if logits is None else int((logits.min(axis=0) > edge).sum()),
        update_ratio=float(np.linalg.norm(velocity.W)) / norm if norm else None,
    )


def leading_pairs(W: FloatArray, key: Key) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Leading left singular vectors of W, as columns, and their singular values, by block power iteration.

    At most eight, at the price of some hundred products of W and a vector; the values are those of W within a
    subspace, and so never too large.

    References
    ----------
    Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 53, 2011, algorithm 4.4.
    """
    W32 = W.astype(np.float32, copy=False)
    block = key.normal(W.shape[1], min(_BLOCK, *W.shape)).astype(np.float32)
    for _ in range(_ROUNDS):
        left, _ = np.linalg.qr(W32 @ block)
        block, _ = np.linalg.qr(W32.T @ left)
    vectors, values, _ = np.linalg.svd((W32 @ block).astype(np.float64), full_matrices=False)
    return vectors, values
