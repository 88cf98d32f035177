"""HDF5 files, by h5py where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from harmonium.datasets.reading import Reading
from harmonium.errors import MissingExtra, UnreadableFile


def read_hdf5(path: Path, reading: Reading) -> dict[str, npt.NDArray[Any]]:
    """The numeric arrays of an HDF5 file, by their paths, such as ``group/name``.

    Parameters
    ----------
    path : Path
    reading : Reading
        For its limits, and for the name of the array if only that is to be read.

    Raises
    ------
    UnreadableFile
        Not an HDF5 file, damaged, or larger than allowed; or an array that lies in another file.
    MissingExtra
        h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtra(
            f"h5py must be installed to read {path.name}. Got no such package. Run: pip install h5py"
        ) from None
    arrays: dict[str, npt.NDArray[Any]] = {}
    total = 0

    def read(name: str, item: Any) -> None:
        nonlocal total
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "buif" or reading.array not in (None, name):
            return
        if item.external or item.is_virtual:  # a file of data must not make us read others
            raise UnreadableFile(f"{path} must hold its arrays itself. Got {name} in another file. Copy it into this.")
        total = reading.check_size(path, item.shape, item.dtype.itemsize, total)
        arrays[name] = item[()]

    try:
        with h5py.File(path, "r") as file:
            file.visititems(read)
    except UnreadableFile:
        raise
    except Exception as error:  # A damaged file fails in many ways.
        raise UnreadableFile(
            f"{path} must be a sound HDF5 file. Got {type(error).__name__}: {error}. Copy or write it again."
        ) from error
    return arrays
