"""How a file is to be read, and how much of it is too much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from harmonium.errors import InvalidParameter, UnreadableFile
from harmonium.inputs import check_choice, check_count, check_number

FORMATS = ("npy", "npz", "csv", "idx", "mat", "hdf5", "parquet", "feather")


@dataclass(frozen=True)
class Reading:
    """What the user says about a file; the defaults are told by the file itself.

    Parameters
    ----------
    format : str, optional
        One of `FORMATS`, where the ending of the name does not tell it; ``csv`` is any table of text.
    array : str, optional
        Which array of a ``.npz``, ``.mat`` or HDF5 file are the samples.
    label_column, index_column : str or int, optional
        A column of a table, by its name or its number counted from 0 (-1 is the last): integer labels; names or
        numbers of rows, which are left out.
    spins : bool
        Whether the values are -1 and +1; -1 becomes 0.
    divide_by : float, optional
        What to divide the values by: 255 for the bytes of images.
    max_gigabytes : float
        The most that an array may take. A file that says, or unpacks to, more is refused.
    max_columns : int
        The most columns.

    Raises
    ------
    InvalidParameter
    """

    format: str | None = None
    array: str | None = None
    label_column: str | int | None = None
    index_column: str | int | None = None
    spins: bool = False
    divide_by: float | None = None
    max_gigabytes: float = 4.0
    max_columns: int = 100_000

    def __post_init__(self) -> None:
        if self.format is not None:
            check_choice(self.format, "format", FORMATS)
        if self.divide_by is not None:
            check_number(self.divide_by, "divide_by", low=0, above=True)
        check_number(self.max_gigabytes, "max_gigabytes", low=0, above=True)
        check_count(self.max_columns, "max_columns")
        if self.spins and self.divide_by is not None:
            raise InvalidParameter("spins must be used without divide_by. Got both. Leave one of them out.")

    @property
    def max_bytes(self) -> int:
        """The most that an array may take."""
        return int(self.max_gigabytes * 1e9)

    def chosen(self) -> dict[str, Any]:
        """What differs from the defaults, as keyword arguments."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    def check_size(self, path: Path, shape: Sequence[int], itemsize: int, others: int = 0) -> int:
        """Refuse an array before there is memory for it.

        Parameters
        ----------
        path : Path
            For messages.
        shape : sequence of int
            As the file declares it.
        itemsize : int
            Bytes of one number.
        others : int
            Bytes that are read already.

        Returns
        -------
        int
            Bytes with this array.

        Raises
        ------
        UnreadableFile
            More than `max_gigabytes` or `max_columns`.
        """
        n_bytes = others + math.prod(shape) * itemsize
        if n_bytes > self.max_bytes:
            raise UnreadableFile(
                f"{path} must unpack to at most {self.max_gigabytes:g} GB (max_gigabytes). Got {n_bytes / 1e9:.3g} GB, "
                f"shape {tuple(shape)}. If that is right, raise the limit: --max-gigabytes {math.ceil(n_bytes / 1e9)}."
            )
        n_columns = math.prod(shape[1:])
        if len(shape) > 1 and n_columns > self.max_columns:
            raise UnreadableFile(
                f"{path} must have at most {self.max_columns:,} columns (max_columns). Got shape {tuple(shape)}. "
                f"Transpose it, or if that is right, raise the limit: --max-columns {n_columns}."
            )
        return n_bytes
