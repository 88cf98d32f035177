"""The same distribution over spins: s = 2v - 1 and t = 2h - 1."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.reprs import short_repr

Array = npt.NDArray[np.floating[Any]]


class Ising(NamedTuple):
    """The parameters of E(s, t) = -(t'Js + field_v's + field_h't) over spins s and t of -1 and +1.

    Attributes
    ----------
    J : ndarray of shape (n_hidden, n_visible)
    field_v : ndarray of shape (n_visible,)
    field_h : ndarray of shape (n_hidden,)
    """

    J: Array
    field_v: Array
    field_h: Array

    def __repr__(self) -> str:
        return short_repr(self)

    @classmethod
    def of_binary(cls, W: Array, b: Array, c: Array) -> tuple[Ising, float]:
        """The model of the machine (W, b, c), and the machine's log Z less the model's."""
        J = W / 4
        return cls(J, b / 2 + J.sum(axis=0), c / 2 + J.sum(axis=1)), float(J.sum() + b.sum() / 2 + c.sum() / 2)

    def to_binary(self) -> tuple[Array, Array, Array]:
        """W, b and c of the machine."""
        J = self.J
        return 4 * J, 2 * (self.field_v - J.sum(axis=0)), 2 * (self.field_h - J.sum(axis=1))
