"""Every engine decides as the noise of its key says, unit by unit; planted bugs do not."""

import every_engine
import numpy as np
import pytest
from every_engine import ROWS, blank, make_engine, row_betas
from oracles import dyadic_parameters, logistic, random_states
from threshold_probe import probe_bernoulli, probe_dyadic, probe_sample

from harmonium import RBM, Key
from harmonium.engines import ENGINES, NumpyEngine, find_engine

engine = every_engine.engine  # the fixture
WIDTHS = (1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 130)
BETAS = (1.0, 0.5, 2.0, 0.0)


# The threshold probe -------------------------------------------------------------------------------------------------


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
