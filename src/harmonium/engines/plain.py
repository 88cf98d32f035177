"""The kernels of `arithmetic` in NumPy, for where the compiled extension is missing; their last bits are NumPy's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harmonium import special

Float64Array = npt.NDArray[np.float64]

# Hidden states that are enumerated at a time, so that memory stays small.
_STATES = 1024


def matmul_floats(x: npt.NDArray[np.float32], W: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``x @ W`` in float32."""
    return x @ W


def matmul_doubles(x: Float64Array, W: Float64Array) -> Float64Array:
    """``x @ W`` in float64."""
    return x @ W


def exp(x: Float64Array) -> Float64Array:
    """The exponential function."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(x))


def log(x: Float64Array) -> Float64Array:
    """The natural logarithm, without a warning."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(x))


def logistic(x: Float64Array) -> Float64Array:
    """1 / (1 + exp(-x))."""
    return np.asarray(special.expit(x))


def softplus(x: Float64Array) -> Float64Array:
    """log(1 + exp(x))."""
    return np.logaddexp(x, 0.0)


def moments_block(
    W: Float64Array, b: Float64Array, c: Float64Array, first: int, count: int, log_z: float
) -> Float64Array:
    """Sums of exp(-F(h) - log_z) E[s | h] over some hidden states, s being h v', v, h and 1."""
    sums = np.zeros((len(c) + 1, len(b) + 1))
    for start in range(first, first + count, _STATES):
        states = np.arange(start, min(start + _STATES, first + count))
        h = ((states[:, None] >> np.arange(len(c))) & 1).astype(np.float64)
        x = h @ W + b
        weights = np.exp(h @ c + softplus(x).sum(axis=1) - log_z)[:, None]
        sums += np.hstack([h, np.ones_like(weights)]).T @ (weights * np.hstack([logistic(x), np.ones_like(weights)]))
    return sums
