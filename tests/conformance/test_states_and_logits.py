"""Every engine: states there and back, parameters, logits and means. A new engine passes these files or is not one."""

import every_engine
import numpy as np
import pytest
from conftest import TORCH
from every_engine import ROWS, blank, make_engine
from hypothesis import given
from hypothesis import strategies as st
from oracles import dyadic_parameters, logistic, random_parameters, random_states

from harmonium import RBM
from harmonium.engines import ENGINES, Engine, Phase, Rates, Velocity
from harmonium.errors import InvalidParameter

engine = every_engine.engine  # the fixture
# Logits may be off by this share of the largest parameter of a unit.
LOGIT = 2e-6


# States --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_units", range(1, 131))
def test_states_come_back_at_every_width(engine, n_units):
    engine_ = make_engine(blank(3, n_units), engine)
    for n_rows in (1, 2, 9):
        X = random_states(n_rows, n_units, seed=n_rows)
        states = engine_.encode(X)
        assert len(states) == n_rows
        got = engine_.decode(states)
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, X)
    for value in (0, 1):
        X = np.full((3, n_units), value, np.uint8)
        np.testing.assert_array_equal(engine_.decode(engine_.encode(X)), X)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("layout", ["C", "F", "strided", "read-only"])
def test_states_are_encoded_from_any_array(engine, dtype, layout):
    X = random_states(6, 37)
    array = X.astype(dtype, order="F" if layout == "F" else "C")
    if layout == "strided":
        array = np.repeat(np.repeat(array, 2, axis=0), 3, axis=1)[::2, ::3]
    array.flags.writeable = layout != "read-only"
    engine_ = make_engine(blank(2, 37), engine)
    np.testing.assert_array_equal(engine_.decode(engine_.encode(array)), X)


@pytest.mark.parametrize("name", ["native", "numpy", TORCH])
@given(data=st.data(), n_rows=st.integers(1, 20), n_units=st.integers(1, 70))
def test_take_and_overwrite_are_indexing(name, data, n_rows, n_units):
    engine = make_engine(blank(2, n_units), name)
    seeds = data.draw(st.tuples(*[st.integers(0, 99)] * 3))
    X, values, where = (random_states(n_rows, n_units, seed) for seed in seeds)
    rows = np.array(data.draw(st.lists(st.integers(0, n_rows - 1), max_size=30)), np.intp)
    states = engine.encode(X)
    taken = engine.take(states, rows)
    assert len(taken) == len(rows)
    np.testing.assert_array_equal(engine.decode(taken), X[rows])
    mixed = engine.overwrite(states, engine.encode(where), engine.encode(values))
    np.testing.assert_array_equal(engine.decode(mixed), np.where(where, values, X))
    np.testing.assert_array_equal(engine.decode(states), X)  # neither changed its argument


def test_real_arrays_stand_for_themselves_where_v_may_be_real(engine):
    engine_ = make_engine(RBM(*dyadic_parameters(3, 5)), engine)
    X = np.array([[0.0, 0.25, 0.5, 0.75, 1.0]])
    np.testing.assert_array_equal(engine_.visible(X), X)
    np.testing.assert_array_equal(engine_.decode(engine_.visible(X > 0.3)), X > 0.3)


# Parameters ----------------------------------------------------------------------------------------------------------


def test_the_parameters_and_momentum_are_held_as_float32_and_handed_out_as_copies(engine):
    parameters = random_parameters(3, 4)
    velocity = Velocity(*(x.astype(np.float32) for x in random_parameters(3, 4, seed=1)))
    engine_ = make_engine(RBM(*parameters), engine, velocity)
    for name, x in zip("Wbc", parameters, strict=True):
        np.testing.assert_array_equal(getattr(engine_.rbm, name), x.astype(np.float32))
        assert getattr(engine_.rbm, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(engine_.velocity, name), getattr(velocity, name))
    before = engine_.rbm
    v = engine_.encode(random_states(5, 4))
    phase = Phase(v, engine_.mean(engine_.logits_h(v)))
    zero = Phase(engine_.encode(np.zeros((5, 4))), np.zeros((5, 3), np.float32))
    engine_.ascend(phase, zero, Rates(0.1, momentum=0.5))
    assert (before.W != engine_.rbm.W).all()
    np.testing.assert_array_equal(before.W, parameters[0].astype(np.float32))
    np.testing.assert_array_equal(velocity.W, random_parameters(3, 4, seed=1)[0].astype(np.float32))


def test_engines_know_their_names_and_others_are_refused():
    for name in ENGINES:
        assert make_engine(blank(2, 2), name).name == name
    with pytest.raises(InvalidParameter, match=r"engine must be one of .*\. Got 'tpu'\. "):
        make_engine(blank(2, 2), "tpu")


# Conditionals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize(("n_hidden", "n_visible"), [(1, 1), (3, 130), (130, 3), (17, 33), (64, 64), (0, 5)])
def test_logits_are_exact_on_dyadic_machines(engine, n_rows, n_hidden, n_visible):
    W, b, c = dyadic_parameters(n_hidden, n_visible)
    engine_ = make_engine(RBM(W, b, c), engine)
    v, h = random_states(n_rows, n_visible, 1), random_states(n_rows, n_hidden, 2)
    got_h, got_v = engine_.logits_h(engine_.encode(v)), engine_.logits_v(engine_.encode(h))
    assert (got_h.dtype, got_v.dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(got_h, v @ W.T + c)
    np.testing.assert_array_equal(got_v, h @ W + b)


@pytest.mark.parametrize("scale", [1e-3, 0.1, 10.0])
def test_logits_are_accurate_on_any_machine(engine, scale):
    W, b, c = random_parameters(70, 150, scale=scale)
    engine_ = make_engine(RBM(W, b, c), engine)
    v, h = random_states(40, 150), random_states(40, 70)
    grey = np.random.default_rng(0).random((40, 150))
    unit_h, unit_v = (np.abs(np.vstack([x, y])).max(axis=0) for x, y in ((W.T, c), (W, b)))
    # The sums of float32 parameters; rounding of single weights is not counted against the sum.
    W, b, c = (x.astype(np.float32).astype(np.float64) for x in (W, b, c))
    assert np.all(np.abs(engine_.logits_h(engine_.encode(v)) - (v @ W.T + c)) <= 10 * LOGIT * unit_h)
    assert np.all(np.abs(engine_.logits_v(engine_.encode(h)) - (h @ W + b)) <= 10 * LOGIT * unit_v)
    assert np.all(np.abs(engine_.logits_h(grey.astype(np.float32)) - (grey @ W.T + c)) <= 20 * LOGIT * unit_h)


@pytest.mark.parametrize(("n_hidden", "n_visible", "n_rows"), [(500, 784, 100), (257, 1025, 33), (3, 20_000, 5)])
def test_logits_are_exact_at_the_sizes_of_real_machines(engine, n_hidden, n_visible, n_rows):
    W, b, c = (x.astype(np.float32) for x in dyadic_parameters(n_hidden, n_visible))
    engine_ = make_engine(RBM(W, b, c), engine)
    v, h = random_states(n_rows, n_visible, 1), random_states(n_rows, n_hidden, 2)
    np.testing.assert_array_equal(engine_.logits_h(engine_.encode(v)), v.astype(np.float32) @ W.T + c)
    np.testing.assert_array_equal(engine_.logits_v(engine_.encode(h)), h.astype(np.float32) @ W + b)


@pytest.mark.parametrize("n_units", [255, 256, 257, 1000, 5000, 20_000])
@pytest.mark.parametrize("weight", [1.0, -1.0, 1.9999999, -1.9999999])
def test_the_largest_possible_sums_do_not_overflow(engine, n_units, weight):
    """Every unit is on and every weight is the largest of its unit: the worst case of fixed point."""
    weight = float(np.float32(weight))
    wide = make_engine(RBM(np.full((2, n_units), weight), np.zeros(n_units), [weight, 0.0]), engine)
    tall = make_engine(RBM(np.full((n_units, 2), weight), [weight, 0.0], np.zeros(n_units)), engine)
    states, expected = np.ones((3, n_units)), np.tile([(n_units + 1) * weight, n_units * weight], (3, 1))
    np.testing.assert_allclose(wide.logits_h(wide.encode(states)), expected, rtol=1e-6)
    np.testing.assert_allclose(tall.logits_v(tall.encode(states)), expected, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-44, 1e-38, 1e-36, 1e-32, 1e-20, 1e20, 1e36])
def test_logits_scale_with_the_parameters(engine, size):
    """The whole range of single precision, in units of very different size in one machine."""
    W = np.float32(size) * np.float32([[1, -1, 0.5], [0, 0, 0], [1, 1, 1]])
    W[2] = [1, 2, 4]
    engine_ = make_engine(RBM(W, np.zeros(3), np.zeros(3)), engine)
    v = random_states(10, 3)
    expected = v @ W.astype(np.float64).T
    got = engine_.logits_h(engine_.encode(v))
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-36)  # below that a logit is zero to any sigmoid


def test_states_and_their_float_array_give_the_same_logits(engine):
    engine_ = make_engine(RBM(*random_parameters(9, 21)), engine)
    v = random_states(12, 21)
    np.testing.assert_allclose(
        engine_.logits_h(engine_.encode(v)), engine_.logits_h(v.astype(np.float32)), rtol=1e-5, atol=1e-5
    )


def test_the_mean_is_the_logistic_function_everywhere(engine):
    engine_ = make_engine(blank(1, 1), engine)
    x = np.concatenate([np.linspace(-120, 120, 4001), [-3e38, -1e5, -1e-30, 0.0, 1e-30, 1e5, 3e38]])
    x = np.sort(x).astype(np.float32)[None]
    p = engine_.mean(x)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, logistic(x.astype(np.float64)), rtol=2e-6, atol=1e-37)
    assert np.all(np.diff(p) >= 0)
    assert p.min() >= 0
    assert p.max() <= 1
    assert engine_.mean(np.zeros((1, 1), np.float32))[0, 0] == 0.5


def test_the_protocol_is_complete():
    verbs = {name for name in vars(Engine) if not name.startswith("_")}
    for engine_class in ENGINES.values():
        assert not [verb for verb in verbs if not hasattr(engine_class, verb)]
