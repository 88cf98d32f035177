"""NumPy files as data: one ``.npy`` array, or an ``.npz`` of plain or bit-packed splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets.dataset import SPLITS
from harmonium.errors import UnreadableFile

_MAGICS = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")  # .npy, .npz, an empty .npz


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read every array of a NumPy file; pickled objects are refused, so no code runs.

    Parameters
    ----------
    path : Path
        Which of the two kinds it is, is told by content.

    Returns
    -------
    dict of ndarray
        By name; the single array of an ``.npy`` file is called ``X``.

    Raises
    ------
    UnreadableFile
        Not a NumPy file, truncated, damaged, or holding Python objects.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(6)
            if not start.startswith(_MAGICS):
                raise UnreadableFile(
                    f"{path} must be a NumPy file (.npy or .npz). Got {start!r} at its start. "
                    "Check that it is the file you meant, or write it again with numpy.save or numpy.savez."
                )
            file.seek(0)
            content = np.load(file, allow_pickle=False)
            return {"X": content} if isinstance(content, np.ndarray) else {name: content[name] for name in content}
    except UnreadableFile:
        raise
    except Exception as error:  # A damaged file fails in every way that NumPy, zipfile, zlib and tokenize know.
        raise UnreadableFile(
            f"{path} must be a complete NumPy file of plain numbers. Got "
            f"{type(error).__name__}: {str(error).rstrip('.')}. "
            "Copy it again, or write it again with numpy.save or numpy.savez."
        ) from error


def read_splits(path: Path) -> dict[str, Any]:
    """Read a NumPy file as the split fields of a `Dataset`; their values are not checked here.

    Parameters
    ----------
    path : Path
        One of: a single array; ``X`` and optionally ``y``; ``train`` and optionally ``valid``, ``test`` and labels
        (``y_train`` or ``train_labels``, and so on); the same with ``n_visible``, the number of columns, which says
        that the splits are packed eight columns to a byte by ``numpy.packbits(..., axis=1)``.

    Returns
    -------
    dict
        ``train`` and whatever is there of ``valid``, ``test``, ``y_train``, ``y_valid`` and ``y_test``.

    Raises
    ------
    UnreadableFile
        As `read_arrays`; no array by those names, or packed arrays that do not fit ``n_visible``.
    """
    arrays = read_arrays(path)
    if "train" not in arrays:
        only = "X" if "X" in arrays else "arr_0"  # arr_0: numpy.savez(path, X)
        if only not in arrays:
            raise UnreadableFile(
                f"{path} must hold an array called train or X. Got: {', '.join(arrays) or 'no arrays'}. "
                "Write it with numpy.savez(path, train=..., valid=..., test=...) or numpy.savez(path, X=...)."
            )
        return {"train": arrays[only]} | ({"y_train": arrays["y"]} if "y" in arrays else {})
    fields = {split: arrays[split] for split in SPLITS if split in arrays}
    if "n_visible" in arrays:
        fields = {split: _unpack(X, arrays["n_visible"], f"{path}[{split}]") for split, X in fields.items()}
    for split in SPLITS:
        for name in (f"{split}_labels", f"y_{split}"):
            if name in arrays:
                fields[f"y_{split}"] = arrays[name]
    return fields


def _unpack(packed: npt.NDArray[Any], n_visible: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
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
    return np.unpackbits(packed, axis=1, count=n_columns)
