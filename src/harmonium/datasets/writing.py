"""Arrays as files, in the formats that data come in."""

from __future__ import annotations

import gzip
import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import MissingExtra
from harmonium.io import atomic_write

OUTPUTS = (".npy", ".npz", ".csv", ".csv.gz", ".tsv", ".mat", ".h5", ".parquet", ".feather")
_PACKAGES = {".h5": "h5py", ".parquet": "pyarrow", ".feather": "pyarrow"}


def ending_of(path: Path) -> str | None:
    """Which of `OUTPUTS` the name of a file ends in."""
    return next((ending for ending in OUTPUTS if path.name.lower().endswith(ending)), None)


def check_writer(path: Path) -> None:
    """Refuse a format whose package is not installed, before there is anything to write.

    Raises
    ------
    MissingExtra
    """
    package = _PACKAGES.get(ending_of(path) or "", "numpy")
    try:
        importlib.import_module(package)
    except ImportError:
        raise MissingExtra(
            f"{package} must be installed to write {path.name}. Got no such package. "
            f"Run: pip install {package}, or choose .npy."
        ) from None


def write_array(path: Path, X: npt.NDArray[Any], **others: npt.NDArray[Any]) -> None:
    """Write an array in the format that the ending of `path` names, in one step.

    Parameters
    ----------
    path : Path
        Ends in one of `OUTPUTS`.
    X : ndarray of shape (n_rows, n_columns)
        Called ``X`` in formats that name their arrays; a column of a table is called by its number.
    **others : ndarray
        Arrays to go beside it, where the format has room for them.

    Raises
    ------
    MissingExtra, UnwritableOutput
    """
    check_writer(path)
    atomic_write(path, _content(ending_of(path) or ".npy", X, others))


def _content(ending: str, X: npt.NDArray[Any], others: dict[str, npt.NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    if ending == ".npy":
        np.save(buffer, X, allow_pickle=False)
    elif ending == ".npz":
        np.savez(buffer, allow_pickle=False, X=X, **others)
    elif ending == ".mat":
        import scipy.io

        scipy.io.savemat(buffer, {"X": X} | others, do_compression=True)
    elif ending == ".h5":
        import h5py

        with h5py.File(buffer, "w") as file:
            for name, array in ({"X": X} | others).items():
                file.create_dataset(name, data=array)
    elif ending in (".parquet", ".feather"):
        _write_arrow(buffer, X, ending)
    else:
        np.savetxt(buffer, X, fmt="%.9g" if X.dtype.kind == "f" else "%d", delimiter="\t" if ending == ".tsv" else ",")
    content = buffer.getvalue()
    return gzip.compress(content, mtime=0) if ending == ".csv.gz" else content


def _write_arrow(buffer: io.BytesIO, X: npt.NDArray[Any], ending: str) -> None:
    import pyarrow.feather
    import pyarrow.parquet

    table = pyarrow.table({str(j): x for j, x in enumerate(np.ascontiguousarray(X.T))})
    if ending == ".parquet":
        pyarrow.parquet.write_table(table, buffer)
    else:
        pyarrow.feather.write_feather(table, buffer)
