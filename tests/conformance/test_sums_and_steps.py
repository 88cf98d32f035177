"""Every engine: sums against brute force, moments, and steps of learning against their formula."""

import every_engine
import numpy as np
import pytest
from every_engine import ROWS, blank, instruction_sets, make_engine
from oracles import Exact, dyadic_parameters, free_energy, random_parameters, random_states

from harmonium import RBM, Key
from harmonium.engines import Offsets, Phase, Rates, find_engine
from harmonium.engines._native import _kernels

engine = every_engine.engine  # the fixture


# Sums ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(1, 1), (5, 7), (8, 3), (0, 4)])
def test_free_energies_equal_brute_force(engine, n_hidden, n_visible):
    W, b, c = dyadic_parameters(n_hidden, n_visible)
    engine_ = make_engine(RBM(W, b, c), engine)
    exact = Exact(W, b, c)
    v = engine_.encode(exact.v)
    np.testing.assert_array_equal(engine_.dot(v, b), exact.v @ b)
    got = -engine_.dot(v, b) - engine_.softplus_sum(engine_.logits_h(v))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, free_energy(W, b, c, exact.v), rtol=1e-6, atol=1e-6)
    grey = np.full((2, n_visible), 0.25, np.float32)
    np.testing.assert_allclose(engine_.dot(grey, b), np.full(2, b.sum() / 4), rtol=1e-6)


def test_softplus_sums_are_stable(engine):
    engine_ = make_engine(blank(1, 1), engine)
    x = np.float32([[-3e38, -200, -100], [-20, 0, 20], [100, 200, 3e38], [-1, 1, 0.5]])
    expected = np.logaddexp(0, x.astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(engine_.softplus_sum(x), expected, rtol=2e-6, atol=1e-37)
    np.testing.assert_array_equal(engine_.softplus_sum(np.zeros((4, 0), np.float32)), np.zeros(4))


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(1, 1), (2, 1), (4, 6), (0, 3), (7, 5)])
@pytest.mark.parametrize("scale", [0.1, 1.0, 6.0])
def test_the_pseudo_likelihood_equals_brute_force(engine, n_hidden, n_visible, scale):
    parameters = [x.astype(np.float32) for x in random_parameters(n_hidden, n_visible, scale=scale)]
    engine_, exact = make_engine(RBM(*parameters), engine), Exact(*parameters)
    got = engine_.pseudo_log_likelihood(engine_.encode(exact.v))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, exact.pseudo_log_likelihood(), rtol=2e-5, atol=2e-5 * scale)


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(0, 3), (1, 1), (3, 2), (6, 4), (9, 3)])
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 300.0])
def test_blocks_of_the_partition_function_equal_brute_force(engine, n_hidden, n_visible, scale):
    """Any first state and any number of them; at the largest scale the terms span thousands of nats."""
    rbm = RBM(*random_parameters(n_hidden, n_visible, scale=scale))
    number = np.arange(2**n_hidden)
    h = (number[:, None] >> np.arange(n_hidden)) & 1
    terms = h @ rbm.c + np.logaddexp(0, h @ rbm.W + rbm.b).sum(axis=1)
    for first in sorted({0, 1, 2, 5, 8, 2**n_hidden - 1} & set(number.tolist())):
        for count in sorted({1, 2, 3, 8, 13, 2**n_hidden - first}):
            if first + count <= 2**n_hidden:
                got = find_engine(engine).log_partition_block(rbm, first, count)
                block = terms[first : first + count]
                expected = block.max() + np.log(np.exp(block - block.max()).sum())
                assert got == pytest.approx(expected, rel=1e-11, abs=1e-11)


def moments_by_hand(v, mean_h, weights):
    w = np.full(len(mean_h), 1.0) if weights is None else np.asarray(weights, np.float64)
    w = w / w.sum()
    return np.einsum("r,ri,rj->ij", w, mean_h, v), w @ v, w @ mean_h


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize(("n_hidden", "n_visible"), [(1, 1), (5, 33), (64, 17), (130, 70), (0, 4)])
@pytest.mark.parametrize("kind", ["states", "grey", "weighted"])
def test_moments_are_weighted_averages(engine, n_rows, n_hidden, n_visible, kind):
    rng = np.random.default_rng(1)
    engine_ = make_engine(blank(n_hidden, n_visible), engine)
    v = rng.random((n_rows, n_visible)).astype(np.float32) if kind == "grey" else random_states(n_rows, n_visible)
    mean_h = rng.random((n_rows, n_hidden)).astype(np.float32)
    weights = rng.random(n_rows) * 7 + 0.1 if kind == "weighted" else None
    got = engine_.moments(Phase(v if kind == "grey" else engine_.encode(v), mean_h, weights))
    for part, expected in zip(got, moments_by_hand(v, mean_h, weights), strict=True):
        assert part.shape == expected.shape
        np.testing.assert_allclose(part, expected, rtol=1e-5, atol=2e-6)


# Learning ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("negative_grey", [False, True])
@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.1), (0.5, 0.01)])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("n_hidden", "n_visible"), [(5, 19), (64, 64), (70, 130)])
def test_ascend_follows_its_formula_for_several_steps(
    engine, grey, negative_grey, momentum, weight_decay, centred, n_hidden, n_visible
):
    """Centred: a step in W, b0 = b + W'lambda and c0 = c + W mu, with the gradient of the centred states."""
    rng = np.random.default_rng(2)
    W, b, c = random_parameters(n_hidden, n_visible)
    engine_ = make_engine(RBM(W, b, c), engine)
    velocity = [np.zeros_like(x) for x in (W, b, c)]
    for step in range(4):
        phases, moments = [], []
        mu, lam = (rng.random(n) if centred else np.zeros(n) for n in (n_visible, n_hidden))
        for n_rows, real in ((7 + step, grey), (3, negative_grey)):  # the phases have different sizes on purpose
            v = (
                rng.random((n_rows, n_visible)).astype(np.float32)
                if real
                else random_states(n_rows, n_visible, seed=step)
            )
            mean_h = rng.random((n_rows, n_hidden)).astype(np.float32)
            phases.append(Phase(v if real else engine_.encode(v), mean_h))
            moments.append(moments_by_hand(v - mu, mean_h - lam, None))
        learning_rate = 0.3 / (1 + step)
        slopes = [p - n for p, n in zip(*moments, strict=True)]
        slopes[0] = slopes[0] - weight_decay * W
        velocity = [momentum * old + learning_rate * slope for old, slope in zip(velocity, slopes, strict=True)]
        b0, c0 = b + lam @ W + velocity[1], c + W @ mu + velocity[2]
        W = W + velocity[0]
        b, c = b0 - lam @ W, c0 - W @ mu
        offsets = Offsets(mu.astype(np.float32), lam.astype(np.float32)) if centred else None
        engine_.ascend(*phases, Rates(learning_rate, momentum, weight_decay), offsets)
        for name, x, v in zip("Wbc", (W, b, c), velocity, strict=True):
            np.testing.assert_allclose(getattr(engine_.rbm, name), x, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(getattr(engine_.velocity, name), v, rtol=1e-5, atol=2e-6)


def test_ascend_uses_the_weights_of_a_phase(engine):
    engine_ = make_engine(blank(2, 3), engine)
    v = random_states(4, 3)
    mean_h = np.random.default_rng(0).random((4, 2)).astype(np.float32)
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    nothing = Phase(engine_.encode(np.zeros((1, 3))), np.zeros((1, 2), np.float32))
    engine_.ascend(Phase(engine_.encode(v), mean_h, weights), nothing, Rates(1.0))
    for name, expected in zip("Wbc", moments_by_hand(v, mean_h, weights), strict=True):
        np.testing.assert_allclose(getattr(engine_.rbm, name), expected, rtol=1e-5, atol=1e-6)


def test_offsets_of_zero_change_no_bit(engine):
    machines = []
    for offsets in (None, Offsets(np.zeros(14, np.float32), np.zeros(9, np.float32))):
        engine_ = make_engine(RBM(*random_parameters(9, 14)), engine)
        v, other = (engine_.encode(random_states(20, 14, seed=seed)) for seed in (0, 1))
        phases = [Phase(x, engine_.mean(engine_.logits_h(x))) for x in (v, other)]
        engine_.ascend(*phases, Rates(0.3, 0.5, 0.01), offsets)
        machines.append(engine_.rbm)
    for name in "Wbc":
        np.testing.assert_array_equal(*(getattr(rbm, name) for rbm in machines))


def test_logits_follow_the_parameters_after_a_step(engine):
    """An engine that keeps anything derived from its parameters must renew it."""
    engine_ = make_engine(RBM(*random_parameters(9, 14)), engine)
    v = engine_.encode(random_states(20, 14))
    phase = Phase(v, engine_.mean(engine_.logits_h(v)))
    engine_.ascend(phase, Phase(engine_.encode(np.zeros((2, 14))), np.zeros((2, 9), np.float32)), Rates(1.0))
    fresh = make_engine(engine_.rbm, engine)
    h = engine_.encode(random_states(20, 9))
    np.testing.assert_array_equal(engine_.logits_h(v), fresh.logits_h(fresh.encode(random_states(20, 14))))
    np.testing.assert_array_equal(engine_.logits_v(h), fresh.logits_v(fresh.encode(random_states(20, 9))))


def test_every_instruction_set_computes_the_same_bits():
    """Products, samples, moments and an update of a machine with units of all sizes."""
    W, b, c = (x.astype(np.float32) for x in random_parameters(70, 150))
    W *= np.float32(10.0) ** np.linspace(-40, 2, 70, dtype=np.float32)[:, None]
    v, h, fastest, results = random_states(40, 150), random_states(40, 70), _kernels.instruction_set(), []
    for name in instruction_sets():
        _kernels.use(name)
        engine = make_engine(RBM(W, b, c), "native")
        bits_v, bits_h = engine.encode(v), engine.encode(h)
        logits = engine.logits_h(bits_v)
        phases = [Phase(x, engine.mean(engine.logits_h(x))) for x in (bits_v, engine.sample_v(bits_h, Key(1), 0.5))]
        result = [logits, engine.logits_v(bits_h), engine.mean(logits), *engine.moments(phases[0])]
        result += [engine.decode(engine.sample_h(bits_v, Key(2))), engine.softplus_sum(logits)]
        result += [engine.pseudo_log_likelihood(bits_v)]
        offsets = Offsets(np.linspace(0, 1, 150, dtype=np.float32), np.linspace(1, 0, 70, dtype=np.float32))
        engine.ascend(*phases, Rates(0.1, 0.5, 0.01), offsets)
        results.append([*result, engine.rbm.W, engine.rbm.b, engine.rbm.c, engine.logits_h(bits_v)])
    _kernels.use(fastest)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_every_instruction_set_scores_with_the_same_bits():
    """Sums of logarithms, where products of many factors are taken at once: on weights that do not overflow."""
    W, b, c = random_parameters(11, 75)
    rbm, X, fastest, results = RBM(W, b, c), random_states(9, 75), _kernels.instruction_set(), []
    for name in instruction_sets():
        _kernels.use(name)
        engine = make_engine(rbm, "native")
        score = engine.pseudo_log_likelihood(engine.encode(X))
        results.append(np.append(score, engine.log_partition_block(rbm, 3, 2000)))
    _kernels.use(fastest)
    assert np.abs(W).max() < 30
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
