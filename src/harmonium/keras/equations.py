"""The equations of `harmonium.rbm` in `keras.ops`: what a graph needs of them, and no more."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops


class Parameters(NamedTuple):
    """W (n_hidden, n_visible), b (n_visible,) and c (n_hidden,), and the type in which products with W are computed."""

    W: Any
    b: Any
    c: Any
    product_dtype: str

    def constant(self) -> Parameters:
        """The same numbers, through which no gradient flows."""
        W, b, c = (ops.stop_gradient(x) for x in (self.W, self.b, self.c))
        return Parameters(W, b, c, self.product_dtype)


def _product(x: Any, parameters: Parameters, *, transposed: bool = False) -> Any:
    """Only the product itself is done in the type of a mixed-precision policy; what comes of it is as fine as W."""
    x, W = (ops.cast(array, parameters.product_dtype) for array in (x, parameters.W))
    if not transposed:
        product = ops.matmul(x, W)
    elif keras.backend.backend() == "tensorflow":
        # The others see through a transposition; TensorFlow would write the transposed W out, thrice a step.
        import tensorflow as tf

        product = tf.matmul(x, W, transpose_b=True)
    else:
        product = ops.matmul(x, ops.transpose(W))
    return ops.cast(product, parameters.W.dtype)


def logits_h(v: Any, parameters: Parameters) -> Any:
    """Wv + c, shape (batch, n_hidden)."""
    return _product(v, parameters, transposed=True) + parameters.c


def logits_v(h: Any, parameters: Parameters) -> Any:
    """W'h + b, shape (batch, n_visible)."""
    return _product(h, parameters) + parameters.b


def free_energy(v: Any, logits: Any, parameters: Parameters) -> Any:
    """F(v) = -b'v - sum of softplus(Wv + c), shape (batch,); `logits` are Wv + c."""
    return -ops.matmul(v, parameters.b) - ops.sum(ops.softplus(logits), axis=1)


def squared_norm(W: Any) -> Any:
    """The sum of the squares of all weights."""
    if keras.backend.backend() == "tensorflow":
        # One pass over W here and one in the gradient; the others fuse what TensorFlow would write out in between.
        import tensorflow as tf

        return 2 * tf.nn.l2_loss(W)
    return ops.sum(ops.square(W))


def pseudo_log_likelihood(v: Any, logits: Any, u: Any, parameters: Parameters) -> Any:
    """An unbiased estimate of the pseudo-log-likelihood from one unit a row, shape (batch,); NaN for grey rows.

    `u` is uniform in [0, 1), shape (batch,), and chooses the unit j; the estimate is m log p(v_j | the others).
    """
    n_visible = v.shape[1]
    j = ops.minimum(ops.cast(u * n_visible, "int32"), n_visible - 1)
    turn = 1 - 2 * ops.take_along_axis(v, j[:, None], axis=1)
    flipped = logits + turn * ops.transpose(ops.take(parameters.W, j, axis=1))
    # F(v) - F(v with unit j flipped)
    difference = turn[:, 0] * ops.take(parameters.b, j) + ops.sum(ops.softplus(flipped) - ops.softplus(logits), axis=1)
    binary = ops.all(ops.logical_or(v == 0, v == 1), axis=1)
    return ops.where(binary, -n_visible * ops.softplus(difference), float("nan"))
