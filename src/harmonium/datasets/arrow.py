"""Parquet and Feather tables, by pyarrow where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harmonium.datasets.columns import Columns, find_column
from harmonium.datasets.reading import Reading
from harmonium.errors import InvalidData, MissingExtra, UnreadableFile


def read_arrow(path: Path, reading: Reading, kind: str) -> Columns:
    """A Parquet or Feather file as a table of single precision; null is missing.

    Parameters
    ----------
    path : Path
    reading : Reading
    kind : {"parquet", "feather"}

    Raises
    ------
    UnreadableFile
        Of another kind, damaged, or larger than allowed.
    InvalidData
        A column that is used holds no numbers.
    MissingExtra
        pyarrow is not installed.
    """
    try:
        import pyarrow
    except ImportError:
        raise MissingExtra(
            f"pyarrow must be installed to read {path.name}. Got no such package. Run: pip install pyarrow"
        ) from None
    try:
        table = (_parquet if kind == "parquet" else _feather)(path, reading)
        names = list(table.column_names)
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        raise UnreadableFile(
            f"{path} must be a sound {kind.capitalize()} file. Got: {str(error).splitlines()[0].rstrip('.')}. "
            "Copy or write it again."
        ) from error
    labels = find_column(reading.label_column, names, len(names), path, "label_column")
    index = find_column(reading.index_column, names, len(names), path, "index_column")
    if index is None:  # as pandas keeps it
        index = next((j for j, name in enumerate(names) if name.startswith("__index_level_")), None)
    X = np.full((table.num_rows, len(names)), np.nan, np.float32)
    for j, name in enumerate(names):
        if j in (labels, index):
            continue
        values = table.column(j).to_numpy()
        if values.dtype.kind == "O" and pyarrow.types.is_boolean(table.schema.types[j]):
            values = values.astype(np.float32)  # None is NaN
        if values.dtype.kind not in "buif":
            raise InvalidData(
                f"{path} must hold numbers in [0, 1]. Got {table.schema.types[j]} in column {name!r}. "
                "Encode categories as 0/1 columns, or leave it out with --index-column."
            )
        X[:, j] = values
    y = None if labels is None else table.column(labels).to_numpy()
    if y is not None and y.dtype.kind not in "buif":
        y = y.astype(str)
    return Columns(X, names, y, labels, index)


def _parquet(path: Path, reading: Reading) -> Any:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        reading.check_size(path, (file.metadata.num_rows, file.metadata.num_columns), 4)
        table = file.read()
        table.validate(full=True)  # words that are no UTF-8, for one
        return table


def _feather(path: Path, reading: Reading) -> Any:
    import pyarrow.ipc

    with pyarrow.memory_map(str(path)) as source:
        file = pyarrow.ipc.open_file(source)
        batches, total = [], 0
        for number in range(file.num_record_batches):
            batch = file.get_batch(number)
            total = reading.check_size(path, (batch.num_rows, batch.num_columns), 4, total)
            batch.validate(full=True)
            batches.append(batch)
        return pyarrow.Table.from_batches(batches, file.schema)
