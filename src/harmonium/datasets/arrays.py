"""NumPy files: one ``.npy`` array, or an ``.npz`` archive of several, a SciPy sparse matrix among them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets.reading import Reading
from harmonium.errors import UnreadableFile

_MAGICS = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")  # .npy, .npz, an empty .npz


def read_arrays(path: Path, reading: Reading | None = None) -> dict[str, npt.NDArray[Any]]:
    """Read every array of a NumPy file; pickled objects are refused, so no code runs.

    Parameters
    ----------
    path : Path
        Which of the two kinds it is, is told by content.
    reading : Reading, optional
        For its limits, which hold for all arrays together.

    Returns
    -------
    dict of ndarray
        By name; the single array of an ``.npy`` file is called ``X``.

    Raises
    ------
    UnreadableFile
        Not a NumPy file, truncated, damaged, holding Python objects, or larger than allowed.
    """
    reading = reading or Reading()
    try:
        with open(path, "rb") as file:
            start = file.read(6)
            if not start.startswith(_MAGICS):
                raise UnreadableFile(
                    f"{path} must be a NumPy file (.npy or .npz). Got {start!r} at its start. "
                    "Check that it is the file you meant, or write it again with numpy.save or numpy.savez."
                )
            file.seek(0)
            _check_sizes(path, file, reading)
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


def sparse_matrix(path: Path, arrays: dict[str, npt.NDArray[Any]], reading: Reading) -> Any:
    """The matrix that ``scipy.sparse.save_npz`` has written as these arrays, of bytes or float32; None if it has not.

    Raises
    ------
    UnreadableFile
        Its parts do not fit together, or it is too large to be an array, which training needs.
    """
    if not {"format", "shape", "data"} <= arrays.keys():
        return None
    import scipy.sparse  # slow to load, and seldom needed

    try:
        n_rows, n_columns = map(int, arrays["shape"])
        bits = arrays["data"].dtype.kind in "bui" and np.isin(arrays["data"], (0, 1)).all()
        reading.check_size(path, (n_rows, n_columns), 1 if bits else 4)
        reading.check_size(path, (n_rows,), 8)  # where each row begins
        X = scipy.sparse.load_npz(path)
        if hasattr(X, "check_format"):
            X.check_format(full_check=True)
        X = X.tocsr()
    except UnreadableFile:
        raise
    except Exception as error:  # as above
        raise UnreadableFile(
            f"{path} must be a sound sparse matrix. Got {type(error).__name__}: {error}. "
            "Write it again with scipy.sparse.save_npz."
        ) from error
    if X.dtype.kind in "buif":
        X = X.astype(np.uint8 if X.dtype.kind != "f" and np.isin(X.data, (0, 1)).all() else np.float32)
    reading.check_size(path, X.shape, X.dtype.itemsize)
    return X


def _check_sizes(path: Path, file: IO[bytes], reading: Reading) -> None:
    """Refuse what the headers declare, if that is too much."""
    if not zipfile.is_zipfile(file):
        file.seek(0)
        _check_header(path, file, reading, 0)
        return
    total = 0
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                total = _check_header(path, stream, reading, total)


def _check_header(path: Path, stream: IO[bytes], reading: Reading, total: int) -> int:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError("an array of records")  # what NumPy uses later versions for
    return reading.check_size(path, shape, dtype.itemsize, total)
