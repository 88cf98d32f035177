"""Comma-separated numbers, with or without a line of column names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import UnreadableFile


def read_csv(path: Path) -> npt.NDArray[Any]:
    """Read a CSV file of numbers.

    Parameters
    ----------
    path : Path
        UTF-8. The first line is a header if none of its fields is a number: a first line of which only some are is
        an error, lest a typing mistake drop a sample.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), float64

    Raises
    ------
    UnreadableFile
        Not text, no rows, a field that is empty or no number, or rows of different lengths.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [line for line in file if line.strip()]
        rows = lines[1:] if lines and _is_header(lines[0]) else lines
        if not rows:
            raise ValueError("no rows of numbers.")
        return np.loadtxt(rows, delimiter=",", quotechar='"', comments=None, ndmin=2)
    except (OSError, ValueError) as error:
        raise UnreadableFile(
            f"{path} must hold rows of comma-separated numbers, after at most one line of column names. "
            f"Got: {error} (rows are counted without column names and blank lines). Correct or remove what is wrong."
        ) from error


def _is_header(line: str) -> bool:
    return not any(_is_number(field) for field in line.split(","))


def _is_number(field: str) -> bool:
    try:
        float(field.strip().strip('"'))
    except ValueError:
        return False
    return True
