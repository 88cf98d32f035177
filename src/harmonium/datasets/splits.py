"""Which of the arrays in a file are samples and labels of which split."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets.arrays import read_arrays, sparse_matrix
from harmonium.datasets.dataset import SPLITS
from harmonium.datasets.reading import Reading
from harmonium.errors import InvalidData, UnreadableFile

_ALIASES = {"train": ("train",), "valid": ("valid", "val", "validation"), "test": ("test",)}
_SAMPLES = ("{}", "x_{}", "{}_x", "{}_data", "{}_images")
_LABELS = ("y_{}", "{}_y", "{}_labels")
_WHOLE = ("X", "x", "data", "arr_0", "images")  # arr_0: numpy.savez(path, X)
_WHOLE_LABELS = ("y", "labels", "label", "target", "targets")


def read_splits(path: Path, reading: Reading | None = None) -> dict[str, Any]:
    """Read a NumPy file as the split fields of a `Dataset`; their values are not checked here.

    Parameters
    ----------
    path : Path
        See `fields_of`; or a sparse matrix of SciPy's.
    reading : Reading, optional

    Returns
    -------
    dict
        Whatever is there of ``train``, ``valid``, ``test``, ``y_train``, ``y_valid`` and ``y_test``.

    Raises
    ------
    UnreadableFile
        As `read_arrays` and `fields_of`.
    """
    reading = reading or Reading()
    arrays = read_arrays(path, reading)
    X = sparse_matrix(path, arrays, reading)
    return fields_of(arrays, path, reading) if X is None else {"train": X}


def fields_of(arrays: dict[str, Any], path: Path, reading: Reading) -> dict[str, Any]:
    """The split fields of a `Dataset` from named arrays.

    Parameters
    ----------
    arrays : dict of arrays
        One of: the array that `reading` names; ``train``, ``valid``, ``test`` or some of them (also ``x_train``,
        ``train_data``, ``val``, ...) and labels (``y_train``, ``train_labels``, ...); the same with ``n_visible``, the
        number of columns, which says that the splits are packed eight columns to a byte by
        ``numpy.packbits(..., axis=1)``; ``X`` or ``data`` and optionally ``y`` or ``labels``; a single array of any
        name.
    path : Path
        For messages.
    reading : Reading

    Raises
    ------
    UnreadableFile
        It cannot be told which arrays are meant, or packed arrays do not fit ``n_visible``.
    """
    if reading.array is not None:
        if reading.array not in arrays:
            raise UnreadableFile(
                f"{path} must hold the array {reading.array!r}. Got {_listed(arrays)}. Name one of those."
            )
        return {"train": arrays[reading.array]}
    names = {name.lower(): name for name in reversed(arrays)}
    fields = {}
    for split in SPLITS:
        samples = _first(names, (form.format(alias) for alias in _ALIASES[split] for form in _SAMPLES))
        labels = _first(names, (form.format(alias) for alias in _ALIASES[split] for form in _LABELS))
        if samples is not None:
            fields[split] = arrays[samples]
        if labels is not None:
            fields[f"y_{split}"] = _flat(arrays[labels])
    found = [split for split in SPLITS if split in fields]
    if found:
        if "n_visible" in arrays:
            n_visible = arrays["n_visible"]
            fields |= {split: _unpack(fields[split], n_visible, f"{path}[{split}]", reading) for split in found}
        return fields
    return _whole(arrays, path)


def _whole(arrays: dict[str, Any], path: Path) -> dict[str, Any]:
    """All of the samples in one array."""
    tables = [name for name, array in arrays.items() if array.ndim > 1]
    samples = _first({name: name for name in arrays}, _WHOLE)
    if samples is None and (len(arrays) == 1 or len(tables) == 1):
        samples = tables[0] if tables else next(iter(arrays))
    if samples is None:
        raise UnreadableFile(
            f"{path} must hold arrays called train, valid and test, or X, or just one. Got {_listed(arrays)}. "
            "Say which is meant (--array NAME, or array=NAME in Python)."
        )
    labels = _first({name: name for name in arrays}, _WHOLE_LABELS)
    return {"train": arrays[samples]} | ({} if labels is None else {"y_train": _flat(arrays[labels])})


def _first(names: dict[str, str], wanted: Iterable[str]) -> str | None:
    return next((names[name] for name in wanted if name in names), None)


def _listed(arrays: dict[str, Any]) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:20]) or "no arrays"


def _flat(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One dimension for what MATLAB keeps as a matrix of one column or row."""
    return labels.ravel() if labels.size == max(labels.shape, default=0) else labels


def scale_images(
    images: npt.NDArray[Any], name: str, *, bytes_are_grey: bool = True
) -> tuple[npt.NDArray[Any], str | None]:
    """Flatten images to rows and take bytes to [0, 1].

    Parameters
    ----------
    images : ndarray of shape (n_samples, ...)
        Bytes are grey levels and are divided by 255, unless none exceeds 1: a set of images whose brightest pixel is
        1/255 is really a set of 0/1 images. Other types stay as they are.
    name : str
        For messages.
    bytes_are_grey : bool
        Whether bytes are to be divided.

    Returns
    -------
    X : ndarray of shape (n_samples, n_columns)
    note : str or None
        What was done, in words.

    Raises
    ------
    InvalidData
        Not images but a single dimension, as labels have.
    """
    if images.ndim < 2:
        raise InvalidData(
            f"{name} must hold images. Got one number for each of {len(images)} samples (labels?). "
            "Load the file of images instead."
        )
    X = images.reshape(len(images), math.prod(images.shape[1:]))
    note = None
    if images.ndim > 2:
        note = f"{name}: images of shape {images.shape[1:]} became rows of {X.shape[1]} columns"
    if not bytes_are_grey or X.dtype != np.uint8 or X.size == 0 or X.max() <= 1:
        return X, note
    grey: npt.NDArray[np.float32] = np.divide(X, np.float32(255), dtype=np.float32)
    return grey, f"{note}, bytes divided by 255" if note else note


def _unpack(packed: Any, n_visible: npt.NDArray[Any], name: str, reading: Reading) -> npt.NDArray[np.uint8]:
    if n_visible.shape != () or n_visible.dtype.kind not in "iu" or n_visible < 1:
        raise UnreadableFile(f"{name}: n_visible must be a positive integer. Got {n_visible!r}. Write it again.")
    n_columns = int(n_visible)
    n_bytes = -(-n_columns // 8)
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != n_bytes:
        raise UnreadableFile(
            f"{name} must be uint8 of shape (n_samples, {n_bytes}), {n_columns} columns packed into bits. "
            f"Got {packed.dtype} of shape {packed.shape}. Write it with numpy.packbits(X, axis=1), "
            "or leave n_visible out if it is not packed."
        )
    reading.check_size(Path(name), (len(packed), n_columns), 1)
    return np.unpackbits(packed, axis=1, count=n_columns)
