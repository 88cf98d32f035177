"""The machine as a Markov random field: its factors over the edges, and the theorem of Hammersley and Clifford.

The graph is bipartite, hidden unit i joined to visible unit j, so that its maximal cliques are the edges. A positive
distribution has the Markov property of a graph (a unit depends on its neighbours only) exactly if it is a product of
functions of the graph's cliques. `clique_potentials` are such functions; `interactions` finds the factors of any
positive distribution, and so tells for which graphs it is a Markov random field.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import InvalidData, InvalidParameter
from harmonium.rbm import RBM

Float64Array = npt.NDArray[np.float64]


def clique_potentials(rbm: RBM) -> Float64Array:
    """log psi of each edge: factors over the maximal cliques with p(v, h) = (1/Z) prod_ij psi_ij(h_i, v_j).

    Parameters
    ----------
    rbm : RBM
        With at least one hidden unit.

    Returns
    -------
    ndarray of shape (n_hidden, n_visible, 2, 2), float64
        ``[i, j, h, v]`` is log psi_ij(h, v) = w_ij h v + c_i h / n_visible + b_j v / n_hidden: a unit's bias is shared
        equally by its edges. Their sum over the edges is -E(v, h).

    Raises
    ------
    InvalidParameter
        There are no hidden units, and so no edges.

    References
    ----------
    Fischer, Igel, "Training restricted Boltzmann machines: an introduction", Pattern Recognition 47, 2014, section 2.

    Examples
    --------
    >>> clique_potentials(RBM(W=[[2.0]], b=[0.5], c=[-1.0]))[0, 0]
    array([[ 0. ,  0.5],
           [-1. ,  1.5]])
    """
    if rbm.n_hidden == 0:
        raise InvalidParameter("rbm must have at least one hidden unit. Got none, and so no edges. Use its biases b.")
    W, b, c = (x.astype(np.float64) for x in (rbm.W, rbm.b, rbm.c))
    h, v = np.array([0.0, 1.0])[:, None], np.array([0.0, 1.0])
    shares = (c / rbm.n_visible)[:, None, None, None] * h + (b / rbm.n_hidden)[:, None, None] * v
    potentials: Float64Array = W[:, :, None, None] * h * v + shares
    return potentials


def interactions(log_p: Any) -> Float64Array:
    """The canonical potentials of a positive distribution of binary units, by Möbius inversion.

    Parameters
    ----------
    log_p : array-like of shape (2**n_units,)
        log p of every state, up to a constant, in the order of `harmonium.rbm.all_states`.

    Returns
    -------
    ndarray of shape (2**n_units,), float64
        Entry S, whose bit k says whether unit k belongs to the set, is the sum over subsets B of S of
        (-1)**|S - B| log p(units of B on, all others off). log p of a state is the sum of the entries of all subsets
        of the units that are on. The distribution is a Markov random field of a graph exactly if every entry vanishes
        whose units are no clique of the graph (Hammersley and Clifford).

    Raises
    ------
    InvalidData
        The length is no power of two, or a value is not finite: the theorem is about positive distributions.

    References
    ----------
    Grimmett, "A theorem about random fields", Bull. London Math. Soc. 5, 1973.

    Examples
    --------
    >>> interactions([0.0, 0.5, -1.0, 1.5])  # none on; unit 0; unit 1; both
    array([ 0. ,  0.5, -1. ,  2. ])
    """
    x = np.array(log_p, np.float64)
    if x.ndim != 1 or x.size == 0 or x.size & (x.size - 1):
        raise InvalidData(f"log_p must have shape (2**n_units,). Got {x.shape}. Pass one number for each state.")
    if not np.isfinite(x).all():
        raise InvalidData("log_p must be finite. Got NaN or infinity. Pass a distribution that is positive everywhere.")
    for k in range(x.size.bit_length() - 1):
        pairs = x.reshape(-1, 2, 2**k)
        pairs[:, 1] -= pairs[:, 0]
    return x
