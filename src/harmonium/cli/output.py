"""Where words and numbers go: results to stdout, everything else to stderr, arrays to files."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harmonium.cli.quiet import is_quiet
from harmonium.cli.words import told
from harmonium.errors import InvalidParameter, UnwritableOutput

_NARROW = 60  # columns
_WRONG = ("error", "warning", "alarm", "stopped")


def complain(kind: str, message: str) -> None:
    """One message on stderr: wrapped on a terminal, one line elsewhere. With --quiet only what is wrong is said."""
    if is_quiet() and kind not in _WRONG:
        return
    text = " ".join(f"{kind}: {message}".split())
    print(_folded(text, shutil.get_terminal_size().columns) if sys.stderr.isatty() else text, file=sys.stderr)


def emit(result: dict[str, Any], rows: Iterable[tuple[str, Any]], *, as_json: bool) -> None:
    """Print a result: one JSON object, or names and values for people.

    Parameters
    ----------
    result : dict
        What ``--json`` prints, by `harmonium.io.to_json`.
    rows : iterable of (name, value)
        What people see.
    as_json : bool
        Which of the two.
    """
    if as_json:
        from harmonium.io import to_json  # loads NumPy, which `--help` does without

        print(to_json(result))
        return
    texts = [(name, told(value)) for name, value in rows]
    # Aligned where there is room. Commands are not folded, so that they can be copied.
    narrow = sys.stdout.isatty() and shutil.get_terminal_size().columns < _NARROW
    width = 0 if narrow else max(len(name) for name, _ in texts)
    for name, text in texts:
        line = f"{name:<{width}}  {text}"
        if text.startswith("harmonium "):
            print(line)
        else:
            tell(line, width + 2)


def tell(line: str, indent: int = 2) -> None:
    """A line of a result; a terminal folds it between words, and indents what follows."""
    print(_folded(line, shutil.get_terminal_size().columns, indent) if sys.stdout.isatty() else line)


def _folded(text: str, columns: int, indent: int = 0) -> str:
    return textwrap.fill(text, columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def check_output(path: Path, endings: tuple[str, ...], *inputs: Path | str | None) -> None:
    """Refuse a place for a result before hours are spent on it.

    Parameters
    ----------
    path : Path
        The place.
    endings : tuple of str
        One of which the name must have.
    *inputs : path, str or None
        Files that are read and so must not be replaced.

    Raises
    ------
    InvalidParameter
        Another ending, or an input.
    UnwritableOutput
        There is no such directory, or it cannot be written.
    MissingExtra
        A package that writes such files is not installed.
    """
    from harmonium.datasets.writing import check_writer  # as above

    if not path.name.lower().endswith(endings):
        raise InvalidParameter(f"--out must end in one of {', '.join(endings)}. Got {str(path)!r}. Choose such a name.")
    check_writer(path)
    if any(source and os.path.exists(source) and path.exists() and path.samefile(source) for source in inputs):
        raise InvalidParameter(f"--out must not be a file that is read. Got {str(path)!r}. Choose another name.")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        got = "a directory" if path.is_dir() else "a place that is not there or not writable"
        raise UnwritableOutput(f"{path} must be a file in a directory that can be written. Got {got}. Choose another.")
