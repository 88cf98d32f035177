"""What is made of verbs, or of NumPy arrays, in the same way for several engines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.engines.engine import Engine
from harmonium.engines.records import Beta, FloatArray, Offset, Reals, States
from harmonium.random import Key

# Over the verbs of any engine ----------------------------------------------------------------------------------------


def independent_v(engine: Engine, n: int, key: Key, beta: Beta = 1.0, offset: Offset = None) -> States:
    """`n` rows of visible units that see no hidden ones: their log-odds are beta * b + offset."""
    return engine.sample_v(_nothing(engine, n), key, beta, offset)


def free_energy(
    engine: Engine, v: States | Reals, logits: Reals, b: FloatArray | None = None
) -> npt.NDArray[np.float64]:
    """F(v) in nats, shape (rows,), from `logits`, which are Wv + c; with other visible biases, if `b` is given."""
    return -engine.dot(v, engine.visible_biases() if b is None else b) - engine.softplus_sum(logits)


def add_up(totals: list[Any], parts: Iterable[Any]) -> None:
    """Arrays that know arithmetic, added to the running sums of them, which at first are none."""
    if not totals:
        totals += parts
        return
    for total, x in zip(totals, parts, strict=True):
        total += x


def _nothing(engine: Engine, n: int) -> States:
    """Hidden states that are off, so that W'h is zero."""
    return engine.encode(np.zeros((n, engine.n_hidden), np.uint8))


# For engines whose reals are NumPy arrays ----------------------------------------------------------------------------


def per_row(x: npt.ArrayLike, n_rows: int) -> FloatArray:
    """An entry for each row, from one for each group of as many consecutive rows; float32."""
    groups: FloatArray = np.atleast_1d(np.asarray(x, np.float32))
    return groups if len(groups) in (1, n_rows) else np.repeat(groups, n_rows // len(groups), axis=0)


def affine(x: FloatArray, beta: Beta, offset: Offset, out: FloatArray | None = None) -> FloatArray:
    """beta * x + offset, as `harmonium.engines.engine` says; `out` may be `x` itself."""
    y = x
    if np.ndim(beta) or beta != 1:
        y = np.multiply(per_row(beta, len(x))[:, None], x, out=out)
    if offset is None:
        return y
    table = np.atleast_2d(np.asarray(offset, np.float32))
    blocks = y.reshape(len(table), len(x) // len(table), x.shape[1])
    return np.add(blocks, table[:, None], out=None if y is x and out is not x else blocks).reshape(x.shape)
