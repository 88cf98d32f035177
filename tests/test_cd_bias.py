"""The exact bias of contrastive divergence, against brute force over all of its noise; and what is refused."""

import itertools

import numpy as np
import pytest
from drawn_machines import ROUNDING, SHAPES, flat
from oracles import Exact, logistic, random_parameters, random_states

from harmonium import RBM, theory
from harmonium.errors import InvalidData, InvalidParameter, OutOfReach
from harmonium.rbm import all_states

# The exact bias ------------------------------------------------------------------------------------------------------


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


# Refusals ------------------------------------------------------------------------------------------------------------


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
