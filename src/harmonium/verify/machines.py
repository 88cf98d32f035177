"""The machines that the proofs are made on: small enough to be counted out, and with nothing special about them."""

from __future__ import annotations

from typing import Any

import numpy as np

from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.verify.counting import Array, Counted, Parameters


def parameters(n_hidden: int = 3, n_visible: int = 4) -> Parameters:
    """W, b and c, normal, to multiples of 1/8: exact in single precision, and so is every sum of them."""
    key = Key(2026).derive("verify", n_hidden, n_visible)

    def draw(stream: int, *shape: int) -> Array:
        return np.round(8 * key.on(stream).normal(*shape)) / 8

    return draw(0, n_hidden, n_visible), draw(1, 1, n_visible)[0], draw(2, 1, n_hidden)[0]


def machine(n_hidden: int = 3, n_visible: int = 4) -> tuple[RBM, Counted]:
    """A machine, and all there is to know about it."""
    W, b, c = parameters(n_hidden, n_visible)
    return RBM(W, b, c), Counted(W, b, c)


def data(n_visible: int = 4, n_rows: int = 7) -> Any:
    """Rows of 0 and 1, some of them alike, uint8."""
    return (Key(2026).derive("verify data").uniform(n_rows, n_visible) < 0.5).astype(np.uint8)
