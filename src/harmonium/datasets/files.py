"""The user's own files: which reader goes with which name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets.arrow import read_arrow
from harmonium.datasets.dataset import SPLITS, Dataset
from harmonium.datasets.hdf5 import read_hdf5
from harmonium.datasets.idx import read_idx
from harmonium.datasets.matlab import read_matlab
from harmonium.datasets.reading import Reading
from harmonium.datasets.splits import fields_of, read_splits, scale_images
from harmonium.datasets.table import read_table
from harmonium.errors import InvalidData, InvalidParameter, UnreadableFile
from harmonium.inputs import is_sparse

_ENDINGS = {
    "npy": (".npy",),
    "npz": (".npz",),
    "csv": (".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".amat"),
    "idx": (".idx", "-ubyte"),
    "mat": (".mat",),
    "hdf5": (".h5", ".hdf5", ".hdf"),
    "parquet": (".parquet",),
    "feather": (".feather", ".arrow"),
}
_ZIPPED = ("csv", "idx")  # these also with .gz
_CODE = (".pt", ".pth", ".pkl", ".pickle", ".joblib")
KINDS = "{}; text and idx also with .gz".format(", ".join(e for endings in _ENDINGS.values() for e in endings))
TABLES = ("csv", "parquet", "feather")
NAMED = ("npz", "mat", "hdf5")


def load_file(path: Path, *, allow_nan: bool = False, reading: Reading | None = None) -> Dataset:
    """Read a file as a `Dataset` named after it. Without splits in it, every row is train.

    Parameters
    ----------
    path : Path
        A file whose name ends in one of `KINDS`, or whose format `reading` names.
    allow_nan : bool
        Whether entries may be NaN, for missing.
    reading : Reading, optional

    Raises
    ------
    UnreadableFile
        Not a file, another kind of file, truncated, malformed or larger than allowed.
    InvalidData
        The values break the input contract.
    InvalidParameter
        `reading` asks for what this kind of file does not have.
    MissingExtra
        A package that reads this kind is not installed.
    """
    fields, notes, shape = _read(path, reading or Reading())
    source = f"The file {path}."
    return Dataset(name=path.name, source=source, shape=shape, notes=tuple(notes), allow_nan=allow_nan, **fields)


def read_rows(path: Path, reading: Reading) -> Any:
    """The samples of a file that holds one set of them, an array or sparse matrix whose values are not checked here.

    Raises
    ------
    UnreadableFile, InvalidData, InvalidParameter, MissingExtra
        As `load_file`; or the file has several splits.
    """
    fields, _, _ = _read(path, reading)
    found = [split for split in SPLITS if split in fields]
    if len(found) != 1:
        raise InvalidData(f"{path} must hold a single array. Got {', '.join(found)}. Name one of them with --array.")
    return fields[found[0]]


def _read(path: Path, reading: Reading) -> tuple[dict[str, Any], list[str], tuple[int, int] | None]:
    """The fields of a `Dataset`, notes, and the shape of an image."""
    if not path.is_file():
        got = "a folder" if path.is_dir() else "a pipe or device"
        raise UnreadableFile(f"{path} must be a file. Got {got}. Name one of the files in it, or write it to a file.")
    kind = _kind(path, reading)
    _check_options(kind, reading)
    fields, notes = _READERS[kind](path, reading)
    shape = None
    for split in SPLITS:
        if (X := fields.get(split)) is None:
            continue
        if isinstance(X, np.ndarray) and X.ndim > 2:
            shape = shape or _image_shape(X)
            X, note = scale_images(X, f"{path.name}[{split}]", bytes_are_grey=reading.divide_by is None)
            notes += [note] if note else []
        fields[split] = _rescaled(X, reading, f"{path.name}[{split}]")
    return fields, notes, shape


def _kind(path: Path, reading: Reading) -> str:
    if reading.format is not None:
        return reading.format
    ending = path.name.lower()
    if ending.endswith(_CODE):
        raise UnreadableFile(
            f"{path} must be a file of data. Got a pickle, which may run code when it is read. "
            "Write the array with numpy.save instead."
        )
    for kind, endings in _ENDINGS.items():
        if (ending.removesuffix(".gz") if kind in _ZIPPED else ending).endswith(endings):
            return kind
    raise UnreadableFile(f"{path} must end in {KINDS}. Got another ending. Say what it is (--format), or convert it.")


def _check_options(kind: str, reading: Reading) -> None:
    for name in reading.chosen():
        kinds = {"label_column": TABLES, "index_column": TABLES, "array": NAMED}.get(name)
        if kinds is not None and kind not in kinds:
            raise InvalidParameter(
                f"{name} must be used with {', '.join(kinds)}. Got a file of kind {kind}. Leave it out."
            )


def _rescaled(X: Any, reading: Reading, name: str) -> Any:
    """States from spins, or values divided by what the user has said."""
    if reading.spins:
        X = X.toarray() if is_sparse(X) else X
        if X.dtype.kind not in "if" or not (np.isnan(X) | (np.abs(X) == 1)).all():
            raise InvalidData(f"{name} must hold only -1 and +1 as spins. Got other values. Leave --spins out.")
        return (X > 0).astype(np.uint8) if not np.isnan(X).any() else np.where(np.isnan(X), np.nan, X > 0)
    if reading.divide_by is not None and X.dtype.kind in "buif":
        return (X / reading.divide_by).astype(np.float32)
    return X


def _image_shape(X: npt.NDArray[Any]) -> tuple[int, int] | None:
    """Rows and columns of one image, whose channel, if it has one, is a single one."""
    rows, columns, *channels = X.shape[1:]
    return (rows, columns) if channels in ([], [1]) and rows * columns else None


def _read_arrays(path: Path, reading: Reading) -> tuple[dict[str, Any], list[str]]:
    return read_splits(path, reading), []


def _read_idx(path: Path, reading: Reading) -> tuple[dict[str, Any], list[str]]:
    images = read_idx(path, reading)
    return {"train": images if images.ndim > 2 else scale_images(images, str(path))[0]}, []


def _read_text(path: Path, reading: Reading) -> tuple[dict[str, Any], list[str]]:
    return read_table(path, reading).fields(path)


def _read_matlab(path: Path, reading: Reading) -> tuple[dict[str, Any], list[str]]:
    return fields_of(read_matlab(path, reading), path, reading), []


def _read_hdf5(path: Path, reading: Reading) -> tuple[dict[str, Any], list[str]]:
    return fields_of(read_hdf5(path, reading), path, reading), []


def _read_parquet(path: Path, reading: Reading) -> tuple[dict[str, Any], list[str]]:
    return read_arrow(path, reading, "parquet").fields(path)


def _read_feather(path: Path, reading: Reading) -> tuple[dict[str, Any], list[str]]:
    return read_arrow(path, reading, "feather").fields(path)


_READERS: dict[str, Callable[[Path, Reading], tuple[dict[str, Any], list[str]]]] = {
    "npy": _read_arrays,
    "npz": _read_arrays,
    "csv": _read_text,
    "idx": _read_idx,
    "mat": _read_matlab,
    "hdf5": _read_hdf5,
    "parquet": _read_parquet,
    "feather": _read_feather,
}
