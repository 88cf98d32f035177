"""Where the negative side of a gradient comes from: each estimator against what it is defined to be."""

import numpy as np
import pytest
from oracles import Exact, dyadic_parameters, random_parameters, random_states

import harmonium
from harmonium import RBM, Config, Key, TrainingRun
from harmonium.chains import tempered
from harmonium.chains.path import linear_path
from harmonium.engines import Phase, make_engine
from harmonium.initial import bias_of_means
from harmonium.statistics import Statistics
from harmonium.training.estimators import first_chains, make_estimator
from harmonium.training.negative import FastWeights, Persistent, Positive

RBM_5_7 = RBM(*dyadic_parameters(5, 7))
MEANS = np.full(7, 0.5, np.float32)


KEY = Key(3)


def make(config, engine, rbm=RBM_5_7, key=KEY):
    engine_ = make_engine(rbm, engine)
    chains = first_chains(config, key, type(engine_))
    arrays = {} if chains is None else {"chains": chains}
    return make_estimator(config, key, engine_, np.full(rbm.n_visible, 0.5, np.float32), 10, arrays), engine_


def none(n_rows, n_hidden):
    """A data side that says nothing."""
    return Positive(Phase(None, None), np.zeros((n_rows, n_hidden), np.float32))


def test_exact_is_the_mean_under_the_machine(engine):
    estimator, engine_ = make(Config(5, "exact"), engine)
    side = estimator.estimate(engine_, none(3, 5), 0).side
    exact = Exact(RBM_5_7.W, RBM_5_7.b, RBM_5_7.c)
    for got, expected in zip(side, exact.moments_of(exact.joint), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_chains_that_never_restart_or_always(engine):
    """A share of 0 is PCD to the bit; with a share of 1 the chains start at p(h | batch) in every step, as CD's do."""
    logits = np.array([[30.0] * 5, [-30.0] * 5], np.float32)
    for restarts, expected in ((1.0, np.tile([[1], [0]], (10, 1))), (0.0, None)):
        config = Config(5, "pcd", chains=20, restarts=restarts)
        estimator, engine_ = make(config, engine)
        start = engine_.decode(estimator._h)
        if restarts == 0:
            expected = start
        else:
            start = engine_.decode(estimator._restart(engine_, logits, 0))
        np.testing.assert_array_equal(start, np.broadcast_to(expected, (20, 5)))


@pytest.mark.false_alarm(2e-9)
def test_the_share_of_restarts_is_that_asked_for(seed):
    """4,000 chains, each restarted with probability 0.3: six standard deviations."""
    estimator, engine_ = make(Config(5, "pcd", chains=4000, restarts=0.3), "native", key=Key(seed(3)))
    before = engine_.decode(estimator._h)
    always_on = np.full((2, 5), 30, np.float32)
    after = engine_.decode(estimator._restart(engine_, always_on, 7))
    restarted = (after == 1).all(axis=1) & ~(before == 1).all(axis=1)
    share = restarted.sum() / (~(before == 1).all(axis=1)).sum()
    assert abs(share - 0.3) < 6 * np.sqrt(0.21 / 3800)


@pytest.mark.parametrize("share", [1.0, 2.5])
def test_fast_weights_move_the_chains_by_the_sum_and_forget(engine, share):
    config = Config(5, "fpcd", chains=6, learning_rate=0.25)
    estimator, engine_ = make(config, engine)
    assert isinstance(estimator, FastWeights)
    v = engine_.encode(random_states(8, 7))
    phase = Phase(v, engine_.mean(engine_.logits_h(v)))
    fast = [np.zeros((5, 7)), np.zeros(7), np.zeros(5)]
    for step in range(3):
        moving = RBM(*(x + f for x, f in zip((RBM_5_7.W, RBM_5_7.b, RBM_5_7.c), fast, strict=True)))
        twin = Persistent(config, KEY, engine_, estimator.arrays(engine_)["chains"])
        positive = Positive(phase, engine_.logits_h(v), relative_weight=share)
        negative = estimator.estimate(engine_, positive, step)
        expected = twin.estimate(make_engine(moving, engine), positive, step)
        np.testing.assert_allclose(negative.logits, expected.logits, atol=1e-5)
        gradient = engine_.moments(phase) - engine_.moments(negative.side)
        fast = [0.95 * f + 0.25 * share * g for f, g in zip(fast, gradient, strict=True)]
        kept = estimator.arrays(engine_)
        for name, f in zip("Wbc", fast, strict=True):
            np.testing.assert_allclose(kept[f"fast.{name}"], f, atol=1e-6)


@pytest.mark.false_alarm(2e-9)
def test_tempered_chains_sample_the_machine(engine, seed):
    """Two modes that Gibbs sampling does not cross: the mean of each visible unit, over many ladders.

    400 ladders after 200 sweeps; modes with exact shares. Six standard errors of an independent mean.
    """
    W = np.full((2, 6), 6.0)
    rbm = RBM(W, np.full(6, -6.0), np.full(2, -17.0))
    exact = Exact(rbm.W, rbm.b, rbm.c)
    share = exact.p_v @ (exact.v.sum(axis=1) > 3)
    assert 0.05 < share < 0.95
    config = Config(2, "pt", 200, chains=400, temperatures=8, engine=engine)
    estimator, engine_ = make(config, engine, rbm=rbm, key=Key(seed(3)))
    negative = estimator.estimate(engine_, none(1, 2), 0)
    got = (engine_.decode(negative.side.v).sum(axis=1) > 3).mean()
    assert abs(got - share) < 6 * np.sqrt(share * (1 - share) / 400)
    assert np.nanmin(negative.swaps) > 0.05


def test_tempered_chains_start_at_independent_units_with_the_means_of_the_data(engine):
    """A step is that of `harmonium.chains.tempered` with these very biases at beta = 0."""
    means = np.linspace(0.1, 0.9, 7).astype(np.float32)
    engine_, config = make_engine(RBM_5_7, engine), Config(5, "pt", 3, chains=6, temperatures=4)
    estimator = make_estimator(config, KEY, engine_, means, 10, {})
    base = bias_of_means(10 * means.astype(float), 10)
    assert np.abs(base).min() < 0.01 < 1 < np.abs(base).max()
    key, ladder = KEY.derive("tempered"), tempered.Ladder(linear_path(base, 5), np.linspace(0, 1, 4))
    state = tempered.init(engine_, ladder, 6, key.derive("start"))
    for _ in range(3):
        state, _ = tempered.step(engine_, state, key, ladder)
    got = engine_.decode(estimator.estimate(engine_, np.zeros((1, 5), np.float32), 0).side.v)
    np.testing.assert_array_equal(got, engine_.decode(ladder.cold(engine_, state.v)))
    # Cold chains with the same noise may meet whatever the base is; hot ones are made of it.
    kept = np.unpackbits(estimator.arrays(engine_)["tempered.v"], axis=1, count=7)
    np.testing.assert_array_equal(kept, engine_.decode(state.v))


@pytest.mark.parametrize(("scale", "count"), [(0.0, {10}), (2.0, {19, 20, 21, 22})])
def test_there_are_as_many_temperatures_as_swap_well(engine, scale, count):
    """Ten, and no fewer where the machine is the base; more where it is sharp. Given ones stay as many."""
    rng = np.random.default_rng(3)
    rbm = RBM(scale * rng.normal(0, 1, (12, 200)), np.zeros(200), np.zeros(12))
    for given in (None, 5):
        config = Config(12, "pt", 100, chains=20, temperatures=given).for_data(100, 200)
        estimator, engine_ = make(config, engine, rbm=rbm)
        for step in range(3):
            negative = estimator.estimate(engine_, none(1, 12), step)
        assert given is not None or np.nanmin(negative.swaps) > 0.4
        kept = estimator.arrays(engine_)
        n = len(kept["tempered.ladder"])
        assert n in (count if given is None else {5})
        assert kept["tempered.replica"].shape == (n, 20)
        assert len(kept["tempered.v"]) == 20 * n
        assert len(negative.swaps) == n - 1
        assert len(negative.logits) == 20


def watch(run):
    """What the monitor is shown: the negative phase and its logits, of each step."""
    seen = []
    run._monitor.observe = lambda *shown: seen.append(shown[2:4])
    return seen


@pytest.mark.parametrize("method", ["pcd", "fpcd", "pt"])
def test_the_number_of_chains_does_not_depend_on_the_batch(method, engine):
    for chains, batch_size in ((3, 10), (25, 4)):
        config = Config(5, method, chains=chains, batch_size=batch_size, epochs=1, engine=engine)
        run = TrainingRun(random_states(20, 7), config)
        seen = watch(run)
        for _ in run.steps():
            pass
        assert {len(negative.mean_h) for negative, _ in seen} == {chains}


def test_the_exact_gradient_never_lets_the_likelihood_fall():
    X = harmonium.datasets.load("bars-and-stripes-3x3").train
    config = Config(8, "exact", epochs=1000, batch_size=100, learning_rate=0.2, momentum=0.0, weight_decay=0.0)
    run = TrainingRun(X, config)
    values = [harmonium.log_likelihood(run.rbm, X).value for step in run.steps() if step % 50 == 0]
    assert (np.diff(values) > -1e-6).all()
    assert values[-1] > values[0] + 0.5


def test_what_is_known_without_chains_has_no_states():
    run = TrainingRun(random_states(10, 4), Config(2, "exact", epochs=1))
    seen = watch(run)
    next(run.steps())
    assert seen == [(None, None)]
    estimator, engine_ = make(Config(2, "exact"), "native", rbm=RBM(*random_parameters(2, 4)))
    assert isinstance(estimator.estimate(engine_, none(1, 2), 0).side, Statistics)
