"""Real arithmetic whose bits depend on no library, no processor and no number of threads.

NumPy's products are a BLAS library's, which chooses the order of its sums by the processor, the shapes and the threads;
its exp and log come in versions for different processors that differ in last bits. Here every sum of a product is taken
in the order of its terms, rounded after each operation, and the functions are the native kernels', right to about one
unit in the last place. (NumPy's own elementwise operations and sums need no replacement.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    from harmonium.engines._native import _kernels
except ImportError:  # the NumPy engine works without the compiled extension
    from harmonium.engines import plain as _kernels  # type: ignore[no-redef]

Float64Array = npt.NDArray[np.float64]


def matmul(x: npt.NDArray[Any], W: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``x @ W`` for matrices and vectors: in float32 if both are float32, else in float64.

    Parameters
    ----------
    x : array of shape (rows, n) or (n,)
        Zeros in it cost next to nothing.
    W : array of shape (n, columns) or (n,)
    """
    single = x.dtype == W.dtype == np.float32
    dtype, kernel = (np.float32, _kernels.matmul_floats) if single else (np.float64, _kernels.matmul_doubles)
    left = _aligned(np.asarray(x if x.ndim == 2 else x[None], dtype))
    right = contiguous(W if W.ndim == 2 else W[:, None], dtype)
    product: npt.NDArray[Any] = kernel(left, right)
    return product.reshape(x.shape[:-1] + W.shape[1:])


def exp(x: npt.ArrayLike) -> Float64Array:
    """The exponential function."""
    return _elementwise(_kernels.exp, x)


def log(x: npt.ArrayLike) -> Float64Array:
    """The natural logarithm; -inf for 0, NaN for negative numbers, both without a warning."""
    return _elementwise(_kernels.log, x)


def logistic(x: npt.ArrayLike) -> Float64Array:
    """1 / (1 + exp(-x)), without overflow."""
    return _elementwise(_kernels.logistic, x)


def softplus(x: npt.ArrayLike) -> Float64Array:
    """log(1 + exp(x)), without overflow."""
    return _elementwise(_kernels.softplus, x)


def log_sum_exp(x: Float64Array) -> float:
    """The logarithm of the sum of exp(x) over all entries; -inf where none of them is above -inf."""
    highest = float(x.max())
    if not np.isfinite(highest):
        return highest
    return highest + float(log(exp(x - highest).sum()))


def moments_block(
    W: npt.NDArray[Any], b: npt.NDArray[Any], c: npt.NDArray[Any], first: int, count: int, log_z: float
) -> Float64Array:
    """Sums of exp(-F(h) - log_z) E[s | h] over hidden states first, ..., first + count - 1, s being 1, v, h and h v'.

    Parameters
    ----------
    W, b, c : float64 arrays of shape (n_hidden, n_visible), (n_visible,) and (n_hidden,)

    Returns
    -------
    float64 array of shape (n_hidden + 1, n_visible + 1)
        Of h_i v_j; in the last row of v_j, in the last column of h_i, and in the corner of 1.
    """
    sums: Float64Array = _kernels.moments_block(*(contiguous(x, np.float64) for x in (W, b, c)), first, count, log_z)
    return sums


def _elementwise(function: Callable[[Float64Array], Float64Array], x: npt.ArrayLike) -> Float64Array:
    array = np.asarray(x, np.float64)
    return function(contiguous(array.ravel(), np.float64)).reshape(array.shape)


def contiguous(x: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """`x` as the kernels take it: C order, and no number across the boundary that its size demands."""
    return _aligned(np.ascontiguousarray(x, dtype))


def _aligned(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return x if x.flags.aligned else x.copy()
