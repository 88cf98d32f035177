"""Transition matrices, the exact bias of CD, and its bounds: every bound is held against the exact thing it bounds."""

import itertools
import json
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from oracles import Exact, logistic, random_parameters, random_states, row_number

from harmonium import RBM, theory
from harmonium.errors import InvalidData, InvalidParameter, OutOfReach
from harmonium.rbm import all_states
from harmonium.theory import bounds as bounds_module
from harmonium.theory import contraction
from harmonium.theory.transition import product_table

SHAPES = [(0, 1), (0, 3), (1, 1), (1, 4), (4, 1), (2, 3), (3, 2), (3, 3), (5, 4), (2, 6), (6, 3)]
ROUNDING = 1e-11
DISTANCE_BOUNDS = {
    "fischer_igel": theory.fischer_igel,
    "site_wise": theory.site_wise,
    "dobrushin": theory.dobrushin,
    "path_coupling": theory.path_coupling,
    "path_coupling without biases": lambda *a, **o: theory.path_coupling(*a, use_biases=False, **o),
    "path_coupling_rate": theory.path_coupling_rate,
    "path_coupling_rate without biases": lambda *a, **o: theory.path_coupling_rate(*a, use_biases=False, **o),
}


@st.composite
def machines(draw, min_hidden=0):
    """Machines of up to 5 + 5 units, from next to no couplings to very strong ones, with biases that matter."""
    n_hidden, n_visible = draw(st.integers(min_hidden, 5)), draw(st.integers(1, 5))
    W, b, c = random_parameters(n_hidden, n_visible, draw(st.integers(0, 10_000)))
    couplings = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 8.0]))
    biases = draw(st.sampled_from([0.0, 0.5, 2.0, 10.0]))
    if draw(st.booleans()):  # centred: no unit is nearly always on or off, so that chains mix as slowly as they can
        return RBM(couplings * W, -couplings * W.sum(axis=0) / 2, -couplings * W.sum(axis=1) / 2)
    return RBM(couplings * W, biases * b, biases * c)


def flat(statistics):
    return np.concatenate([x.ravel() for x in statistics])


def ordered(rbm):
    """The oracle's table, and for each of our state numbers the oracle's."""
    exact = Exact(rbm.W, rbm.b, rbm.c)
    return exact, row_number(all_states(rbm.n_visible)), row_number(all_states(rbm.n_hidden))


# The transition matrix ------------------------------------------------------------------------------------------------


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


# The exact bias -------------------------------------------------------------------------------------------------------


def negative_by_hand(exact, W, c, q_h, last_statistic):
    """The last statistics of a chain whose hidden states before the last v have the law `q_h`."""
    if last_statistic == "sampled":
        q_v = exact.p_v_from_h @ q_h
        return exact.moments_of(q_v[:, None] * exact.p_h_from_v)
    v = exact.mean_v_from_h
    h = logistic(v @ W.T + c)
    return np.einsum("r,ri,rj->ij", q_h, h, v), q_h @ v, q_h @ h


@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
@pytest.mark.parametrize("last_statistic", ["sampled", "mean_field"])
def test_the_cd_gradient_and_its_bias_equal_brute_force(n_hidden, n_visible, last_statistic):
    for (seed, scale), k in itertools.product(enumerate((0.3, 2.0, 20.0)), (1, 2, 7)):
        W, b, c = random_parameters(n_hidden, n_visible, seed, scale)
        rbm, exact, X = RBM(W, b, c), Exact(W, b, c), random_states(6, n_visible, seed)
        data = exact.joint_with_data(X)
        q_h = data.sum(axis=0) @ np.linalg.matrix_power(exact.p_v_from_h.T @ exact.p_h_from_v, k - 1)
        negative = negative_by_hand(exact, W, c, q_h, last_statistic)
        gradient = theory.cd_gradient(rbm, X, k, last_statistic=last_statistic)
        bias = theory.cd_bias(rbm, X, k, last_statistic=last_statistic)
        for got, positive, part in zip(gradient, exact.moments_of(data), negative, strict=True):
            np.testing.assert_allclose(got, positive - part, atol=1e-11)
        for got, model, part in zip(bias, exact.moments, negative, strict=True):
            np.testing.assert_allclose(got, model - part, atol=1e-11)
        np.testing.assert_allclose(flat(bias), flat(gradient - rbm.log_likelihood_gradient(X)), atol=1e-11)


def test_grey_levels_enter_the_first_hidden_sample_as_they_are():
    W, b, c = random_parameters(3, 4)
    X, exact = np.random.default_rng(0).random((5, 4)), Exact(W, b, c)
    mean = logistic(X @ W.T + c)
    q_h = np.array([np.prod(np.where(h == 1, mean, 1 - mean), axis=1).mean() for h in exact.h])
    negative = negative_by_hand(exact, W, c, q_h, "sampled")
    positive = mean.T @ X / 5, X.mean(axis=0), mean.mean(axis=0)
    for got, p, n in zip(theory.cd_gradient(RBM(W, b, c), X), positive, negative, strict=True):
        np.testing.assert_allclose(got, p - n, atol=1e-12)


def test_the_bias_vanishes_with_the_sweeps_and_where_the_data_are_the_model():
    rbm, X = RBM(*random_parameters(3, 4)), random_states(5, 4)
    sizes = [np.abs(flat(theory.cd_bias(rbm, X, k))).max() for k in (1, 4, 16, 200)]
    assert sizes[0] > 2 * sizes[1] > 8 * sizes[2]
    assert sizes[3] < 1e-12
    uncoupled = RBM(np.zeros((2, 3)), np.zeros(3), np.ones(2))
    np.testing.assert_allclose(flat(theory.cd_bias(uncoupled, all_states(3))), 0, atol=1e-15)


def test_hintons_approximation_stays_biased_where_the_sampled_statistic_does_not():
    rbm, X = RBM(*random_parameters(3, 4, scale=2.0)), random_states(5, 4)
    sampled, mean_field = (
        np.abs(flat(theory.cd_bias(rbm, X, 500, last_statistic=name))).max() for name in ("sampled", "mean_field")
    )
    assert sampled < 1e-10
    assert mean_field > 0.01


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(0, 2), (1, 1), (3, 2), (2, 4)])
@pytest.mark.parametrize("k", [1, 3])
def test_the_worst_bias_is_that_of_the_worst_single_point(n_hidden, n_visible, k):
    rbm = RBM(*random_parameters(n_hidden, n_visible, scale=2.0))
    worst = flat(theory.worst_cd_bias(rbm, k))
    points = [np.abs(flat(theory.cd_bias(rbm, v[None], k))) for v in all_states(n_visible)]
    np.testing.assert_allclose(worst, np.max(points, axis=0), atol=1e-13)
    assert (np.abs(flat(theory.cd_bias(rbm, random_states(9, n_visible), k))) <= worst + ROUNDING).all()


# The bounds are bounds ------------------------------------------------------------------------------------------------


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


# At any size ----------------------------------------------------------------------------------------------------------


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


# Refusals -------------------------------------------------------------------------------------------------------------


def test_what_is_out_of_reach_is_refused_and_can_be_asked_for():
    rbm, X = RBM(*random_parameters(3, 9)), random_states(2, 9)
    for function in (
        lambda **o: theory.transition_matrix(rbm, **o),
        lambda **o: theory.cd_gradient(rbm, X, **o),
        lambda **o: theory.cd_bias(rbm, X, **o),
        lambda **o: theory.worst_cd_bias(rbm, **o),
    ):
        function(max_units=12)
        with pytest.raises(OutOfReach, match=r"at most 11 units .* Got 12\. .* raise max_units"):
            function(max_units=11)
    with pytest.raises(OutOfReach, match=r"visible layer must have at most 6 units .* Got 9\. Take the other layer"):
        theory.transition_matrix(rbm, "visible", max_units=12)


def test_bad_arguments_are_refused():
    rbm, X = RBM(*random_parameters(2, 3)), random_states(2, 3)
    for call in (
        lambda: theory.cd_gradient(rbm, X, 0),
        lambda: theory.cd_bias(rbm, X, 1.5),
        lambda: theory.cd_bias(rbm, X, last_statistic="hope"),
        lambda: theory.worst_cd_bias(rbm, 0),
        lambda: theory.cd_bias_bounds(rbm, 0),
        lambda: theory.cd_bias_bounds(rbm, distance=1.5),
        lambda: theory.coupling_bias(rbm, distance=-1),
        lambda: theory.certified_sweeps(rbm, 0),
        lambda: theory.transition_matrix(rbm, "middle"),
        lambda: theory.log_overlap(rbm, "middle"),
    ):
        with pytest.raises(InvalidParameter):
            call()
    for call in (lambda: theory.cd_bias(rbm, X[:, :2]), lambda: theory.data_model_distance(rbm, X * 0.5 + 0.1)):
        with pytest.raises(InvalidData):
            call()
