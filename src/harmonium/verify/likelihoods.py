"""Marginals, the partition function and the gradient: (22) to (28) of the first seed, (9) to (15) of the page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harmonium.likelihood import exact_gradient, exact_statistics, log_partition, probability_table
from harmonium.likelihood.marginal import marginal_free_energy
from harmonium.rbm import RBM
from harmonium.verify.check import DIFFERENCES, SINGLE, Check, compare
from harmonium.verify.counting import Array, Counted, Parameters, number, slopes
from harmonium.verify.machines import data, machine, parameters


def checks(engines: tuple[str, ...]) -> Iterator[Check]:
    """Likelihoods by counting, and gradients by finite differences of the counted likelihood."""
    rbm, counted = machine()
    X = data(rbm.n_visible)
    yield from _likelihoods(rbm, counted, X, engines)
    for engine in engines:
        yield _annealed(rbm, counted, engine)
        yield _missing(rbm, counted, engine)
    yield from _gradients(rbm, counted, X, engines)


def _likelihoods(rbm: RBM, counted: Counted, X: Array, engines: tuple[str, ...]) -> Iterator[Check]:
    log_z, log_p = np.log(counted.z), np.log(counted.p_v)
    p_v = np.exp(-rbm.free_energy(counted.v)) / counted.z
    for equation in ("seed 1 (23)", "seed 2, marginal p(v)", "(9)"):
        yield compare(equation, "RBM.free_energy", p_v, counted.joint.sum(axis=1))
    yield compare("(10)", "RBM.free_energy_h", np.exp(-rbm.free_energy_h(counted.h)) / counted.z, counted.p_h)
    yield compare("(11)", "RBM.log_z", rbm.log_z(), log_z)
    for engine in engines:
        found = log_partition(rbm, engine=engine).value
        yield compare("(11)", "log_partition", found, log_z, engine=engine)
    total = log_p[number(X)].sum()
    yield compare("seed 1 (22)", "RBM.log_likelihood", rbm.log_likelihood(X).sum(), total)
    weights = np.exp(-counted.energy)
    as_written = np.log(weights.sum(axis=1)) - np.log(weights.sum())
    for equation in ("seed 1 (24)", "seed 2 (5)", "(12)"):
        yield compare(equation, "RBM.log_likelihood", rbm.log_likelihood(counted.v), as_written)
    table = probability_table(rbm)
    # The table counts units from the lowest bit, ours from the highest.
    order = (np.arange(len(table.p))[:, None] >> np.arange(rbm.n_hidden)) & 1
    yield compare("(18)", "probability_table", table.p, counted.p_h[number(order)])


def _annealed(rbm: RBM, counted: Counted, engine: str) -> Check:
    """How far log Z lies outside the bracket of annealing, which is narrow here; its ends are sums in float32."""
    found, log_z = log_partition(rbm, "ais", engine=engine), np.log(counted.z)
    outside = np.inf
    if found.verdict == "ok" and found.lower is not None and found.upper is not None:
        outside = max(0.0, found.lower - log_z, log_z - found.upper)
    return Check("(36)", "log_partition, annealed", engine, float(outside), SINGLE)


def _missing(rbm: RBM, counted: Counted, engine: str) -> Check:
    """Every way in which entries of a row can be missing, against sums over the table."""
    rows, expected = [], []
    for mask in counted.v.astype(bool):
        row = np.where(mask, np.nan, counted.v[5])
        agrees = (np.isnan(row) | (counted.v == row)).all(axis=1)
        rows.append(row)
        expected.append(-np.log(counted.p_v[agrees].sum()) - np.log(counted.z))
    found = marginal_free_energy(rbm, np.array(rows), engine=engine)
    return compare("(37)", "likelihood.marginal.marginal_free_energy", found, expected, engine=engine, tolerance=SINGLE)


def _gradients(rbm: RBM, counted: Counted, X: Array, engines: tuple[str, ...]) -> Iterator[Check]:
    theta, n = parameters(), len(X)

    def total(W: Array, b: Array, c: Array) -> float:
        """The log-likelihood of all rows, counted."""
        return float(np.log(Counted(W, b, c).p_v[number(X)]).sum())

    measured = slopes(total, theta)
    found = tuple(n * part for part in rbm.log_likelihood_gradient(X))
    for k, part in enumerate(("W", "b", "c")):
        for equation in (f"seed 1 ({26 + k})", f"seed 2 ({8 + k})"):
            name = "RBM.log_likelihood_gradient"
            yield compare(equation, f"{name}, {part}", found[k], measured[k], tolerance=n * DIFFERENCES)
    one = RBM(*theta).log_likelihood_gradient(X[:1])
    general = _general_form(theta, counted, X[0])
    for equation in ("seed 1 (25)", "seed 2 (6)", "(33)"):
        yield compare(equation, "RBM.log_likelihood_gradient", tuple(one), general, tolerance=DIFFERENCES)
    yield compare("seed 2 (7)", "RBM.log_likelihood_gradient, W", one.hv, general[0], tolerance=DIFFERENCES)
    yield compare(
        "(13)", "RBM.expected_statistics", tuple(rbm.expected_statistics(X)), counted.moments_of(counted.law_of(X))
    )
    model = counted.moments(counted.joint)
    yield compare("(14)", "RBM.model_statistics", tuple(rbm.model_statistics()), model)
    mean = tuple(part / n for part in measured)
    yield compare("(15)", "RBM.log_likelihood_gradient", tuple(rbm.log_likelihood_gradient(X)), mean,
                  tolerance=DIFFERENCES)  # fmt: skip
    for engine in engines:
        statistics = exact_statistics(rbm, engine=engine)
        yield compare("(14)", "exact_statistics", tuple(statistics), model, engine=engine, tolerance=SINGLE)
        gradient = exact_gradient(rbm, X, engine=engine)
        yield compare("(15)", "exact_gradient", tuple(gradient), mean, engine=engine, tolerance=SINGLE)


def _general_form(theta: Parameters, counted: Counted, v: Array) -> Parameters:
    """- sum_h p(h | v) dE/dtheta + sum_vh p(v, h) dE/dtheta, with the derivatives of the energy by differences."""
    row = int(number(v[None])[0])
    given_v = np.zeros_like(counted.joint)
    given_v[row] = counted.p_h_from_v[row]
    law = counted.joint - given_v

    def energy(W: Array, b: Array, c: Array) -> float:
        return float((law * Counted(W, b, c).energy).sum())  # E is linear in theta, so the law may be taken outside

    return slopes(energy, theta)
