"""What every engine must do, verb by verb. A new engine passes this file or is not one.

The heart is the threshold probe. Noise is a pure function of its key, so u is known before an engine draws: logits are
set so that p stands just above or just below u in every cell at once, and every single decision is demanded. A wrong
beta, stream, step, row, weight or comparison flips a large share of them; `test_the_probe_catches` plants such bugs.
"""

import numpy as np
import pytest
from conftest import TORCH
from hypothesis import given
from hypothesis import strategies as st
from oracles import Exact, dyadic_parameters, free_energy, logistic, logit, random_parameters, random_states

from harmonium import RBM, Key
from harmonium.engines import ENGINES, Engine, NumpyEngine, Offsets, Phase, Rates, Velocity, find_engine
from harmonium.engines import make_engine as make_any_engine
from harmonium.engines._native import _kernels
from harmonium.errors import InvalidParameter

WIDTHS = (1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 130)
ROWS = (1, 3, 17, 100)
BETAS = (1.0, 0.5, 2.0, 0.0)
# How far p may be from u for a decision to be demanded. It bounds the bias of any coin an engine flips.
DIRECT, THROUGH_WEIGHTS = 1e-6, 2e-5
# Logits may be off by this share of the largest parameter of a unit.
LOGIT = 2e-6


class InNumpy:
    """An engine whose reals come as NumPy arrays; it takes them anyway."""

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        verb = getattr(self._engine, name)
        if name not in ("logits_h", "logits_v", "mean"):
            return verb
        return lambda *args, **kwargs: self._engine.to_numpy(verb(*args, **kwargs))


def make_engine(rbm, name, velocity=None):
    """The engine of that name; if it is torch's, `InNumpy`."""
    engine = make_any_engine(rbm, name, velocity)
    return InNumpy(engine) if name == "torch" else engine


def blank(n_hidden, n_visible):
    return RBM(np.zeros((n_hidden, n_visible)), np.zeros(n_visible), np.zeros(n_hidden))


def sides(u, gap):
    """The two targets of a probe: p above u and below it, which cells are clear of 0 and 1, and the states expected."""
    for sign in (1, -1):
        p = u + sign * gap
        clear = (p > gap) & (p < 1 - gap)
        yield np.where(clear, p, 0.5), clear, sign > 0


def row_betas(n_rows):
    """A different inverse temperature for each row."""
    return 0.5 + 1.5 * np.arange(n_rows) / max(1, n_rows - 1)


def instruction_sets():
    """The variants of the native kernels that this processor can run, fastest first."""
    fastest, usable = _kernels.instruction_set(), []
    for name in ("amx", "avx512", "avx2", "portable"):
        try:
            _kernels.use(name)
        except ValueError:
            continue
        usable.append(name)
    _kernels.use(fastest)
    return usable


@pytest.fixture(params=["numpy", *(f"native-{name}" for name in instruction_sets()), TORCH])
def engine(request):
    """Every engine, and every variant of the native one."""
    name, _, instruction_set = request.param.partition("-")
    fastest = _kernels.instruction_set()
    if instruction_set:
        _kernels.use(instruction_set)
    yield name
    _kernels.use(fastest)


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


# The threshold probe -------------------------------------------------------------------------------------------------


def probe_bernoulli(engine, n_rows, n_columns, key, beta):
    """Every decision of `bernoulli` just above and just below its threshold; returns the number of wrong ones."""
    u, wrong = key.uniform(n_rows, n_columns), 0
    for p, clear, on in sides(u, DIRECT):
        with np.errstate(divide="ignore"):
            logits = (logit(p) / np.reshape(beta, (-1, 1))).astype(np.float32)
        got = engine.decode(engine.bernoulli(logits, key, beta))
        assert got.shape == u.shape
        wrong += np.count_nonzero(clear & (got != on))
    return wrong


def probe_sample(engine_class, layer, n_rows, n_units, key, beta):
    """Every decision of `sample_h` or `sample_v`: row r of one-hot states selects weights made for that row's noise."""
    u, wrong = key.uniform(n_rows, n_units), 0
    for p, clear, on in sides(u, THROUGH_WEIGHTS):
        logits = logit(p) / np.reshape(beta, (-1, 1))
        bias = np.round(logits.mean(axis=0)) + 3
        selected = logits - bias
        if layer == "h":
            engine = engine_class(RBM(selected.T, np.zeros(n_rows), bias))
            states = engine.sample_h(engine.encode(np.eye(n_rows)), key, beta)
        else:
            engine = engine_class(RBM(selected, bias, np.zeros(n_rows)))
            states = engine.sample_v(engine.encode(np.eye(n_rows)), key, beta)
        wrong += np.count_nonzero(clear & (engine.decode(states) != on))
    return wrong


def probe_dyadic(engine_class, layer, n_rows, n_hidden, n_visible, key, beta):
    """States sampled by a machine whose logits are exact, against float64; returns the number of wrong decisions."""
    W, b, c = dyadic_parameters(n_hidden, n_visible)
    engine = engine_class(RBM(W, b, c))
    if layer == "h":
        x = random_states(n_rows, n_visible)
        logits, states = x @ W.T + c, engine.sample_h(engine.encode(x), key, beta)
    else:
        x = random_states(n_rows, n_hidden)
        logits, states = x @ W + b, engine.sample_v(engine.encode(x), key, beta)
    u, p = key.uniform(*logits.shape), logistic(np.reshape(beta, (-1, 1)) * logits)
    return np.count_nonzero((np.abs(u - p) > DIRECT) & (engine.decode(states) != (u < p)))


KEYS = (Key(0), Key(2**64 - 1, stream=1, step=7), Key(5, stream=0, step=3, row=11))


@pytest.mark.parametrize("n_columns", WIDTHS)
def test_bernoulli_decides_at_its_threshold(engine, n_columns):
    engine_ = make_engine(blank(n_columns, 2), engine)
    for n_rows in ROWS:
        for key in KEYS:
            for beta in (1.0, 0.5, 2.0, 0.3, row_betas(n_rows)):
                assert probe_bernoulli(engine_, n_rows, n_columns, key, beta) == 0


@pytest.mark.parametrize("layer", ["h", "v"])
@pytest.mark.parametrize("n_units", WIDTHS)
def test_sampling_a_layer_decides_at_its_threshold(engine, layer, n_units):
    for n_rows, key in zip(ROWS, (*KEYS, Key(9)), strict=True):
        for beta in (1.0, 2.0, row_betas(n_rows)):
            assert probe_sample(find_engine(engine), layer, n_rows, n_units, key, beta) == 0


@pytest.mark.parametrize("layer", ["h", "v"])
@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize(("n_hidden", "n_visible"), [(1, 1), (2, 3), (17, 64), (65, 31), (130, 100), (32, 32)])
def test_sampling_a_layer_is_exact_on_dyadic_machines(engine, layer, n_rows, n_hidden, n_visible):
    for beta in (*BETAS, row_betas(n_rows).astype(np.float32)):
        for key in KEYS:
            assert probe_dyadic(find_engine(engine), layer, n_rows, n_hidden, n_visible, key, beta) == 0


@pytest.mark.parametrize("n_columns", WIDTHS)
def test_the_noise_of_engines_is_the_noise(engine, n_columns):
    for n_rows in ROWS:
        for key in (*KEYS, Key(1, row=2**32 - n_rows)):
            got = find_engine(engine).bits(key, n_rows, n_columns)
            np.testing.assert_array_equal(got, key.bits(n_rows, n_columns))


def test_samples_do_not_depend_on_the_chunks_of_rows(engine):
    engine_ = make_engine(RBM(*dyadic_parameters(37, 21)), engine)
    X, key, beta = random_states(50, 21), Key(3, 1, 4), row_betas(50)
    whole = engine_.decode(engine_.sample_h(engine_.encode(X), key, beta))
    for size in (1, 7, 16, 49):
        parts = [
            engine_.decode(engine_.sample_h(engine_.encode(X[r : r + size]), key.rows_from(r), beta[r : r + size]))
            for r in range(0, 50, size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_sampling_a_layer_is_bernoulli_of_its_logits(engine):
    engine_ = make_engine(RBM(*dyadic_parameters(37, 21)), engine)
    v, h = engine_.encode(random_states(9, 21)), engine_.encode(random_states(9, 37))
    for key in KEYS:
        for beta in (1.0, row_betas(9)):
            for fused, logits in (
                (engine_.sample_h(v, key, beta), engine_.logits_h(v)),
                (engine_.sample_v(h, key, beta), engine_.logits_v(h)),
            ):
                np.testing.assert_array_equal(
                    engine_.decode(fused), engine_.decode(engine_.bernoulli(logits, key, beta))
                )


@pytest.mark.parametrize("n_columns", WIDTHS)
def test_units_that_are_sure_are_sure(engine, n_columns):
    """Saturated units never flip, neither at the ends of the float range nor where the noise is extreme."""
    engine_ = make_engine(blank(n_columns, 1), engine)
    for size in (30.0, 100.0, 1e5, 3e38):
        logits = np.full((60, n_columns), size, np.float32)
        assert engine_.decode(engine_.bernoulli(logits, Key(1))).all()
        assert not engine_.decode(engine_.bernoulli(-logits, Key(1))).any()


def float32_neighbours(u):
    """The largest float32 numbers not above u, and the smallest ones above it."""
    below = u.astype(np.float32)
    below = np.where(below > u, np.nextafter(below, np.float32(0)), below)
    return below, np.nextafter(below, np.float32(2))


def test_draw_compares_exactly(engine):
    """The two single-precision levels around u; where u is one itself (below 2**-9), p = u is off."""
    ties = 0
    for n_rows, n_columns in ((1, 1), (3, 5), (17, 64), (100, 130)):
        engine_ = make_engine(blank(1, n_columns), engine)
        for key in KEYS:
            u = key.uniform(n_rows, n_columns)
            below, above = float32_neighbours(u)
            ties += np.count_nonzero(below == u)
            assert not engine_.decode(engine_.draw(below, key)).any()
            assert engine_.decode(engine_.draw(above, key)).all()
            for dtype in (np.float32, np.float16):
                grey = np.random.default_rng(1).random(u.shape).astype(dtype)
                np.testing.assert_array_equal(engine_.decode(engine_.draw(grey, key)), u < grey.astype(np.float64))
            for level in (0.0, 1.0):
                assert (engine_.decode(engine_.draw(np.full(u.shape, level), key)) == level).all()
    assert ties > 10


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(8, 12), (40, 70), (0, 6)])
def test_the_same_key_gives_the_same_chain_on_every_engine(n_hidden, n_visible):
    """Dyadic weights make the logits equal, and the noise is the same: whole chains agree to the bit."""
    rbm, start = RBM(*dyadic_parameters(n_hidden, n_visible)), random_states(30, n_visible)
    chains = []
    for name in ENGINES:
        engine_ = make_engine(rbm, name)
        v = engine_.encode(start)
        for step in range(20):
            h = engine_.sample_h(v, Key(1).on(0).at(step), 0.25)
            v = engine_.sample_v(h, Key(1).on(1).at(step), 0.25)
        chains.append(engine_.decode(v))
    for other in chains[1:]:
        np.testing.assert_array_equal(other, chains[0])


# Bugs planted on purpose ---------------------------------------------------------------------------------------------


class StaleBeta(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        return super().bernoulli(logits, key, 1.0, offset)


class FirstBeta(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        return super().bernoulli(logits, key, np.ravel(beta)[0], offset)


class BetaWithoutBias(NumpyEngine):
    def sample_h(self, v, key, beta=1.0, offset=None):
        beta = np.reshape(beta, (-1, 1))
        return self.bernoulli((beta * (self.logits_h(v) - self.c) + self.c).astype(np.float32), key)

    def sample_v(self, h, key, beta=1.0, offset=None):
        beta = np.reshape(beta, (-1, 1))
        return self.bernoulli((beta * (self.logits_v(h) - self.b) + self.b).astype(np.float32), key)


class WrongStream(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        return super().bernoulli(logits, key.on(1 - key.stream), beta, offset)


class FrozenStep(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        return super().bernoulli(logits, key.at(0), beta, offset)


class RowsFromZero(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        return super().bernoulli(logits, Key(key.seed, key.stream, key.step), beta, offset)


class SameNoiseInEveryRow(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        p = logistic(np.reshape(beta, (-1, 1)) * logits)
        return (key.uniform(1, logits.shape[1]) < p).astype(np.float32)


class SeedOf32Bits(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        return super().bernoulli(logits, Key(key.seed % 2**32, key.stream, key.step, key.row), beta, offset)


class NoiseOf16Bits(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        p = logistic(np.reshape(beta, (-1, 1)) * logits)
        return ((key.bits(*logits.shape) >> 16) / 2**16 < p).astype(np.float32)


class LastColumnForgotten(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        states = super().bernoulli(logits, key, beta, offset)
        states[:, logits.shape[1] // 4 * 4 :] = 0
        return states


class UpsideDown(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        p = logistic(np.reshape(beta, (-1, 1)) * logits)
        return (key.uniform(*logits.shape) > 1 - p).astype(np.float32)  # the right distribution, another noise


class MeanField(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        return (logits > 0).astype(np.float32)


class RoughSigmoid(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        p = logistic(np.reshape(beta, (-1, 1)) * logits).astype(np.float16)
        return (key.uniform(*logits.shape) < p).astype(np.float32)


class NoBias(NumpyEngine):
    def logits_h(self, v):
        return v @ self.W.T

    def logits_v(self, h):
        return h @ self.W


class SwappedBiases(NumpyEngine):
    def logits_h(self, v):
        return v @ self.W.T + np.resize(self.b, len(self.c))

    def logits_v(self, h):
        return h @ self.W + np.resize(self.c, len(self.b))


class Transposed(NumpyEngine):
    def logits_h(self, v):
        return v @ self.W + self.c

    def logits_v(self, h):
        return h @ self.W.T + self.b


class WrongSign(NumpyEngine):
    def logits_h(self, v):
        return self.c - v @ self.W.T

    def logits_v(self, h):
        return self.b - h @ self.W


class HalfPrecisionWeights(NumpyEngine):
    def __init__(self, rbm, velocity=None):
        super().__init__(rbm, velocity)
        self.W = self.W.astype(np.float16).astype(np.float32)


MUTANTS = [mutant for mutant in NumpyEngine.__subclasses__() if mutant.__module__ == __name__]


def wrong_decisions(engine_class):
    """All probes together, on few shapes. Zero for a sound engine."""
    count, key = 0, Key(2**40 + 5, stream=1, step=3, row=2)
    for beta in (1.0, row_betas(33)):
        count += probe_bernoulli(engine_class(blank(33, 33)), 33, 33, key, beta)
        for layer in ("h", "v"):
            count += probe_sample(engine_class, layer, 33, 33, key, beta)
            count += probe_dyadic(engine_class, layer, 33, 33, 33, key, beta)
    return count


def test_sound_engines_pass_the_probe(engine):
    assert wrong_decisions(find_engine(engine)) == 0


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_probe_catches(mutant):
    assert wrong_decisions(mutant) > 100


def test_draw_that_compares_with_or_equal_is_caught():
    class OrEqual(NumpyEngine):
        def draw(self, p, key):
            return (key.uniform(*p.shape) <= p).astype(np.float32)

    class NextBits(NumpyEngine):
        def draw(self, p, key):
            return ((key.bits(*p.shape) + 1.5) / 2**32 < p).astype(np.float32)

    for mutant in (OrEqual, NextBits):
        below, above = float32_neighbours(Key(1).uniform(100, 130))
        engine = mutant(blank(1, 130))
        assert engine.draw(below, Key(1)).any() or not engine.draw(above, Key(1)).all()


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


def test_the_protocol_is_complete():
    verbs = {name for name in vars(Engine) if not name.startswith("_")}
    for engine_class in ENGINES.values():
        assert not [verb for verb in verbs if not hasattr(engine_class, verb)]
