"""The definition, counted out: every configuration (v, h) of a small machine, in double precision.

What is proved is compared with this file, so it calls nothing of what is proved: energies are summed term by term as
the first seed writes them, and every probability and expectation is a sum over the table of all 2**(n + m)
configurations.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Parameters = tuple[Array, Array, Array]


def states(n_units: int) -> Array:
    """Every binary state, shape (2**n_units, n_units); the last unit counts fastest."""
    return np.array(list(itertools.product((0.0, 1.0), repeat=n_units))).reshape(2**n_units, n_units)


def number(rows: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Where each row stands in `states`."""
    return np.asarray(rows).astype(np.intp) @ (1 << np.arange(rows.shape[1])[::-1])


class Counted:
    """All that is true of one small machine.

    Attributes
    ----------
    v, h : ndarray of shape (2**m, m) and (2**n, n)
        All states of the layers.
    energy, joint : ndarray of shape (2**m, 2**n)
        E(v, h), and p(v, h).
    z : float
        The partition function.
    """

    def __init__(self, W: Array, b: Array, c: Array) -> None:
        n, m = W.shape
        self.v, self.h = states(m), states(n)
        self.energy = np.zeros((2**m, 2**n))
        for row, v in enumerate(self.v):
            for column, h in enumerate(self.h):
                total = 0.0
                for i in range(n):
                    for j in range(m):
                        total -= W[i, j] * h[i] * v[j]
                for j in range(m):
                    total -= b[j] * v[j]
                for i in range(n):
                    total -= c[i] * h[i]
                self.energy[row, column] = total
        weights = np.exp(-self.energy)
        self.z = float(weights.sum())
        self.joint = weights / self.z
        self.p_v, self.p_h = self.joint.sum(axis=1), self.joint.sum(axis=0)
        self.p_h_from_v, self.p_v_from_h = self.joint / self.p_v[:, None], self.joint / self.p_h
        self.mean_h_from_v = self.p_h_from_v @ self.h
        self.mean_v_from_h = self.p_v_from_h.T @ self.v

    @property
    def sweep(self) -> Array:
        """The transition matrix of v -> h -> v: row v is the law of the next v."""
        return self.p_h_from_v @ self.p_v_from_h.T

    def law_of(self, X: npt.NDArray[np.generic]) -> Array:
        """The empirical distribution of the rows of `X`, shape (2**m,)."""
        return np.bincount(number(X), minlength=len(self.v)) / len(X)

    def moments(self, joint: Array) -> Parameters:
        """E[h v'], E[v] and E[h] under a table of probabilities of (v, h)."""
        hv = np.einsum("vh,hi,vj->ij", joint, self.h, self.v)
        return hv, joint.sum(axis=1) @ self.v, joint.sum(axis=0) @ self.h

    def moments_of(self, law: Array) -> Parameters:
        """The same where v has the given law and h is drawn from p(h | v)."""
        return self.moments(law[:, None] * self.p_h_from_v)

    def gradient(self, X: npt.NDArray[np.generic]) -> Parameters:
        """d/d(W, b, c) of the mean log-likelihood of `X`: data minus model."""
        return subtract(self.moments_of(self.law_of(X)), self.moments(self.joint))


def subtract(a: Parameters, b: Parameters) -> Parameters:
    """a - b, part by part."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def slopes(function: Callable[[Array, Array, Array], float], parameters: Parameters, step: float = 1e-5) -> Parameters:
    """The gradient of a number in W, b and c by central differences."""
    found = []
    for k, array in enumerate(parameters):
        slope = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            values = []
            for sign in (1, -1):
                moved = [x.copy() for x in parameters]
                moved[k][index] += sign * step
                values.append(function(moved[0], moved[1], moved[2]))
            slope[index] = (values[0] - values[1]) / (2 * step)
        found.append(slope)
    return found[0], found[1], found[2]
