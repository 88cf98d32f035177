"""Annealed importance sampling: exact identities on machines that can be listed; what records and verdicts promise."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from oracles import (
    Exact,
    all_states,
    dyadic_parameters,
    log_sum_exp,
    logistic,
    random_parameters,
    random_states,
    row_number,
)
from scipy.special import ndtri
from scipy.stats import binom

import harmonium
from harmonium import RBM, Estimate, Key
from harmonium.chains import ladder, starts, tempered
from harmonium.chains.agreement import disagreement
from harmonium.chains.diagnostics import r_hat_of_groups
from harmonium.chains.gibbs import HIDDEN, START, VISIBLE
from harmonium.chains.path import BiasPath, linear_path
from harmonium.cli import main
from harmonium.engines import make_engine
from harmonium.errors import InvalidData, InvalidParameter, OutOfReach, Unreliable
from harmonium.likelihood import constant_means, equilibrium_check, partition, reverse_starts, schedule
from harmonium.likelihood.annealed import Annealer, effective_size, log_mean
from harmonium.likelihood.bracket import WIDE, acceptance_ratio, bracket, margin, standard_error
from harmonium.likelihood.schedule import check_temperatures, plan, salakhutdinov
from harmonium.progress import Counter
from harmonium.rows import Rows

SHAPES = [(0, 1), (0, 4), (1, 1), (3, 4), (5, 3)]


def softplus(x):
    return np.logaddexp(0, x)


def bent(parameters, knots=(0, 0.3, 0.6, 1)):
    """A path with dyadic biases of its own, zero at the end."""
    rng, rbm = np.random.default_rng(3), RBM(*parameters)
    x, y = (rng.integers(-8, 9, (len(knots), n)) / 4.0 for n in (rbm.n_visible, rbm.n_hidden))
    x[-1], y[-1] = 0, 0
    return BiasPath(np.array(knots, float), x, y)


def bias_paths(parameters):
    base = np.linspace(-1, 1, len(parameters[1])).astype(np.float32).astype(float)
    return [linear_path(base, len(parameters[2])), bent(parameters)]


def biases(parameters, bias_path, beta):
    """Of the visible and the hidden units on the way, as defined."""
    _, b, c = parameters
    x, y = (np.array([np.interp(beta, bias_path.betas, z) for z in knots.T]) for knots in (bias_path.x, bias_path.y))
    return beta * b + x, beta * c + y


def log_f(parameters, bias_path, beta, v):
    """The unnormalised log probability of v on the way, as defined."""
    b, c = biases(parameters, bias_path, beta)
    return v @ b + softplus(beta * v @ parameters[0].T + c).sum(axis=1)


def sweep_matrix(parameters, bias_path, beta, exact):
    """T(v, v') at one temperature, shape (2^m, 2^m)."""
    W, (b, c) = parameters[0], biases(parameters, bias_path, beta)
    p_h, p_v = logistic(beta * exact.v @ W.T + c)[:, None], logistic(beta * exact.h @ W + b)[:, None]
    h_from_v = np.prod(p_h * exact.h + (1 - p_h) * (1 - exact.h), axis=2)
    return h_from_v @ np.prod(p_v * exact.v + (1 - p_v) * (1 - exact.v), axis=2)


def hole(depth=10.0, n_hidden=10, n_visible=40):
    """Nearly independent units, but for one pattern that a single hidden unit holds: annealing cannot find it."""
    rng = np.random.default_rng(0)
    W, b = rng.normal(0, 0.1, (n_hidden, n_visible)), rng.normal(0, 0.3, n_visible)
    W[0], c = 5 * rng.choice([-1, 1], n_visible), np.zeros(n_hidden)
    without, alone = (harmonium.log_partition(RBM(W[1:], b + x, c[1:])).value for x in (0, W[0]))
    c[0] = depth + without - alone
    return RBM(W, b, c)


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


# The bracket ---------------------------------------------------------------------------------------------------------


def quantiles(n, mean, deviation):
    """What n normal numbers would be without luck."""
    return mean + deviation * ndtri((np.arange(n) + 0.5) / n)


@pytest.mark.parametrize("deviation", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("sizes", [(100, 100), (400, 100), (50, 200)])
def test_bennett_s_ratio_of_normal_works(deviation, sizes):
    """Normal works obey the relation when their means stand half a variance either side of log Z."""
    forward, reverse = (quantiles(n, 7 + s * deviation**2 / 2, deviation) for n, s in zip(sizes, (-1, 1), strict=True))
    tolerance = 1e-8 if sizes[0] == sizes[1] else 0.05
    assert acceptance_ratio(forward, reverse) == pytest.approx(7, abs=tolerance)
    assert acceptance_ratio(forward + 1e4, reverse + 1e4) == pytest.approx(1e4 + acceptance_ratio(forward, reverse))
    assert acceptance_ratio(-reverse, -forward) == pytest.approx(-acceptance_ratio(forward, reverse))


def test_bennett_s_equation_holds_exactly_for_the_distributions_of_works():
    """On a listed machine with one ratio: the two expectations that Bennett's equation sets equal, at log Z only."""
    exact = Exact(*random_parameters(3, 4))
    rbm = RBM(*random_parameters(3, 4))
    annealer = Annealer(rbm, linear_path(np.zeros(4), rbm.n_hidden), "numpy")
    first = next(annealer.anneal(annealer.engine.encode(exact.v), np.array([0.0, 1.0]), Key(0)))
    x = annealer.path.log_z_base + first.log_ratio
    p_forward = np.full(16, 1 / 16)
    for log_z, equal in ((exact.log_z, True), (exact.log_z + 0.1, False)):
        sides = p_forward @ logistic(x - log_z), exact.p_v @ logistic(log_z - x)
        assert math.isclose(*sides, rel_tol=1e-5) == equal


def test_errors_and_margins():
    log_w = np.log(np.random.default_rng(0).gamma(5, size=200))
    w = np.exp(log_w)
    assert standard_error(log_w) == pytest.approx(w.std(ddof=1) / w.mean() / math.sqrt(200), rel=1e-9)
    assert 1.96 < margin(log_w) / standard_error(log_w) < 2.0
    assert margin(np.array([0.0, -1e9, -1e9])) == pytest.approx(math.log(40))  # Markov, whatever the weights
    assert margin(np.zeros(5)) == 0


GOOD = quantiles(100, -0.1, 0.4), quantiles(100, 0.1, 0.4)


@pytest.mark.parametrize(
    ("forward", "reverse", "rest", "verdict", "reason"),
    [
        (*GOOD, {}, "ok", ""),
        (GOOD[0] - 0.6, GOOD[1] + 0.6, {}, "wide", r"1\.\d nats apart"),
        (quantiles(100, -8, 4), quantiles(100, 8, 4), {}, "unreliable", "effective sample size"),
        (GOOD[0][::12], GOOD[1][::12], {}, "unreliable", "effective sample size"),
        (GOOD[0] + 2, GOOD[1], {}, "unreliable", r"the sides contradict each other: they cross by 1\.9"),
        (*GOOD, {"doubt": "chains differ"}, "unreliable", "chains differ"),
        (*GOOD, {"floor": 3.0}, "unreliable", "visited weigh more"),
        (np.append(GOOD[0], np.nan), GOOD[1], {}, "unknown", "not finite"),
        (GOOD[0], np.append(GOOD[1], np.inf), {}, "unknown", "not finite"),
    ],
)
def test_verdicts(forward, reverse, rest, verdict, reason):
    found = bracket(forward, reverse, **rest)
    assert found.verdict == verdict
    assert re.search(reason, found.reason)
    if verdict != "unknown":
        assert found.lower <= found.value <= found.upper
    assert verdict != "ok" or found.upper - found.lower <= WIDE


def test_ends_that_contradict_each_other_give_their_union():
    """Margins of 0.08: sides 0.1 apart the wrong way cross and agree, sides 0.3 apart cannot both be right."""
    for crossing, verdict in ((0.1, "ok"), (0.3, "unreliable")):
        forward, reverse = (quantiles(100, 7 + s * (0.08 - crossing / 2), 0.4) for s in (-1, 1))
        found = bracket(forward, reverse)
        sides = log_mean(forward), -log_mean(-reverse)
        assert sides[0] - sides[1] == pytest.approx(crossing, abs=0.01)
        assert found.verdict == verdict
        assert found.lower <= sides[1] - margin(-reverse)
        assert found.upper >= sides[0] + margin(forward)


@pytest.mark.false_alarm(9e-9)
@pytest.mark.parametrize("deviation", [0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("bias", [0.0, 0.1])
def test_a_bracket_that_is_ok_covers_though_the_starts_are_biased(deviation, bias, seed):
    """Normal works of 500 chains, the reverse ones too low by `bias`: how many of 1,500 brackets are wrong, but "ok".

    Without bias 0.2 % are; if twice as many were, more than 24 would be with probability 6e-9. With it at most 2.8 %
    are, and more than 82 with probability 9e-9. Brackets whose crossed ends shrink to the value are up to 4 % and 86 %.
    """
    rng, wrong = np.random.default_rng(seed(0)), 0
    for _ in range(1500):
        forward, reverse = (rng.normal(s * deviation**2 / 2, deviation, 500) for s in (-1, 1))
        found = bracket(forward, reverse - bias)
        wrong += found.verdict == "ok" and not found.lower <= 0 <= found.upper
    assert wrong <= (82 if bias else 24)


def test_a_part_of_z_raises_the_lower_end():
    free, raised = bracket(*GOOD), bracket(*GOOD, floor=-0.05)
    assert (free.lower < -0.05, raised.lower, raised.verdict) == (True, -0.05, "ok")


# Starts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 50])
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (4, 9), (9, 4)])
@pytest.mark.parametrize("with_data", [False, True])
def test_spread_out_states(n, shape, with_data):
    rbm = RBM(*random_parameters(*shape))
    X = random_states(5, rbm.n_visible) if with_data else None
    found = starts.spread_out(rbm, starts.leading_directions(rbm), X, n, Key(0))
    assert found.shape == (n, rbm.n_visible)
    assert set(np.unique(found)) <= {0, 1}


def test_spread_out_states_reach_both_ends_of_a_direction():
    xi = np.random.default_rng(0).choice([-1, 1], 30)
    rbm = RBM(np.outer(np.ones(5), xi) + 0.01 * random_parameters(5, 30)[0], np.zeros(30), np.zeros(5))
    found = starts.spread_out(rbm, starts.leading_directions(rbm), None, 20, Key(0))
    overlap = (2.0 * found - 1) @ xi / 30
    assert (overlap.min(), overlap.max()) == (-1, 1)


def test_what_speaks_against_equilibrium():
    rng = np.random.default_rng(0)
    same, gain, works = rng.normal(size=100), rng.normal(size=100), 0.3 * rng.normal(size=100)
    shifted, wider = same + 2 * (np.arange(100) < 50), same * np.where(np.arange(100) < 50, 1, 5)
    assert disagreement({"x": same}, 50) == ""
    assert "differ in x (R-hat" in disagreement({"x": shifted}, 50)
    assert "differ in x (R-hat" in disagreement({"x": wider}, 50)
    assert r_hat_of_groups(np.zeros(10), 5) == 1.0
    assert equilibrium_check.drifts(gain) == ""
    assert "drifts (-0.9" in equilibrium_check.drifts(gain + 1)
    stuck = np.arange(100) > 95
    assert equilibrium_check.stays(stuck, np.ones(100, int)) == ""
    assert "40% of the chains have not" in equilibrium_check.stays(np.arange(100) > 59, np.ones(100, int))
    assert "only 0.04 times" in equilibrium_check.stays(stuck, stuck.astype(int))
    heavy, light = np.append(works[:99], 9), np.append(9, works[:99])  # 100 chains, all of weight 1: e^4.6 in all
    assert "annealing from the base does not come" in equilibrium_check.unseen(stuck, heavy, works)
    assert equilibrium_check.unseen(stuck, light, works) == ""
    assert equilibrium_check.unseen(np.zeros(100, bool), heavy, works) == ""


# Tempered chains -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("first", [0, 1])
def test_a_step_on_any_path_is_its_definition(engine, number, first):
    """Swaps by the densities as defined, then a sweep at every temperature, from the noise of the key alone."""
    parameters, betas, key = dyadic_parameters(3, 5), np.array([0, 0.25, 0.5, 1]), Key(8)
    path, machine = bias_paths(parameters)[number], make_engine(RBM(*parameters), engine)
    v = random_states(4 * 50, 5)
    state = tempered.set_out(machine.encode(v), 4, sweep=first)
    found, _ = tempered.step(machine, state, key, tempered.Ladder(path, betas))
    x, key = v.reshape(4, 50, 5).astype(float), key.at(first)
    expected = np.tile(np.arange(4)[:, None], 50)
    low = list(range(first, 3, 2))
    u = key.on(tempered.SWAP).uniform(len(low), 50)
    for i, k in enumerate(low):
        here, there = (log_f(parameters, path, betas[k + d], x[k + d]) for d in (0, 1))
        swapped = [log_f(parameters, path, betas[k + d], x[k + 1 - d]) for d in (0, 1)]
        swap = np.log(u[i]) < sum(swapped) - here - there
        expected[k], expected[k + 1] = np.where(swap, [[k + 1], [k]], [[k], [k + 1]])
    np.testing.assert_array_equal(found.replica, expected)
    assert 0.1 < np.mean(expected != np.arange(4)[:, None]) < 0.95
    W, w = parameters[0], np.empty_like(x)
    u_h, u_v = (key.on(s).uniform(200, n).reshape(4, 50, n) for s, n in ((HIDDEN, 3), (VISIBLE, 5)))
    for k, chain in np.ndindex(4, 50):
        place, (b, c) = expected[k, chain], biases(parameters, path, betas[k])
        h = u_h[place, chain] < logistic(betas[k] * x[place, chain] @ W.T + c)
        w[k, chain] = u_v[k, chain] < logistic(betas[k] * h @ W + b)
    np.testing.assert_array_equal(machine.decode(found.v), w.reshape(200, 5))


def test_walkers_are_followed_between_the_ends(monkeypatch):
    """Whoever reaches beta = 1 from beta = 0 has arrived, once; who has never been in the hotter half is stuck."""
    monkeypatch.setattr(reverse_starts, "_ROWS", 53)
    parameters, betas, n = random_parameters(4, 6), np.array([0, 0.3, 0.6, 1]), 30
    path = linear_path(np.zeros(6), 4)
    annealer, steps = Annealer(RBM(*parameters), path, "numpy"), tempered.Ladder(path, betas)
    start = reverse_starts.ladders(np.tile(random_states(n, 6), (4, 1, 1)).astype(np.uint8))
    half, _ = reverse_starts.temper(annealer, betas, start, 25, Key(2))
    whole, gain = reverse_starts.temper(annealer, betas, half, 35, Key(1))
    assert (start.block, start.n_blocks, len(gain)) == (13, 3, n)
    for number in range(3):
        rows = slice(13 * number, 13 * (number + 1))
        v = annealer.engine.encode(np.concatenate(list(start.v[:, rows])))
        chains = len(v) // 4
        who = np.tile(np.arange(4)[:, None], chains)
        from_base, stuck, arrivals = np.zeros((4, chains), bool), np.ones((4, chains), bool), np.zeros(chains, int)
        for key, sweeps in ((Key(2), 25), (Key(1), 35)):
            state = tempered.set_out(v, 4)
            for _ in range(sweeps):
                before = state.replica
                state, _ = tempered.step(annealer.engine, state, key.derive("part", number), steps)
                order = (before[:, None] == state.replica[None]).argmax(axis=0)
                who = np.take_along_axis(who, order, axis=0)
                for i in range(chains):
                    from_base[who[0, i], i], stuck[who[:2, i], i] = True, False
                    arrivals[i] += from_base[who[3, i], i]
                    from_base[who[3, i], i] = False
            v = state.v
        np.testing.assert_array_equal(whole.arrivals[rows], arrivals)
        np.testing.assert_array_equal(whole.stuck[:, rows], np.take_along_axis(stuck, who, axis=0))
        np.testing.assert_array_equal(whole.v[:, rows].reshape(-1, 6), annealer.engine.decode(v))
    assert whole.arrivals.sum() > n


@pytest.mark.false_alarm(7e-9)
def test_tempering_leaves_the_machine_invariant(seed):
    """From exact samples on every rung, 60,000 ladders stay there.

    The count of one of 64 states has a binomial tail of less than 5e-11 with probability 7e-9; a law whose share of one
    state is off by 0.02 is caught with probability above 0.99.
    """
    parameters, betas, n = random_parameters(3, 6, scale=2.0), np.array([0, 0.5, 1]), 60_000
    bias_path, exact = bent(parameters), Exact(*parameters)
    annealer = Annealer(RBM(*parameters), bias_path)
    rng, v = np.random.default_rng(seed(0)), []
    for beta in betas:
        p = np.exp(log_f(parameters, bias_path, beta, exact.v))
        v.append(exact.v[rng.choice(64, n, p=p / p.sum())])
    state, _ = reverse_starts.temper(
        annealer, betas, reverse_starts.ladders(np.stack(v).astype(np.uint8)), 3, Key(seed(2))
    )
    counts = np.bincount(row_number(state.v[-1]), minlength=64)
    p = exact.p_v[np.argsort(row_number(exact.v))]
    assert np.minimum(binom.cdf(counts, n, p), binom.sf(counts - 1, n, p)).min() > 5e-11


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([0.5, 0.5, 1, 1], [0, 2 / 4, 3 / 4, 1]),
        ([0.0, 0.0, 0.0, 0.0], [0, 1]),
        ([np.inf, 1, 1, 1], [0, 1]),
        ([np.nan, 1, 1, 1], [0, 1]),
    ],
)
def test_rungs_are_a_deviation_apart(lengths, expected):
    np.testing.assert_allclose(ladder.place_by_works(np.linspace(0, 1, 5), np.array(lengths)), expected)
    assert len(ladder.place_by_works(np.array([0.0, 1.0]), np.array([1e9]))) == 60


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


# log_partition -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["exact", "chains"])
@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (3, 4), (5, 3)])
def test_small_machines_are_bracketed(engine, start, shape):
    rbm = RBM(*random_parameters(*shape))
    found = harmonium.log_partition(rbm, "ais", start=start, seed=3, temperatures=50, chains=100, engine=engine)
    assert found.verdict == "ok"
    assert found.lower - 1e-4 <= rbm.log_z() <= found.upper + 1e-4
    assert (found.method, found.n_chains) == ("ais", 100)
    assert found.start == {"exact": "exact samples", "chains": "tempered chains"}[start]


def test_the_same_seed_gives_the_same_bracket_and_another_another():
    rbm = RBM(*random_parameters(4, 6))
    first, again, other = (harmonium.log_partition(rbm, "ais", seed=s, temperatures=20) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_auto_is_exact_where_that_is_quick(monkeypatch):
    rbm = RBM(*random_parameters(4, 6))
    assert harmonium.log_partition(rbm, "auto").method == "exact"
    assert harmonium.log_partition(rbm, "auto", max_units=3, temperatures=20).method == "ais"
    monkeypatch.setattr(partition, "_AUTO_SECONDS", 0)
    assert harmonium.log_partition(rbm, "auto", temperatures=20).method == "ais"


def test_what_is_out_of_reach_says_how_long_it_would_take():
    rbm = RBM(np.zeros((40, 784)), np.zeros(784), np.zeros(40))
    for how in ({"method": "exact"}, {"method": "ais", "start": "exact"}):
        with pytest.raises(
            OutOfReach, match=r"Got 40 \(2\*\*40 states, about \d\d hours on two cores\)\. Raise max_units"
        ):
            harmonium.log_partition(rbm, **how)


@pytest.mark.parametrize("how", [{}, {"method": "ais"}, {"method": "ais", "start": "chains", "temperatures": 9}])
def test_progress_reaches_its_end_and_can_stop(how, monkeypatch):
    monkeypatch.setattr(partition, "_BLOCK", 4)
    rbm, calls = RBM(*random_parameters(5, 6)), []
    harmonium.log_partition(rbm, progress=lambda *x: calls.append(x), **how)
    done, total = zip(*calls, strict=True)
    assert len(calls) >= 8
    assert list(done) == sorted(done)
    assert done[-1] == total[-1]
    assert all(x <= y for x, y in calls)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harmonium.log_partition(rbm, progress=stop, **how)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("chains", 1, InvalidParameter),
        ("chains", 2.0, InvalidParameter),
        ("start", "noise", InvalidParameter),
        ("method", "AIS", InvalidParameter),
        ("seed", -1, InvalidParameter),
        ("X", np.zeros((3, 5)), InvalidData),
        ("X", np.full((3, 6), np.inf), InvalidData),
        ("X", np.zeros((0, 6)), InvalidData),
    ],
)
def test_bad_arguments(name, value, error):
    with pytest.raises(error, match=r"\. Got "):
        harmonium.log_partition(RBM(*random_parameters(4, 6)), **{"method": "ais", name: value})


def test_grey_data_give_the_base_its_biases():
    rbm, X = RBM(*random_parameters(4, 6)), np.random.default_rng(0).random((50, 6))
    assert harmonium.log_partition(rbm, "ais", X=X, temperatures=50, start="chains").verdict == "ok"


# Planted failures ----------------------------------------------------------------------------------------------------

# Hidden units that all want one of two opposite patterns.
_PATTERN = np.random.default_rng(1).choice([-1.0, 1.0], 40)
STRONG = RBM(np.tile(0.5 * _PATTERN, (12, 1)), -3.0 * _PATTERN, np.full(12, -0.25 * _PATTERN.sum()))


@pytest.mark.parametrize(
    ("rbm", "how"),
    [
        (STRONG, {"temperatures": 2}),
        (STRONG, {"temperatures": 2, "start": "chains"}),
        (STRONG, {"temperatures": [0, 1], "start": "chains"}),
        (STRONG, {"X": np.tile(np.arange(40) % 2, (9, 1)), "temperatures": 4}),
        (STRONG, {"X": np.tile(np.arange(40) % 2, (9, 1)), "temperatures": 4, "start": "chains"}),
        (STRONG, {"chains": 5, "start": "chains"}),
        (STRONG, {"chains": 5, "start": "exact"}),
        (hole(), {"start": "chains"}),
        (hole(2.0), {"start": "chains"}),
        (hole(-2.0), {"start": "chains"}),
    ],
)
def test_planted_failures_are_never_ok(rbm, how):
    """Two temperatures, a base that fits other data, too few chains, a mode that annealing misses."""
    for seed in range(2):
        found = harmonium.log_partition(rbm, "ais", seed=seed, **{"chains": 100, **how})
        assert found.verdict in ("wide", "unreliable")
        assert found.reason


def test_a_missed_mode_is_what_the_check_of_the_starts_is_for(monkeypatch):
    """Without it the same run would be a wrong "ok"."""
    rbm = hole()
    monkeypatch.setattr("harmonium.likelihood.two_sided.visited", lambda *_: -math.inf)
    monkeypatch.setattr("harmonium.likelihood.two_sided.spread_out", lambda *x: np.zeros((x[3], 40), np.uint8))
    found = harmonium.log_partition(rbm, "ais", start="chains")
    assert found.verdict == "ok"
    assert found.upper < rbm.log_z() - 5


def test_exact_starts_bracket_a_mode_that_annealing_misses():
    rbm = hole(0.0)
    found = harmonium.log_partition(rbm, "ais", start="exact", X=np.zeros((9, 40)))
    assert found.lower <= rbm.log_z() <= found.upper


@pytest.mark.parametrize("start", ["exact", "chains"])
@pytest.mark.filterwarnings("ignore:(overflow|invalid)")
def test_weights_beyond_all_bounds_have_no_number(engine, start):
    rbm = RBM(np.full((3, 4), 3e38), np.full(4, -3e38), np.zeros(3))
    with pytest.raises(InvalidParameter, match="must add up to log-odds of at most"):
        harmonium.log_partition(rbm, "ais", start=start, engine=engine, temperatures=5)


# Records -------------------------------------------------------------------------------------------------------------

BRACKET = Estimate("log Z", 451.28, 451.2, 451.41, "ais", "ok", "", 61.4, 100, "tempered chains")
DOUBTFUL = Estimate("log Z", 451.28, 440.0, 451.41, "ais", "unreliable", "chains differ", 3.0, 100, "tempered chains")


def test_a_bracket_reads_as_one_line():
    assert str(BRACKET) == "log Z = 451.28 [451.20, 451.41] (AIS ↔ reverse AIS, ESS 61/100, ok)"
    assert str(DOUBTFUL).endswith("ESS 3/100, unreliable)")


def test_an_unreliable_record_is_no_number_unless_told():
    assert float(BRACKET) == BRACKET.number() == 451.28
    with pytest.raises(Unreliable, match=r"Got 451\.28, but chains differ\. Take more .*accept_unreliable=True"):
        float(DOUBTFUL)
    assert DOUBTFUL.number(accept_unreliable=True) == 451.28
    with pytest.raises(Unreliable, match="Got none: too large"):
        Estimate.unknown("log Z", "too large").number(accept_unreliable=True)


def test_likelihoods_know_their_convention_and_their_log_z():
    rbm, X = RBM(*random_parameters(3, 6)), random_states(20, 6)
    found = harmonium.log_likelihood(rbm, X, binarize="threshold")
    assert (found.binarize, found.verdict, found.reason) == ("threshold", "ok", "")
    np.testing.assert_allclose(found.per_sample, rbm.log_likelihood(X), atol=1e-5)
    assert float(found) == found.value == pytest.approx(found.per_sample.mean())
    doubtful = harmonium.log_likelihood(rbm, X, DOUBTFUL)
    assert doubtful.value == pytest.approx(-harmonium.free_energy(rbm, X).mean() - 451.28)
    with pytest.raises(Unreliable, match="log Z is unreliable"):
        float(doubtful)
    with pytest.raises(InvalidParameter, match=r"log_z must be of log Z\. Got an estimate of the mean log-likelihood"):
        harmonium.log_likelihood(rbm, X, found)
    with pytest.raises(Unreliable, match="Got none"):
        float(harmonium.log_likelihood(rbm, X, Estimate.unknown("log Z", "too large")))


@pytest.mark.parametrize("repeats", [1, 5])
def test_distinct_samples_cannot_weigh_more_than_one(engine, repeats):
    """All states once are exactly 1; repeats do not count; log Z a little too low is found out."""
    rbm, X = RBM(*random_parameters(3, 6)), np.repeat(all_states(6), repeats, axis=0)
    assert harmonium.log_likelihood(rbm, X, engine=engine).verdict == "ok"
    low = rbm.log_z() - 0.01
    found = harmonium.log_likelihood(rbm, X, Estimate.exact("log Z", low), engine=engine)
    assert found.verdict == "unreliable"
    assert found.reason == "the probabilities of 64 distinct samples sum to exp(0.01): log Z is too low"
    both = harmonium.log_likelihood(rbm, X, replace(Estimate.exact("log Z", low), verdict="wide", reason="why"))
    assert (both.verdict, both.reason) == ("unreliable", f"log Z is wide: why; {found.reason}")
    with pytest.raises(Unreliable, match="64 distinct samples"):
        float(found)


def test_an_evaluation_brackets_what_it_anneals():
    rbm, X = RBM(*(0.1 * x for x in random_parameters(30, 30))), random_states(50, 30)
    found = harmonium.evaluate(rbm, X, log_z="ais", temperatures=100, chains=50)
    key = Key(0).derive("evaluate")
    assert found.log_z == harmonium.log_partition(rbm, "ais", X=X, temperatures=100, chains=50, seed=key)
    assert found.log_likelihood.lower < found.log_likelihood.value < found.log_likelihood.upper
    fields = json.loads(json.dumps(found.as_dict()))["log_z"]
    assert list(fields) == [
        "quantity",
        "value",
        "lower",
        "upper",
        "method",
        "verdict",
        "reason",
        "ess",
        "n_chains",
        "start",
    ]
    assert harmonium.evaluate(rbm, X, log_z=found.log_z) == found
    without = harmonium.evaluate(rbm, X, log_z="exact")
    assert (without.log_z.value, without.log_likelihood.value) == (None, None)
    assert "at most 25 units" in without.log_z.reason
    with pytest.raises(InvalidParameter, match="log_z must be one of"):
        harmonium.evaluate(rbm, X, log_z="often")


def test_the_command_brackets_too(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rbm, X = RBM(*random_parameters(4, 9)), random_states(30, 9)
    rbm.save("m.safetensors")
    np.save("x.npy", X)
    arguments = ["evaluate", "m.safetensors", "x.npy", "--log-z", "ais", "--chains", "40", "--temperatures", "30"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == harmonium.evaluate(rbm, X, log_z="ais", chains=40, temperatures=30).as_dict()
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert f"{found['log_z']['value']:.2f} [{found['log_z']['lower']:.2f}, " in out
    assert "from exact samples" in out
    for name, value in (("--log-z", "never"), ("--chains", "0"), ("--temperatures", "1"), ("--temperatures", "warm")):
        assert main(["evaluate", "m.safetensors", "x.npy", "--log-z", "ais", name, value]) == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {name} must be")


def test_log_sum_exp_of_the_oracle_is_the_floor():
    """What was visited is a part of Z: with every state visited, all of it."""
    from harmonium.likelihood.bracket import visited

    rbm = RBM(*random_parameters(3, 6))
    engine, v = make_engine(rbm), all_states(6).astype(np.uint8)
    assert visited(engine, np.concatenate([v, v])) == pytest.approx(rbm.log_z(), abs=1e-5)
    assert visited(engine, v[:5]) == pytest.approx(log_sum_exp(-rbm.free_energy(v[:5])), abs=1e-5)
