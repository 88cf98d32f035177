"""What the scikit-learn face accepts as data: dense or CSR, any numeric dtype, values outside [0, 1] with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from sklearn.utils.validation import _check_sample_weight, validate_data

from harmonium.inputs import check_weights

# Rows that are dense at one time.
_ROWS = 2000


class DataRangeWarning(UserWarning):
    """Data lie outside [0, 1] and were clipped to it."""


def check_data(estimator: Any, X: Any, *, reset: bool = False, allow_nan: bool = False) -> Any:
    """`X` validated as scikit-learn does, dense or CSR, within [0, 1]; booleans and integers are not widened.

    Parameters
    ----------
    estimator : estimator
        Whose `n_features_in_` and `feature_names_in_` are compared, or set if `reset`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Any finite real numbers.
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
        Not numeric, not 2-D, empty, NaN, infinite, or of another width than at the fit.
    """
    finite = "allow-nan" if allow_nan else True
    X = validate_data(estimator, X, accept_sparse="csr", dtype="numeric", reset=reset, ensure_all_finite=finite)
    is_sparse = scipy.sparse.issparse(X)
    if is_sparse and not X.has_canonical_format:  # a value may be stored in parts; never change the caller's matrix
        X = X.copy()
        X.sum_duplicates()
    values = X.data if is_sparse else X
    if X.dtype.kind == "b" or values.size == 0:
        return X
    low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)  # which pass over NaN
    if not (low < 0 or high > 1):
        return X
    warnings.warn(
        f"X should lie in [0, 1]. Got values from {low:g} to {high:g}, which are clipped. "
        "Scale them first, for example with sklearn.preprocessing.MinMaxScaler.",
        DataRangeWarning,
        stacklevel=3,
    )
    clipped = np.clip(values, 0, 1)
    return type(X)((clipped, X.indices, X.indptr), shape=X.shape) if is_sparse else clipped


def rows_that_count(X: npt.NDArray[Any], sample_weight: Any) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """The rows whose weight is not zero, and those weights as a keyword argument; none of it without weights.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    sample_weight : array-like of shape (n_samples,), number or None

    Raises
    ------
    ValueError
        Not one finite number for each row, negative, or all zero.
    """
    if sample_weight is None:
        return X, {}
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
    check_weights(weights, len(X))
    return X[weights > 0], {"sample_weight": weights[weights > 0]}


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
    for first in range(0, X.shape[0], _ROWS):
        rows = slice(first, min(first + _ROWS, X.shape[0]))
        yield rows, as_dense(X[rows])
