"""Rows of data that have been checked, with all that the check has found: nobody behind it looks for that again."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import InvalidData

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_WEIGHT_RANGE = 1e30  # in single precision, with room for sums


@dataclass(frozen=True, eq=False)
class Rows:
    """Data, as `harmonium.inputs.check_rows` makes them.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_columns)
        Values in [0, 1]; 0 where missing.
    is_binary : bool
        Whether all of them are 0 or 1. Some rows of a grey set count as grey.
    missing : bool array of the shape of `X`, or None
        Which entries are missing; None where none is.
    weights : float64 array of shape (n_samples,), or None
        How often each row counts; None where all count the same.
    highest : float
        The largest value that was observed, of all rows that were checked, before they were made binary.
    """

    X: npt.NDArray[Any]
    is_binary: bool = True
    missing: BoolArray | None = None
    weights: Float64Array | None = None
    highest: float = 1.0

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: npt.NDArray[np.intp]) -> Rows:
        """Some of the rows, in the order given."""
        missing = None if self.missing is None else self.missing[rows]
        weights = None if self.weights is None else check_weights(self.weights[rows], len(rows))
        if missing is not None and not missing.any():
            missing = None
        return Rows(self.X[rows], self.is_binary, missing, weights, self.highest)

    @functools.cached_property
    def totals(self) -> tuple[Float64Array, Float64Array]:
        """What the means of columns are made of, as `observed_totals` says."""
        return observed_totals(self.X, self.missing, self.weights)


def observed_totals(
    X: npt.NDArray[Any], missing: BoolArray | None = None, weights: Float64Array | None = None
) -> tuple[Float64Array, Float64Array]:
    """Sums of the observed entries, and the numbers of rows that they are sums of, both weighted.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns)
        0 where missing.
    missing : bool array of that shape, optional
    weights : float64 array of shape (n_samples,), optional
        How often each row counts; once if left out. Weights that add up to less than the number of rows that have one
        are fractions, not numbers of rows, and are scaled up to that.

    Returns
    -------
    total, count : float64 arrays of shape (n_columns,)
    """
    if missing is None and weights is None:
        return X.sum(axis=0, dtype=np.float64), np.full(X.shape[1], float(len(X)))
    weights = np.ones(len(X)) if weights is None else weights
    weights = weights * max(1.0, np.count_nonzero(weights) / weights.sum())
    count = np.full(X.shape[1], weights.sum()) if missing is None else _weighted_sum(weights, ~missing)
    return _weighted_sum(weights, X), count


def _weighted_sum(weights: Float64Array, X: npt.NDArray[Any]) -> Float64Array:
    """Of the rows, one after the other, and not in the order of a BLAS library's product."""
    total: Float64Array = np.multiply(weights[:, None], X, dtype=np.float64).sum(axis=0)
    return total


def check_weights(sample_weight: Any, n_samples: int) -> npt.NDArray[np.float64] | None:
    """Return the weights of rows as float64, shape (n_samples,); None for None and for weights that are all the same.

    Weights so large or so small that their sums would leave the range of numbers are divided by the largest.

    Raises
    ------
    InvalidData
        Not one number for each row, negative, not finite, all of them zero, or further apart than single precision
        reaches.
    """
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(sample_weight, np.float64)
    except (TypeError, ValueError):
        weights = np.empty(0)
    if weights.shape != (n_samples,):
        raise InvalidData(
            f"sample_weight must hold one number for each of {n_samples} rows. Got shape {np.shape(weights)}. "
            "Pass a vector as long as the data."
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise InvalidData(
            f"sample_weight must be finite and not negative. Got values from {weights.min():g} to {weights.max():g}. "
            "Correct those, or set them to zero."
        )
    if not weights.any():
        raise InvalidData("sample_weight must not be zero for all rows. Got only zeros. Give some rows a weight.")
    smallest, largest = weights[weights > 0].min(), weights.max()
    if smallest < largest / _WEIGHT_RANGE:
        raise InvalidData(
            f"sample_weight must have its largest value within {_WEIGHT_RANGE:g} times its smallest above zero. "
            f"Got values from {smallest:g} to {largest:g}. Set the smallest to zero."
        )
    if not 1 / _WEIGHT_RANGE < largest < _WEIGHT_RANGE:
        weights = weights / largest
    return None if (weights == weights[0]).all() else weights
