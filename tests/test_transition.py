"""Blocked Gibbs sampling as a matrix: against brute force, its eigenvalues, and how fast it forgets."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from drawn_machines import SHAPES, machines, ordered
from hypothesis import given
from oracles import random_parameters, random_states

from harmonium import RBM, theory
from harmonium.rbm import all_states
from harmonium.theory.transition import product_table


@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
@pytest.mark.parametrize("scale", [0.5, 3.0, 30.0])
def test_transition_matrices_equal_brute_force_and_are_stationary(n_hidden, n_visible, scale):
    rbm = RBM(*random_parameters(n_hidden, n_visible, scale=scale))
    exact, v, h = ordered(rbm)
    h_sweep = exact.p_v_from_h.T @ exact.p_h_from_v
    for layer, T, p, order in (("visible", exact.sweep, exact.p_v, v), ("hidden", h_sweep, exact.p_h, h)):
        chain = theory.transition_matrix(rbm, layer)
        assert chain.layer == layer
        np.testing.assert_allclose(chain.matrix, T[np.ix_(order, order)], atol=1e-11)
        np.testing.assert_allclose(chain.p, p[order], atol=1e-11)
        np.testing.assert_allclose(chain.matrix.sum(axis=1), 1, atol=1e-13)
        np.testing.assert_allclose(chain.p @ chain.matrix, chain.p, atol=1e-11)
        flow = chain.p[:, None] * chain.matrix
        np.testing.assert_allclose(flow, flow.T, atol=1e-11)
    assert theory.transition_matrix(rbm).layer == ("visible" if n_visible < n_hidden else "hidden")


@given(machines())
def test_both_layers_have_the_same_eigenvalues_in_the_unit_interval(rbm):
    v, h = (theory.transition_matrix(rbm, layer).eigenvalues for layer in ("visible", "hidden"))
    shorter = min(len(v), len(h))
    np.testing.assert_allclose(v[:shorter], h[:shorter], atol=1e-7)
    for rest in (v[shorter:], h[shorter:]):
        np.testing.assert_allclose(rest, 0, atol=1e-7)
    assert v[0] == pytest.approx(1, abs=1e-12)
    plain = np.sort(np.linalg.eigvals(theory.transition_matrix(rbm, "visible").matrix).real)[::-1]
    np.testing.assert_allclose(v, plain, atol=1e-6)


@pytest.mark.parametrize("w", [0.1, 1.0, 5.0])
def test_two_units_mix_as_their_squared_correlation(w):
    """One visible and one hidden unit without a field: their correlation is tanh(w / 4)."""
    chain = theory.transition_matrix(RBM([[w]], [-w / 2], [-w / 2]))
    assert chain.gap == pytest.approx(1 - math.tanh(w / 4) ** 2, rel=1e-12)
    assert chain.relaxation_time == pytest.approx(-1 / math.log(math.tanh(w / 4) ** 2), rel=1e-9)
    np.testing.assert_allclose(chain.decay(3), math.tanh(w / 4) ** np.array([0, 2, 4, 6]) / 2, atol=1e-15)


@given(machines(), st.integers(1, 6))
def test_the_gap_bounds_the_decay_of_total_variation(rbm, sweeps):
    """Reversible chains: TV(T^k(x, .), p) <= lambda_2^k sqrt(1 / p(x) - 1) / 2. And the distance never grows."""
    chain = theory.transition_matrix(rbm, "visible")
    distances = chain.distances(sweeps)
    if len(chain.p) > 1:
        with np.errstate(over="ignore", divide="ignore"):
            at_most = chain.eigenvalues[1] ** sweeps * np.sqrt(1 / chain.p - 1) / 2
        assert (distances <= at_most + 1e-7).all()
    decay = chain.decay(sweeps)
    assert decay[sweeps] == pytest.approx(distances.max(), abs=1e-12)
    assert (np.diff(decay) <= 1e-12).all()


def test_product_tables_are_accurate_in_relative_terms():
    logits = np.array([[3.0, -200.0, 40.0, 0.0], [-300.0, 1e-3, -1.0, 300.0]])
    table = product_table(logits)
    states = all_states(4)
    for row, logit in zip(table, logits, strict=True):
        log_p = -np.logaddexp(0, np.where(states == 1, -logit, logit)).sum(axis=1)
        np.testing.assert_allclose(row, np.exp(log_p), rtol=1e-12)


@pytest.mark.parametrize("layer", ["visible", "hidden"])
def test_blocks_of_states_do_not_show(monkeypatch, layer):
    rbm, X = RBM(*random_parameters(4, 5)), random_states(9, 5)
    whole = [theory.transition_matrix(rbm, layer).matrix, *theory.cd_bias(rbm, X, 2), *theory.worst_cd_bias(rbm)]
    monkeypatch.setattr("harmonium.theory.transition._CELLS", 100)
    pieces = [theory.transition_matrix(rbm, layer).matrix, *theory.cd_bias(rbm, X, 2), *theory.worst_cd_bias(rbm)]
    for got, expected in zip(pieces, whole, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-14)
