"""Blocked Gibbs sampling as a matrix: its stationary law, spectral gap, and how fast it forgets where it began.

One sweep of the visible layer is T = A B with A[v, h] = p(h | v) and B[h, v] = p(v | h); of the hidden layer, B A. Both
are reversible and have the same non-zero eigenvalues: the squared canonical correlations of v and h, all in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import OutOfReach
from harmonium.inputs import check_choice, check_count
from harmonium.rbm import RBM, all_states, float64
from harmonium.reprs import short_repr
from harmonium.special import expit, logsumexp

Float64Array = npt.NDArray[np.float64]
Logits = Callable[[Any], npt.NDArray[np.floating[Any]]]

_CELLS = 1 << 20  # entries of a table of conditionals held at a time


@dataclass(frozen=True)
class Transition:
    """The Markov chain of one layer under full sweeps of blocked Gibbs sampling.

    Attributes
    ----------
    layer : {"visible", "hidden"}
    matrix : ndarray of shape (S, S), S = 2**units
        ``matrix[x, y]`` is the probability of state y after one sweep from state x. States are numbered as in
        `harmonium.rbm.all_states`.
    p : ndarray of shape (S,)
        The layer's marginal distribution under the model, which is stationary: ``p @ matrix == p``.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.transition_matrix(rbm).p.round(3)
    array([0.175, 0.825])
    """

    layer: str
    matrix: Float64Array
    p: Float64Array

    def __repr__(self) -> str:
        return short_repr(self)

    @cached_property
    def eigenvalues(self) -> Float64Array:
        """The eigenvalues of the sweep, falling from 1, shape (S,).

        Notes
        -----
        T is similar to the symmetric matrix sqrt(p_x) T_xy / sqrt(p_y), which by detailed balance is
        sqrt(T_xy T_yx): no division by a probability that may underflow.
        """
        root = np.sqrt(self.matrix)
        values: Float64Array = np.linalg.eigvalsh(root * root.T)[::-1]
        return np.clip(values, 0, 1)

    @property
    def gap(self) -> float:
        """The spectral gap 1 - lambda_2; below 1e-14 it is lost in rounding and reads as about zero."""
        return float(1 - self.eigenvalues[1]) if len(self.p) > 1 else 1.0

    @property
    def relaxation_time(self) -> float:
        """-1 / log(lambda_2) sweeps: correlations fall by a factor e in this time; infinite where the gap is lost."""
        if len(self.p) == 1 or self.eigenvalues[1] == 0:
            return 0.0
        log_lambda = float(np.log(self.eigenvalues[1]))
        return -1 / log_lambda if log_lambda < 0 else float("inf")

    def distances(self, sweeps: int) -> Float64Array:
        """TV(T^k(x, .), p) for every start x, shape (S,): half the sum of ``|T^k - p|`` along each row."""
        power = np.linalg.matrix_power(self.matrix, check_count(sweeps, "sweeps", minimum=0))
        distances: Float64Array = np.abs(power - self.p).sum(axis=1) / 2
        return distances

    def decay(self, sweeps: int) -> Float64Array:
        """The largest of `distances` after 0, 1, ..., `sweeps` sweeps, shape (sweeps + 1,)."""
        power, worst = np.eye(len(self.p)), []
        for _ in range(check_count(sweeps, "sweeps", minimum=0) + 1):
            worst.append(np.abs(power - self.p).sum(axis=1).max() / 2)
            power = power @ self.matrix
        return np.array(worst)


def transition_matrix(rbm: RBM, layer: str = "smaller", *, max_units: int = 24) -> Transition:
    """The exact transition matrix of blocked Gibbs sampling on one layer.

    Parameters
    ----------
    rbm : RBM
    layer : {"smaller", "visible", "hidden"}
        The layer whose states number the rows; "smaller" is the hidden one if both are equal.
    max_units : int
        The largest machine that is attempted, both layers together; the layer itself may have half as many units.

    Returns
    -------
    Transition

    Raises
    ------
    OutOfReach
        The machine is larger. The cost is 2**(2 layer + other) multiplications and 2**(2 layer) numbers.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.transition_matrix(rbm).matrix.round(3)
    array([[0.315, 0.685],
           [0.145, 0.855]])
    """
    check_choice(layer, "layer", ("smaller", "visible", "hidden"))
    check_reach(rbm, max_units)
    if layer == "smaller":
        layer = "visible" if rbm.n_visible < rbm.n_hidden else "hidden"
    machine = float64(rbm)
    n_units, n_others = machine.n_visible, machine.n_hidden
    forth: Logits = machine.logits_h
    back: Logits = machine.logits_v
    if layer == "hidden":
        n_units, n_others, forth, back = n_others, n_units, back, forth
    if n_units > max_units // 2:
        raise OutOfReach(
            f"The {layer} layer must have at most {max_units // 2} units for a transition matrix. Got {n_units}. "
            'Take the other layer (layer="smaller"), or raise max_units if you have the memory.'
        )
    states, matrix = all_states(n_units), np.zeros((2**n_units, 2**n_units))
    logits = forth(states)
    for others in state_blocks(n_others, 2**n_units):
        # p(others | state): one factor a unit, sigma of +-logit.
        first_half = np.ones((len(states), len(others)))
        for unit, logit in zip(others.T, logits.T, strict=True):
            first_half *= expit((2 * unit - 1) * logit[:, None])
        matrix += first_half @ product_table(back(others))
    log_p = -(machine.free_energy(states) if layer == "visible" else machine.free_energy_h(states))
    return Transition(layer, matrix, np.exp(log_p - logsumexp(log_p)))


def product_table(logits: Any) -> Float64Array:
    """The probability of every joint state of independent units.

    Parameters
    ----------
    logits : ndarray of shape (rows, units)

    Returns
    -------
    ndarray of shape (rows, 2**units)
        Rows sum to one. Only products of probabilities, so that every entry is accurate in relative terms.
    """
    table = np.ones((len(logits), 1))
    for logit in np.asarray(logits, np.float64).T[:, :, None]:
        table = np.concatenate([table * expit(-logit), table * expit(logit)], axis=1)
    return table


def state_blocks(n_units: int, n_columns: int = 1) -> Iterator[Float64Array]:
    """The rows of `harmonium.rbm.all_states` in blocks, so many that a table of `n_columns` a row stays within 8 MB."""
    rows = max(1, _CELLS // n_columns)
    for first in range(0, 2**n_units, rows):
        index = np.arange(first, min(first + rows, 2**n_units))
        yield ((index[:, None] >> np.arange(n_units)) & 1).astype(np.float64)


def check_reach(rbm: RBM, max_units: int) -> None:
    """Raise `OutOfReach` if both layers together have more than `max_units` units."""
    n_units = rbm.n_visible + rbm.n_hidden
    if n_units > check_count(max_units, "max_units"):
        raise OutOfReach(
            f"Both layers together must have at most {max_units} units to count all states of the machine. Got "
            f"{n_units}. Use the bounds (harmonium.theory.cd_bias_bounds), or raise max_units if you have the time."
        )
