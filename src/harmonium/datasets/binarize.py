"""From grey levels to states: the step that every reported likelihood has to name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import InvalidParameter
from harmonium.inputs import check_choice, check_matrix, is_binary, missing_entries
from harmonium.random import Key, as_key
from harmonium.rows import Rows

BINARIZATIONS = ("threshold", "sample", "none")

_BLANK = 1.01 / 255
_ROUNDING = 1e-12  # of weighted sums of ones

# Philox holds about a hundred bytes for each number it draws, so a block takes some 30 MB, whatever the data's size.
_BLOCK = 2**18


def binarize(X: Any, binarize: str, key: Key | int | None = None, *, allow_nan: bool = False) -> npt.NDArray[Any]:
    """Turn values in [0, 1] into states in {0, 1}.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_columns)
        Values in [0, 1].
    binarize : {"threshold", "sample", "none"}
        ``threshold``: on where X > 0.5, so a value of exactly 0.5 is off.
        ``sample``: on with probability X, independently; exact zeros and ones stay. For a new draw each epoch,
        pass another key each epoch.
        ``none``: `X` as it is, its grey levels standing for probabilities.
    key : Key or int, optional
        The noise of ``sample`` (an int is a seed), which needs it; the others ignore it.
        A block of rows drawn with ``key.rows_from(first_row)`` is the same rows of the whole.
    allow_nan : bool
        Whether `X` may hold NaN, which stays missing in any case.

    Returns
    -------
    ndarray of shape (n_samples, n_columns)
        uint8, or float32 where something is missing; for ``none``, `X` itself, not copied where it is an array already.

    Raises
    ------
    InvalidParameter
        Unknown `binarize`, or ``sample`` without a key.
    InvalidData
        `X` breaks the input contract.

    Examples
    --------
    >>> from harmonium.datasets import binarize
    >>> binarize([[0.0, 0.4, 0.5, 0.6, 1.0]], "threshold")
    array([[0, 0, 0, 1, 1]], dtype=uint8)
    """
    check_choice(binarize, "binarize", BINARIZATIONS)
    return states_of(check_matrix(X, allow_nan=allow_nan), binarize, key)


def states_of(X: npt.NDArray[Any], binarize: str, key: Key | int | None = None) -> npt.NDArray[Any]:
    """`binarize` of an array that `check_matrix` has returned, which may hold NaN."""
    if binarize == "none":
        return X
    missing = missing_entries(X)
    if missing is not None:
        return np.where(missing, np.float32(np.nan), states_of(np.where(missing, 0, X), binarize, key))
    if binarize == "threshold":
        return _threshold(X)
    if key is None:
        raise InvalidParameter(
            'binarize="sample" must come with a key. Got None. Pass a Key or an integer seed as `key`.'
        )
    return _sample(X, as_key(key).derive_for_rows("binarize"))


def as_learnt(rows: Rows, binarize: str) -> Rows:
    """Rows as a machine learns them: states by the threshold, else as they are, grey levels being probabilities."""
    if binarize != "threshold" or rows.is_binary:
        return rows
    return replace(rows, X=_threshold(rows.X), is_binary=True)


def describe_blank(rows: Rows, binarize: str) -> str | None:
    """Why nothing can be learnt from rows, as `as_learnt` gives them; None where something can.

    One sentence and what to do: images that were divided by 255 twice are blank; so is any set that thresholding
    empties, and one whose columns all have one value, 0 or 1, in all rows that count.
    """
    if (faint := describe_faint(rows.highest, binarize)) is not None:
        return faint
    total, count = rows.totals
    if len(rows) > 1 and ((total == 0) | (total >= (1 - _ROUNDING) * count)).all():
        return "Every column has one value only: there is nothing to learn. Check how the data were made."
    return None


def describe_faint(highest: float, binarize: str) -> str | None:
    """What is wrong with data whose largest value is `highest`, in [0, 1] or NaN, as `describe_blank` says it."""
    if 0 < highest <= _BLANK:
        twice = "as if bytes were divided by 255 twice"
        return f"The largest value is {highest:.3g}, {twice}. Scale the data to [0, 1], once."
    if binarize == "threshold" and 0 < highest <= 0.5:
        return (
            f"Every row is empty once it is thresholded at 0.5: the largest value is {highest:.3g}. "
            'Scale the data to [0, 1], or pass binarize="sample" or "none".'
        )
    return None


def _threshold(X: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return (X > 0.5).astype(np.uint8)


def _sample(X: npt.NDArray[Any], key: Key) -> npt.NDArray[np.uint8]:
    if is_binary(X):
        return X.astype(np.uint8, copy=False)  # what sampling would give, without the noise
    n_samples, n_columns = X.shape
    states = np.empty(X.shape, np.uint8)
    n_rows = max(1, _BLOCK // n_columns)
    for start in range(0, n_samples, n_rows):
        block = X[start : start + n_rows]
        # Noise lies strictly inside (0, 1), so 0 is never on and 1 always; compared in float64, as u is.
        states[start : start + n_rows] = key.rows_from(start).uniform(*block.shape) < block
    return states
