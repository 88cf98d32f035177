"""What a machine says about pairs of visible units once its hidden units are summed out: fields and couplings.

log p(v) = -F(v) - log Z is a polynomial in the visible units, as any function of bits is. Its coefficients depend on
how the two states of a unit are written:

* in bits, 0 and 1, they are those of `harmonium.theory.interactions`: log-odds and their change by another unit, all
  other units being off. Each is a sum of a few softplus functions;
* in spins, -1 and 1, they are averages over all 2^m states alike, and those of fields and pairs make the Ising model
  that is closest to log p(v) in mean square over all states. For a hidden unit with weights 2w and the input x on
  average over all states, the coefficients of softplus(x + w's) follow from the Fourier transform of its second
  derivative, pi t / sinh(pi t), and from E[exp(i t w's)] = prod_l cos(w_l t):

      J_jk = 1/pi int_0^inf cos(x t) pi / (t sinh(pi t)) tan(w_j t) tan(w_k t) prod_l cos(w_l t) dt,

  and a field has w_j / 2 + the same with sin(x t) tan(w_j t). The midpoint rule has an error that falls exponentially
  with the number of its points, so that this is exact, to rounding, at any size.

References
----------
Cossu, Del Debbio, Giani, Khamseh, Wilson, "Machine learning determination of dynamical parameters: the Ising model
case", Physical Review B 100, 2019 (bits).
Decelle, Furtlehner, Navas Gómez, Seoane, "Inferring effective couplings with restricted Boltzmann machines", SciPost
Physics 16, 2024 (spins, as averages over all states; they take w's to be normal where these are too many).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.errors import OutOfReach
from harmonium.inputs import check_choice
from harmonium.rbm import RBM, float64
from harmonium.reprs import short_repr
from harmonium.special import softplus

Float64Array = npt.NDArray[np.float64]

_STEEPEST = 1e5  # log-odds
_CELLS = 2**20  # angles at a time
_NEGLIGIBLE = 40.0  # -log of what is left out, at either end of the integral and between its points


class EffectiveCouplings(NamedTuple):
    """The terms of log p(v) that hold one or two visible units.

    Attributes
    ----------
    field : float64 array of shape (n_visible,)
        The coefficient of each unit, in nats.
    J : float64 array of shape (n_visible, n_visible)
        The coefficient of each pair, symmetric, zero on the diagonal: a pair counts once, for j < k.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.effective_couplings(rbm).J.round(3)
    array([[ 0.   , -0.094],
           [-0.094,  0.   ]])
    """

    field: Float64Array
    J: Float64Array

    def __repr__(self) -> str:
        return short_repr(self)


def effective_couplings(rbm: RBM, units: str = "spins") -> EffectiveCouplings:
    """Fields and two-body couplings between visible units, the hidden ones being summed out; exact at any size.

    Parameters
    ----------
    rbm : RBM
    units : {"spins", "bits"}
        Whether the two states of a unit are -1 and 1, or 0 and 1; `harmonium.theory.couplings` has the difference.

    Returns
    -------
    EffectiveCouplings
        log p = constant + sum_j field_j s_j + sum_(j < k) J_jk s_j s_k + terms of three and more units.

    Raises
    ------
    OutOfReach
        In spins, the input of a hidden unit exceeds 100,000 in some state.
    InvalidParameter

    References
    ----------
    See `harmonium.theory.couplings`.

    Examples
    --------
    >>> rbm, _ = RBM.from_ising(J=[[1.0, 1.0]], field_v=[0.0, 0.0], field_h=[0.0])
    >>> found = effective_couplings(rbm).J[0, 1]  # log(cosh(2)) / 2, by summing the hidden spin out
    >>> round(float(found), 6)
    0.662501
    """
    check_choice(units, "units", ("spins", "bits"))
    rbm = float64(rbm)
    return _of_spins(rbm) if units == "spins" else _of_bits(rbm)


def _of_bits(rbm: RBM) -> EffectiveCouplings:
    none, one = softplus(rbm.c), softplus(rbm.c[:, None] + rbm.W)
    J = np.zeros((rbm.n_visible, rbm.n_visible))
    for c, w, of_none, of_one in zip(rbm.c, rbm.W, none, one, strict=True):
        J += softplus(c + w[:, None] + w) - of_one[:, None] - of_one + of_none
    np.fill_diagonal(J, 0)
    return EffectiveCouplings(rbm.b + (one - none[:, None]).sum(axis=0), J)


def _of_spins(rbm: RBM) -> EffectiveCouplings:
    steepest = float((np.abs(rbm.c + rbm.W.sum(axis=1) / 2) + np.abs(rbm.W / 2).sum(axis=1)).max())
    if steepest > _STEEPEST:
        raise OutOfReach(
            f"A hidden unit's input must be within {_STEEPEST:,.0f} in all states, as the time it takes grows with "
            f'it. Got one of up to {steepest:.3g}. Use units="bits", or a machine of smaller weights.'
        )
    field, J = rbm.b / 2 + rbm.W.sum(axis=0) / 4, np.zeros((rbm.n_visible, rbm.n_visible))
    for x, w in zip(rbm.c + rbm.W.sum(axis=1) / 2, rbm.W / 2, strict=True):
        # Sums over points h apart see the function of x again at x + 2 pi / h, where nothing must be left of it.
        h = 2 * math.pi / (abs(x) + np.abs(w).sum() + _NEGLIGIBLE)
        points, rows = math.ceil(_NEGLIGIBLE / (math.pi * h)), max(1, _CELLS // len(w))
        for first in range(0, points, rows):
            t = h * (np.arange(first, min(first + rows, points)) + 0.5)
            angles = np.outer(t, w)
            tangents = np.tan(angles)
            weights = h / (t * np.sinh(math.pi * t)) * np.cos(angles).prod(axis=1)
            field += (weights * np.sin(x * t)) @ tangents
            J += (tangents.T * (weights * np.cos(x * t))) @ tangents
    np.fill_diagonal(J, 0)
    return EffectiveCouplings(field, J)
