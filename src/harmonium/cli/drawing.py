"""Pictures and curves made of characters: two pixels in a cell, or two by four dots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from rich.text import Text

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # of a braille character, by column and row
_BLANK = 0x2800


def picture(rgb: npt.NDArray[np.uint8]) -> Text:
    """An image of shape (rows, columns, 3), each cell of the terminal an upper and a lower pixel."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    if len(rgb) % 2:
        rgb = np.concatenate([rgb, rgb[-1:]])
    text = Text(no_wrap=True, overflow="crop")
    for upper, lower in zip(rgb[::2], rgb[1::2], strict=True):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            text.append("\N{UPPER HALF BLOCK}", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
        text.append("\n")
    text.rstrip()
    return text


def chart(values: Sequence[float], width: int, height: int) -> list[str]:
    """A curve in lines of braille, from its smallest value at the foot to its largest at the top.

    Parameters
    ----------
    values : sequence of float
        In equal steps; at least one.
    width, height : int
        In characters.
    """
    y = np.asarray(values, float)
    low, high = y.min(), y.max()
    n_dots = 2 * width
    at = np.interp(np.linspace(0, len(y) - 1, n_dots), np.arange(len(y)), y)
    rise = (at - low) / (high - low) if high > low else np.full(n_dots, 0.5)
    rows = np.rint((1 - rise) * (4 * height - 1)).astype(int)
    cells = np.full((height, width), _BLANK)
    before = rows[0]
    for x, row in enumerate(rows):  # a steep piece of the curve is filled, so that it stays in one piece
        for dot in range(min(before, row), max(before, row) + 1):
            cells[dot // 4, x // 2] |= _DOTS[x % 2][dot % 4]
        before = row
    return ["".join(map(chr, line)) for line in cells]
