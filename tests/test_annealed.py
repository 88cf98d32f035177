"""Annealed importance sampling: exact identities on machines that can be listed; what records and verdicts promise."""

import json
import math
import re

import numpy as np
import pytest
from oracles import Exact, all_states, dyadic_parameters, log_sum_exp, logistic, random_parameters, random_states

import harmonium
from harmonium import RBM, Key, LogPartition
from harmonium.cli import main
from harmonium.errors import InvalidData, InvalidParameter, OutOfReach, Unreliable
from harmonium.likelihood import partition, starts
from harmonium.likelihood.annealed import HIDDEN, START, VISIBLE, Path, effective_size, log_mean
from harmonium.likelihood.bracket import WIDE, acceptance_ratio, bracket, margin, standard_error
from harmonium.likelihood.schedule import check_temperatures, n_planning_steps, plan, salakhutdinov

SHAPES = [(0, 1), (0, 4), (1, 1), (3, 4), (5, 3)]


def softplus(x):
    return np.logaddexp(0, x)


def log_f(parameters, base, beta, v):
    """The unnormalised log probability of v on the way, as defined."""
    W, b, c = parameters
    return v @ ((1 - beta) * base + beta * b) + softplus(beta * (v @ W.T + c)).sum(axis=1)


def hole(depth=10.0, n_hidden=10, n_visible=40):
    """Nearly independent units, but for one pattern that a single hidden unit holds: annealing cannot find it."""
    rng = np.random.default_rng(0)
    W, b = rng.normal(0, 0.1, (n_hidden, n_visible)), rng.normal(0, 0.3, n_visible)
    W[0], c = 5 * rng.choice([-1, 1], n_visible), np.zeros(n_hidden)
    without, alone = (harmonium.log_partition(RBM(W[1:], b + x, c[1:])).value for x in (0, W[0]))
    c[0] = depth + without - alone
    return RBM(W, b, c)


# Runs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
def test_a_run_is_its_definition(engine, n_hidden, n_visible):
    """Every log ratio and every state, from the noise of the key and the formulas alone; in both directions."""
    parameters, key = dyadic_parameters(n_hidden, n_visible), Key(5)
    W, b, c = parameters
    base, betas = np.linspace(-1, 1, n_visible), np.array([0, 0.25, 0.5, 1])
    path = Path(RBM(*parameters), base, engine)
    base = base.astype(np.float32).astype(float)
    assert path.log_z_base == pytest.approx(softplus(base).sum() + n_hidden * math.log(2), rel=1e-14)
    v = (key.on(START).uniform(9, n_visible) < logistic(base)).astype(float)
    np.testing.assert_array_equal(path.engine.decode(path.start(9, key)), v)
    for order in (betas, betas[::-1]):
        expected, x = np.zeros(9), v
        for k in range(3):
            expected += log_f(parameters, base, order[k + 1], x) - log_f(parameters, base, order[k], x)
            last = x
            beta, key_ = order[k + 1], key.at(k)
            h = key_.on(HIDDEN).uniform(9, n_hidden) < logistic(beta * (x @ W.T + c))
            p = logistic(beta * (h @ W + b) + (1 - beta) * base)
            x = (key_.on(VISIBLE).uniform(9, n_visible) < p).astype(float)
        found = path.run(path.engine.encode(v), order, key)
        np.testing.assert_allclose(found.log_w, expected, rtol=0, atol=2e-5)
        np.testing.assert_array_equal(path.engine.decode(found.v), last)


@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_weights_average_to_z_exactly_over_all_paths(engine, n_hidden, n_visible, scale):
    """E[w] = Z / Z_A and, from the machine back, Z_A / Z, by summing over every path of one and of two ratios."""
    parameters = random_parameters(n_hidden, n_visible, scale=scale)
    parameters = tuple(x.astype(np.float32).astype(float) for x in parameters)
    (W, b, c), exact = parameters, Exact(*parameters)
    path = Path(RBM(*parameters), np.linspace(-1, 1, n_visible), engine)
    base, v, h, states = path.base.astype(float), exact.v, exact.h, path.engine.encode(exact.v)

    def ratio(*betas):
        return next(path.anneal(states, np.array(betas), Key(0))).log_ratio

    def sweep(beta):
        on, off = np.array([1, -1]), np.array([0, 1])
        p_h = logistic(beta * (v @ W.T + c))
        p_v = logistic(beta * (h @ W + b) + (1 - beta) * base)
        h_from_v = np.prod(off[None, None, :1] + (on[0] * p_h[:, None] * h + (1 - p_h[:, None]) * (1 - h)), axis=2)
        v_from_h = np.prod(p_v[:, None] * v + (1 - p_v[:, None]) * (1 - v), axis=2)
        return h_from_v @ v_from_h

    p_base = np.exp(v @ base - softplus(base).sum())
    one = p_base @ np.exp(ratio(0, 1))
    two = (p_base * np.exp(ratio(0, 0.5))) @ sweep(0.5) @ np.exp(ratio(0.5, 1))
    back = (exact.p_v * np.exp(ratio(1, 0.5))) @ sweep(0.5) @ np.exp(ratio(0.5, 0))
    for found in (math.log(one), math.log(two), -math.log(back)):
        assert found + path.log_z_base == pytest.approx(exact.log_z, abs=2e-5 * max(1, scale))


@pytest.mark.parametrize("temperatures", [[0, 1], [0, 0.1, 0.1, 1], np.linspace(0, 1, 30)])
def test_independent_units_have_no_variance(engine, temperatures):
    b, c = np.linspace(-3, 3, 7), np.linspace(-2, 1, 4)
    path, betas = Path(RBM(np.zeros((4, 7)), b, c), b, engine), np.asarray(temperatures, float)
    for v, order, sign in ((path.start(20, Key(1)), betas, 1), (path.start(20, Key(2)), betas[::-1], -1)):
        log_z = path.log_z_base + sign * path.run(v, order, Key(3)).log_w
        np.testing.assert_allclose(log_z, softplus(b).sum() + softplus(c).sum(), rtol=0, atol=1e-5)


def test_a_chain_does_not_know_of_the_others(engine):
    path, betas = Path(RBM(*dyadic_parameters(4, 9)), np.zeros(9), engine), np.linspace(0, 1, 11)
    few, many = (path.run(path.start(n, Key(4)), betas, Key(4)).log_w for n in (7, 40))
    np.testing.assert_array_equal(few, many[:7])


def test_engines_agree_on_a_whole_bracket():
    rbm, X = RBM(*dyadic_parameters(4, 9)), random_states(30, 9)
    found = [
        harmonium.log_partition(rbm, "ais", data=X, temperatures=np.linspace(0, 1, 21), engine=name, start="chains")
        for name in ("numpy", "native")
    ]
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
@pytest.mark.parametrize("data", [None, random_states(30, 9)])
def test_a_number_of_temperatures(n, data):
    ticks = []
    found = plan(RBM(*random_parameters(4, 9)), n, data, Key(1), "native", lambda: ticks.append(1))
    assert (len(found.betas), found.betas[0], found.betas[-1]) == (n, 0, 1)
    assert np.all(np.diff(found.betas) > 0)
    assert len(ticks) == n_planning_steps(n, data is not None)


def test_temperatures_crowd_where_the_weights_gather_variance():
    """A ferromagnet that orders at a known temperature: half of them stand within a quarter of the road."""
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
    return mean + deviation * starts.ndtri((np.arange(n) + 0.5) / n)


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
    path = Path(RBM(*random_parameters(3, 4)), np.zeros(4), "numpy")
    x = path.log_z_base + next(path.anneal(path.engine.encode(exact.v), np.array([0.0, 1.0]), Key(0))).log_ratio
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
        (GOOD[0] + 2, GOOD[1], {}, "unreliable", "the sides cross by 1.9"),
        (*GOOD, {"doubt": "chains differ"}, "unreliable", "chains differ"),
        (*GOOD, {"floor": 3.0}, "unreliable", "visited weigh more"),
        (np.append(GOOD[0], np.nan), GOOD[1], {}, "unreliable", "not finite"),
        (GOOD[0], np.append(GOOD[1], np.inf), {}, "unreliable", "not finite"),
    ],
)
def test_verdicts(forward, reverse, rest, verdict, reason):
    found = bracket(forward, reverse, **rest)
    assert found.verdict == verdict
    assert re.search(reason, found.reason)
    if math.isfinite(found.value):
        assert found.lower <= found.value <= found.upper
    assert verdict != "ok" or found.upper - found.lower <= WIDE


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


def test_picking_and_refreshing_go_by_weight():
    log_w = np.array([0.0, -np.inf, math.log(3)]) + 700
    chosen = starts.pick(log_w, 4000, Key(1))
    assert np.bincount(chosen, minlength=3) / 4000 == pytest.approx([0.25, 0, 0.75], abs=0.04)
    # A chain of weight 4 among new ones of total weight 4 stays half of the time; one far heavier always does.
    moved = starts.refresh(np.full(4000, 700 + math.log(4)), log_w, Key(2))
    assert np.bincount(moved + 1, minlength=4) / 4000 == pytest.approx([0.5, 0.125, 0, 0.375], abs=0.04)
    assert np.all(starts.refresh(np.full(50, 800.0), log_w, Key(2)) == -1)
    assert np.all(starts.refresh(np.full(50, 600.0), log_w, Key(2)) >= 0)


def test_what_speaks_against_equilibrium():
    rng = np.random.default_rng(0)
    same, drift, works = rng.normal(size=100), rng.normal(size=100), 0.3 * rng.normal(size=100)
    shifted, wider = same + 2 * (np.arange(100) < 50), same * np.where(np.arange(100) < 50, 1, 5)
    good = ({"x": same}, 50, drift, works, works)
    assert starts.disagreement(*good) == ""
    assert "differ in x (R-hat" in starts.disagreement({"x": shifted}, *good[1:])
    assert "differ in x (R-hat" in starts.disagreement({"x": wider}, *good[1:])
    assert "drifts (+0.9" in starts.disagreement(*good[:2], drift + 1, *good[3:])
    assert "annealing from the base does not come" in starts.disagreement(*good[:3], np.append(works[:99], 9), works)
    assert starts.r_hat(np.zeros(10), 5) == 1.0


# log_partition -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["exact", "chains"])
@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (3, 4), (5, 3)])
def test_small_machines_are_bracketed(engine, start, shape):
    rbm = RBM(*random_parameters(*shape))
    found = harmonium.log_partition(rbm, "ais", start=start, seed=3, temperatures=50, engine=engine)
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
        ("data", np.zeros((3, 5)), InvalidData),
        ("data", np.full((3, 6), np.nan), InvalidData),
        ("data", np.zeros((0, 6)), InvalidData),
    ],
)
def test_bad_arguments(name, value, error):
    with pytest.raises(error, match=r"\. Got "):
        harmonium.log_partition(RBM(*random_parameters(4, 6)), **{"method": "ais", name: value})


def test_grey_data_give_the_base_its_biases():
    rbm, X = RBM(*random_parameters(4, 6)), np.random.default_rng(0).random((50, 6))
    assert harmonium.log_partition(rbm, "ais", data=X, temperatures=50, start="chains").verdict == "ok"


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
        (STRONG, {"data": np.tile(np.arange(40) % 2, (9, 1)), "temperatures": 4}),
        (STRONG, {"data": np.tile(np.arange(40) % 2, (9, 1)), "temperatures": 4, "start": "chains"}),
        (STRONG, {"chains": 5, "start": "chains"}),
        (STRONG, {"chains": 5, "start": "exact"}),
        (hole(), {"start": "chains"}),
        (hole(2.0), {"start": "chains"}),
        (hole(-2.0), {"start": "chains"}),
    ],
)
def test_planted_failures_are_never_ok(rbm, how):
    """Two temperatures, a base that fits other data, too few chains, a mode that annealing misses."""
    for seed in range(3):
        found = harmonium.log_partition(rbm, "ais", seed=seed, **how)
        assert found.verdict in ("wide", "unreliable")
        assert found.reason


def test_a_missed_mode_is_what_the_check_of_the_starts_is_for(monkeypatch):
    """Without it the same run would be a wrong "ok"."""
    rbm = hole()
    monkeypatch.setattr("harmonium.likelihood.two_sided.disagreement", lambda *_: "")
    monkeypatch.setattr("harmonium.likelihood.two_sided._floor", lambda *_: -math.inf)
    monkeypatch.setattr("harmonium.likelihood.two_sided.spread_out", lambda *x: np.zeros((x[3], 40), np.uint8))
    found = harmonium.log_partition(rbm, "ais", start="chains")
    assert found.verdict == "ok"
    assert found.upper < rbm.log_z() - 5


def test_exact_starts_bracket_a_mode_that_annealing_misses():
    rbm = hole(0.0)
    found = harmonium.log_partition(rbm, "ais", start="exact", data=np.zeros((9, 40)))
    assert found.lower <= rbm.log_z() <= found.upper


@pytest.mark.parametrize("start", ["exact", "chains"])
@pytest.mark.filterwarnings("ignore:(overflow|invalid)")
def test_weights_beyond_all_bounds_have_no_number(engine, start):
    rbm = RBM(np.full((3, 4), 3e38), np.full(4, -3e38), np.zeros(3))
    found = harmonium.log_partition(rbm, "ais", start=start, engine=engine, temperatures=5)
    assert found.verdict == "unreliable"
    with pytest.raises(Unreliable):
        float(found)


# Records -------------------------------------------------------------------------------------------------------------

BRACKET = LogPartition(451.28, 451.2, 451.41, "ais", "ok", 61.4, 100, "tempered chains")
DOUBTFUL = LogPartition(451.28, 440.0, 451.41, "ais", "unreliable", 3.0, 100, "tempered chains", "chains differ")


def test_a_bracket_reads_as_one_line():
    assert str(BRACKET) == "log Z = 451.28 [451.20, 451.41] (AIS ↔ reverse AIS, ESS 61/100, ok)"
    assert str(DOUBTFUL).endswith("ESS 3/100, unreliable)")


def test_an_unreliable_record_is_no_number_unless_told():
    assert float(BRACKET) == BRACKET.number() == 451.28
    with pytest.raises(Unreliable, match=r"Got 451\.28, but chains differ\. Take more .*accept_unreliable=True"):
        float(DOUBTFUL)
    assert DOUBTFUL.number(accept_unreliable=True) == 451.28
    with pytest.raises(Unreliable, match="Got none: too large"):
        LogPartition(None, None, None, "exact", "too large").number(accept_unreliable=True)


def test_likelihoods_know_their_convention_and_their_log_z():
    rbm, X = RBM(*random_parameters(3, 6)), random_states(20, 6)
    found = harmonium.log_likelihood(rbm, X, convention="threshold")
    assert (found.convention, found.verdict, found.sanity) == ("threshold", "ok", "ok")
    np.testing.assert_allclose(found.per_sample, rbm.log_likelihood(X), atol=1e-5)
    assert float(found) == found.mean == pytest.approx(found.per_sample.mean())
    doubtful = harmonium.log_likelihood(rbm, X, DOUBTFUL)
    assert doubtful.mean == pytest.approx(-harmonium.free_energy(rbm, X).mean() - 451.28)
    with pytest.raises(Unreliable, match="log Z is unreliable"):
        float(doubtful)
    with pytest.raises(Unreliable, match="Got none"):
        float(harmonium.log_likelihood(rbm, X, LogPartition(None, None, None, "exact", "too large")))


@pytest.mark.parametrize("repeats", [1, 5])
def test_distinct_samples_cannot_weigh_more_than_one(engine, repeats):
    """All states once are exactly 1; repeats do not count; log Z a little too low is found out."""
    rbm, X = RBM(*random_parameters(3, 6)), np.repeat(all_states(6), repeats, axis=0)
    assert harmonium.log_likelihood(rbm, X, engine=engine).sanity == "ok"
    low = rbm.log_z() - 0.01
    found = harmonium.log_likelihood(rbm, X, LogPartition(low, low, low, "guess", "ok"), engine=engine)
    assert found.sanity == "the probabilities of 64 distinct samples sum to exp(0.01): log Z is too low"
    assert found.as_dict()["sanity"] == found.sanity
    with pytest.raises(Unreliable, match="64 distinct samples"):
        float(found)


def test_an_evaluation_brackets_what_is_out_of_reach():
    rbm, X = RBM(*(0.1 * x for x in random_parameters(30, 30))), random_states(50, 30)
    found = harmonium.evaluate(rbm, X, temperatures=100, chains=50)
    assert found.log_z == harmonium.log_partition(rbm, "ais", data=X, temperatures=100, chains=50)
    assert found.log_likelihood.lower < found.log_likelihood.mean < found.log_likelihood.upper
    fields = json.loads(json.dumps(found.as_dict()))["log_z"]
    assert list(fields) == ["value", "lower", "upper", "method", "verdict", "ess", "n_chains", "start", "reason"]
    assert harmonium.evaluate(rbm, X, log_z=found.log_z) == found
    without = harmonium.evaluate(rbm, X, log_z="exact")
    assert (without.log_z.value, without.log_likelihood.mean) == (None, None)
    assert "at most 25 units" in without.log_z.verdict
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
    assert f"{found['log_z']['value']:.4f} [{found['log_z']['lower']:.4f}, " in out
    assert "from exact samples" in out
    for name, value in (("--log-z", "never"), ("--chains", "0"), ("--temperatures", "1"), ("--temperatures", "warm")):
        assert main(["evaluate", "m.safetensors", "x.npy", "--log-z", "ais", name, value]) == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {name} must be")


def test_log_sum_exp_of_the_oracle_is_the_floor():
    """What was visited is a part of Z: with every state visited, all of it."""
    from harmonium.likelihood.two_sided import _floor

    rbm = RBM(*random_parameters(3, 6))
    path, v = Path(rbm, np.zeros(6)), all_states(6).astype(np.uint8)
    assert _floor(path, np.concatenate([v, v])) == pytest.approx(rbm.log_z(), abs=1e-5)
    assert _floor(path, v[:5]) == pytest.approx(log_sum_exp(-rbm.free_energy(v[:5])), abs=1e-5)
