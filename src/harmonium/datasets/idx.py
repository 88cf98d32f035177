"""The idx format of the original MNIST files: a magic number, sizes, then the numbers, big-endian; gzipped or not."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets.reading import Reading
from harmonium.errors import UnreadableFile

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 2**20


def read_idx(path: Path, reading: Reading | None = None) -> npt.NDArray[Any]:
    """Read an idx file as it is, without scaling.

    Parameters
    ----------
    path : Path
        gzip is recognised by content, since browsers unpack a ``.gz`` and keep its name.
    reading : Reading, optional
        For its limits.

    Returns
    -------
    ndarray of the shape and type that the header declares

    Raises
    ------
    UnreadableFile
        Not an idx file, truncated, longer than its header says, a damaged gzip stream, or larger than allowed.
    """
    reading = reading or Reading()
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if not zipped:
                return _read_stream(raw, path, reading)
            with gzip.open(raw) as unzipped:
                return _read_stream(unzipped, path, reading)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableFile(
            f"{path} must be a complete idx file. Got {type(error).__name__}: {error}. Download or copy it again."
        ) from error


def _read_stream(stream: Any, path: Path, reading: Reading) -> npt.NDArray[Any]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= 8:
        raise UnreadableFile(
            f"{path} must be an idx file: two zero bytes, a type and a number of dimensions. "
            f"Got {magic!r} at its start. Check that it is the file you meant, or download it again."
        )
    dtype = np.dtype(_TYPES[magic[2]])
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise UnreadableFile(f"{path} must hold a whole idx header. Got only its beginning. Download or copy it again.")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    n_bytes = reading.check_size(path, shape, dtype.itemsize)
    if n_bytes == 0:
        raise UnreadableFile(f"{path} must hold at least one value. Got the shape {shape} in its header. Use another.")
    content = _read_at_most(stream, n_bytes + 1)
    if len(content) != n_bytes:
        got = "more" if len(content) > n_bytes else f"{len(content):,}"
        raise UnreadableFile(
            f"{path} must hold {n_bytes:,} bytes of data, as its header declares {'x'.join(map(str, shape))} "
            f"values. Got {got}. The file is damaged: download or copy it again."
        )
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read_at_most(stream: IO[bytes], n_bytes: int) -> bytearray:
    """Grow with what is really there: a damaged header may declare more bytes than there is memory."""
    content = bytearray()
    while len(content) < n_bytes and (chunk := stream.read(min(_CHUNK, n_bytes - len(content)))):
        content += chunk
    return content
