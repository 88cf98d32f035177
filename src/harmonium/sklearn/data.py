"""What the scikit-learn face accepts as data: dense or CSR, any numeric dtype, values outside [0, 1] with a warning."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import scipy.sparse
import sklearn
from sklearn.utils.validation import _check_sample_weight, validate_data

from harmonium.containers import NUMERIC, as_plain_array
from harmonium.errors import InvalidData
from harmonium.inputs import missing_entries, rounding_of
from harmonium.rows import check_weights

# Numbers that are dense at one time.
CELLS = 2**20
# Frames of these packages are not where a user called from.
_PACKAGES = tuple(f"{Path(str(file)).parent}{os.sep}" for file in (__file__, sklearn.__file__, joblib.__file__))


class DataRangeWarning(UserWarning):
    """Data lie outside [0, 1] and were clipped to it, or all below 1/2 where they are to be thresholded."""


def check_data(estimator: Any, X: Any, *, reset: bool = False, allow_nan: bool = False) -> Any:
    """`X` validated as scikit-learn does, dense or CSR, within [0, 1]; booleans and integers are not widened.

    Parameters
    ----------
    estimator : estimator
        Whose `n_features_in_` and `feature_names_in_` are compared, or set if `reset`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Any finite real numbers. What is masked is missing.
    reset : bool
        Whether this is a first fit.
    allow_nan : bool
        Whether NaN passes, for entries that are missing.

    Returns
    -------
    {ndarray, CSR matrix or array} of shape (n_samples, n_features)

    Raises
    ------
    ValueError
        Not numeric, not 2-D, empty, NaN, infinite, or of another width than the machine.
    """
    if not reset and _is_plainly_sound(estimator, X):
        return X
    if isinstance(X, np.ma.MaskedArray):
        X = np.ma.filled(X.astype(np.result_type(X.dtype, np.float32)), np.nan)
    X = _validated(estimator, X, reset)
    if not reset and X.shape[1] != (n_features := estimator._shape[1]):  # set by hand, of which scikit-learn knows none
        raise InvalidData(
            f"X must have {n_features} columns, as components_ has. Got {X.shape[1]}. Use the data it was made for."
        )
    is_sparse = scipy.sparse.issparse(X)
    if is_sparse and not X.has_canonical_format:  # a value may be stored in parts; never change the caller's matrix
        X = X.copy()
        X.sum_duplicates()
    values = X.data if is_sparse else X
    if X.dtype.kind == "b" or values.size == 0:
        return X
    if not allow_nan and missing_entries(values) is not None:
        raise InvalidData("X must have no missing entries to be sampled from. Got NaN. Fill them with impute(X).")
    low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)  # which pass over NaN
    if not (low < 0 or high > 1):
        return X
    rounding = rounding_of(X.dtype)
    if low < -rounding or high > 1 + rounding:
        if is_sparse and values.size < X.shape[0] * X.shape[1]:
            low, high = np.fmin(low, 0), np.fmax(high, 0)
        warn(
            f"X should lie in [0, 1]. Got values from {low:.8g} to {high:.8g}, which are clipped. "
            + _advice(low, is_sparse),
            DataRangeWarning,
        )
    clipped = np.clip(values, 0, 1)
    return type(X)((clipped, X.indices, X.indptr), shape=X.shape) if is_sparse else clipped


def _validated(estimator: Any, X: Any, reset: bool) -> Any:
    """Finite numbers, or NaN. Of a frame with a column that holds something else, the column is named."""
    try:
        checked = validate_data(
            estimator, X, accept_sparse="csr", dtype="numeric", reset=reset, ensure_all_finite="allow-nan"
        )
    except (TypeError, ValueError):
        if hasattr(X, "dtypes"):
            as_plain_array(X, "X")
        raise
    return as_plain_array(X, "X") if checked.dtype.kind not in NUMERIC else checked


def _advice(low: float, is_sparse: bool) -> str:
    if is_sparse and low >= 0:
        return (
            "Make counts 0 or 1 first, with CountVectorizer(binary=True) or sklearn.preprocessing.Binarizer, or scale "
            "them with sklearn.preprocessing.MaxAbsScaler."
        )
    return "Scale them first, for example with sklearn.preprocessing.MinMaxScaler."


def as_rows(X: Any, *, named: bool = False) -> tuple[Any, bool]:
    """`X` to be checked as rows, and whether it was one vector; if `named`, labels are kept, in a frame of one row."""
    if isinstance(X, list | tuple):
        X = np.asarray(X)
    if len(getattr(X, "shape", (0, 0))) != 1:
        return X, False
    if named and getattr(getattr(X, "index", None), "inferred_type", None) == "string":
        return X.to_frame().T, True
    return (X if scipy.sparse.issparse(X) or isinstance(X, np.ndarray) else np.asarray(X)).reshape(1, -1), True


def has_right_shape(estimator: Any, X: Any) -> bool:
    """Whether `X` is an array that all checks but of names would return as it is if it lies within [0, 1].

    They would take longer than one row's product.
    """
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype.kind not in "buif" or X.size == 0:
        return False
    return bool(X.shape[1] == len(estimator.__dict__.get("intercept_visible_", ())))


def _is_plainly_sound(estimator: Any, X: Any) -> bool:
    """Whether `X` is an array that all checks would return as it is."""
    if "feature_names_in_" in estimator.__dict__ or not has_right_shape(estimator, X):
        return False
    return X.dtype.kind == "b" or bool(X.min() >= 0 and X.max() <= 1)  # never so with NaN


def warn(message: str, category: type[Warning]) -> None:
    """A warning that points at the line that called scikit-learn or this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGES):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def rows_that_count(X: Any, sample_weight: Any) -> tuple[Any, npt.NDArray[np.float64] | None]:
    """The rows whose weight is not zero, and those weights; None without weights.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
    sample_weight : array-like of shape (n_samples,), number or None

    Raises
    ------
    ValueError
        Not one finite number for each row, negative, or all zero.
    """
    if sample_weight is None:
        return X, None
    weights: npt.NDArray[np.float64] = _check_sample_weight(sample_weight, X, dtype=np.float64)
    check_weights(weights, X.shape[0])
    return (X, weights) if weights.all() else (X[weights > 0], weights[weights > 0])


def float_dtype(X: Any) -> np.dtype[Any]:
    """The dtype in which results for `X` are given: float32 for float32, else float64."""
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def as_dense(X: Any) -> npt.NDArray[Any]:
    """`X` as an array; what was sparse gets the smallest dtype that holds it."""
    if not scipy.sparse.issparse(X):
        return np.asarray(X)
    is_binary = bool(np.all((X.data == 0) | (X.data == 1)))
    return np.asarray(X.astype(np.uint8 if is_binary else np.float32).toarray())


def dense_chunks(X: Any) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
    """Blocks of dense rows, so that memory stays small next to the data."""
    n_rows = max(1, CELLS // X.shape[1])
    if X.shape[0] <= n_rows and type(X) is np.ndarray:
        yield slice(0, X.shape[0]), X
        return
    for first in range(0, X.shape[0], n_rows):
        rows = slice(first, min(first + n_rows, X.shape[0]))
        yield rows, as_dense(X[rows])
