"""What a machine is before it learns: units with the data's means, all but independent, as their weights are small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.random import Key, uniform_of
from harmonium.special import ndtri

_DRAWN = 2**16  # weights that are drawn at a time, in double precision, so that memory stays small


def bias_of_means(total: Any, n_samples: Any) -> npt.NDArray[np.float64]:
    """The biases of independent units that fit the data's means, finite for columns that never change.

    Parameters
    ----------
    total : array-like of shape (n_units,)
        Sums of the columns over the samples.
    n_samples : int, or array-like of shape (n_units,)

    Returns
    -------
    ndarray of shape (n_units,)
        log(p / (1 - p)) with p = (total + 1/2) / (n_samples + 1).
    """
    p = (np.asarray(total, np.float64) + 0.5) / (n_samples + 1)
    return np.log(p / (1 - p))


def initial_parameters(
    totals: tuple[Any, Any],
    n_hidden: int,
    key: Key,
    bits: Callable[[Key, int, int], npt.NDArray[np.uint32]],
    scale: float = 0.01,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """W, b and c of `RBM.initialise`, from a sum for each column of the data and the number of its rows.

    `bits` is `Key.bits`, or an engine's, which are the same and sooner there.
    """
    b = bias_of_means(*totals)
    key, W = key.derive("initial weights"), np.empty((n_hidden, len(b)), np.float32)
    size = max(1, _DRAWN // len(b))
    for first in range(0, n_hidden, size):
        rows = W[first : first + size]
        rows[:] = scale * ndtri(uniform_of(bits(key.rows_from(first), *rows.shape)))
    return W, b.astype(np.float32), np.zeros(n_hidden, np.float32)
