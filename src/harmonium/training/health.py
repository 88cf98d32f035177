"""Weights and hidden units: how large, how many of use, how fast they change."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmonium.engines import Velocity
from harmonium.engines.arithmetic import matmul
from harmonium.engines.records import FloatArray
from harmonium.random import Key
from harmonium.rbm import RBM

IDLE = 0.01  # a unit that is on, or off, with no more than this probability for any row says nothing about the rows
_VALUES = 3
_BLOCK, _ROUNDS = 8, 6  # of the iteration for singular vectors
_NOTHING = 1e-6  # what is left of a vector that lies in the span of others, in single precision
_SWEEPS, _TURNED = 20, 1e-8  # rotations, and the cosine between vectors that are orthogonal enough


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
    norms, norm = np.sqrt(np.square(rbm.W, dtype=np.float64).sum(axis=1)), _norm(rbm.W)
    edge = np.log((1 - IDLE) / IDLE)
    return WeightHealth(
        n_hidden=rbm.n_hidden,
        norm_mean=float(norms.mean()),
        norm_max=float(norms.max()),
        singular_values=tuple(float(x) for x in leading_pairs(rbm.W, key)[1][:_VALUES]),
        n_dead=None if logits is None else int((logits.max(axis=0) < -edge).sum()),
        n_saturated=None if logits is None else int((logits.min(axis=0) > edge).sum()),
        update_ratio=_norm(velocity.W) / norm if norm else None,
    )


def leading_pairs(W: FloatArray, key: Key) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Leading left singular vectors of W, as columns, and their singular values, by block power iteration.

    At most eight, at the price of some hundred products of W and a vector; the values are those of W within a
    subspace, and so never too large.

    References
    ----------
    Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 53, 2011, algorithm 4.4.
    """
    W = np.asarray(W, np.float32)
    block = key.normal(W.shape[1], min(_BLOCK, *W.shape)).astype(np.float32)
    for _ in range(_ROUNDS):
        block = _orthonormal(matmul(W.T, _orthonormal(matmul(W, block))))
    return _singular_pairs(matmul(W, block))


def _orthonormal(X: FloatArray) -> FloatArray:
    """Orthonormal columns that span those of `X`, by Gram and Schmidt's method; zeros for what adds nothing.

    Like the next function it is no library's, as theirs have other bits on other processors.
    """
    q = X.T.astype(np.float64)
    for i, row in enumerate(q):
        before = _norm(row)
        for _ in range(2):
            row -= ((q[:i] * row).sum(axis=1)[:, None] * q[:i]).sum(axis=0)
        after = _norm(row)
        row *= 1 / after if after > _NOTHING * before else 0
    return q.T.astype(np.float32)


def _singular_pairs(X: FloatArray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Left singular vectors, as columns, and singular values of a matrix of few columns, by Jacobi's rotations."""
    u = X.T.astype(np.float64)
    pairs = list(itertools.combinations(range(len(u)), 2))
    for _ in range(_SWEEPS):
        turned = False
        for i, j in pairs:
            a, b, both = (float((x * y).sum()) for x, y in ((u[i], u[i]), (u[j], u[j]), (u[i], u[j])))
            if abs(both) > _TURNED * math.sqrt(a * b):
                ratio = (b - a) / (2 * both)
                tangent = math.copysign(1 / (abs(ratio) + math.sqrt(1 + ratio * ratio)), ratio)
                cosine = 1 / math.sqrt(1 + tangent * tangent)
                u[[i, j]] = cosine * u[i] - cosine * tangent * u[j], cosine * tangent * u[i] + cosine * u[j]
                turned = True
        if not turned:
            break
    values = np.sqrt(np.square(u).sum(axis=1))
    order = np.argsort(-values, kind="stable")
    return (u / np.where(values > 0, values, 1)[:, None])[order].T, values[order]


def _norm(x: FloatArray) -> float:
    return math.sqrt(np.square(x, dtype=np.float64).sum())
