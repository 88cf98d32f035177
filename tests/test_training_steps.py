"""A step of training: the gradient it follows in expectation, and whole runs replayed by hand."""

import itertools
import math

import numpy as np
import pytest
from oracles import (
    Exact,
    central_differences,
    dyadic_parameters,
    free_energy,
    logistic,
    random_parameters,
    random_states,
)
from training_runs import Forced, finished

from harmonium import RBM, Config, Key, TrainingRun
from harmonium.engines import NumpyEngine, Phase, Velocity, make_engine
from harmonium.training import TrainingState
from harmonium.training.negative import run_gibbs

# The gradient --------------------------------------------------------------------------------------------------------


def test_the_difference_of_the_phases_is_the_slope_of_the_free_energies(engine):
    """With the chain held, d/d(W, b, c) of mean F(chain) - mean F(data) is moments(data) - moments(chain)."""
    parameters = random_parameters(4, 6)
    data, chain = random_states(9, 6, 1).astype(float), random_states(5, 6, 2).astype(float)

    def surrogate(W, b, c):
        return free_energy(W, b, c, chain).mean() - free_energy(W, b, c, data).mean()

    slopes = central_differences(surrogate, parameters)
    engine_ = make_engine(RBM(*parameters), engine)
    phases = []
    for v in (data, chain):
        states = engine_.encode(v)
        phases.append(Phase(states, engine_.mean(engine_.logits_h(states))))
    got = engine_.moments(phases[0]) - engine_.moments(phases[1])
    for part, slope in zip(got, slopes, strict=True):
        np.testing.assert_allclose(part, slope, atol=3e-6)


def expected_step(X, state, config, n_decisions):
    """The mean over all noise of one step's gradient, and the distribution of the chains after it."""
    rate = config.learning_rate_at(0)
    gradient, chains, total = [0.0, 0.0, 0.0], {}, 0.0
    for script in itertools.product((0, 1), repeat=n_decisions):
        run = TrainingRun(X, config, state=state)
        run.engine = Forced(state.rbm)
        run.engine.follow(script)
        next(run.steps())
        assert not run.engine.script
        probability = run.engine.probability
        total += probability
        gradient = [g + probability * v / rate for g, v in zip(gradient, run.engine.velocity, strict=True)]
        if run.state.chains is not None:
            h = tuple(run.state.chains.ravel().tolist())
            chains[h] = chains.get(h, 0.0) + probability
    assert total == pytest.approx(1, abs=1e-6)
    return gradient, chains


def exact_negative(exact, q_h, mean_field):
    """E[h v'], E[v], E[h] of the negative phase when the hidden states before the last v have distribution `q_h`."""
    if not mean_field:
        q_v = exact.p_v_from_h @ q_h
        return exact.moments_of(q_v[:, None] * exact.p_h_from_v)
    v = exact.mean_v_from_h
    h = logistic(v @ exact.W.T + exact.c)
    return np.einsum("r,ri,rj->ij", q_h, h, v), q_h @ v, q_h @ h


@pytest.mark.parametrize("sweeps", [1, 2])
@pytest.mark.parametrize("last_statistic", ["sampled", "mean_field"])
@pytest.mark.parametrize("method", ["cd", "pcd"])
@pytest.mark.parametrize(("n_hidden", "n_visible"), [(2, 2), (1, 3)])
def test_the_expected_step_is_that_of_the_exact_transition_matrix(method, last_statistic, sweeps, n_hidden, n_visible):
    """All noise enumerated: the mean CD-k or PCD-k gradient, and where the persistent chains go on."""
    parameters = [x.astype(np.float32) for x in random_parameters(n_hidden, n_visible, scale=1.5)]
    exact = Exact(*parameters)
    exact.W, exact.c = (parameters[k].astype(np.float64) for k in (0, 2))
    mean_field, X = last_statistic == "mean_field", random_states(1, n_visible, 3)
    rates = {"momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    rates |= {
        "chains": 1 if method == "pcd" else None,
        "last_statistic": last_statistic,
        "centered": False,
        "learning_rate": 0.1,
    }
    config = Config(n_hidden, method, sweeps, epochs=5, batch_size=1, engine="numpy", **rates)
    chains = np.ones((1, n_hidden), np.uint8) if method == "pcd" else None
    zero = Velocity(*(np.zeros_like(x) for x in parameters))
    # h v ... h v: k(n+m) decisions, of which a chain that ends in its mean need not take the last.
    n_decisions = sweeps * (n_hidden + n_visible)
    got, ends = expected_step(X, TrainingState(RBM(*parameters), zero, chains, 0), config, n_decisions)

    q_h = exact.joint_with_data(X).sum(axis=0) if method == "cd" else (exact.h == chains).all(axis=1).astype(float)
    h_sweep = exact.p_v_from_h.T @ exact.p_h_from_v
    before_last = q_h @ np.linalg.matrix_power(h_sweep, sweeps - 1)
    negative = exact_negative(exact, before_last, mean_field)
    positive = exact.moments_of(exact.joint_with_data(X))
    for part, p, n in zip(got, positive, negative, strict=True):
        np.testing.assert_allclose(part, p - n, atol=3e-6)
    if method == "pcd":
        expected = before_last @ h_sweep
        np.testing.assert_allclose([ends[tuple(h)] for h in exact.h.astype(int).tolist()], expected, atol=1e-6)


def test_with_many_sweeps_cd_follows_the_likelihood():
    """The bias of CD-k falls to nothing with k: exact transition matrices against the exact gradient."""
    parameters, X = random_parameters(3, 4), random_states(5, 4)
    exact = Exact(*parameters)
    q_v = exact.joint_with_data(X).sum(axis=1)
    biases = []
    for sweeps in (1, 10, 100):
        negative = exact.moments_of((q_v @ np.linalg.matrix_power(exact.sweep, sweeps))[:, None] * exact.p_h_from_v)
        positive = exact.moments_of(exact.joint_with_data(X))
        biases.append(
            max(np.abs(p - n - g).max() for p, n, g in zip(positive, negative, exact.gradient(X), strict=True))
        )
    assert biases[0] > 10 * biases[1]
    assert biases[2] < 1e-9


# Replayed by hand ----------------------------------------------------------------------------------------------------


def replay(X, config):
    """The whole of training in float64, written from its documentation: noise layout, order, formulas."""
    key, n, m = Key(config.seed), config.n_hidden, X.shape[1]
    positive_key, negative_key, chains_key = (key.derive(name) for name in ("positive", "negative", "chains"))
    p = (X.sum(axis=0) + 0.5) / (len(X) + 1)
    W, b, c = 0.01 * key.derive("initial weights").normal(n, m), np.log(p / (1 - p)), np.zeros(n)
    velocity = [np.zeros_like(x) for x in (W, b, c)]
    chains = None
    if config.method == "pcd":
        chains = key.derive("first chains").uniform(config.chains, n) < 0.5
    mu, hidden_means = X.mean(axis=0), None

    def draw(p, key):
        return (key.uniform(*p.shape) < p).astype(float)

    def statistics(v, h):
        return h.T @ v / len(v), v.mean(axis=0), h.mean(axis=0)

    n_batches = math.ceil(len(X) / config.batch_size)
    for step in range(n_batches * config.epochs):
        epoch, batch = divmod(step, n_batches)
        data = {"threshold": X > 0.5, "none": X, "sample": draw(X, key.derive("data", epoch))}[config.binarize] * 1.0
        if np.isin(X, (0, 1)).all():
            data = X * 1.0
        order = key.derive("order", epoch).permutation(len(X))
        v = data[order[batch * config.batch_size : (batch + 1) * config.batch_size]]
        mean_h = logistic(v @ W.T + c)
        positive = statistics(v, mean_h)
        h = chains if chains is not None else draw(mean_h, positive_key.on(0).at(step))
        for sweep in range(config.sweeps):
            time = step * config.sweeps + sweep
            if sweep > 0:
                h = draw(logistic(v @ W.T + c), negative_key.on(0).at(time - 1))
            mean_v = logistic(h @ W + b)
            v = draw(mean_v, negative_key.on(1).at(time))
        if chains is not None:
            chains = draw(logistic(v @ W.T + c), chains_key.on(0).at(step))
        last = mean_v if config.last_statistic == "mean_field" else v
        negative = statistics(last, logistic(last @ W.T + c))
        progress = step / (n_batches * config.epochs)
        cosine = 0.5 + 0.5 * math.cos(math.pi * progress)
        rate = config.learning_rate * {"constant": 1, "linear": 1 - progress, "cosine": cosine}[config.schedule]
        slopes = [p - n for p, n in zip(positive, negative, strict=True)]
        lam = positive[2] if hidden_means is None else 0.99 * hidden_means + 0.01 * positive[2]
        hidden_means = lam
        if config.centered:  # of (h - lambda)(v - mu)', the products of means cancel
            slopes[0] -= np.outer(slopes[2], mu) + np.outer(lam, slopes[1])
        slopes[0] -= config.weight_decay * W
        velocity = [config.momentum * old + rate * slope for old, slope in zip(velocity, slopes, strict=True)]
        W, b, c = (x + v for x, v in zip((W, b, c), velocity, strict=True))
        if config.centered:
            b, c = b - velocity[0].T @ lam, c - velocity[0] @ mu
    return (W, b, c), velocity, chains


CONFIGS = {
    "cd-1": {},
    "cd-3, cosine": {"sweeps": 3, "schedule": "cosine"},
    "pcd": {"method": "pcd", "schedule": "constant"},
    "pcd-2 with 7 chains": {"method": "pcd", "sweeps": 2, "chains": 7, "momentum": 0.9},
    "mean field": {"last_statistic": "mean_field", "weight_decay": 0.1},
    "mean field pcd-2": {"last_statistic": "mean_field", "method": "pcd", "sweeps": 2},
    "grey levels drawn each epoch": {"binarize": "sample"},
    "grey levels as they are": {"binarize": "none"},
    "one batch": {"batch_size": 1000, "momentum": 0.0},
    "plain": {"centered": False},
    "plain pcd": {"centered": False, "method": "pcd"},
    "batches of one": {"batch_size": 1, "learning_rate": 0.02},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_training_is_the_replay(engine, name):
    """23 rows in batches of 5: the last batch of each epoch has 3 and is a batch like any other."""
    options = {"n_hidden": 6, "epochs": 3, "batch_size": 5, "learning_rate": 0.3, "seed": 5, "engine": engine}
    options |= {"method": "cd", "momentum": 0.5, "weight_decay": 1e-3, "schedule": "linear"}
    options |= {"centered": True} | CONFIGS[name]
    if options["method"] == "pcd":
        options = {"chains": 4} | options
    X = np.random.default_rng(0).integers(0, 9, (23, 11)) / 8 if "grey" in name else random_states(23, 11)
    run = finished(X, **options)
    parameters, velocity, chains = replay(X, run.config)
    for got, expected in zip((run.rbm.W, run.rbm.b, run.rbm.c), parameters, strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-5)
    for got, expected in zip(run.state.velocity, velocity, strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-5)
    if chains is not None:
        np.testing.assert_array_equal(run.state.chains, chains)


def test_the_phases_are_normalised_by_their_own_counts(engine):
    """Fair coins and ten chains against a thousand rows: a shared divisor would drive the biases to 10 in no time."""
    X = np.random.default_rng(0).permuted(np.tile([[0], [1]], (500, 8)), axis=0)
    run = finished(X, n_hidden=3, method="pcd", chains=10, batch_size=1000, epochs=200, seed=1, engine=engine)
    assert np.abs(run.rbm.b).max() < 1
    assert np.abs(run.rbm.c).max() < 1


def test_the_noise_of_no_two_steps_is_shared():
    """Every key that a run draws with is used once."""
    used = []

    class Recorder(NumpyEngine):
        def bernoulli(self, logits, key, beta=1.0, offset=None):
            used.append((key, logits.shape))
            return super().bernoulli(logits, key, beta, offset)

    for method, sweeps in itertools.product(("cd", "pcd"), (1, 3)):
        used.clear()
        run = TrainingRun(random_states(10, 4), Config(2, method, sweeps, epochs=4, batch_size=4, engine="numpy"))
        run.engine = Recorder(run.rbm)
        for _ in run.steps():
            pass
        assert len(used) == 12 * 2 * sweeps
        assert len({key for key, _ in used}) == len(used)


def test_chains_persist_from_step_to_step(engine):
    """Without learning, persistent chains are one long Gibbs chain; those of CD begin at the data again."""
    rbm, X = RBM(*dyadic_parameters(5, 7)), random_states(8, 7)
    config = Config(5, "pcd", 2, 6, batch_size=8, epochs=4, learning_rate=1e-30, weight_decay=0.0, engine=engine)
    run = TrainingRun(X, config, initial=rbm)
    engine_, h = make_engine(rbm, "numpy"), run.state.chains.astype(np.float32)
    for step in range(4):
        next(run.steps())
        _, logits = run_gibbs(engine_, h, Key(0).derive("negative"), sweeps=2, step=step)
        h = engine_.bernoulli(logits, Key(0).derive("chains").at(step))
        np.testing.assert_array_equal(run.state.chains, h)
