"""Images side by side in one array, and such an array as the bytes of a PNG file: pictures without a library."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import InvalidData

FloatArray = npt.NDArray[np.floating[Any]]

# From the most negative to the most positive. Zero is a light grey, apart from the white between the images, so that
# an empty image is seen as one.
SIGNED = ("#08306b", "#2b7bba", "#eeeeee", "#d9352a", "#67000d")
_SHOWN = 64  # filters in a notebook
_SIDE = 480  # pixels of their picture, at most


def as_images(rows: FloatArray, shape: tuple[int, int] | None) -> FloatArray:
    """Rows of data as images of a shape; without one squares where the units make one, else strips.

    Raises
    ------
    InvalidData
        `shape` does not fit the rows.
    """
    n_visible = rows.shape[1]
    if shape is None:
        side = math.isqrt(n_visible)
        shape = (side, side) if side**2 == n_visible else (1, n_visible)
    if len(shape) != 2 or shape[0] * shape[1] != n_visible:
        raise InvalidData(f"shape must be (rows, columns) of {n_visible} units. Got {shape}. Correct or omit it.")
    return rows.reshape(len(rows), *shape)


def tile(images: FloatArray, columns: int | None = None) -> FloatArray:
    """All images in one array, line by line, with gaps of NaN; as many in a line as make it about square."""
    n_images, height, width = images.shape
    columns = min(columns or max(1, round(math.sqrt(n_images * height / width))), n_images)
    gap = max(1, round(min(height, width) / 14))
    n_lines = -(-n_images // columns)
    canvas = np.full((n_lines * (height + gap) + gap, columns * (width + gap) + gap), np.nan)
    for k, image in enumerate(images):
        y, x = (i * (size + gap) + gap for i, size in zip(divmod(k, columns), (height, width), strict=True))
        canvas[y : y + height, x : x + width] = image
    return canvas


def end_of_scale(weights: FloatArray) -> float:
    """Where the colours end: the 99.5th percentile of the sizes, so that a few weights do not wash out the others."""
    return float(np.percentile(np.abs(weights), 99.5)) or 1.0


def signed_colours(values: FloatArray, end: float) -> npt.NDArray[np.uint8]:
    """Blue for -`end`, grey for 0, red for `end`, white for NaN; shape (..., 3)."""
    stops = np.array([[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in SIGNED], float)
    levels = np.linspace(-end, end, len(SIGNED))
    rgb = np.stack([np.interp(np.nan_to_num(values), levels, channel) for channel in stops.T], axis=-1)
    rgb[np.isnan(values)] = 255
    return np.rint(rgb).astype(np.uint8)


def png(rgb: npt.NDArray[np.uint8]) -> bytes:
    """The content of a PNG file of an image of shape (rows, columns, 3)."""
    height, width, _ = rgb.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with the number of its filter, none
    lines[:, 1:] = rgb.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits a channel, red green blue
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def filters_html(W: FloatArray) -> str:
    """The weights of the first hidden units as an ``img``; nothing for a machine without weights."""
    if W.size == 0:
        return ""
    weights = W[:_SHOWN].astype(np.float64)
    canvas = tile(as_images(weights, None))
    content = base64.b64encode(png(signed_colours(canvas, end_of_scale(weights)))).decode("ascii")
    height, width = canvas.shape
    scale = max(1, _SIDE // max(canvas.shape))
    alt = f"The weights of the first {len(weights)} hidden units, red positive and blue negative."
    return (
        f'<img src="data:image/png;base64,{content}" alt="{alt}" width="{scale * width}" height="{scale * height}" '
        'style="image-rendering: pixelated; max-width: 100%; height: auto">'
    )
