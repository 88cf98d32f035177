"""Blocked Gibbs sampling and contrastive divergence: (29), (30) of the first seed, (16) to (23) of the page.

What is an expectation is compared with the counted one. What is drawn is drawn so often that Hoeffding's inequality
bounds the error: the noise is fixed, so a verdict is the same in every run, and one false alarm in a billion is the
chance that a sound machine had when it was fixed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from harmonium.engines import make_engine
from harmonium.likelihood import exact_sample
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.sampling import sample
from harmonium.theory import cd_bias, cd_bias_bounds, cd_gradient, transition_matrix
from harmonium.training.negative import run_gibbs
from harmonium.verify.check import EXACT, Check, compare
from harmonium.verify.counting import Array, Counted, Parameters, number, subtract
from harmonium.verify.machines import data, machine

_DRAWS = 200_000
_ROUNDING = 1e-6


def checks(engines: tuple[str, ...]) -> Iterator[Check]:
    """Transition matrices, and the expectations of CD-k."""
    rbm, counted = machine()
    yield from _matrices(rbm, counted)
    yield from _contrastive(rbm, counted)
    for engine in engines:
        yield from _drawn(rbm, counted, engine)


def _matrices(rbm: RBM, counted: Counted) -> Iterator[Check]:
    T = transition_matrix(rbm, "visible")
    place = number((np.arange(len(T.p))[:, None] >> np.arange(rbm.n_visible)) & 1)
    yield compare("(16)", "theory.transition_matrix", T.matrix, counted.sweep[place][:, place])
    flow = T.p[:, None] * T.matrix
    yield compare("(16)", "theory.transition_matrix, stationary", T.p @ T.matrix, T.p)
    yield compare("(16)", "theory.transition_matrix, reversible", flow, flow.T)
    hidden = transition_matrix(rbm, "hidden").eigenvalues
    yield compare("(17)", "theory.Transition.eigenvalues", T.eigenvalues[: len(hidden)], hidden, tolerance=1e-10)
    bound = 0.5 * T.eigenvalues[1] ** 3 * np.sqrt(1 / T.p - 1)
    yield Check("(17)", "theory.Transition.distances, bound", None, _excess(T.distances(3), bound), EXACT)


def _contrastive(rbm: RBM, counted: Counted) -> Iterator[Check]:
    X = data(rbm.n_visible)
    positive, exact = counted.moments_of(counted.law_of(X)), counted.gradient(X)
    law = counted.law_of(X)
    for k in (1, 2, 5):
        law_k = law @ np.linalg.matrix_power(counted.sweep, k)
        step = subtract(positive, counted.moments_of(law_k))
        for equation in ("seed 1 (30)", "seed 2 (11)", "(20)"):
            yield compare(equation, f"theory.cd_gradient, k = {k}", tuple(cd_gradient(rbm, X, k)), step)
        bias = tuple(cd_bias(rbm, X, k))
        for equation in ("seed 2, bias", "(22)"):
            yield compare(equation, f"theory.cd_bias, k = {k}", bias, subtract(step, exact))
        largest = max(float(np.abs(part).max()) for part in bias)
        excess = max(0.0, largest - cd_bias_bounds(rbm, k).value)
        yield Check("(23)", f"theory.cd_bias_bounds, k = {k}", None, excess, EXACT)
        found = tuple(cd_gradient(rbm, X, k, last_statistic="mean_field"))
        mean_field = subtract(positive, _mean_field(rbm, counted, law, k))
        for equation in ("seed 1 (29)", "(21)"):
            yield compare(equation, f"theory.cd_gradient, mean field, k = {k}", found, mean_field)


def _mean_field(rbm: RBM, counted: Counted, law: Array, k: int) -> Parameters:
    """E[h | v] E[v | h]' with v = E[v | h], over the law of the k-th h, from the definitions of sigma and the mean."""
    W, b, c = rbm.W, rbm.b, rbm.c
    law_h = law @ np.linalg.matrix_power(counted.sweep, k - 1) @ counted.p_h_from_v
    v = 1 / (1 + np.exp(-(counted.h @ W + b)))
    h = 1 / (1 + np.exp(-(v @ W.T + c)))
    return np.einsum("s,si,sj->ij", law_h, h, v), law_h @ v, law_h @ h


def _drawn(rbm: RBM, counted: Counted, engine: str) -> Iterator[Check]:
    """Frequencies of states, and averages of a step, from 200,000 chains."""
    start = np.zeros((_DRAWS, rbm.n_visible), np.uint8)
    start[:, ::2] = 1
    row = counted.sweep @ counted.sweep
    expected = row[number(start[:1])[0]]
    drawn = sample(rbm, start=start, sweeps=2, seed=Key(2026).derive("verify sweeps"), engine=engine)
    bound = _hoeffding(len(expected))
    for equation in ("seed 2, blocked Gibbs sampling", "(16)"):
        yield compare(equation, "sample, drawn", _frequencies(drawn), expected, engine=engine, tolerance=bound)
    v, h = exact_sample(rbm, _DRAWS, seed=Key(2026).derive("verify exact"), engine=engine)
    both = np.bincount(number(v) * len(counted.h) + number(h), minlength=counted.joint.size) / _DRAWS
    yield compare("(18)", "exact_sample, drawn", both, counted.joint.ravel(), engine=engine,
                  tolerance=_hoeffding(both.size))  # fmt: skip

    machine_ = make_engine(rbm, engine)
    key = Key(2026).derive("verify chains")
    states = machine_.encode(start)
    h0 = machine_.sample_h(states, key.derive("first"))
    phase, _ = run_gibbs(machine_, h0, key, sweeps=2, step=0)
    law = np.zeros(len(counted.v))
    law[number(start[:1])[0]] = 1
    expected_moments = counted.moments_of(law @ np.linalg.matrix_power(counted.sweep, 2))
    n_statistics = sum(part.size for part in expected_moments)
    moments = tuple(machine_.to_numpy(x) for x in machine_.moments(phase))
    yield compare("(19)", "training.negative.run_gibbs, drawn", moments, expected_moments,
                  engine=engine, tolerance=_hoeffding(n_statistics) + _ROUNDING)  # fmt: skip


def _frequencies(states: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Array:
    return np.bincount(number(states), minlength=2 ** states.shape[1]) / len(states)


def _hoeffding(n_statistics: int) -> float:
    """How far means of values in [0, 1] may be off, all of them, with one false alarm in a billion."""
    return math.sqrt(math.log(2 * n_statistics / 1e-9) / (2 * _DRAWS))


def _excess(values: Array, bounds: Array) -> float:
    """How far a bound is broken: zero for one that holds, rounding aside."""
    excess = float((values - bounds).max())
    return 0.0 if excess <= 1e-14 else excess
