"""Bounds of the bias of CD: each is held against the exact thing that it bounds, and at any size."""

import json
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from drawn_machines import ROUNDING, flat, machines, ordered
from hypothesis import given
from oracles import logistic, random_parameters, random_states, row_number

from harmonium import RBM, theory
from harmonium.rbm import all_states
from harmonium.theory import bounds as bounds_module
from harmonium.theory import contraction
from harmonium.theory.transition import product_table

DISTANCE_BOUNDS = {
    "fischer_igel": theory.fischer_igel,
    "site_wise": theory.site_wise,
    "dobrushin": theory.dobrushin,
    "path_coupling": theory.path_coupling,
    "path_coupling without biases": lambda *a, **o: theory.path_coupling(*a, use_biases=False, **o),
    "path_coupling_rate": theory.path_coupling_rate,
    "path_coupling_rate without biases": lambda *a, **o: theory.path_coupling_rate(*a, use_biases=False, **o),
}


# The bounds are bounds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DISTANCE_BOUNDS)
@given(rbm=machines(), k=st.sampled_from([1, 2, 3, 10, 100]))
def test_every_distance_bound_bounds_the_true_distance(name, rbm, k):
    """For every start; hence for every data set, every statistic with values in [0, 1], and so the bias."""
    worst = theory.transition_matrix(rbm, "visible").distances(k).max()
    assert DISTANCE_BOUNDS[name](rbm, k) >= worst - ROUNDING


@pytest.mark.parametrize("name", DISTANCE_BOUNDS)
@given(rbm=machines(), k=st.sampled_from([1, 2, 5]), seed=st.integers(0, 1000))
def test_the_distance_of_the_data_tightens_every_bound_soundly(name, rbm, k, seed):
    X = random_states(4, rbm.n_visible, seed)
    distance = theory.data_model_distance(rbm, X)
    exact, order, _ = ordered(rbm)
    chain = theory.transition_matrix(rbm, "visible")
    q = np.bincount(row_number(X), minlength=len(exact.v)) / len(X)
    assert distance == pytest.approx(np.abs(q - exact.p_v).sum() / 2, abs=1e-12)
    after = np.abs(q[order] @ np.linalg.matrix_power(chain.matrix, k) - chain.p).sum() / 2
    bound = DISTANCE_BOUNDS[name](rbm, k, distance=distance)
    assert bound >= after - ROUNDING
    assert bound >= np.abs(flat(theory.cd_bias(rbm, X, k))).max() - ROUNDING
    assert DISTANCE_BOUNDS[name](rbm, k, distance=0) == 0


@given(rbm=machines(), k=st.sampled_from([1, 2, 5, 50]))
def test_every_bound_of_the_report_bounds_the_worst_bias(rbm, k):
    found = theory.cd_bias_bounds(rbm, k)
    worst = theory.worst_cd_bias(rbm, k)
    largest = np.abs(flat(worst)).max()
    assert all(bound >= largest - ROUNDING for bound in found.bounds.values())
    assert found.value == found.bounds[found.tightest] == min(found.bounds.values()) <= 1
    for bound, bias in zip(theory.coupling_bias(rbm, k), worst, strict=True):
        assert bound.shape == bias.shape
        assert (bound >= bias - ROUNDING).all()


@given(rbm=machines(), k=st.sampled_from([1, 4]), seed=st.integers(0, 1000))
def test_component_bounds_hold_for_data_at_a_known_distance(rbm, k, seed):
    X = random_states(20, rbm.n_visible, seed)
    distance = theory.data_model_distance(rbm, X)
    for bound, bias in zip(theory.coupling_bias(rbm, k, distance=distance), theory.cd_bias(rbm, X, k), strict=True):
        assert (bound >= np.abs(bias) - ROUNDING).all()


@given(rbm=machines(), k=st.integers(1, 20))
def test_the_bounds_stand_in_their_proven_order(rbm, k):
    slack = 1 + 1e-9
    assert theory.dobrushin(rbm, k) <= theory.site_wise(rbm, k) * slack + 1e-300
    assert theory.site_wise(rbm, k) <= theory.fischer_igel(rbm, k) * slack
    assert theory.dobrushin(rbm, k) <= theory.bengio_delalleau(rbm, k) * slack
    for use_biases in (True, False):
        sums = theory.path_coupling(rbm, k, use_biases=use_biases)
        assert sums <= theory.path_coupling_rate(rbm, k, use_biases=use_biases) * slack
    assert theory.path_coupling(rbm, k) <= theory.path_coupling(rbm, k, use_biases=False) * slack
    assert all((x <= theory.path_coupling(rbm, k) * slack).all() for x in theory.coupling_bias(rbm, k))


@given(machines())
def test_half_sweeps_are_bounded_too(rbm):
    """The Dobrushin coefficients of v -> h and h -> v, and every entry of the influence matrices, by enumeration."""
    v, h = all_states(rbm.n_visible), all_states(rbm.n_hidden)
    means = {"hidden": logistic(v @ rbm.W.T + rbm.c), "visible": logistic(h @ rbm.W + rbm.b)}
    tables = {"hidden": product_table(rbm.logits_h(v)), "visible": product_table(rbm.logits_v(h))}
    for layer, states in (("hidden", v), ("visible", h)):
        table = tables[layer]
        distances = np.abs(table[:, None] - table[None]).sum(axis=2) / 2
        assert distances.max() <= -math.expm1(theory.log_overlap(rbm, layer)) + ROUNDING
        low, high = theory.logit_range(rbm, layer)
        np.testing.assert_allclose(logistic(low), means[layer].min(axis=0), atol=1e-12)
        np.testing.assert_allclose(logistic(high), means[layer].max(axis=0), atol=1e-12)
        D, D_plain = (theory.influence(rbm, layer, use_biases=use) for use in (True, False))
        np.testing.assert_allclose(D_plain, np.tanh(np.abs(rbm.W if layer == "hidden" else rbm.W.T) / 4))
        assert (D_plain + 1e-15 >= D).all()
        for j in range(states.shape[1]):
            off, on = means[layer][states[:, j] == 0], means[layer][states[:, j] == 1]
            assert (np.abs(on - off).max(axis=0) <= D[:, j] + ROUNDING).all()


@pytest.mark.parametrize("w", [0.2, 2.0, 6.0])
@pytest.mark.parametrize("field", [0.0, 1.5, -4.0])
def test_with_one_unit_a_layer_the_new_bounds_are_attained(w, field):
    """Two starts, one unit: the distance between the two chains after k sweeps is exactly both bounds."""
    rbm = RBM([[w]], [field], [-field / 2])
    T = theory.transition_matrix(rbm, "visible").matrix
    for k in (1, 2, 5):
        power = np.linalg.matrix_power(T, k)
        apart = np.abs(power[0] - power[1]).sum() / 2
        assert theory.dobrushin(rbm, k) == pytest.approx(apart, rel=1e-9)
        assert theory.path_coupling(rbm, k) == pytest.approx(apart, rel=1e-9)


def test_a_bound_that_is_wrong_by_a_little_is_caught(monkeypatch):
    """The machines above are sharp enough: influences ten per cent too small no longer bound."""
    rbm = RBM([[1.0]], [-0.5], [-0.5])  # attained up to the factor 1/2 between two starts and the model
    X = all_states(1)[1:]
    after = theory.transition_matrix(rbm, "visible").distances(1).max()
    distance = theory.data_model_distance(rbm, X)
    assert theory.path_coupling(rbm, 1, distance=distance) >= after - 1e-15
    monkeypatch.setattr(bounds_module, "influence", lambda *a, **o: 0.9 * theory.influence(*a, **o))
    assert theory.path_coupling(rbm, 1, distance=distance) < after


@pytest.mark.parametrize("seed", range(5))
def test_the_formulae_are_the_published_ones(seed):
    W, b, c = random_parameters(3, 4, seed, 0.4)
    rbm = RBM(W, b, c)
    n, m = W.shape
    alpha = max(sum(abs(W[i, j]) for i in range(n)) + abs(b[j]) for j in range(m))
    beta = max(sum(abs(W[i, j]) for j in range(m)) + abs(c[i]) for i in range(n))
    shared = 2**m * 2**n * logistic(-alpha) ** m * logistic(-beta) ** n
    D = np.tanh(np.abs(W) / 4)
    largest, overlaps = [], []
    for weights, biases in ((W, c), (W.T, b)):
        ends = [(x[x < 0].sum() + y, x[x > 0].sum() + y) for x, y in zip(weights, biases, strict=True)]
        largest += [max(abs(low), abs(high)) for low, high in ends]
        overlaps.append(math.prod(1 - (logistic(high) - logistic(low)) for low, high in ends))
    rho = min(np.linalg.norm(D, 2) ** 2, np.linalg.norm(D.T @ D, 1), np.linalg.norm(D.T @ D, np.inf))
    for k in (1, 3):
        expected = {
            theory.bengio_delalleau: 2**m * (1 - shared) ** k,
            theory.fischer_igel: 0.3 * (1 - math.exp(-(m + n) * max(largest))) ** k,
            theory.site_wise: 0.3 * (1 - math.exp(-sum(largest))) ** k,
            theory.dobrushin: 0.3 * ((1 - overlaps[0]) * (1 - overlaps[1])) ** k,
        }
        for function, value in expected.items():
            options = {} if function is theory.bengio_delalleau else {"distance": 0.3}
            assert function(rbm, k, **options) == pytest.approx(value, rel=1e-10)
        ones = np.ones(m)
        assert theory.path_coupling(rbm, k, use_biases=False) == pytest.approx(
            ones @ np.linalg.matrix_power(D.T @ D, k) @ ones, rel=1e-12
        )
        got = theory.path_coupling_rate(rbm, k, use_biases=False)
        assert m * rho**k * (1 - 1e-12) <= got <= m * rho**k * (1 + 1e-6)


@given(machines(min_hidden=1))
def test_weights_that_the_notes_call_small_are_certified(rbm):
    """||W||_1 ||W||_inf < 16, or the largest singular value of |W| below 4, makes rho < 1."""
    size = np.abs(rbm.W)
    rho = theory.contraction_rate(rbm, use_biases=False)
    assert rho <= size.sum(axis=0).max() * size.sum(axis=1).max() / 16 + 1e-12
    assert rho <= (np.linalg.norm(size, 2) / 4) ** 2 + 1e-12
    assert theory.contraction_rate(rbm) <= rho + 1e-12


def test_the_norm_is_bounded_from_above_whatever_the_structure():
    """Dense, rank one, disconnected parts of different strength, empty rows and columns, and nothing."""
    rng = np.random.default_rng(0)
    parts = np.zeros((7, 9))
    parts[:2, :3], parts[3:6, 5:] = rng.random((2, 3)), 0.01 * rng.random((3, 4))
    for D in (rng.random((5, 8)), np.outer(rng.random(4), rng.random(3)), parts, parts.T, np.eye(4), np.zeros((2, 3))):
        exact = np.linalg.norm(D, 2)
        assert exact * (1 - 1e-13) <= contraction._norm(D) <= exact * (1 + 1e-6)


# At any size ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(500, 784), (40, 1200), (0, 3000), (1, 3000)])
@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 1e4])
def test_bounds_of_large_machines_are_numbers_without_a_warning(shape, scale):
    rbm = RBM(*random_parameters(*shape, scale=scale))
    for k in (1, 1000):
        found = theory.cd_bias_bounds(rbm, k)
        assert not any(math.isnan(x) or x < 0 for x in found.bounds.values())
        assert 0 <= found.value <= 1
    summary = theory.mixing_summary(rbm)
    assert summary.spectral_gap is summary.worst_bias is None
    json.dumps(summary.as_dict(), allow_nan=False)
    if scale == 0 or shape[0] == 0:
        assert found.value == 0
        assert summary.certified_sweeps == 1


def test_small_deviations_from_no_coupling_are_not_rounded_away():
    rbm = RBM([[1e-9]], [0.0], [0.0])
    assert theory.dobrushin(rbm) == pytest.approx((1e-9 / 4) ** 2, rel=1e-6)
    assert theory.path_coupling(rbm) == pytest.approx((1e-9 / 4) ** 2, rel=1e-6)


@given(machines(), st.sampled_from([0.3, 0.01, 1e-6]))
def test_the_certified_sweeps_suffice(rbm, tolerance):
    k = theory.certified_sweeps(rbm, tolerance)
    if k is not None and k < 10_000_000:
        assert theory.transition_matrix(rbm, "visible").distances(k).max() <= tolerance * (1 + 1e-9) + ROUNDING


def test_the_certificate_grows_with_the_logarithm_of_the_width():
    weights = 1.0 / 16
    narrow, wide = (RBM(np.full((8, m), weights), np.full(m, -0.2), np.full(8, -m / 32)) for m in (8, 64))
    assert theory.certified_sweeps(narrow) <= theory.certified_sweeps(wide) <= 4 * theory.certified_sweeps(narrow)
    assert theory.certified_sweeps(RBM(*random_parameters(20, 30, scale=5))) is None


def test_the_summary_is_exact_on_small_machines():
    rbm = RBM(*random_parameters(3, 4))
    summary = theory.mixing_summary(rbm, 2)
    chain = theory.transition_matrix(rbm, "visible")
    assert summary.spectral_gap == pytest.approx(chain.gap, abs=1e-12)
    assert summary.relaxation_time == pytest.approx(chain.relaxation_time, rel=1e-9)
    assert summary.worst_distance == pytest.approx(chain.distances(2).max(), abs=1e-12)
    assert summary.worst_bias == pytest.approx(flat(theory.worst_cd_bias(rbm, 2)).max(), abs=1e-12)
    assert summary.worst_bias <= min(summary.worst_distance, summary.bias_bound)
    frozen = theory.mixing_summary(RBM([[1e4]], [-5e3], [-5e3]))
    assert frozen.as_dict()["relaxation_time"] is None
    assert frozen.spectral_gap == pytest.approx(0, abs=1e-12)
