"""What physicists ask for: second moments, entropies, free-energy differences, couplings; (38) to (43) of the page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harmonium.likelihood import entropy, free_energy_difference, probability_table
from harmonium.rbm import RBM
from harmonium.sampling import pair_moments
from harmonium.theory import effective_couplings
from harmonium.verify.check import SINGLE, Check, compare
from harmonium.verify.counting import Array, Counted, number
from harmonium.verify.machines import machine, parameters


def checks(engines: tuple[str, ...]) -> Iterator[Check]:
    """Each against its sum over the table of all configurations."""
    rbm, counted = machine()
    W, b, c = parameters()
    turned = RBM(W.T, c, b), Counted(W.T.copy(), c, b)
    for engine in engines:
        for layer, (x, table) in (("hidden", (rbm, counted)), ("visible", turned)):
            found, name = pair_moments(x, engine=engine), f"pair_moments, {layer} states summed"
            yield compare("(38)", name, (found.product, found.covariance), _pairs(table), engine=engine,
                          tolerance=SINGLE)  # fmt: skip
        yield _difference(rbm, counted, engine)
    for layer, p, units in (("visible", counted.p_v, counted.v), ("hidden", counted.p_h, counted.h)):
        yield compare("(39)", f"entropy, {layer}", entropy(rbm, layer).value, _entropy(p))
        order = (np.arange(len(p))[:, None] >> np.arange(units.shape[1])) & 1  # unit 0 is the lowest bit there
        yield compare("(18)", f"probability_table, {layer}", probability_table(rbm, layer=layer).p, p[number(order)])
    yield compare("(40)", "entropy, joint", entropy(rbm, "joint").value, _entropy(counted.joint), tolerance=SINGLE)
    for equation, kind in (("(42)", "bits"), ("(43)", "spins")):
        found_, expected = tuple(effective_couplings(rbm, kind)), _coefficients(counted, kind)
        yield compare(equation, f"theory.effective_couplings, {kind}", found_, expected)


def _pairs(counted: Counted) -> tuple[Array, Array]:
    product = np.einsum("s,sj,sk->jk", counted.p_v, counted.v, counted.v)
    mean = counted.p_v @ counted.v
    return product, product - np.outer(mean, mean)


def _entropy(p: Array) -> float:
    return -float((p * np.log(p)).sum())


def _difference(rbm: RBM, counted: Counted, engine: str) -> Check:
    """How far the counted difference lies outside the ends, for noise that is fixed."""
    W, b, c = parameters()
    other = W * 1.25, b - 0.25, c + 0.5
    found = free_energy_difference(rbm, RBM(*other), engine=engine)
    truth, outside = np.log(counted.z) - np.log(Counted(*other).z), np.inf
    if found.verdict == "ok" and found.lower is not None and found.upper is not None:
        outside = max(0.0, found.lower - truth, truth - found.upper)
    return Check("(41)", "free_energy_difference", engine, float(outside), SINGLE)


def _coefficients(counted: Counted, kind: str) -> tuple[Array, Array]:
    """Of log p(v), solved for: of all products of units, those of one and of two."""
    m = counted.v.shape[1]
    x = counted.v if kind == "bits" else 2 * counted.v - 1
    products = np.stack([np.where(subset == 1, x, 1).prod(axis=1) for subset in counted.v], axis=1)
    found, one = np.linalg.solve(products, np.log(counted.p_v)), np.eye(m)
    pairs = np.clip(one[:, None] + one, 0, 1).reshape(m * m, m)
    return found[number(one)], found[number(pairs)].reshape(m, m) * (1 - one)
