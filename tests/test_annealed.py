"""Annealed importance sampling: exact identities on machines that can be listed, and where its temperatures stand."""

import math

import numpy as np
import pytest
from annealing import bent, bias_paths, biases, log_f, softplus
from oracles import Exact, dyadic_parameters, logistic, random_parameters, random_states

import harmonium
from harmonium import RBM, Key
from harmonium.chains.gibbs import HIDDEN, START, VISIBLE
from harmonium.chains.path import linear_path
from harmonium.errors import InvalidParameter
from harmonium.likelihood import constant_means, schedule
from harmonium.likelihood.annealed import Annealer, effective_size, log_mean
from harmonium.likelihood.schedule import check_temperatures, plan, salakhutdinov
from harmonium.progress import Counter
from harmonium.rows import Rows

SHAPES = [(0, 1), (0, 4), (1, 1), (3, 4), (5, 3)]


def sweep_matrix(parameters, bias_path, beta, exact):
    """T(v, v') at one temperature, shape (2^m, 2^m)."""
    W, (b, c) = parameters[0], biases(parameters, bias_path, beta)
    p_h, p_v = logistic(beta * exact.v @ W.T + c)[:, None], logistic(beta * exact.h @ W + b)[:, None]
    h_from_v = np.prod(p_h * exact.h + (1 - p_h) * (1 - exact.h), axis=2)
    return h_from_v @ np.prod(p_v * exact.v + (1 - p_v) * (1 - exact.v), axis=2)


# Runs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
def test_a_run_is_its_definition(engine, n_hidden, n_visible, number):
    """Every log ratio and every state, step by step too, from the noise and the formulas alone; in both directions."""
    parameters, key = dyadic_parameters(n_hidden, n_visible), Key(5)
    W, bias_path, betas = parameters[0], bias_paths(parameters)[number], np.array([0, 0.25, 0.5, 0.75, 1])
    annealer = Annealer(RBM(*parameters), bias_path, engine)
    first = biases(parameters, bias_path, 0)
    assert annealer.path.log_z_base == pytest.approx(sum(softplus(x).sum() for x in first), rel=1e-14)
    v = (key.on(START).uniform(9, n_visible) < logistic(first[0])).astype(float)
    np.testing.assert_array_equal(annealer.engine.decode(annealer.start(9, key)), v)
    for order in (betas, betas[::-1]):
        expected, x, states = np.zeros(9), v, []
        for k in range(4):
            expected += log_f(parameters, bias_path, order[k + 1], x) - log_f(parameters, bias_path, order[k], x)
            states.append(x)
            beta, key_ = order[k + 1], key.at(k)
            b, c = biases(parameters, bias_path, beta)
            h = key_.on(HIDDEN).uniform(9, n_hidden) < logistic(beta * x @ W.T + c)
            x = (key_.on(VISIBLE).uniform(9, n_visible) < logistic(beta * h @ W + b)).astype(float)
        found = annealer.run(annealer.engine.encode(v), order, key, keep={1, 3})
        np.testing.assert_allclose(found.log_w, expected, rtol=0, atol=2e-5)
        np.testing.assert_array_equal(annealer.engine.decode(found.v), states[-1])
        for step, state in zip(annealer.anneal(annealer.engine.encode(v), order, key), states, strict=True):
            np.testing.assert_array_equal(annealer.engine.decode(step.v), state)
        for kept, k in zip(found.kept, (1, 3), strict=True):
            np.testing.assert_array_equal(annealer.engine.decode(kept), states[k])
    np.testing.assert_allclose(
        annealer.minus_free_energy(annealer.engine.encode(v)), log_f(parameters, bias_path, 1.0, v), rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_weights_average_to_z_exactly_over_all_paths(engine, n_hidden, n_visible, scale, number):
    """E[w] = Z / Z_A and, from the machine back, Z_A / Z, by summing over every path of one and of two ratios."""
    parameters = random_parameters(n_hidden, n_visible, scale=scale)
    parameters = tuple(x.astype(np.float32).astype(float) for x in parameters)
    exact, bias_path = Exact(*parameters), bias_paths(parameters)[number]
    annealer = Annealer(RBM(*parameters), bias_path, engine)
    states, first = annealer.engine.encode(exact.v), biases(parameters, bias_path, 0)[0]

    def ratio(*betas):
        return next(annealer.anneal(states, np.array(betas), Key(0))).log_ratio

    p_base = np.exp(exact.v @ first - softplus(first).sum())
    one = p_base @ np.exp(ratio(0, 1))
    middle = sweep_matrix(parameters, bias_path, 0.5, exact)
    two = (p_base * np.exp(ratio(0, 0.5))) @ middle @ np.exp(ratio(0.5, 1))
    back = (exact.p_v * np.exp(ratio(1, 0.5))) @ middle @ np.exp(ratio(0.5, 0))
    for found in (math.log(one), math.log(two), -math.log(back)):
        assert found + annealer.path.log_z_base == pytest.approx(exact.log_z, abs=2e-5 * max(1, scale))


@pytest.mark.parametrize("temperatures", [[0, 1], [0, 0.1, 0.1, 1], np.linspace(0, 1, 30)])
def test_independent_units_have_no_variance(engine, temperatures):
    b, c = np.linspace(-3, 3, 7), np.linspace(-2, 1, 4)
    rbm, betas = RBM(np.zeros((4, 7)), b, c), np.asarray(temperatures, float)
    annealer = Annealer(rbm, linear_path(b, rbm.n_hidden), engine)
    for v, order, sign in ((annealer.start(20, Key(1)), betas, 1), (annealer.start(20, Key(2)), betas[::-1], -1)):
        log_z = annealer.path.log_z_base + sign * annealer.run(v, order, Key(3)).log_w
        np.testing.assert_allclose(log_z, softplus(b).sum() + softplus(c).sum(), rtol=0, atol=1e-5)


def test_a_chain_does_not_know_of_the_others(engine):
    parameters, betas = dyadic_parameters(4, 9), np.linspace(0, 1, 11)
    annealer = Annealer(RBM(*parameters), bent(parameters), engine)
    few, many = (annealer.run(annealer.start(n, Key(4)), betas, Key(4)).log_w for n in (7, 40))
    np.testing.assert_array_equal(few, many[:7])


def test_engines_agree_on_a_whole_bracket():
    rbm, X = RBM(*dyadic_parameters(4, 9)), random_states(30, 9)
    how = {"X": X, "temperatures": np.linspace(0, 1, 21), "chains": 99, "start": "chains"}
    found = [harmonium.log_partition(rbm, "ais", engine=name, **how) for name in ("numpy", "native")]
    for name in ("value", "lower", "upper", "ess"):
        assert getattr(found[0], name) == pytest.approx(getattr(found[1], name), rel=1e-4)


def test_log_mean_and_effective_size():
    assert log_mean(np.array([1e4, 1e4 + math.log(3)])) == pytest.approx(1e4 + math.log(2), rel=1e-14)
    assert effective_size(np.full(7, -1e5)) == pytest.approx(7)
    assert effective_size(np.array([0.0, -1e3])) == pytest.approx(1)


# Temperatures --------------------------------------------------------------------------------------------------------


def test_salakhutdinov_s_temperatures():
    betas = salakhutdinov()
    assert (len(betas), betas[0], betas[-1]) == (14503, 0, 1)
    steps = [np.median(np.diff(x)) for x in (betas[:501], betas[501:4502], betas[4502:])]
    assert steps == pytest.approx([1e-3, 1e-4, 1e-5])


@pytest.mark.parametrize("n", [2, 3, 50, 777])
@pytest.mark.parametrize("rows", [None, Rows(random_states(30, 9))], ids=["no-data", "data"])
def test_a_number_of_temperatures(n, rows):
    calls = []
    found = plan(RBM(*random_parameters(4, 9)), n, rows, Key(1), "native", Counter(lambda *x: calls.append(x)))
    assert (len(found.betas), found.betas[0], found.betas[-1]) == (n, 0, 1)
    assert np.all(np.diff(found.betas) > 0)
    assert [done for done, _ in calls] == list(range(1, calls[-1][1] + 1))


def test_temperatures_crowd_where_the_weights_gather_variance():
    """A ferromagnet that orders at a known temperature: half of them stand within a quarter of the path."""
    W = np.full((10, 30), 1.0)
    rbm = RBM(W, np.full(30, -5.0), np.full(10, -15.0))
    betas = plan(rbm, 201, None, Key(0), "native").betas
    steps = np.diff(betas)
    assert np.sort(steps)[:100].sum() < 0.25


@pytest.mark.parametrize(
    "temperatures",
    [1, 0, -3, 2.5, True, None, "fast", [], [0], [0.1, 1], [0, 0.9], [0, 0.6, 0.5, 1], [0, np.nan, 1], [[0, 1]], ["a"]],
)
def test_bad_temperatures(temperatures):
    with pytest.raises(InvalidParameter, match=r"temperatures must be .*\. Got .*\. Pass "):
        check_temperatures(temperatures)


# The constant-means path ---------------------------------------------------------------------------------------------


def test_the_level_road_keeps_the_means(engine):
    """Of every unit, at every knot, by enumeration; the linear path is far from it."""
    parameters = random_parameters(6, 8, scale=2.0)
    rbm, exact = RBM(*parameters), Exact(*parameters)
    aim = exact.p_v @ exact.v, exact.p_v @ logistic(exact.v @ parameters[0].T + parameters[2])

    def error(bias_path):
        worst = 0.0
        for beta in bias_path.betas if len(bias_path.betas) > 2 else np.linspace(0, 1, 11):
            p = np.exp(log_f(parameters, bias_path, beta, exact.v))
            p /= p.sum()
            c = biases(parameters, bias_path, beta)[1]
            means = p @ exact.v, p @ logistic(beta * exact.v @ parameters[0].T + c)
            worst = max(worst, *(np.abs(x - y).max() for x, y in zip(means, aim, strict=True)))
        return worst

    bias_path = constant_means.constant_means_path(rbm, aim, Key(0), engine)
    assert not bias_path.x[-1].any()
    assert not bias_path.y[-1].any()
    assert error(bias_path) < 0.06
    assert error(linear_path(constant_means.log_odds(aim[0]), rbm.n_hidden)) > 0.2


def test_the_level_road_is_taken_where_it_loses_less(monkeypatch):
    """Hidden units that are rarely on, each with a pattern of its own: half of them on is a poor start."""
    monkeypatch.setattr(schedule, "_LENGTHS", (20, 20, 20))
    W = 3 * np.random.default_rng(0).choice([-1.0, 1.0], (30, 40))
    rbm, knots = RBM(W, np.zeros(40), -10 - W.sum(axis=1) / 2), []
    for easy in (1e9, 0):
        monkeypatch.setattr(schedule, "_LINEAR_SUFFICES", easy)
        found = plan(rbm, 20, None, Key(0), "native")
        knots.append(len(found.annealer.path.betas))
    assert knots == [2, 11]
    free = RBM(np.zeros((3, 4)), np.ones(4), np.ones(3))
    assert len(plan(free, 20, None, Key(0), "native").annealer.path.betas) == 2
