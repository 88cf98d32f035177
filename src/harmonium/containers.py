"""From what people keep numbers in to a plain array: data frames, masked arrays, lists, tensors."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import InvalidData

NUMERIC = "buif"  # the kinds of dtype that data may have


def as_plain_array(X: Any, name: str) -> npt.NDArray[Any]:
    """`X` as an array, NaN where an entry is missing; not copied where it is one already.

    Parameters
    ----------
    X : array-like
        Also a masked array, whose masked entries are missing; a data frame of pandas, polars or pyarrow, also with
        nullable types; or objects that are numbers, None or ``pandas.NA``.
    name : str
        How messages call it.

    Returns
    -------
    ndarray
        In the machine's byte order. Its shape and dtype are for the caller to check.

    Raises
    ------
    InvalidData
        Rows of different lengths, or objects that are no numbers.
    """
    try:
        array = _from_frame(X, name) if _is_pandas_frame(X) else _from_anything(X, name)
    except InvalidData:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidData(
            f"{name} must be a numeric 2-D array. Got {type(X).__name__} that is not: {error}. "
            "Pass rows of equal length that hold numbers only."
        ) from None
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _from_anything(X: Any, name: str) -> npt.NDArray[Any]:
    if isinstance(X, np.ma.MaskedArray):
        return _from_masked(X)
    array = np.asarray(X)
    return _from_objects(array, name) if array.dtype.kind == "O" else array


def _from_masked(X: np.ma.MaskedArray[Any, Any]) -> npt.NDArray[Any]:
    values, mask = np.asarray(X.data), np.ma.getmaskarray(X)
    if values.dtype.kind not in NUMERIC or not mask.any():
        return values
    if values.dtype.kind != "f":
        values = values.astype(np.float32 if values.dtype.itemsize == 1 else np.float64)
    return np.where(mask, values.dtype.type(np.nan), values)


def _from_objects(objects: npt.NDArray[Any], name: str) -> npt.NDArray[np.float64]:
    text = next((x for x in objects.flat if isinstance(x, (str, bytes))), None)
    if text is not None:
        raise InvalidData(f"{name} must hold numbers in [0, 1]. Got the text {text!r:.40}. {_ENCODE}")
    if (pandas := sys.modules.get("pandas")) is not None:  # without it there is no pandas.NA
        objects = np.where(pandas.isna(objects), np.nan, objects)
    return objects.astype(np.float64)


def _is_pandas_frame(X: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(X, pandas.DataFrame)


def _from_frame(X: Any, name: str) -> npt.NDArray[Any]:
    dtypes = list(X.dtypes)
    if all(isinstance(dtype, np.dtype) and dtype.kind in NUMERIC for dtype in dtypes):
        return np.asarray(X)
    if all(dtype.kind in NUMERIC for dtype in dtypes):  # nullable, sparse
        return np.asarray(X.to_numpy(dtype=np.float64, na_value=np.nan))
    columns = []
    for number, dtype in enumerate(dtypes):
        column = f"column {X.columns[number]!r} of {name}"
        if dtype.kind not in NUMERIC + "O":
            raise InvalidData(f"The {column} must hold numbers in [0, 1]. Got dtype {dtype}. {_ENCODE}")
        values = X.iloc[:, number].to_numpy(dtype=object)
        columns.append(_from_objects(values, f"The {column}"))
    return np.column_stack(columns)


_ENCODE = "Encode categories as 0/1 columns, one for each category."
