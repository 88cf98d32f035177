"""What a gradient is made of: expectations of h v', v and h."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.reprs import short_repr

Array = npt.NDArray[np.floating[Any]]


class Statistics(NamedTuple):
    """Expectations of the three sufficient statistics, which are also the three parts of a gradient.

    Attributes
    ----------
    hv : ndarray of shape (n_hidden, n_visible)
        E[h v'], the part that belongs to W.
    v : ndarray of shape (n_visible,)
        E[v], the part that belongs to b.
    h : ndarray of shape (n_hidden,)
        E[h], the part that belongs to c.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.exact_statistics(rbm).v.round(3)
    array([0.814, 0.309])
    """

    hv: Array
    v: Array
    h: Array

    def __repr__(self) -> str:
        return short_repr(self)

    def __sub__(self, other: Statistics) -> Statistics:
        """The difference of two phases: a gradient."""
        return Statistics(self.hv - other.hv, self.v - other.v, self.h - other.h)
