"""MATLAB's ``.mat`` files: versions 4 to 7 by SciPy, 7.3 as the HDF5 that it is."""

from __future__ import annotations

import zlib
from inspect import signature
from pathlib import Path
from typing import IO, Any

import numpy as np

from harmonium.datasets.hdf5 import read_hdf5
from harmonium.datasets.reading import Reading
from harmonium.errors import UnreadableFile
from harmonium.inputs import is_sparse

_HEADER = 128  # bytes before the first element
_COMPRESSED = 15  # the type of an element
_CHUNK = 2**20


def read_matlab(path: Path, reading: Reading) -> dict[str, Any]:
    """The numeric arrays of a ``.mat`` file, by name.

    Parameters
    ----------
    path : Path
    reading : Reading
        For its limits, and for the name of the array if only that is to be read.

    Returns
    -------
    dict of ndarray or sparse matrix

    Raises
    ------
    UnreadableFile
        Not a MATLAB file, damaged, or larger than allowed.
    MissingExtra
        Version 7.3, and h5py is not installed.
    """
    with open(path, "rb") as file:
        start = file.read(20)
        if start.startswith(b"MATLAB 7.3"):
            return {name: X.T for name, X in read_hdf5(path, reading).items()}  # MATLAB counts from the other end
        if start.startswith(b"MATLAB 5"):
            _check_unpacked(path, file, reading)
    import scipy.io  # slow to load, and seldom needed

    try:
        total = 0
        for name, shape, kind in scipy.io.whosmat(path, appendmat=False):
            if reading.array in (None, name) and kind != "unknown":
                total = reading.check_size(path, shape, 1 if kind in ("uint8", "int8", "logical") else 4, total)
        # Later versions of SciPy want to be told which kind of sparse matrices to make; earlier ones know but one.
        kind_of_sparse = {"spmatrix": False} if "spmatrix" in signature(scipy.io.loadmat).parameters else {}
        content = scipy.io.loadmat(path, appendmat=False, variable_names=reading.array, **kind_of_sparse)
    except UnreadableFile:
        raise
    except Exception as error:  # A damaged file fails in many ways.
        raise UnreadableFile(
            f"{path} must be a sound MATLAB file. Got {type(error).__name__}: {error}. Write it again, with save -v7."
        ) from error
    arrays = {name: X.tocsr() if is_sparse(X) else X for name, X in content.items() if _is_numeric(X)}
    return {name: X for name, X in arrays.items() if not name.startswith("__")}


def _is_numeric(X: Any) -> bool:
    return (isinstance(X, np.ndarray) or is_sparse(X)) and X.dtype.kind in "buif"


def _check_unpacked(path: Path, file: IO[bytes], reading: Reading) -> None:
    """Refuse compressed elements that unpack to more than allowed, before there is memory for them."""
    file.seek(126)
    order = "little" if file.read(2) == b"IM" else "big"
    file.seek(_HEADER)
    total = 0
    while len(tag := file.read(8)) == 8:
        kind, size = (int.from_bytes(tag[i : i + 4], order) for i in (0, 4))  # type: ignore[arg-type]
        if kind != _COMPRESSED:
            file.seek(size, 1)
            continue
        unpack = zlib.decompressobj()
        while size > 0 and (packed := file.read(min(size, _CHUNK))):
            size -= len(packed)
            while packed and not unpack.eof:
                try:
                    total += len(unpack.decompress(packed, _CHUNK))
                except zlib.error:
                    return  # for SciPy to report
                packed = unpack.unconsumed_tail
                reading.check_size(path, (total,), 1)
