"""The readable engine: plain NumPy, float32 states. Blocked Gibbs sampling and CD from scratch are these lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.engines import generic
from harmonium.engines.engine import Engine
from harmonium.engines.records import Beta, BoolArray, FloatArray, Offset, Offsets, Phase, Rates, Velocity
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.special import expit, logsumexp, softplus
from harmonium.statistics import Statistics

# Hidden states that are enumerated at a time, so that memory stays small.
_STATES = 4096


class NumpyEngine(Engine):
    """States and reals are float32 arrays; see `harmonium.engines.engine.Engine` for the verbs.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.engines.NumpyEngine(rbm).name
    'numpy'
    """

    name = "numpy"
    order = "C"

    def __init__(self, rbm: RBM, velocity: Velocity | None = None) -> None:
        self.W, self.b, self.c = (np.array(x, np.float32) for x in (rbm.W, rbm.b, rbm.c))
        self.n_hidden, self.n_visible = self.W.shape
        self._velocity = [np.zeros_like(x) for x in (self.W, self.b, self.c)]
        if velocity is not None:
            self._velocity = [np.array(x, np.float32) for x in velocity]

    @property
    def rbm(self) -> RBM:
        return RBM(self.W, self.b, self.c)

    @property
    def velocity(self) -> Velocity:
        return Velocity(*(x.copy() for x in self._velocity))

    def encode(self, X: npt.NDArray[Any], real: bool = False) -> FloatArray:  # noqa: ARG002
        return np.asarray(X, np.float32)

    def to_numpy(self, x: FloatArray, dtype: type[np.floating[Any]] = np.float32) -> npt.NDArray[Any]:
        return np.asarray(x, dtype)

    def take(self, x: FloatArray, rows: npt.NDArray[np.intp]) -> FloatArray:
        return x[rows]

    def overwrite(self, x: FloatArray, where: FloatArray | BoolArray, values: FloatArray) -> FloatArray:
        return np.where((where if where.ndim == 2 else where[:, None]) > 0, values, x)

    def put(self, x: FloatArray, rows: npt.NDArray[np.intp], values: FloatArray) -> None:
        x[rows] = values

    def logits_h(self, v: FloatArray) -> FloatArray:
        return v @ self.W.T + self.c

    def logits_v(self, h: FloatArray) -> FloatArray:
        return h @ self.W + self.b

    def mean(self, logits: FloatArray, beta: Beta = 1.0, offset: Offset = None) -> FloatArray:
        p: FloatArray = expit(generic.affine(logits, beta, offset))
        return p

    def bernoulli(self, logits: FloatArray, key: Key, beta: Beta = 1.0, offset: Offset = None) -> FloatArray:
        p = expit(generic.affine(logits, beta, offset).astype(np.float64))
        return (key.uniform(*logits.shape) < p).astype(np.float32)

    def softplus_sum(self, logits: FloatArray, beta: Beta = 1.0, offset: Offset = None) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.float64] = softplus(generic.affine(logits, beta, offset).astype(np.float64)).sum(axis=1)
        return total

    def dot(self, v: FloatArray, x: FloatArray) -> npt.NDArray[np.float64]:
        return v.astype(np.float64) @ x.astype(np.float64)

    def pseudo_log_likelihood(self, v: FloatArray) -> npt.NDArray[np.float64]:
        W, b = self.W.astype(np.float64), self.b.astype(np.float64)
        a = v @ W.T + self.c.astype(np.float64)
        unflipped = softplus(a).sum(axis=1)
        total = np.zeros(len(v))
        for j in range(len(b)):
            flip = 1 - 2 * v[:, j].astype(np.float64)
            log_ratio = flip * b[j] + softplus(a + flip[:, None] * W[:, j]).sum(axis=1) - unflipped
            total -= softplus(log_ratio)
        return total

    @staticmethod
    def log_partition_block(rbm: RBM, first: int, count: int) -> float:
        W, b, c = (x.astype(np.float64) for x in (rbm.W, rbm.b, rbm.c))
        log_p = np.empty(count)
        for start in range(0, count, _STATES):
            states = np.arange(first + start, first + min(start + _STATES, count))
            h = ((states[:, None] >> np.arange(rbm.n_hidden)) & 1).astype(np.float64)
            log_p[start : start + _STATES] = h @ c + softplus(h @ W + b).sum(axis=1)
        return float(logsumexp(log_p))

    def moments(self, phase: Phase) -> Statistics:
        w = phase.normalised_weights()
        weighted_h = w[:, None] * phase.mean_h
        return Statistics(weighted_h.T @ phase.v, w @ phase.v, weighted_h.sum(axis=0))

    def ascend_along(self, gradient: Statistics, rates: Rates, offsets: Offsets | None = None) -> None:
        learning_rate, momentum, weight_decay = (np.float32(x) for x in rates)
        gradient = gradient._replace(hv=gradient.hv - weight_decay * self.W)
        for parameter, velocity, slope in zip((self.W, self.b, self.c), self._velocity, gradient, strict=True):
            velocity *= momentum
            velocity += learning_rate * slope
            parameter += velocity
        if offsets is not None:
            self.b -= offsets.h @ self._velocity[0]
            self.c -= self._velocity[0] @ offsets.v
