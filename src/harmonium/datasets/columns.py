"""Columns of a table with or without names: which are data, which are labels, and which count the rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import InvalidData, UnreadableFile

_LABEL_NAMES = ("label", "labels", "class", "target", "y")


@dataclass(frozen=True)
class Columns:
    """A table as it was read.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_columns)
        All columns.
    names : list of str, or None
    y : ndarray of shape (n_rows,), or None
        The labels, numbers or words (objects, since one long word among many short ones would make all long).
    labels, index : int or None
        The columns that hold labels and names of rows.
    open : bool
        Whether every line ends in a delimiter.
    """

    X: npt.NDArray[Any]
    names: list[str] | None
    y: npt.NDArray[Any] | None
    labels: int | None
    index: int | None
    open: bool = False

    def fields(self, path: Path) -> tuple[dict[str, Any], list[str]]:
        """The fields of a `Dataset`, and notes about what was left out.

        Raises
        ------
        InvalidData
            A column looks like labels and was not said to be.
        """
        notes = []
        X, names = self.X, self.names or [""] * self.X.shape[1]
        unused = {self.labels, self.index} - {None}
        if self.index is None and self.labels != 0 and X.shape[1] > 1 and _counts(X[:, 0]):
            unused.add(0)
            notes.append(f"{path.name}: the first column counts the rows and is left out")
        elif self.index is not None:
            notes.append(f"{path.name}: column {self.index} ({names[self.index] or 'no name'}) is left out")
        last = X.shape[1] - 1
        if self.open and last and not names[last] and not np.isnan(np.delete(X, [*unused, last], axis=1)).any():
            unused.add(last)  # no column of missing entries, which others have none of
        kept = [j for j in range(X.shape[1]) if j not in unused]
        if self.labels is None:
            self._refuse_labels(kept, names, path)
        fields: dict[str, Any] = {"train": X[:, kept] if unused else X}
        if self.y is not None:
            y = self.y
            if y.dtype.kind == "O":
                words, y = np.unique(y, return_inverse=True)
                shown = ", ".join(f"{word:.40} {code}" for code, word in enumerate(words[:10]))
                notes.append(f"{path.name}: labels are numbered: {shown}{', ...' if len(words) > 10 else ''}")
            fields["y_train"] = y
        return fields, notes

    def _refuse_labels(self, kept: list[int], names: list[str], path: Path) -> None:
        """Refuse to learn a column of labels, or to divide it by 255."""
        for j in kept:
            x = self.X[:, j]
            if names[j].lower() in _LABEL_NAMES and np.nanmax(x, initial=0) > 1 and (x % 1 == 0).all():
                raise InvalidData(
                    f"{path} must hold values in [0, 1]. Got values to {np.nanmax(x):g} in column {names[j]!r} "
                    f"(labels?). Pass --label-column {names[j]} (label_column={names[j]!r} in Python)."
                )


def find_column(wanted: str | int | None, names: list[str] | None, n_columns: int, path: Path, what: str) -> int | None:
    """The number of a column that is given by its name, or by a number counted from 0, or from the end if negative.

    Raises
    ------
    UnreadableFile
        There is none.
    """
    if wanted is None:
        return None
    if names is not None and str(wanted) in names:
        return names.index(str(wanted))
    try:
        number = int(wanted)
    except ValueError:
        number = n_columns
    if -n_columns <= number < n_columns:
        return number % n_columns
    held = f"{n_columns} columns" + (f": {', '.join(names[:20])}" if names else " without names")
    raise UnreadableFile(
        f"{path} must have the {what} {wanted!r}. Got {held}. "
        "Give a name from its first line, or a number counted from 0."
    )


def _counts(x: npt.NDArray[Any]) -> bool:
    """Whether a column numbers the rows, from 0 or 1; of two rows nobody can tell."""
    return len(x) > 2 and x.dtype.kind == "f" and x[0] in (0, 1) and bool((np.diff(x) == 1).all())
