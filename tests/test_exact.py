"""Exact moments, gradients, tables and samples against brute force over all states of both layers.

The distribution test compares N samples with K enumerated probabilities: by the Bretagnolle-Huber-Carol inequality the
sum of |frequency - p| exceeds sqrt(2 (K log 2 + log(1/FALSE_ALARM)) / N) with probability at most FALSE_ALARM, whatever
p is. A sampler whose distribution is off by twice that bound (0.094 for K = 128 and N = 100,000: a total-variation
distance of 0.047) is caught with probability 1 - FALSE_ALARM. Planted bugs are caught below. Seeds are fixed.
"""

import math
import tracemalloc

import numpy as np
import pytest
from oracles import Exact, random_parameters, random_states, row_number

from harmonium import RBM, Key
from harmonium.enumeration import exact as module
from harmonium.enumeration.exact import exact_gradient, exact_sample, exact_statistics, probability_table
from harmonium.errors import InvalidData, InvalidParameter, OutOfReach
from harmonium.rbm import all_states

FALSE_ALARM = 1e-9
SHAPES = [(n, m) for n in range(12) for m in range(1, 13) if n + m <= 12]
SCALES = (0.0, 0.1, 1.0, 6.0, 60.0)
TIGHT = {"rtol": 0, "atol": 1e-10}


def machines(n_hidden, n_visible):
    for seed, scale in enumerate(SCALES):
        parameters = random_parameters(n_hidden, n_visible, seed, scale)
        yield RBM(*parameters), Exact(*parameters)


# Moments, gradient, table --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
def test_statistics_gradient_and_table_equal_brute_force(n_hidden, n_visible):
    X = random_states(7, n_visible)
    for rbm, exact in machines(n_hidden, n_visible):
        for got, expected in zip(exact_statistics(rbm, engine="numpy"), exact.moments, strict=True):
            assert got.dtype == np.float64
            np.testing.assert_allclose(got, expected, **TIGHT)
        for got, expected in zip(exact_gradient(rbm, X, engine="numpy"), exact.gradient(X), strict=True):
            np.testing.assert_allclose(got, expected, **TIGHT)
        table = probability_table(rbm)
        small, log_p = (n_visible, exact.log_p_v) if n_visible < n_hidden else (n_hidden, exact.log_p_h)
        assert table.layer == ("visible" if n_visible < n_hidden else "hidden")
        np.testing.assert_allclose(table.log_p, log_p[row_number(all_states(small))], rtol=1e-12, atol=1e-10)
        np.testing.assert_allclose(table.p, np.exp(table.log_p), rtol=1e-15)
        assert table.p.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("block_bits", [0, 1, 3, 12])
@pytest.mark.parametrize("cells", [1, 20, 1 << 17])
def test_blocks_and_runs_of_any_size_give_the_same(engine, monkeypatch, block_bits, cells):
    rbm, exact = RBM(*random_parameters(6, 5)), Exact(*random_parameters(6, 5))
    expected_sample = exact_sample(rbm, 50, seed=4)
    monkeypatch.setattr(module, "_BLOCK_BITS", block_bits)
    monkeypatch.setattr(module, "_CELLS", cells)
    for got, expected in zip(exact_statistics(rbm, engine=engine), exact.moments, strict=True):
        np.testing.assert_allclose(got, expected, **TIGHT)
    np.testing.assert_allclose(probability_table(rbm).p, exact.p_v[row_number(all_states(5))], **TIGHT)
    if block_bits == 12:
        for got, expected in zip(exact_sample(rbm, 50, seed=4, engine=engine), expected_sample, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_wide_machines_agree_with_the_plain_equations(engine, monkeypatch):
    """1,100 visible units (more than one product of factors), 7 hidden (more than one block), float32 parameters."""
    monkeypatch.setattr(module, "_BLOCK_BITS", 6)
    W, b, c = (x.astype(np.float32) for x in random_parameters(7, 1100, scale=0.2))
    rbm, plain = RBM(W, b, c), RBM(*(x.astype(np.float64) for x in (W, b, c)))
    X = random_states(30, 1100)
    for turned, data in ((rbm, X), (rbm.mirror(), random_states(30, 7))):
        exact = plain if turned is rbm else plain.mirror()
        for got, expected in zip(exact_statistics(turned, engine=engine), exact.model_statistics(), strict=True):
            np.testing.assert_allclose(got, expected, **TIGHT)
        for got, expected in zip(exact_gradient(turned, data), exact.log_likelihood_gradient(data), strict=True):
            np.testing.assert_allclose(got, expected, **TIGHT)
        log_p = -exact.free_energy_h(all_states(7)) if turned is rbm else -exact.free_energy(all_states(7))
        np.testing.assert_allclose(probability_table(turned).log_p, log_p - exact.log_z(), rtol=1e-12, atol=1e-10)


def test_blocks_without_mass_are_skipped_and_nothing_is_lost():
    """14 hidden units, of which the last are all but certain: the mass lies in one of four blocks."""
    W, b, c = random_parameters(14, 15)
    c[12:] = 300.0
    rbm = RBM(W, b, c)
    visited = []
    original = module.moments_block

    def moments_block(W, b, c, first, *rest):
        visited.append(first)
        return original(W, b, c, first, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "moments_block", moments_block)
        got = exact_statistics(rbm)
    assert visited == [3 * 4096]
    for part, expected in zip(got, rbm.model_statistics(), strict=True):
        np.testing.assert_allclose(part, expected, **TIGHT)


def test_grey_levels_enter_the_gradient_as_they_are():
    rbm, X = RBM(*random_parameters(3, 4)), np.random.default_rng(0).random((5000, 4))
    for got, expected in zip(exact_gradient(rbm, X), rbm.log_likelihood_gradient(X), strict=True):
        np.testing.assert_allclose(got, expected, **TIGHT)


def test_memory_stays_small_and_progress_is_told():
    rbm, told = RBM(*random_parameters(15, 100, scale=0.1)), []
    tracemalloc.start()
    exact_statistics(rbm, progress=lambda done, total: told.append((done, total)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told == [(i, 8) for i in range(1, 9)]
    assert peak < 12e6  # all logits at once would be 26 MB


@pytest.mark.parametrize("shape", [(5, 9), (9, 5)])
@pytest.mark.parametrize("function", [exact_statistics, probability_table, lambda r, **o: exact_sample(r, 3, **o)])
def test_the_limit_is_on_the_smaller_layer_and_can_be_raised(shape, function):
    rbm = RBM(*random_parameters(*shape))
    function(rbm, max_units=5)
    with pytest.raises(OutOfReach, match=r"at most 4 units .* Got 5 \(2\*\*5 states, .* Raise max_units "):
        function(rbm, max_units=4)


def test_the_predicted_time_is_in_words():
    rbm = RBM(np.zeros((60, 784)), np.zeros(784), np.zeros(60))
    for function in (exact_statistics, probability_table):
        with pytest.raises(OutOfReach, match=r"2\*\*60 states, up to about \S+ years"):
            function(rbm)
    with pytest.raises(OutOfReach, match="about 9 minutes"):
        exact_statistics(RBM(np.zeros((26, 1000)), np.zeros(1000), np.zeros(26)))


def test_bad_arguments_are_refused():
    rbm = RBM(*random_parameters(2, 3))
    with pytest.raises(InvalidData, match="3 columns"):
        exact_gradient(rbm, np.zeros((2, 4)))
    for call in (
        lambda: exact_sample(rbm, 0),
        lambda: exact_sample(rbm, 3, seed=-1),
        lambda: exact_statistics(rbm, max_units=-1),
        lambda: exact_statistics(rbm, engine="abacus"),
    ):
        with pytest.raises(InvalidParameter):
            call()


# Samples -------------------------------------------------------------------------------------------------------------

N = 100_000


def bound(n_states, n_samples=N):
    return math.sqrt(2 * (n_states * math.log(2) + math.log(1 / FALSE_ALARM)) / n_samples)


def distance(v, h, exact):
    """The sum of |frequency - p(v, h)| over all pairs of states."""
    pairs = row_number(v) * len(exact.h) + row_number(h)
    return np.abs(np.bincount(pairs, minlength=exact.joint.size) / len(v) - exact.joint.ravel()).sum()


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(3, 4), (4, 3), (0, 4), (1, 1), (6, 1), (1, 6), (3, 3)])
@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.false_alarm(FALSE_ALARM)
def test_samples_are_distributed_as_the_model(n_hidden, n_visible, scale, seed):
    parameters = random_parameters(n_hidden, n_visible, scale=scale)
    exact = Exact(*parameters)
    v, h = exact_sample(RBM(*parameters), N, seed=seed(11))
    assert v.dtype == h.dtype == np.uint8
    assert (v.shape, h.shape) == ((N, n_visible), (N, n_hidden))
    assert distance(v, h, exact) < bound(exact.joint.size)


@pytest.mark.false_alarm(FALSE_ALARM)
def test_samples_over_many_blocks_are_distributed_as_the_model(monkeypatch, seed):
    monkeypatch.setattr(module, "_BLOCK_BITS", 2)
    parameters = random_parameters(5, 5, scale=1.5)
    exact = Exact(*parameters)
    v, h = exact_sample(RBM(*parameters), 4 * N, seed=seed(12))
    assert distance(v, h, exact) < bound(1024, 4 * N)


@pytest.mark.false_alarm(FALSE_ALARM)
def test_neighbouring_samples_are_independent(seed):
    parameters = random_parameters(2, 2)
    exact = Exact(*parameters)
    v, h = exact_sample(RBM(*parameters), N, seed=seed(13))
    state = row_number(v) * 4 + row_number(h)
    pairs = np.bincount(state[0::2] * 16 + state[1::2], minlength=256) / (N // 2)
    assert np.abs(pairs - np.outer(exact.joint, exact.joint).ravel()).sum() < bound(256, N // 2)


class TestPlantedBugs:
    """The distribution test fails where it should."""

    parameters = random_parameters(3, 4, scale=1.5)
    exact = Exact(*parameters)

    def fails(self):
        return distance(*exact_sample(RBM(*self.parameters), N, seed=14), self.exact) >= bound(128)

    def test_the_sound_sampler_passes(self):
        assert not self.fails()

    def test_the_state_before_the_right_one(self, monkeypatch):
        invert = module._invert
        monkeypatch.setattr(module, "_invert", lambda w, u: np.maximum(invert(w, u) - 1, 0))
        assert self.fails()

    def test_one_number_for_block_and_place(self, monkeypatch):
        monkeypatch.setattr(module, "_BLOCK_BITS", 2)
        uniform = module._uniform52
        assert not self.fails()
        monkeypatch.setattr(module, "_uniform52", lambda key, n: uniform(key, n)[:, [0, 0]])
        assert self.fails()

    def test_one_stream_for_both_layers(self, monkeypatch):
        monkeypatch.setattr(module, "STATE", module.UNITS)
        monkeypatch.setattr(module, "_uniform52", lambda key, n: key.uniform(n, 2))
        assert self.fails()

    def test_weights_without_the_smaller_layers_bias(self, monkeypatch):
        runs = module.Walk.runs

        def without(self, block):
            self._low_bias = 0
            return runs(self, block)

        monkeypatch.setattr(module.Walk, "runs", without)
        assert self.fails()


def test_seeds_decide_and_smaller_samples_are_the_start_of_larger(engine):
    rbm = RBM(*random_parameters(4, 30))
    whole = exact_sample(rbm, 5000, seed=3)
    for n in (1, 1999, 2001):
        for got, expected in zip(exact_sample(rbm, n, seed=Key(3), engine=engine), whole, strict=True):
            np.testing.assert_array_equal(got, expected[:n])
    assert (exact_sample(rbm, 5000, seed=4)[0] != whole[0]).mean() > 0.1


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_huge_weights_stay_finite_without_a_warning(size):
    """Both units on, or both off: exp(-E) is 1, 1, exp(-size/2), and 1 again."""
    rbm = RBM([[size]], [-size / 2], [-size / 2])
    got = exact_statistics(rbm)
    np.testing.assert_allclose(np.concatenate([x.ravel() for x in got]), 0.5, atol=1e-12)
    v, h = exact_sample(rbm, 1000)
    np.testing.assert_array_equal(v, h)
    assert 400 < v.sum() < 600
    np.testing.assert_allclose(probability_table(rbm).p, 0.5, atol=1e-12)


def test_noise_reaches_neither_end():
    class Ends(Key):
        def bits(self, n_rows, n_columns):
            return np.array([[0, 0, 2**32 - 1, 2**32 - 1]], np.uint32)[:n_rows, :n_columns]

    low, high = module._uniform52(Ends(), 1)[0]
    assert 0 < low < 1e-15
    assert 1 - 1e-15 < high < 1
    assert module._invert(np.array([0.0, 1, 0, 3, 0]), np.array([low, 0.24, 0.26, high])).tolist() == [1, 1, 3, 3]
