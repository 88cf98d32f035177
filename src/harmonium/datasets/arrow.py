"""Parquet and Feather tables, by pyarrow where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets.columns import Columns, find_column
from harmonium.datasets.feather import unpacked_bytes
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
        table, labels, index = (_parquet if kind == "parquet" else _feather)(path, reading)
        reading.check_size(path, (table.num_rows, table.num_columns), 4)
        X = np.full((table.num_rows, table.num_columns), np.nan, np.float32)
        for j in range(table.num_columns):
            if j not in (labels, index):
                values = table.column(j).to_numpy()
                X[:, j] = values.astype(np.float32) if values.dtype.kind == "O" else values  # None is NaN
        y = None if labels is None else _labels(table.column(labels))
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        raise UnreadableFile(
            f"{path} must be a sound {kind.capitalize()} file. Got: {str(error).splitlines()[0].rstrip('.')}. "
            "Copy or write it again."
        ) from error
    return Columns(X, list(table.column_names), y, labels, index)


def _parquet(path: Path, reading: Reading) -> tuple[Any, int | None, int | None]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        counts, schema = file.metadata, file.schema_arrow
        reading.check_size(path, (counts.num_rows, counts.num_columns), 4)
        groups = (counts.row_group(k) for k in range(counts.num_row_groups))
        total = sum(group.column(j).total_uncompressed_size for group in groups for j in range(counts.num_columns))
        reading.check_size(path, (total,), 1)
    labels, index = _columns(path, schema, reading)
    # A word that stands there a million times is read once.
    words = [schema.names[j] for j in (labels, index) if j is not None and _is_words(schema.types[j])]
    with pyarrow.parquet.ParquetFile(path, read_dictionary=words) as file:
        table = file.read()
    table.validate(full=True)  # words that are no UTF-8, for one
    return table, labels, index


def _feather(path: Path, reading: Reading) -> tuple[Any, int | None, int | None]:
    import pyarrow.ipc

    with pyarrow.memory_map(str(path)) as source:
        stream = source.read_buffer()[len(_FEATHER) :]
        source.seek(0)
        if source.read(len(_FEATHER)) != _FEATHER:
            raise pyarrow.ArrowInvalid("another beginning")
        total = 0
        for message in pyarrow.ipc.MessageReader.open_stream(stream):
            total = reading.check_size(path, (unpacked_bytes(message),), 1, total)
        with pyarrow.ipc.open_stream(stream) as batches:
            labels, index = _columns(path, batches.schema, reading)
            table = batches.read_all()
        table.validate(full=True)
        return table, labels, index


_FEATHER = b"ARROW1\0\0"  # what a file has before a stream


def _columns(path: Path, schema: Any, reading: Reading) -> tuple[int | None, int | None]:
    """The columns of labels and of the names of rows; all others must hold numbers, which is seen before they are read.

    Lists, views and structures, which can claim much in little room, are read for no purpose.
    """
    names = list(schema.names)
    labels = find_column(reading.label_column, names, len(names), path, "label_column")
    index = find_column(reading.index_column, names, len(names), path, "index_column")
    if index is None:  # as pandas keeps it
        index = next((j for j, name in enumerate(names) if name.startswith("__index_level_")), None)
    for j, kind in enumerate(schema.types):
        if _is_numeric(kind) or (j in (labels, index) and (_is_words(kind) or _is_flat(kind))):
            continue
        raise InvalidData(
            f"{path} must hold numbers in [0, 1]. Got {kind} in column {names[j]!r}. "
            "Encode categories as 0/1 columns, or leave it out with --index-column."
        )
    return labels, index


def _is_numeric(kind: Any) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _is_words(kind: Any) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _is_flat(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_temporal(kind) or types.is_decimal(kind) or types.is_null(kind))


def _labels(column: Any) -> npt.NDArray[Any]:
    """Labels as numbers, or as words of which each is in memory once."""
    if not _is_words(column.type):
        y: npt.NDArray[Any] = column.to_numpy()
        return y if y.dtype.kind in "buif" else y.astype(str).astype(object)
    chunks = [chunk if hasattr(chunk, "dictionary") else chunk.dictionary_encode() for chunk in column.chunks]
    found = [np.array([], object)]
    for chunk in chunks:
        words = np.array([*map(str, chunk.dictionary.to_pylist()), "None"], object)
        found.append(words[chunk.indices.fill_null(len(words) - 1).to_numpy()])
    return np.concatenate(found)
