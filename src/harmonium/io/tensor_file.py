"""Harmonium's files: safetensors (no pickle, no code on load) with a versioned, validated header.

Three kinds exist: ``rbm`` (a model), ``stack`` (several) and ``checkpoint`` (a training run's complete state).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from harmonium.errors import DataUnavailable, InvalidParameter, UnreadableFile
from harmonium.io.atomic import atomic_write

FORMAT_VERSION = 1
_LONGEST_HEADER = 4_000_000  # bytes: to read one takes twenty times as much memory


def write_tensors(
    path: str | os.PathLike[str], kind: str, tensors: dict[str, npt.NDArray[Any]], attributes: dict[str, Any]
) -> None:
    """Write named arrays and JSON-serialisable attributes to `path`, atomically.

    Raises
    ------
    UnwritableOutput
        `path` cannot be written; what was there before is untouched.
    InvalidParameter
        An attribute has no form in JSON, or all of them together are longer than a file may keep.

    Examples
    --------
    >>> import harmonium
    >>> import numpy as np
    >>> harmonium.io.write_tensors('x.safetensors', 'example', {'x': np.arange(3)}, {'step': 7})
    >>> harmonium.io.read_tensors('x.safetensors', 'example')
    ({'x': array([0, 1, 2])}, {'step': 7})
    """
    try:
        text = json.dumps(attributes)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameter(
            f"Attributes of a file must be JSON values. Got: {error}. Convert them to text, numbers or lists first."
        ) from None
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    header = {"format": "harmonium", "version": str(FORMAT_VERSION), "kind": kind, "attributes": text}
    header["digest"] = _digest(text, arrays)
    content = _in_order(safetensors.numpy.save(arrays, metadata=header))
    if (length := int.from_bytes(content[:8], "little")) > _LONGEST_HEADER:
        raise InvalidParameter(
            f"Attributes of a file must take at most {_LONGEST_HEADER:,} bytes with all else that its header says. "
            f"Got {length:,}. Keep them in a file of their own."
        )
    atomic_write(path, content)


def read_tensors(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Returns
    -------
    tensors : dict of ndarray
    attributes : dict

    Raises
    ------
    DataUnavailable
        There is no such file.
    UnreadableFile
        Not a Harmonium file, of another kind or a newer version, truncated, altered, malformed, or holding NaN or
        infinity.

    Examples
    --------
    >>> import harmonium
    >>> import numpy as np
    >>> harmonium.io.write_tensors('x.safetensors', 'example', {'x': np.arange(3)}, {'step': 7})
    >>> arrays, attributes = harmonium.io.read_tensors('x.safetensors', 'example')
    >>> arrays['x'], attributes
    (array([0, 1, 2]), {'step': 7})
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise DataUnavailable(f"A file ({kind}) must exist at {path}. Got nothing there. Check the path.")
    try:
        _check_header(path)
        with safetensors.safe_open(str(path), framework="numpy") as file:
            header = file.metadata() or {}
            _check_kind(header, path, kind)  # before any number is read
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except UnreadableFile:
        raise
    except Exception as error:  # safetensors raises several unrelated types, all of which mean the same here
        raise UnreadableFile(
            f"{path} must be a Harmonium {kind} file in the safetensors format. Got: {error}. "
            "The file is damaged or of another kind; use a copy or make it again."
        ) from None
    try:
        attributes = json.loads(header["attributes"])
        attributes = dict(attributes)
    except (KeyError, TypeError, ValueError, RecursionError):
        raise UnreadableFile(f"{path} must have a readable header. Got damaged attributes. Use a copy.") from None
    if header.get("digest") != _digest(header["attributes"], tensors):
        raise UnreadableFile(
            f"{path} must be as it was written. Got content that does not match its digest. Use a copy."
        )
    for name, array in tensors.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UnreadableFile(f"{path} must hold finite numbers. Got NaN or infinity in {name!r}. Use a copy.")
    return tensors, attributes


def _check_kind(header: dict[str, str], path: Path, kind: str) -> None:
    if header.get("format") != "harmonium" or header.get("kind") != kind:
        got = f"a {header.get('format', 'foreign')} file of kind {header.get('kind', 'unknown')!r}"
        raise UnreadableFile(f"{path} must be a Harmonium {kind} file. Got {got}. Check the path.")
    if header.get("version") != str(FORMAT_VERSION):
        raise UnreadableFile(
            f"{path} must have format version {FORMAT_VERSION}. Got {header.get('version')!r}. "
            "Install a newer Harmonium."
        )


def _check_header(path: Path) -> None:
    """Refuse a header that takes much memory, or in which a name stands twice: readers differ in which they take."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = dict(pairs)
        if len(names) < len(pairs):
            raise ValueError("a name that stands twice")
        return names

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LONGEST_HEADER:
            raise ValueError(f"a header of {length:,} bytes, where {_LONGEST_HEADER:,} are the most")
        json.loads(file.read(length), object_pairs_hook=unique)


def _digest(attributes: str, tensors: dict[str, npt.NDArray[Any]]) -> str:
    """A hash of all that a file says: the format by itself takes a flipped bit of a number for a number."""
    digest = hashlib.blake2b(attributes.encode(), digest_size=16)
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _in_order(content: bytes) -> bytes:
    """The same file with a sorted header: safetensors shuffles it, and equal models should be equal files."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[end:]
