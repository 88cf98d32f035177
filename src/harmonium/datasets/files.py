"""The user's own files: which reader goes with which name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets.arrays import read_splits
from harmonium.datasets.dataset import Dataset
from harmonium.datasets.idx import read_idx
from harmonium.datasets.table import read_csv
from harmonium.errors import InvalidData, UnreadableFile

KINDS = ".npy, .npz, .csv, .idx or -ubyte (these two also with .gz)"


def load_file(path: Path, *, allow_nan: bool = False) -> Dataset:
    """Read a file as a `Dataset` named after it. Without splits in it, every row is train.

    Parameters
    ----------
    path : Path
        A file whose name ends in one of `KINDS`.
    allow_nan : bool
        Whether entries may be NaN, for missing.

    Raises
    ------
    UnreadableFile
        A folder, another kind of file, truncated or malformed.
    InvalidData
        The values break the input contract.
    """
    ending = path.name.lower()
    fields: dict[str, Any]
    if path.is_dir():
        raise UnreadableFile(f"{path} must be a file. Got a folder. Name one of the files in it.")
    if ending.endswith((".npy", ".npz")):
        fields = read_splits(path)
    elif ending.endswith(".csv"):
        fields = {"train": read_csv(path)}
    elif ending.removesuffix(".gz").endswith((".idx", "-ubyte")):
        images = read_idx(path)
        fields = {"train": scale_images(images, path), "shape": images.shape[1:] if images.ndim == 3 else None}
    else:
        raise UnreadableFile(f"{path} must end in {KINDS}. Got another ending. Convert the file, or rename it.")
    return Dataset(name=path.name, source=f"The file {path}.", allow_nan=allow_nan, **fields)


def scale_images(images: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    """Flatten images to rows and take bytes to [0, 1].

    Parameters
    ----------
    images : ndarray of shape (n_samples, ...)
        Bytes are grey levels by the format's definition and are divided by 255, unless none exceeds 1: a set of
        images whose brightest pixel is 1/255 is really a set of 0/1 images. Other types stay as they are.
    path : Path
        For messages.

    Returns
    -------
    ndarray of shape (n_samples, n_columns)

    Raises
    ------
    InvalidData
        Not images but a single dimension, as labels have.
    """
    if images.ndim < 2:
        raise InvalidData(
            f"{path} must hold images. Got one number for each of {len(images)} samples (labels?). "
            "Load the file of images instead."
        )
    X = images.reshape(len(images), -1)
    if X.dtype != np.uint8 or X.max() <= 1:
        return X
    grey: npt.NDArray[np.float32] = np.divide(X, np.float32(255), dtype=np.float32)
    return grey
