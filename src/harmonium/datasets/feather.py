"""How much a message of a Feather file unpacks to, read off its header before it is unpacked.

The header is a record of FlatBuffers, whose tables begin with the distance to a list of where their fields are. What a
packed buffer unpacks to stands in its first eight bytes, and Arrow makes room for it whatever is there.

References
----------
Apache Arrow, "Arrow columnar format", https://arrow.apache.org/docs/format/Columnar.html, and its Message.fbs.
"""

from __future__ import annotations

import struct
from typing import Any

_HEADER = 2  # fields of a Message
_DICTIONARY, _BATCH = 2, 3  # kinds of headers
_DATA = 1  # the batch in a DictionaryBatch
_BUFFERS, _COMPRESSION = 2, 3  # fields of a RecordBatch
_AS_IT_IS = -1  # in place of a size: this buffer is not packed


def unpacked_bytes(message: Any) -> int:
    """Bytes of all buffers of a message as they will be in memory.

    Parameters
    ----------
    message : pyarrow.ipc.Message

    Raises
    ------
    OSError
        The header points outside itself.
    """
    content, body = memoryview(message.metadata), memoryview(message.body or b"")
    try:
        (root,) = struct.unpack_from("<I", content, 0)
        kind = _field(content, root, _HEADER - 1)
        header = _field(content, root, _HEADER)
        if kind is None or header is None or content[kind] not in (_DICTIONARY, _BATCH):
            return 0
        batch = _follow(content, header)
        if content[kind] == _DICTIONARY:
            data = _field(content, batch, _DATA)
            if data is None:
                return 0
            batch = _follow(content, data)
        buffers = _field(content, batch, _BUFFERS)
        if buffers is None:
            return 0
        packed = _field(content, batch, _COMPRESSION) is not None
        start = _follow(content, buffers)
        (n_buffers,) = struct.unpack_from("<I", content, start)
        total = 0
        for k in range(n_buffers):
            at, size = struct.unpack_from("<qq", content, start + 4 + 16 * k)
            if packed and size > 0:
                (unpacked,) = struct.unpack_from("<q", body, at)
                size = size if unpacked == _AS_IT_IS else unpacked
            total += max(size, 0)
        return total
    except (struct.error, IndexError) as error:
        raise OSError(f"a damaged header: {error}") from None


def _field(content: memoryview, table: int, number: int) -> int | None:
    """Where a field of a table is; None if the table does not have it."""
    (back,) = struct.unpack_from("<i", content, table)
    places = table - back
    (size,) = struct.unpack_from("<H", content, places)
    if 4 + 2 * number >= size:
        return None
    (offset,) = struct.unpack_from("<H", content, places + 4 + 2 * number)
    return table + offset if offset else None


def _follow(content: memoryview, at: int) -> int:
    return int(at + struct.unpack_from("<I", content, at)[0])
