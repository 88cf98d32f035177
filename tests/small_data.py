"""A few rows of bits, grey levels, images, and bits with holes."""

import numpy as np

RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (7, 5), dtype=np.uint8)
GREY = RNG.random((7, 5)).astype(np.float32)
IMAGES = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)
HOLES = np.where(RNG.random((7, 5)) < 0.3, np.nan, BITS)


def table(rows, delimiter=",", end="\n", **words):
    text = [[words.get(f"_{x:g}", f"{x:g}") for x in row] for row in rows]
    return "".join(delimiter.join(row) + end for row in text)
