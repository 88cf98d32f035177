"""The input contract for what goes into Keras' methods, checked where the values are at hand."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from harmonium.datasets.binarize import describe_faint
from harmonium.errors import DataWarning, InvalidData
from harmonium.inputs import check_matrix, is_sparse
from harmonium.rows import check_weights

_FRAMES = "pandas", "polars", "pyarrow"


def is_array(x: Any) -> bool:
    """Whether `x` holds its values here and now, so that looking at them costs no synchronisation with a device."""
    return isinstance(x, (np.ndarray, list)) or is_sparse(x) or type(x).__module__.startswith(_FRAMES)


def check_input(x: Any, n_visible: int | None, name: str = "x", *, traced: bool = False) -> Any:
    """Return what to hand to Keras for the argument `x` of `fit`, `evaluate` or `predict`.

    An array or a tensor is checked whole; of a data set that can be read again (``tf.data``, ``PyDataset``,
    ``DataLoader``) the first batch is; of a generator each batch, as it passes.

    Parameters
    ----------
    traced : bool
        Whether `x` may be a tensor without values, or one whose values it would cost time to wait for: then only its
        shape is checked.

    Raises
    ------
    InvalidData
        Not numeric, not 2-D, empty, wrong width, NaN, infinite, outside [0, 1], a data set of single rows, or several
        inputs at once.
    """
    if x is None or isinstance(x, tuple | dict):
        raise InvalidData(
            f"{name} must be one array, tensor or data set. Got {type(x).__name__}. "
            "Pass the rows alone; labels and weights have arguments of their own, y and sample_weight."
        )
    if is_array(x):
        return _narrow(check_matrix(x, n_columns=n_visible, name=name))
    if keras.ops.is_tensor(x) or isinstance(x, keras.KerasTensor):
        check_width(x, n_visible, name)
        if not traced:
            check_matrix(keras.ops.convert_to_numpy(x), n_columns=n_visible, name=name)
    elif isinstance(x, types.GeneratorType):
        return _checked(x, n_visible, name)
    elif isinstance(x, keras.utils.PyDataset):
        _check_batch(x[0], n_visible, name)
    elif hasattr(x, "__iter__") and not hasattr(x, "__next__"):
        for batch in x:
            _check_batch(batch, n_visible, name)
            break
    return x


def check_rows(x: Any, n_visible: int | None) -> Any:
    """`check_input` of what one step takes: an array or a tensor."""
    if not is_array(x):
        check_width(x, n_visible, "x")
    return check_input(x, n_visible)


def check_width(x: Any, n_visible: int | None, name: str = "v") -> None:
    """Refuse anything with a shape other than (batch, n_visible).

    Raises
    ------
    InvalidData
        Another number of axes or columns, or nothing that has any.
    """
    if not hasattr(x, "shape"):
        raise InvalidData(f"{name} must be an array or a tensor. Got {type(x).__name__}. Pass rows, a batch at a time.")
    shape = tuple(x.shape)
    if len(shape) != 2:
        raise InvalidData(
            f"{name} must be 2-D (batch, n_visible). Got shape {shape}. "
            f"Flatten images first: keras.ops.reshape({name}, (len({name}), -1))."
        )
    if n_visible is not None and shape[1] is not None and shape[1] != n_visible:
        raise InvalidData(
            f"{name} must have {n_visible} columns, as many as the model has visible units. Got {shape[1]}. "
            "Use the data the model was built for, or make a new model."
        )


def batches_of(data: Any, n_visible: int | None) -> Iterator[np.ndarray[Any, Any]]:
    """The batches of an array, or of anything that yields batches, checked.

    Raises
    ------
    InvalidData
    """
    if is_array(data) or (hasattr(data, "dtype") and hasattr(data, "shape")):
        yield check_matrix(keras.ops.convert_to_numpy(data) if not is_array(data) else data, n_columns=n_visible)
        return
    batches = (data[i] for i in range(len(data))) if isinstance(data, keras.utils.PyDataset) else iter(data)
    for batch in batches:
        yield _check_batch(batch, n_visible, "data")


def check_weighted(x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
    """The labels and sample weights to hand to Keras with checked `x`.

    Keras drops the weights of rows without labels, so weighted rows get some, which nobody looks at.

    Raises
    ------
    InvalidData
        Not one number for each row, negative, not finite, or all of them zero.
    """
    if sample_weight is None or not (is_array(x) or keras.ops.is_tensor(x)):
        return y, sample_weight
    if keras.ops.is_tensor(sample_weight):
        sample_weight = keras.ops.convert_to_numpy(sample_weight)
    check_weights(sample_weight, len(x))
    return np.zeros(len(x), np.float32) if y is None else y, np.asarray(sample_weight, np.float32)


def warn_if_blank(highest: float, binarize: str) -> None:
    """Warn where nothing can be learnt from data whose largest value is `highest`."""
    if (blank := describe_faint(highest, binarize)) is not None:
        warnings.warn(blank, DataWarning, stacklevel=4)


def _checked(batches: Iterator[Any], n_visible: int | None, name: str) -> Iterator[Any]:
    for batch in batches:
        _check_batch(batch, n_visible, name)
        yield batch


def _check_batch(batch: Any, n_visible: int | None, name: str) -> np.ndarray[Any, Any]:
    x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
    values = keras.ops.convert_to_numpy(x)
    if values.ndim == 1:
        raise InvalidData(
            f"{name} must yield batches of shape (rows, n_visible). Got single rows, of shape {values.shape}. "
            f"Use {name}.batch(n) of tf.data, or yield n rows at a time."
        )
    return check_matrix(values, n_columns=n_visible, name=f"a batch of {name}")


def _narrow(X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Float64 as float32, which is what Keras would make of it a batch at a time."""
    return X.astype(np.float32) if X.dtype == np.float64 and keras.config.floatx() != "float64" else X
