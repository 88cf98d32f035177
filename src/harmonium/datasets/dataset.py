"""The data record: up to three splits of one data set, checked once, when it is made."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from harmonium.errors import DataUnavailable, InvalidData
from harmonium.inputs import check_choice, check_matrix, is_binary, missing_entries
from harmonium.random import Key

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples with values in [0, 1], split into train, valid and test. A `Dataset` that exists is valid.

    Parameters
    ----------
    name : str
        Which data this is, e.g. ``"mnist-5k"`` (never just "mnist" for a part of it), or the file's name.
    train, valid, test : ndarray of shape (n_split, n_columns), or None
        Kept as uint8 where every value is 0 or 1, otherwise as float32 grey levels. None where the data come without
        that split; one of them is there.
    y_train, y_valid, y_test : ndarray of shape (n_split,), or None
        Integer labels, kept as int64.
    shape : (rows, columns) or None
        The shape of one image, where a sample is an image.
    source : str
        One sentence for people: where the data came from.
    notes : tuple of str
        What was done to the data that people may not expect.
    allow_nan : bool
        Whether entries may be NaN, for missing; not kept.

    Raises
    ------
    InvalidData
        A split breaks the input contract (`check_matrix`), splits differ in width, labels are not integers or
        differ in number from the samples, or `shape` does not fit the width.

    Examples
    --------
    >>> import harmonium
    >>> data = harmonium.datasets.load('digits')
    >>> data.name, data.train.shape, data.test.shape
    ('digits', (1297, 64), (300, 64))
    """

    name: str
    train: npt.NDArray[Any] | None = None
    valid: npt.NDArray[Any] | None = None
    test: npt.NDArray[Any] | None = None
    y_train: npt.NDArray[Any] | None = None
    y_valid: npt.NDArray[Any] | None = None
    y_test: npt.NDArray[Any] | None = None
    shape: tuple[int, int] | None = None
    source: str = ""
    notes: tuple[str, ...] = ()
    allow_nan: InitVar[bool] = False

    def __post_init__(self, allow_nan: bool) -> None:
        for split in SPLITS:
            X, y = getattr(self, split), getattr(self, f"y_{split}")
            if X is None:
                if y is not None:
                    raise InvalidData(f"{self.name}: y_{split} must come with {split}. Got labels only. Drop them.")
                continue
            X = check_matrix(X, name=f"{self.name}[{split}]", allow_nan=True)
            if not allow_nan and missing_entries(X) is not None:
                raise InvalidData(
                    f"{self.name}[{split}] must be finite. Got NaN. Remove or fill those values, or pass "
                    "allow_nan=True where they are missing."
                )
            # Two dtypes only, so that what follows is predictable: bytes of 0/1, or single-precision grey levels.
            X = X.astype(np.uint8 if is_binary(X) else np.float32, copy=False)
            object.__setattr__(self, split, X)
            if X.shape[1] != self.n_columns:
                raise InvalidData(
                    f"{self.name}: all splits must have the same columns. Got {self.n_columns} in {self.splits[0]} and "
                    f"{X.shape[1]} in {split}. Check which files or arrays were put together."
                )
            if y is not None:
                object.__setattr__(self, f"y_{split}", _check_labels(y, len(X), f"{self.name}[y_{split}]"))
        if not self.splits:
            raise InvalidData(f"{self.name} must have a split. Got none of {', '.join(SPLITS)}. Pass train=X.")
        if self.shape is not None and self.shape[0] * self.shape[1] != self.n_columns:
            raise InvalidData(
                f"{self.name}: rows * columns of an image must be n_columns = {self.n_columns}. "
                f"Got shape {self.shape}. Correct it, or leave it out."
            )

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits that are there."""
        return tuple(split for split in SPLITS if getattr(self, split) is not None)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to be taken for a split, in better words than NumPy's."""
        raise InvalidData(
            f"An array must be one split of a data set. Got all of {self.name}. Pass its {' or '.join(self.splits)}."
        )

    @property
    def n_columns(self) -> int:
        """The width of every split: the `n_visible` of a model for these data."""
        return int(getattr(self, self.splits[0]).shape[1])

    def split(self, name: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
        """The samples and labels of one split.

        Parameters
        ----------
        name : {"train", "valid", "test"}
            Which one.

        Returns
        -------
        X : ndarray of shape (n_samples, n_columns)
        y : ndarray of shape (n_samples,), or None where there are no labels

        Raises
        ------
        InvalidParameter
            `name` is not one of the three.
        DataUnavailable
            These data come without that split.
        """
        check_choice(name, "split", SPLITS)
        X = getattr(self, name)
        if X is None:
            raise DataUnavailable(
                f"{self.name} must have a {name} split for this. Got only: {', '.join(self.splits)}. Use one of those, "
                f"or store train, valid and test in one .npz file and load that."
            )
        return X, getattr(self, f"y_{name}")

    def __repr__(self) -> str:
        counts = [f"{split} {len(getattr(self, split))}" for split in self.splits]
        image = f" ({self.shape[0]}x{self.shape[1]})" if self.shape else ""
        dtype = getattr(self, self.splits[0]).dtype
        return f"<Dataset {self.name}: {', '.join(counts)}; {self.n_columns} columns{image}, {dtype}>"


def shuffled_split(X: npt.NDArray[Any], y: npt.NDArray[Any], n_valid: int, n_test: int, key: Key) -> dict[str, Any]:
    """Cut one array into the fields of a `Dataset`: a partition of the rows that depends on `key` alone.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns)
        All samples.
    y : ndarray of shape (n_samples,)
        Their labels.
    n_valid, n_test : int
        The rest is train.
    key : Key
        Draws the order of the rows.

    Returns
    -------
    dict with keys train, valid, test, y_train, y_valid, y_test
    """
    n_train = len(X) - n_valid - n_test
    parts = np.split(key.permutation(len(X)), [n_train, n_train + n_valid])
    rows = dict(zip(SPLITS, parts, strict=True))
    return {s: X[r] for s, r in rows.items()} | {f"y_{s}": y[r] for s, r in rows.items()}


def _check_labels(y: Any, n_samples: int, name: str) -> npt.NDArray[np.int64]:
    labels = np.asarray(y)
    with np.errstate(invalid="ignore"):  # infinity % 1 is NaN, and so refused
        integral = labels.dtype.kind in "bui" or (labels.dtype.kind == "f" and bool(np.all(labels % 1 == 0)))
    if labels.shape != (n_samples,) or not integral:
        raise InvalidData(
            f"{name} must hold one integer label for each of {n_samples} samples. "
            f"Got shape {labels.shape} of {labels.dtype}. Number the classes 0, 1, 2, ..., or leave labels out."
        )
    return labels.astype(np.int64)
