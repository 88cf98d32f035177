"""The input contract: what an array of data or a number must satisfy before any mathematics runs."""

from __future__ import annotations

import math
import numbers
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.containers import NUMERIC, as_plain_array
from harmonium.errors import InvalidData, InvalidParameter

FloatArray = npt.NDArray[np.floating[Any]]

_WEIGHT_RANGE = 1e30  # in single precision, with room for sums


def check_matrix(
    X: Any, *, n_columns: int | None = None, name: str = "X", binary: bool = False, allow_nan: bool = False
) -> npt.NDArray[Any]:
    """Return `X` as a dense 2-D array of values in [0, 1].

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_columns)
        Booleans, integers or floats, or a data frame of them. What is masked, None or ``pandas.NA`` is NaN. Values
        that rounding has carried past 0 or 1, by a few units in the last place of single precision, are taken as 0
        or 1. Nothing is copied that need not be.
    n_columns : int, optional
        The width that the model expects.
    name : str
        How messages call the array.
    binary : bool
        Whether only 0 and 1 are accepted.
    allow_nan : bool
        Whether NaN is accepted too, for an entry that is missing.

    Raises
    ------
    InvalidData
        Not numeric, not 2-D, empty, wrong width, NaN, infinite, or outside [0, 1].
    """
    sparse = is_sparse(X)
    array: Any = _canonical(X) if sparse else as_plain_array(X, name)
    _check_shape(array, n_columns, name)
    if array.dtype.kind != "b":
        low, high = _range_of(array, allow_nan)
        if not (math.isfinite(low) and math.isfinite(high)):
            kind = "NaN" if np.isnan(low) else "infinity"
            contract = "finite, or NaN where missing" if allow_nan else "finite"
            raise InvalidData(f"{name} must be {contract}. Got {kind}. Remove or fill those values first.")
        rounding = rounding_of(array.dtype)
        if low < -rounding or high > 1 + rounding:
            raise InvalidData(
                f"{name} must lie in [0, 1]. Got values from {low:.8g} to {high:.8g}{_advice(low, high, sparse)}"
            )
    if sparse:
        array = array.toarray()
    if array.dtype.kind == "f" and (low < 0 or high > 1):
        array = np.clip(array, 0, 1)
    if binary and not is_binary(array[~np.isnan(array)] if allow_nan else array):
        raise InvalidData(f"{name} must hold only 0 and 1. Got values between. Binarise it first.")
    return array


def _canonical(X: Any) -> Any:
    """A sparse matrix in which each entry is stored once; the caller's is not changed."""
    X = X.tocsr()
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def _check_shape(array: Any, n_columns: int | None, name: str) -> None:
    if array.dtype.kind not in NUMERIC:
        raise InvalidData(
            f"{name} must hold numbers in [0, 1]. Got dtype {array.dtype}. Encode categories as 0/1 columns."
        )
    if array.ndim != 2:
        raise InvalidData(
            f"{name} must be a 2-D array (n_samples, n_columns). Got shape {array.shape}. "
            f"Use {name}.reshape(1, -1) for one sample or {name}.reshape(len({name}), -1) for images."
        )
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise InvalidData(
            f"{name} must hold at least one sample and one column. Got shape {array.shape}. Check how it was selected."
        )
    if n_columns is not None and array.shape[1] != n_columns:
        raise InvalidData(
            f"{name} must have {n_columns} columns, as many as the model has units. Got {array.shape[1]}. "
            "Use the data the model was made for, or train a new model."
        )


def _range_of(array: Any, allow_nan: bool) -> tuple[Any, Any]:
    """The smallest and the largest value; NaN counts where it is not allowed, and as 0 where there is nothing else."""
    values, zeros = (array.data, array.nnz < math.prod(array.shape)) if is_sparse(array) else (array, False)
    if values.size == 0:
        return 0, 0
    # Unlike min and max, fmin and fmax pass over NaN, and return it only where there is nothing else.
    lowest, highest = (np.fmin, np.fmax) if allow_nan else (np.minimum, np.maximum)
    low, high = lowest.reduce(values, axis=None), highest.reduce(values, axis=None)
    if allow_nan and np.isnan(low):
        return 0, 0
    return (lowest(low, 0), highest(high, 0)) if zeros else (low, high)


def _advice(low: float, high: float, sparse: bool) -> str:
    """What such values may be, and what to do with them."""
    if low == -1 and high == 1:
        return " (spins?). Pass (X + 1) / 2, or --spins to the command."
    if low >= 0 and sparse:
        return (
            " (counts?). Make them 0/1 (CountVectorizer(binary=True), sklearn.preprocessing.Binarizer), or divide "
            "columns by their largest value (MaxAbsScaler)."
        )
    if low >= 0 and high <= 255:
        return " (image bytes?). Divide by 255 (--divide-by 255) or threshold to 0/1."
    return ". Rescale the columns to [0, 1] or threshold to 0/1."


def rounding_of(dtype: np.dtype[Any]) -> float:
    """How far rounding may carry a scaled value past 0 or 1: 4 units in the last place of single or half precision."""
    return 4 * float(np.finfo(np.float16 if dtype == np.float16 else np.float32).eps)


def is_sparse(X: Any) -> bool:
    """Whether `X` is a sparse matrix of SciPy's; its package, slow to load, is loaded wherever there is one."""
    package = sys.modules.get("scipy.sparse")
    return package is not None and bool(package.issparse(X))


def is_binary(X: npt.NDArray[Any]) -> bool:
    """Whether every value of an array within [0, 1] is exactly 0 or 1."""
    return X.dtype.kind in "bui" or bool(np.all((X == 0) | (X == 1)))


def missing_entries(X: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Where `X` is NaN; None where it is nowhere."""
    if X.dtype.kind != "f":
        return None
    missing: npt.NDArray[np.bool_] = np.isnan(X)
    return missing if missing.any() else None


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


def observed_totals(
    X: npt.NDArray[Any], sample_weight: npt.NDArray[np.float64] | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What the means of columns are made of, NaN being missing: a sum and a number of rows, both weighted.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns)
    sample_weight : ndarray of shape (n_samples,), optional
        How often each row counts; once if left out. Weights that add up to less than the number of rows that have one
        are shares, not numbers of rows, and are scaled up to that.

    Returns
    -------
    total : ndarray of shape (n_columns,), float64
        The sum of the observed entries.
    count : ndarray of shape (n_columns,), float64
        How many there are.
    """
    missing = missing_entries(X)
    if missing is None and sample_weight is None:
        return X.sum(axis=0, dtype=np.float64), np.full(X.shape[1], float(len(X)))
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    weights = weights * max(1.0, np.count_nonzero(weights) / weights.sum())
    if missing is None:
        return _weighted_sum(weights, X), np.full(X.shape[1], weights.sum())
    return _weighted_sum(weights, np.where(missing, 0, X)), _weighted_sum(weights, ~missing)


def _weighted_sum(weights: npt.NDArray[Any], X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Of the rows, one after the other, and not in the order of a BLAS library's product."""
    total: npt.NDArray[np.float64] = np.multiply(weights[:, None], X, dtype=np.float64).sum(axis=0)
    return total


def check_count(value: Any, name: str, *, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`, or raise `InvalidParameter`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        raise InvalidParameter(
            f"{name} must be an integer of at least {minimum}. Got {value!r}. Pass a whole number in that range."
        )
    return int(value)


def check_number(
    value: Any, name: str, *, low: float = -math.inf, high: float = math.inf, above: bool = False, below: bool = False
) -> float:
    """Return `value` as a finite float in [low, high], or raise `InvalidParameter`.

    `above` and `below` make the respective end exclusive.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    number = float(value) if real else math.nan
    inside = (number > low if above else number >= low) and (number < high if below else number <= high)
    if not (math.isfinite(number) and inside):
        left, right = "(" if above or low == -math.inf else "[", ")" if below or high == math.inf else "]"
        raise InvalidParameter(
            f"{name} must be a finite number in {left}{low:g}, {high:g}{right}. Got {value!r}. Pass one in that range."
        )
    return number


def check_choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of `choices`, or raise `InvalidParameter`."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidParameter(f"{name} must be one of {', '.join(choices)}. Got {value!r}. Pass one of those.")
    return value
