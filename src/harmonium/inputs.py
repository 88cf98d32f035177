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
from harmonium.rows import Rows, check_weights

FloatArray = npt.NDArray[np.floating[Any]]

_FEW = 20  # the most that counts, categories or 16 grey levels go to; bytes go further


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
    array, _ = _checked(X, n_columns, name, allow_nan)
    if binary and not is_binary(array[~np.isnan(array)] if allow_nan else array):
        raise InvalidData(f"{name} must hold only 0 and 1. Got values between. Binarise it first.")
    return array


def check_rows(X: Any, *, n_columns: int | None = None, name: str = "X", sample_weight: Any = None) -> Rows:
    """Rows of data that nobody has to check again.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_columns), values in [0, 1], NaN where missing
        As for `check_matrix`; not copied unless something is missing.
    n_columns, name
        As for `check_matrix`.
    sample_weight : array-like of shape (n_samples,), optional
        How often each row counts.

    Raises
    ------
    InvalidData
        As `check_matrix` and `harmonium.rows.check_weights` do.
    """
    array, highest = _checked(X, n_columns, name, allow_nan=True)
    return rows_of(array, sample_weight, highest)


def rows_of(array: npt.NDArray[Any], sample_weight: Any = None, highest: float = 1.0) -> Rows:
    """`check_rows` of an array whose values are known to lie in [0, 1]."""
    missing = missing_entries(array)
    if missing is not None:
        array = np.where(missing, 0, array)
    return Rows(array, is_binary(array), missing, check_weights(sample_weight, len(array)), highest)


def _checked(X: Any, n_columns: int | None, name: str, allow_nan: bool) -> tuple[npt.NDArray[Any], float]:
    """A dense array of values in [0, 1], and the largest of them, observed; 1 for booleans, which are not looked at."""
    sparse = is_sparse(X)
    array: Any = _canonical(X) if sparse else as_plain_array(X, name)
    _check_shape(array, n_columns, name)
    low, high = 0, 1
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
    if low < 0 or high > 1:
        array = np.clip(array, 0, 1)
    return array, min(float(high), 1.0)


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
    if low >= 0 and high < 2:
        return " (rounding?). Clip the values to [0, 1], or rescale the columns."
    if low >= 0 and high <= _FEW:
        return (
            f" (counts, categories or grey levels?). Make them 0/1 (X > 0, or a column for each value), or divide by "
            f"{high:g} (--divide-by {high:g})."
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
