"""The machine as a Markov random field: what the second seed says about its graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harmonium.rbm import RBM
from harmonium.theory import clique_potentials, interactions
from harmonium.verify.check import Check, compare
from harmonium.verify.counting import Counted, number
from harmonium.verify.machines import machine, parameters


def checks(engines: tuple[str, ...]) -> Iterator[Check]:  # noqa: ARG001 (as all of them are called)
    """The factors, the theorem, and the independence that follows."""
    rbm, counted = machine()
    log_psi = clique_potentials(rbm)
    product = np.zeros_like(counted.energy)
    for i, j in np.ndindex(rbm.n_hidden, rbm.n_visible):
        table = log_psi[i, j]
        product += table[counted.h[:, i].astype(int)][:, counted.v[:, j].astype(int)].T
    for equation in ("seed 2, factorisation", "(30)"):
        yield compare(equation, "theory.clique_potentials", np.exp(product) / counted.z, counted.joint)
    for equation in ("seed 2, Hammersley-Clifford", "(31)"):
        yield _hammersley_clifford(equation, counted)
    for equation in ("seed 2, Markov property", "(32)"):
        yield _markov_property(equation, rbm, counted)


def _hammersley_clifford(equation: str, counted: Counted) -> Check:
    """No factors but those of the graph's nodes and edges, which are the parameters."""
    W, b, c = parameters()
    n, m = W.shape
    order = np.arange(2 ** (n + m))[:, None] >> np.arange(n + m) & 1  # unit k is bit k: hidden units first
    rows, columns = number(order[:, n:]), number(order[:, :n])
    found = interactions(np.log(counted.joint[rows, columns]))
    expected = np.zeros(2 ** (n + m))
    expected[0] = found[0]  # log p(all off), which normalises
    expected[1 << np.arange(n)], expected[1 << np.arange(n, n + m)] = c, b
    for i, j in np.ndindex(n, m):
        expected[(1 << i) | (1 << (n + j))] = W[i, j]
    return compare(equation, "theory.interactions", found, expected)


def _markov_property(equation: str, rbm: RBM, counted: Counted) -> Check:
    """Global Markov property: given one layer, the other's law is the product of its units' laws."""
    h_given_v, v_given_h = counted.mean_h_from_v, counted.mean_v_from_h
    product_h = np.where(counted.h[None] == 1, h_given_v[:, None], 1 - h_given_v[:, None]).prod(axis=2)
    product_v = np.where(counted.v[None] == 1, v_given_h[:, None], 1 - v_given_h[:, None]).prod(axis=2)
    pairs = np.repeat(counted.v, len(counted.h), axis=0), np.tile(counted.h, (len(counted.v), 1))
    shape = counted.joint.shape
    found = (np.exp(rbm.log_p_h_from_v(pairs[1], pairs[0])).reshape(shape),
             np.exp(rbm.log_p_v_from_h(*pairs)).reshape(shape), product_h, product_v)  # fmt: skip
    expected = product_h, product_v.T, counted.p_h_from_v, counted.p_v_from_h.T
    return compare(equation, "RBM.log_p_h_from_v", found, expected)
