"""The equations of the machine against brute force, its gauges, finite differences and extended precision."""

import decimal
import itertools
import math

import numpy as np
import pytest
from oracles import (
    Exact,
    central_differences,
    dyadic_parameters,
    log_sum_exp,
    logistic,
    random_parameters,
    random_states,
    row_number,
)

from harmonium import RBM, Key
from harmonium.errors import DataUnavailable, InvalidData, InvalidParameter, OutOfReach, UnreadableFile

SHAPES = [(n, m) for n in range(12) for m in range(1, 13) if n + m <= 12]
SCALES = {"zero": 0.0, "weak": 0.1, "unit": 1.0, "strong": 6.0}
TIGHT = {"rtol": 1e-12, "atol": 1e-12}


def machines(n_hidden, n_visible):
    """Several draws of parameters for one shape."""
    for seed, scale in enumerate(SCALES.values()):
        parameters = random_parameters(n_hidden, n_visible, seed, scale)
        yield RBM(*parameters), Exact(*parameters)


# The oracle itself ---------------------------------------------------------------------------------------------------


def test_the_oracle_agrees_with_a_machine_done_by_hand():
    exact = Exact([[math.log(3)]], [0.0], [0.0])  # weights of (v, h): 1, 1, 1, 3
    assert exact.log_z == pytest.approx(math.log(6), rel=1e-15)
    np.testing.assert_allclose(exact.p_v, [1 / 3, 2 / 3])
    np.testing.assert_allclose(exact.p_h_from_v, [[1 / 2, 1 / 2], [1 / 4, 3 / 4]])
    np.testing.assert_allclose(exact.moments[0], [[1 / 2]])


def test_the_oracle_agrees_with_plain_loops():
    W, b, c = random_parameters(3, 2)
    exact = Exact(W, b, c)
    for (x, v), (y, h) in itertools.product(
        enumerate(itertools.product((0, 1), repeat=2)), enumerate(itertools.product((0, 1), repeat=3))
    ):
        energy = 0.0
        for i in range(3):
            energy -= c[i] * h[i]
            for j in range(2):
                energy -= h[i] * W[i, j] * v[j]
        for j in range(2):
            energy -= b[j] * v[j]
        assert exact.energy[x, y] == pytest.approx(energy, abs=1e-14)


# Enumeration ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
def test_every_distribution_equals_brute_force(n_hidden, n_visible):
    for rbm, exact in machines(n_hidden, n_visible):
        assert rbm.log_z() == pytest.approx(exact.log_z, rel=1e-12, abs=1e-12)
        np.testing.assert_allclose(rbm.log_likelihood(exact.v), exact.log_p_v, **TIGHT)
        np.testing.assert_allclose(-rbm.free_energy(exact.v) - exact.log_z, exact.log_p_v, **TIGHT)
        np.testing.assert_allclose(-rbm.free_energy_h(exact.h) - exact.log_z, exact.log_p_h, **TIGHT)
        np.testing.assert_allclose(rbm.mean_h_from_v(exact.v), exact.mean_h_from_v, **TIGHT)
        np.testing.assert_allclose(rbm.mean_v_from_h(exact.h), exact.mean_v_from_h, **TIGHT)
        v = np.repeat(exact.v, len(exact.h), axis=0)
        h = np.tile(exact.h, (len(exact.v), 1))
        np.testing.assert_allclose(rbm.energy(v, h), exact.energy.ravel(), **TIGHT)
        np.testing.assert_allclose(rbm.log_joint_unnormalised(v, h), -exact.energy.ravel(), **TIGHT)
        np.testing.assert_allclose(rbm.log_p_h_from_v(h, v), exact.log_p_h_from_v.ravel(), **TIGHT)
        np.testing.assert_allclose(rbm.log_p_v_from_h(v, h), exact.log_p_v_from_h.ravel(), **TIGHT)


@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
def test_moments_and_gradient_equal_brute_force(n_hidden, n_visible):
    X = random_states(7, n_visible)
    for rbm, exact in machines(n_hidden, n_visible):
        for got, expected in zip(rbm.model_statistics(), exact.moments, strict=True):
            np.testing.assert_allclose(got, expected, **TIGHT)
        for got, expected in zip(rbm.log_likelihood_gradient(X), exact.gradient(X), strict=True):
            np.testing.assert_allclose(got, expected, **TIGHT)


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(0, 3), (1, 1), (3, 1), (2, 5), (4, 3)])
def test_the_gradient_is_the_slope_of_the_log_likelihood(n_hidden, n_visible):
    parameters, X = random_parameters(n_hidden, n_visible), random_states(6, n_visible)

    def mean_log_likelihood(W, b, c):
        return Exact(W, b, c).log_p_v[row_number(X)].mean()

    slopes = central_differences(mean_log_likelihood, parameters)
    for got, slope in zip(RBM(*parameters).log_likelihood_gradient(X), slopes, strict=True):
        np.testing.assert_allclose(got, slope, atol=1e-9)


def test_the_gradient_vanishes_where_the_data_are_the_model():
    X = np.array(list(itertools.product((0, 1), repeat=3)))  # fair coins, and a machine of fair coins
    for part in RBM(np.zeros((2, 3)), np.zeros(3), np.zeros(2)).log_likelihood_gradient(X):
        np.testing.assert_allclose(part, 0, atol=1e-15)


def test_sampled_statistics_of_grey_data_use_the_grey_levels():
    W, b, c = random_parameters(2, 3)
    X = np.array([[0.25, 0.5, 1.0], [0.0, 0.75, 0.5]])
    q = logistic(X @ W.T + c)
    got = RBM(W, b, c).expected_statistics(X)
    np.testing.assert_allclose(got.hv, (q[0][:, None] * X[0] + q[1][:, None] * X[1]) / 2, **TIGHT)
    np.testing.assert_allclose(got.v, X.mean(0), **TIGHT)
    np.testing.assert_allclose(got.h, q.mean(0), **TIGHT)


# Identities that need no enumeration, on machines of real size -------------------------------------------------------


def test_conditionals_are_ratios_of_the_joint():
    """Grosse and Duvenaud: p(h'|v) / p(h|v) = p(v, h') / p(v, h), and the same for the other layer."""
    rbm = RBM(*random_parameters(60, 90, scale=0.3))
    v, v2 = random_states(2000, 90, 1), random_states(2000, 90, 2)
    h, h2 = random_states(2000, 60, 3), random_states(2000, 60, 4)
    np.testing.assert_allclose(
        rbm.log_p_h_from_v(h2, v) - rbm.log_p_h_from_v(h, v), rbm.energy(v, h) - rbm.energy(v, h2), atol=1e-11
    )
    np.testing.assert_allclose(
        rbm.log_p_v_from_h(v2, h) - rbm.log_p_v_from_h(v, h), rbm.energy(v, h) - rbm.energy(v2, h), atol=1e-11
    )
    # Chain rule: F(v) + (-log p(h | v)) = E(v, h) for every h, and with the layers exchanged.
    np.testing.assert_allclose(rbm.free_energy(v) - rbm.log_p_h_from_v(h, v), rbm.energy(v, h), atol=1e-11)
    np.testing.assert_allclose(rbm.free_energy_h(h) - rbm.log_p_v_from_h(v, h), rbm.energy(v, h), atol=1e-11)


def test_a_decoupled_hidden_unit_adds_softplus_of_its_bias():
    W, b, c = random_parameters(3, 4)
    larger = RBM(np.vstack([W, np.zeros(4)]), b, np.append(c, 0.7))
    assert larger.log_z() == pytest.approx(RBM(W, b, c).log_z() + math.log1p(math.exp(0.7)), rel=1e-14)


def test_no_hidden_units_is_independent_coins():
    rbm = RBM(np.zeros((0, 3)), [1.0, -2.0, 0.5], [])
    expected = sum(math.log1p(math.exp(b)) for b in rbm.b)
    assert rbm.log_z() == pytest.approx(expected, rel=1e-15)
    assert rbm.mean_h_from_v([[1, 0, 1]]).shape == (1, 0)
    np.testing.assert_allclose(rbm.mean_v_from_h(np.zeros((2, 0))), np.tile(logistic(rbm.b), (2, 1)))


# Gauges --------------------------------------------------------------------------------------------------------------


def test_mirror_exchanges_the_layers():
    rbm = RBM(*random_parameters(3, 5))
    v, h = random_states(40, 5), random_states(40, 3)
    np.testing.assert_allclose(rbm.mirror().energy(h, v), rbm.energy(v, h), atol=1e-13)
    assert rbm.mirror().log_z() == pytest.approx(rbm.log_z(), rel=1e-14)
    np.testing.assert_array_equal(rbm.mirror().mirror().W, rbm.W)


def test_permute_moves_units_and_nothing_else():
    rbm = RBM(*random_parameters(4, 5))
    hidden, visible = [2, 0, 3, 1], [4, 2, 0, 1, 3]
    moved = rbm.permute(hidden=hidden, visible=visible)
    v, h = random_states(40, 5), random_states(40, 4)
    np.testing.assert_allclose(moved.energy(v[:, visible], h[:, hidden]), rbm.energy(v, h), atol=1e-13)
    assert moved.log_z() == pytest.approx(rbm.log_z(), rel=1e-14)


@pytest.mark.parametrize("flipped", list(itertools.product((False, True), repeat=3)))
def test_flip_visible_relabels_states_and_reports_the_shift(flipped):
    rbm = RBM(*random_parameters(4, 3))
    gauged, shift = rbm.flip_visible(flipped)
    v = Exact(rbm.W, rbm.b, rbm.c).v
    np.testing.assert_allclose(gauged.log_likelihood(np.logical_xor(v, flipped)), rbm.log_likelihood(v), atol=1e-13)
    assert rbm.log_z() - gauged.log_z() == pytest.approx(shift, abs=1e-12)


# Floating point ------------------------------------------------------------------------------------------------------


def decimal_free_energy(rbm, v):
    """F(v) with 60 digits, from the stored values of the parameters."""
    with decimal.localcontext() as context:
        context.prec = 60
        exact = decimal.Decimal
        total = -sum((exact(float(b)) for b, on in zip(rbm.b, v, strict=True) if on), exact(0))
        for row, c in zip(rbm.W, rbm.c, strict=True):
            logit = exact(float(c)) + sum((exact(float(w)) for w, on in zip(row, v, strict=True) if on), exact(0))
            # softplus(x) = max(x, 0) + log(1 + exp(-|x|))
            total -= max(logit, exact(0)) + (1 + (-abs(logit)).exp()).ln()
        return float(total)


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (4, 2)])
def test_spins_have_the_distribution_of_states_and_the_log_z_that_the_shift_says(shape):
    parameters = random_parameters(*shape, 3, 1.5)
    rbm, exact = RBM(*parameters), Exact(*parameters)
    ising, shift = rbm.to_ising()
    s, t = 2 * exact.v - 1, 2 * exact.h - 1
    energy = -(np.einsum("hi,ij,vj->vh", t, ising.J, s) + (s @ ising.field_v)[:, None] + t @ ising.field_h)
    log_z = log_sum_exp(-energy.ravel())
    np.testing.assert_allclose(np.exp(-energy - log_z), exact.joint, **TIGHT)
    assert exact.log_z - log_z == pytest.approx(shift, rel=1e-12)
    again, back = RBM.from_ising(*ising)
    for x, y in zip((again.W, again.b, again.c), parameters, strict=True):
        np.testing.assert_allclose(x, y, **TIGHT)
    assert log_z - again.log_z() == pytest.approx(back, rel=1e-12)


def test_an_ising_model_without_fields_is_even():
    rbm, shift = RBM.from_ising([[0.5, -1.0]], [0.0, 0.0], [0.0])
    np.testing.assert_allclose(rbm.log_likelihood([[0, 1]]), rbm.log_likelihood([[1, 0]]), rtol=1e-12)
    # Z = sum over s of 2 cosh(J's)
    assert rbm.log_z() + shift == pytest.approx(math.log(4 * math.cosh(0.5) + 4 * math.cosh(1.5)), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 30.0, 1e3, 1e5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 2e-6)])
def test_free_energy_is_accurate_to_the_last_digits(scale, dtype, tolerance):
    rbm = RBM(*(x.astype(dtype) for x in random_parameters(6, 8, scale=scale)))
    v = random_states(20, 8)
    got = rbm.free_energy(v)
    assert got.dtype == dtype
    # Cancellation between terms of either sign is the data's, so the error is measured against their sizes.
    size = np.abs(rbm.b).sum() + np.abs(rbm.W).sum() + np.abs(rbm.c).sum() + 6 * math.log(2)
    np.testing.assert_allclose(got, [decimal_free_energy(rbm, x) for x in v], rtol=0, atol=tolerance * size)


@pytest.mark.parametrize("size", [800.0, 1e5, 1e300])
def test_huge_logits_stay_finite_without_a_warning(size):
    rbm = RBM([[size, -size]], [0.0, 0.0], [0.0])
    v = [[1, 0], [0, 1], [1, 1]]
    np.testing.assert_allclose(rbm.free_energy(v), [-size, 0, -math.log(2)], rtol=1e-15)
    np.testing.assert_array_equal(rbm.mean_h_from_v(v), [[1], [0], [0.5]])
    np.testing.assert_allclose(rbm.log_p_h_from_v([[0], [1], [1]], v), [-size, -size, -math.log(2)], rtol=1e-15)
    assert rbm.log_z() == pytest.approx(log_sum_exp([math.log(4), size]), rel=1e-15)
    assert all(np.isfinite(x).all() for x in rbm.model_statistics())


def test_float32_machines_stay_float32_and_agree_with_float64():
    parameters = dyadic_parameters(4, 6)
    single, double = RBM(*(x.astype(np.float32) for x in parameters)), RBM(*parameters)
    v = random_states(10, 6)
    assert single.mean_h_from_v(v).dtype == np.float32
    assert double.mean_h_from_v(v).dtype == np.float64
    np.testing.assert_array_equal(single.logits_h(v), double.logits_h(v))
    assert single.log_z() == pytest.approx(double.log_z(), rel=1e-6)


# The record ----------------------------------------------------------------------------------------------------------


def test_a_machine_cannot_be_changed_from_outside():
    W = np.zeros((2, 3))
    rbm = RBM(W, np.zeros(3), np.zeros(2))
    W[0, 0] = 5
    assert rbm.W[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        rbm.W[0, 0] = 1
    with pytest.raises(AttributeError):
        rbm.W = W


@pytest.mark.parametrize(
    ("W", "b", "c"),
    [
        (np.zeros((2, 3)), np.zeros(2), np.zeros(3)),
        (np.zeros((2, 3)), np.zeros((3, 1)), np.zeros(2)),
        (np.zeros(3), np.zeros(3), np.zeros(1)),
        (np.zeros((2, 0)), np.zeros(0), np.zeros(2)),
        (np.full((2, 3), np.nan), np.zeros(3), np.zeros(2)),
        (np.zeros((2, 3)), np.full(3, np.inf), np.zeros(2)),
        ([["a", "b", "c"], ["d", "e", "f"]], np.zeros(3), np.zeros(2)),
        ([["1", "2", "3"], ["4", "5", "6"]], np.zeros(3), np.zeros(2)),
        (np.full((2, 3), 1j), np.zeros(3), np.zeros(2)),
        ([[1, 2, 3], [4, 5]], np.zeros(3), np.zeros(2)),
        (None, None, None),
    ],
)
def test_unsound_parameters_are_refused(W, b, c):
    with pytest.raises(InvalidParameter, match=r"(?s)must .*\. Got .*\. [A-Z].*\.$"):
        RBM(W, b, c)


def test_enumeration_out_of_reach_is_refused():
    rbm = RBM(np.zeros((17, 17)), np.zeros(17), np.zeros(17))
    for method in (rbm.log_z, rbm.model_statistics):
        with pytest.raises(OutOfReach, match=r"at most 16 units .* Got 17\. Use "):
            method()


def test_pairs_of_states_must_match():
    rbm = RBM(np.zeros((2, 3)), np.zeros(3), np.zeros(2))
    with pytest.raises(InvalidData, match="same number of rows"):
        rbm.energy(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(InvalidData, match="h must have 2 columns"):
        rbm.energy(np.zeros((2, 3)), np.zeros((2, 3)))


def test_initialise_fits_the_means_and_is_finite_for_constant_columns():
    X = np.zeros((9, 3), np.uint8)
    X[:3, 1] = X[:, 2] = 1
    rbm = RBM.initialise(X, 5, seed=3)
    p = np.array([0.5, 3.5, 9.5]) / 10
    np.testing.assert_allclose(rbm.b, np.log(p / (1 - p)), rtol=1e-6)
    assert rbm.W.shape == (5, 3)
    assert rbm.W.dtype == np.float32
    np.testing.assert_array_equal(rbm.c, 0)
    np.testing.assert_array_equal(rbm.W, RBM.initialise(X, 5, seed=3).W)
    assert (rbm.W != RBM.initialise(X, 5, seed=4).W).all()


@pytest.mark.false_alarm(2e-9)
def test_initial_weights_have_the_scale_asked_for(seed):
    """False-alarm rate 1e-9 (6.1 standard errors of a variance); it sees errors of the scale above 2 %."""
    W = RBM.initialise(np.eye(300), 300, seed=seed(0), scale=0.5).W
    assert W.std() == pytest.approx(0.5, rel=6.1 / math.sqrt(2 * W.size))
    assert W.mean() == pytest.approx(0, abs=6.1 * 0.5 / math.sqrt(W.size))
    np.testing.assert_array_equal(RBM.initialise(np.eye(3), 2, scale=0).W, 0)


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 4), (0, 2), (5, 1)])
def test_save_and_load_are_exact(tmp_path, dtype, shape):
    rbm = RBM(*(x.astype(dtype) for x in random_parameters(*shape)))
    rbm.save(tmp_path / "m.safetensors", note="é")
    back = RBM.load(tmp_path / "m.safetensors")
    for name in "Wbc":
        np.testing.assert_array_equal(getattr(back, name), getattr(rbm, name))
        assert getattr(back, name).dtype == dtype


def test_loading_what_is_not_there_or_not_a_model(tmp_path):
    with pytest.raises(DataUnavailable, match="Got nothing there"):
        RBM.load(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UnreadableFile):
        RBM.load(tmp_path / "text")


# Draws ---------------------------------------------------------------------------------------------------------------


def test_draws_are_on_where_their_noise_is_below_the_mean():
    rbm, v, h = RBM(*random_parameters(3, 5)), random_states(20, 5), random_states(20, 3)
    key = Key(4).at(2)
    drawn = rbm.sample_h_from_v(v, seed=key)
    u = key.derive("sample_h_from_v").uniform(20, 3)
    np.testing.assert_array_equal(drawn, u < rbm.mean_h_from_v(v))
    assert drawn.dtype == np.uint8
    u = Key(7).derive("sample_v_from_h").uniform(20, 5)
    np.testing.assert_array_equal(rbm.sample_v_from_h(h, seed=7), u < rbm.mean_v_from_h(h))
    np.testing.assert_array_equal(rbm.sample_h_from_v(v[7:], seed=key.rows_from(7)), drawn[7:])
    with pytest.raises(InvalidData):
        rbm.sample_v_from_h(v)
