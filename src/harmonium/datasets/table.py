"""Text tables: numbers between commas, semicolons, tabs or blanks, as spreadsheets and programs write them."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets.columns import Columns, find_column
from harmonium.datasets.reading import Reading
from harmonium.errors import UnreadableFile

_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK, _BLOCK_CHARACTERS = 1000, 2**24  # rows, and about how much text, that are parsed at a time
_LONGEST_FIELD = 32  # characters, of which a line may have as many as there may be columns

_WORDS = dict.fromkeys(("", "na", "n/a", "#n/a", "nan", "null", "none", "?"), "nan")
_WORDS |= {"true": "1", "false": "0"}


def read_table(path: Path, reading: Reading) -> Columns:
    """Read a text table of numbers.

    Parameters
    ----------
    path : Path
        UTF-8, also gzipped, which is told by content. Fields stand between tabs, semicolons, commas or blanks,
        whichever of these comes first in that order in the first line; quotes are taken off, TRUE and FALSE are 1 and
        0, and an empty field, ``NA``, ``NaN``, ``null``, ``None`` or ``?`` is missing. Blank lines and lines that start
        with # are skipped. The first line is a header if it has words and no number, or if its numbers count the
        columns; a first line of which only some are numbers is an error, lest a typing mistake drop a sample.
    reading : Reading

    Returns
    -------
    Columns

    Raises
    ------
    UnreadableFile
        Not text, no rows, a field that is no number, rows of different lengths, or more than the limits allow.
    """
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            binary: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
            with io.TextIOWrapper(binary, encoding="utf-8-sig") as text:
                return _Parser(path, text, reading).columns()
    except UnreadableFile:
        raise
    except (OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
        raise UnreadableFile(
            f"{path} must hold rows of comma-separated numbers, after at most one line of column names (tabs, "
            f"semicolons and blanks will do as well). Got: {str(error).rstrip('.')}. Correct or remove what is wrong, "
            "or name another --format."
        ) from error


@dataclass(frozen=True)
class _Line:
    number: int
    text: str


class _Parser:
    """One pass over the lines of a file."""

    def __init__(self, path: Path, file: IO[str], reading: Reading) -> None:
        self._path, self._reading = path, reading
        self._lines = _lines(file, reading)
        first = next(self._lines, None)
        if first is None:
            raise ValueError("no rows of numbers")
        self._delimiter = next((d for d in "\t;," if d in first.text), None)
        self._names: list[str] | None = None
        second: _Line | None = first
        if self._is_header(first):
            self._names = [field.strip() for field in self._split(first.text)]
            second = next(self._lines, None)
        if second is None:
            raise ValueError("no rows of numbers")
        self._second = second
        fields = self._split(second.text)
        self._width = len(fields)
        if self._names is not None and len(self._names) == self._width - 1:
            # R gives row names no column name; else each line may end in a delimiter.
            self._names.insert(self._width if not fields[-1] else 0, "")
        if self._names is not None and len(self._names) != self._width:
            raise ValueError(f"{len(self._names)} column names, and {self._width} fields in line {second.number}")
        reading.check_size(path, (1, self._width), 4)
        # Columns that need not hold numbers, and what they hold.
        self._labels = find_column(reading.label_column, self._names, self._width, path, "label_column")
        self._index = find_column(reading.index_column, self._names, self._width, path, "index_column")
        if self._index is None and self._names and not self._names[0] and _number(fields[0]) is None:
            self._index = 0
        self._texts: list[str] = []  # labels that are words
        self._words: dict[str, str] = {}  # each once, however often it stands there
        self._words_bytes = 0
        self._open = self._delimiter is not None  # whether every line ends in a delimiter

    def columns(self) -> Columns:
        """All rows."""
        blocks: list[npt.NDArray[Any]] = []
        labels: list[npt.NDArray[Any]] = []
        total = 0
        for block in self._blocks():
            X: npt.NDArray[Any] | None = self._bits(block)
            self._open &= block[0].text.endswith(self._delimiter or "\n")
            if X is None:
                X = self._numbers(block)
            if self._labels is not None:
                labels.append(X[:, self._labels].astype(np.float64))  # may be too large for single precision
            X = X.astype(np.float32) if X.dtype == np.float64 else X
            blocks.append(X)
            total += X.nbytes
            self._reading.check_size(self._path, X.shape, 0, total + self._words_bytes)
        y: npt.NDArray[Any] | None = np.concatenate(labels) if labels else None
        if self._texts:
            y = np.array(self._texts, object)
        return Columns(np.concatenate(blocks), self._names, y, self._labels, self._index, self._open)

    def _blocks(self) -> Iterator[list[_Line]]:
        block, length = [self._second], len(self._second.text)
        for line in self._lines:
            block.append(line)
            length += len(line.text)
            if len(block) == _BLOCK or length > _BLOCK_CHARACTERS:
                yield block
                block, length = [], 0
        if block:
            yield block

    def _bits(self, block: list[_Line]) -> npt.NDArray[np.uint8] | None:
        """Lines of single 0s and 1s, without parsing; None if they are not that."""
        length = 2 * self._width - 1
        if any(len(line.text) != length for line in block):
            return None
        joined = "".join(line.text for line in block)
        if not joined.isascii():
            return None
        characters = np.frombuffer(joined.encode(), np.uint8).reshape(len(block), length)
        values = characters[:, ::2] - np.uint8(ord("0"))  # below "0" it wraps to large values
        between = ord(self._delimiter or " ")
        return values if (values <= 1).all() and (characters[:, 1::2] == between).all() else None

    def _numbers(self, block: list[_Line]) -> npt.NDArray[np.float64]:
        try:
            X = np.loadtxt([line.text for line in block], delimiter=self._delimiter, comments=None, ndmin=2)
            if X.shape[1] == self._width:
                if self._texts:
                    raise ValueError("labels are words elsewhere")
                return X
        except ValueError:
            pass  # fields that are missing, quoted, words, or wrong
        return np.array([self._row(line) for line in block], np.float64)

    def _row(self, line: _Line) -> npt.NDArray[np.float64]:
        fields = self._split(line.text)
        self._open &= not fields[-1]
        if len(fields) != self._width:
            raise ValueError(f"{len(fields)} fields in line {line.number}, and {self._width} in the first")
        if self._index is not None:
            fields[self._index] = "nan"
        if self._labels is not None and (self._texts or _number(fields[self._labels]) is None):
            self._texts.append(self._word(fields[self._labels].strip()))
            fields[self._labels] = "nan"
        try:
            return np.array(fields, np.float64)
        except ValueError:
            pass
        numbers = [_number(field) for field in fields]
        if None in numbers:
            wrong, *others = (column for column, number in enumerate(numbers) if number is None)
            hint = ""
            if len(others) < 2:  # else more is wrong than a name and a label
                labels = others[0] if others else wrong
                hint = f" (--index-column {wrong} leaves a column out, --label-column {labels} takes one for labels)"
            raise ValueError(
                f"{fields[wrong].strip()!r:.40} in line {line.number}, column {wrong + 1}, is no number{hint}"
            )
        return np.array(numbers, np.float64)

    def _word(self, word: str) -> str:
        if word not in self._words:
            self._words[word] = word
            self._words_bytes += sys.getsizeof(word)
        return self._words[word]

    def _split(self, text: str) -> list[str]:
        if '"' in text:
            return next(csv.reader([text], delimiter=self._delimiter or " ", skipinitialspace=True))
        return text.split(self._delimiter)

    def _is_header(self, line: _Line) -> bool:
        wanted = (self._reading.label_column, self._reading.index_column)
        if any(isinstance(name, str) and not _is_whole(name) for name in wanted):
            return True  # a column has a name
        fields = self._split(line.text)
        numbers = [number for number in map(_number, fields) if number is not None and number == number]
        words = [field for field in fields if _number(field) is None]
        counts = len(numbers) > 2 and numbers in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))
        return counts or bool(words and not numbers)


def _lines(file: IO[str], reading: Reading) -> Iterator[_Line]:
    """The lines that hold something."""
    longest = _LONGEST_FIELD * reading.max_columns
    number = 0
    while line := file.readline(longest):
        number += 1
        if len(line) == longest:
            raise ValueError(f"{longest:,} characters in line {number}, more than {reading.max_columns:,} columns need")
        text = line.strip(" \r\n")
        if text and not text.isspace() and not text.startswith("#"):
            yield _Line(number, text)


def _number(field: str) -> float | None:
    """The value of a field, NaN where it is missing; None where it is no number."""
    field = field.strip()
    try:
        return float(_WORDS.get(field.lower(), field))
    except ValueError:
        return None


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdecimal()
