"""Early decisions (ADR 8) are today's decisions, at the very edge of what 16 bits can tell.

Every unit of every row gets an offset that puts its probability a chosen distance from its uniform number: multiples of
the bound that the ADR derives, inside it and outside. `bernoulli` of the logits, which knows no early decisions, says
what is right.
"""

import numpy as np
import pytest
from every_engine import instruction_sets
from oracles import logit

from harmonium import RBM, Key
from harmonium.engines import NativeEngine, Phase, Rates
from harmonium.engines._native import _kernels

KEY = Key(5, 1, 2, 3)
SETS = [name for name in instruction_sets() if name != "amx"]  # where products of the matrix unit are fast enough
ROWS = 70


@pytest.fixture(params=SETS, autouse=True)
def _instruction_set(request):
    usual = _kernels.instruction_set()
    _kernels.use(request.param)
    yield
    _kernels.use(usual)


def scales(W):
    """What one is worth in the 16-bit form of each row of W (units, inputs), as the ADR fixes it."""
    blocks = np.pad(W, ((0, 0), (0, -W.shape[1] % 64))).reshape(len(W), -1, 64).astype(np.float64)
    sums = np.maximum(np.maximum(blocks, 0).sum(axis=2), np.maximum(-blocks, 0).sum(axis=2))
    return 2.0 ** (np.frexp(1.01 * sums.max(axis=1))[1] - 15)


def bound(W, on):
    """How far the logits of units may be from those by 16 bits, with so many on."""
    unit = scales(W)
    y = W / unit[:, None]
    roundings = np.pad(y - np.rint(y), ((0, 0), (0, -W.shape[1] % 64))).reshape(len(W), -1, 64)
    largest = np.maximum(np.maximum(roundings, 0).sum(axis=2), np.maximum(-roundings, 0).sum(axis=2)).sum(axis=1)
    return unit * (np.minimum(largest, on / 2) + on / 64)


def machines():
    """name: weights of the sampled units (units, inputs) and their biases."""
    rng = np.random.default_rng(0)
    plain = rng.standard_normal((90, 300)).astype(np.float32) * 0.05
    far = plain * 2.0 ** rng.integers(-40, 1, (90, 1))
    outlier = plain.copy()
    outlier[:, 7] = 3
    # Every number is rounded down by almost half: with all inputs on, the error is nearly as large as its bound.
    leaning = ((rng.integers(0, 850, (90, 300)) + 0.498) / 2**13).astype(np.float32)
    signs = leaning * np.where(np.arange(90) % 2, 1, -1)[:, None]
    cancelling = plain + np.float32(2.5)
    biases = rng.standard_normal(90)
    return {
        "plain": (plain, biases),
        "scales far apart": (far, biases),
        "one large weight": (outlier, biases),
        "leaning": (signs, biases),
        "cancelled by its bias": (cancelling, -300 * 2.5 * np.ones(90)),
        "biases that offsets take off": (plain / 4, 1e5 * biases),
        "nothing": (np.zeros((90, 300), np.float32), biases),
    }


def engine_of(layer, W, bias):
    other = np.zeros(W.shape[1])
    return NativeEngine(RBM(W, other, bias) if layer == "h" else RBM(W.T, bias, other))


def verbs(engine, layer):
    return (engine.sample_h, engine.logits_h) if layer == "h" else (engine.sample_v, engine.logits_v)


@pytest.mark.parametrize("layer", ["h", "v"])
@pytest.mark.parametrize("name", machines())
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("beta", [1.0, 1e-6, 20.0, -0.5])
def test_decisions_at_the_edge_of_the_bound(layer, name, density, beta):
    W, bias = machines()[name]
    engine = engine_of(layer, W, bias)
    sample, logits = verbs(engine, layer)
    on = np.random.default_rng(1).random((ROWS, W.shape[1])) < density
    states = engine.encode(on)
    x, u = logits(states), KEY.uniform(ROWS, len(W))
    reach = abs(beta) * (bound(W, on.sum(axis=1).max()) + np.abs(bias) / 2**21) + 1e-6
    factors = np.resize(
        [0, 0.02, -0.02, 0.1, -0.1, 0.15, -0.15, 0.5, -0.5, 0.9, -0.9, 0.98, -0.98, 1.02, -1.02, 1.5, -1.5], len(W)
    )
    for shift in (0, 1):  # as the even and the odd units may differ
        wanted = logit(u) + np.roll(factors, shift) * reach
        offset = (wanted - np.float64(beta) * x).astype(np.float32)
        found = engine.decode(sample(states, KEY, beta, offset))
        expected = engine.decode(engine.bernoulli(x, KEY, beta, offset))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("layer", ["h", "v"])
def test_they_are_early(layer):
    """The test above tests what it says: sampling made no copy of 24 bits."""
    W, bias = machines()["plain"]
    engine = engine_of(layer, W, bias)
    sample, _ = verbs(engine, layer)
    states = engine.encode(np.ones((ROWS, W.shape[1])))
    sample(states, KEY, 0.7, np.ones(90, np.float32))
    assert engine._machine.copies == [f"early {layer}"]
    sample(states, KEY, 1e4)  # at which most units would be left open
    assert engine._machine.copies == [f"exact {layer}", f"early {layer}"]


def test_weights_that_are_not_finite_are_left_to_the_second_pass():
    W, bias = machines()["plain"]
    W = W.copy()
    W[3, 5], W[4, 6], W[5, 7] = np.inf, -np.inf, np.nan
    engine = NativeEngine(RBM(np.zeros_like(W), np.zeros(300), bias))
    engine._machine.replace(np.ascontiguousarray(W, np.float32), np.zeros(300, np.float32), bias.astype(np.float32))
    states = engine.encode(np.random.default_rng(2).random((ROWS, 300)) < 0.5)
    expected = engine.bernoulli(engine.logits_h(states), KEY)
    np.testing.assert_array_equal(engine.sample_h(states, KEY).words, expected.words)


def test_training_keeps_the_copies_in_use_and_lets_the_others_go():
    """Through steps that keep every scale, that outgrow some, and that multiply the weights."""
    W, bias = machines()["plain"]
    engine = NativeEngine(RBM(W, np.zeros(300), bias))
    v = engine.encode(np.random.default_rng(3).random((ROWS, 300)) < 0.5)
    nothing = Phase(engine.encode(np.zeros((3, 300))), np.full((3, 90), 0.25, np.float32))
    for rate in (1e-4, 0.02, 0.2, 2.0, 1e-3, 30.0):
        logits = engine.logits_h(v)
        h = engine.sample_h(v, KEY)
        engine.sample_v(h, KEY)
        kept = engine._machine.copies
        engine.ascend(Phase(v, engine.mean(logits)), nothing, Rates(rate))
        assert engine._machine.copies == kept
        fresh = NativeEngine(engine.rbm)
        for beta in (1.0, 1e-2):
            found = engine.sample_h(v, KEY, beta), engine.sample_v(h, KEY, beta)
            expected = (
                fresh.bernoulli(fresh.logits_h(v), KEY, beta),
                fresh.bernoulli(fresh.logits_v(h), KEY, beta),
            )
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one.words, other.words)
        assert {"exact h", "early v"} <= set(kept) or rate > 1
    engine.ascend(Phase(v, engine.mean(engine.logits_h(v))), nothing, Rates(1e-4))
    engine.ascend(Phase(v, engine.mean(engine.logits_h(v))), nothing, Rates(1e-4))
    assert engine._machine.copies == ["exact h"]


def test_chains_on_the_same_weights_get_rows_of_them():
    """The second pass of the hidden units reads a copy in an order of its own, once that is worth it."""
    W, bias = machines()["plain"]
    engine = NativeEngine(RBM(W, np.zeros(300), bias))
    v = engine.encode(np.random.default_rng(4).random((3000, 300)) < 0.5)
    expected = engine.bernoulli(engine.logits_h(v), KEY)
    for _ in range(4):
        np.testing.assert_array_equal(engine.sample_h(v, KEY).words, expected.words)
    assert "rows h" in engine._machine.copies
    engine.replace(RBM(W / 2, np.zeros(300), bias))
    assert engine._machine.copies == []
    np.testing.assert_array_equal(engine.sample_h(v, KEY).words, engine.bernoulli(engine.logits_h(v), KEY).words)


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_that_outgrow_16_bits_while_every_weight_keeps_its_scale(sign):
    """64 weights of 0.13, one of them 0.26, become 0.27 and 0.40: their sum passes 16, the largest no power of two."""
    W = sign * (0.13 + 0.13 * np.eye(64))
    engine = NativeEngine(RBM(W, np.full(64, -17.4 * sign), np.full(64, -17.4 * sign)))
    on, off = engine.encode(np.ones((ROWS, 64))), engine.encode(np.zeros((ROWS, 64)))
    sides = Phase(on, np.ones((ROWS, 64), np.float32)), Phase(off, np.ones((ROWS, 64), np.float32))
    engine.sample_h(on, KEY)
    engine.sample_v(on, KEY)
    engine.ascend(*sides[::sign], Rates(0.14))
    assert engine._machine.copies == ["early h", "early v"]
    h, v = engine.sample_h(on, KEY), engine.sample_v(on, KEY)
    np.testing.assert_array_equal(h.words, engine.bernoulli(engine.logits_h(on), KEY).words)
    np.testing.assert_array_equal(v.words, engine.bernoulli(engine.logits_v(on), KEY).words)
    assert 0.2 < engine.decode(h).mean() < 0.8
