"""Samples as a picture."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy.typing as npt

from harmonium.errors import InvalidParameter


def parse_shape(text: str | None, n_visible: int) -> tuple[int, int]:
    """Rows and columns of one image: from ``"28x28"``, or a square.

    Raises
    ------
    InvalidParameter
        Malformed, or another number of pixels than `n_visible`.
    """
    if text is None:
        side = math.isqrt(n_visible)
        if side * side != n_visible:
            raise InvalidParameter(
                f"--shape must be given for images that are not square. Got {n_visible} visible units. "
                "Pass --shape ROWSxCOLUMNS, or write a .npy file."
            )
        return side, side
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text, re.ASCII)
    if match is None or int(match[1]) * int(match[2]) != n_visible:
        raise InvalidParameter(f"--shape must be ROWSxCOLUMNS with a product of {n_visible}. Got {text!r}. Correct it.")
    return int(match[1]), int(match[2])


def save_picture(path: Path, images: npt.NDArray[Any], shape: tuple[int, int]) -> None:
    """Write a grid of images as a ``.png`` file, in one step."""
    from harmonium import plot  # Matplotlib takes long to load

    plot.save(plot.samples(images, shape, ax=plot.bare_axes()), path)
