"""No drift from an exact start: chains drawn exactly from p(v) must still be distributed as p(v) after any sweeps.

Each test compares N independent chains with the enumerated distribution over K states. By the bound of Bretagnolle,
Huber and Carol the sum of |frequency - p| exceeds sqrt(2 (K log 2 + log(1/FALSE_ALARM)) / N) with probability at most
FALSE_ALARM, whatever p is. A kernel whose distribution after the sweeps is off by twice that bound is caught with
probability 1 - FALSE_ALARM, and the bugs planted below are.
"""

import math

import numpy as np
import pytest
from oracles import Exact, random_parameters, row_number

import harmonium
from harmonium import RBM, Clamp, Key
from harmonium.engines import ENGINES, NumpyEngine

FALSE_ALARM = 1e-9
pytestmark = pytest.mark.false_alarm(2 * FALSE_ALARM)  # at most two comparisons a test
CHAINS = 40_000


def bound(n_states, n_samples=CHAINS):
    return math.sqrt(2 * (n_states * math.log(2) + math.log(1 / FALSE_ALARM)) / n_samples)


def distance(samples, p):
    """The sum of |frequency - p| over all states: twice the total variation distance."""
    return np.abs(np.bincount(row_number(samples), minlength=len(p)) / len(samples) - p).sum()


def exact_start(exact, p, number):
    """Independent exact samples of a distribution over visible states, with noise of NumPy's own."""
    return exact.v[np.random.default_rng(number).choice(len(p), CHAINS, p=p / p.sum())]


def balanced_parameters(n_hidden, n_visible, seed, scale):
    """Random couplings with biases that centre both layers, so that no unit is nearly always on or off."""
    W, b, c = random_parameters(n_hidden, n_visible, seed)
    W *= scale
    return W, b / 2 - W.sum(axis=0) / 2, c / 2 - W.sum(axis=1) / 2


# Couplings strong enough that a broken kernel drifts visibly; what is visible is computed and planted below.
PARAMETERS = balanced_parameters(4, 5, seed=10, scale=2.0)
EXACT = Exact(*PARAMETERS)


@pytest.mark.parametrize("sweeps", [1, 4, 16])
def test_the_model_does_not_drift(engine, sweeps, seed):
    start = exact_start(EXACT, EXACT.p_v, seed(sweeps))
    assert distance(start, EXACT.p_v) < bound(32)
    got = harmonium.sample(RBM(*PARAMETERS), start=start, sweeps=sweeps, seed=seed(sweeps), engine=engine)
    assert distance(got, EXACT.p_v) < bound(32)
    assert (got != start).mean() > 0.1  # they did move


def test_no_drift_at_another_temperature(engine, seed):
    cold = Exact(*PARAMETERS, beta=0.4)
    start = exact_start(cold, cold.p_v, seed(1))
    got = harmonium.sample(RBM(*PARAMETERS), start=start, sweeps=3, beta=0.4, seed=seed(2), engine=engine)
    assert distance(got, cold.p_v) < bound(32)


def test_no_drift_with_a_temperature_for_each_chain(engine, seed):
    half = CHAINS // 2
    cold = Exact(*PARAMETERS, beta=0.4)
    beta = np.repeat([1.0, 0.4], half)
    start = np.concatenate([exact_start(EXACT, EXACT.p_v, seed(1))[:half], exact_start(cold, cold.p_v, seed(2))[:half]])
    got = harmonium.sample(RBM(*PARAMETERS), start=start, sweeps=3, beta=beta, seed=seed(3), engine=engine)
    assert distance(got[:half], EXACT.p_v) < bound(32, half)
    assert distance(got[half:], cold.p_v) < bound(32, half)


def test_clamped_chains_keep_to_the_conditional_distribution(engine, seed):
    held = np.array([True, False, False, True, False])
    values = np.array([1, 0, 0, 0, 0])
    p = EXACT.p_v * (EXACT.v[:, held] == values[held]).all(axis=1)
    p /= p.sum()
    start = exact_start(EXACT, p, seed(4))
    clamp = Clamp(held, values)
    got = harmonium.sample(RBM(*PARAMETERS), start=start, sweeps=3, clamp=clamp, seed=seed(5), engine=engine)
    assert distance(got, p) < bound(8)


def test_one_sweep_from_one_state_is_a_row_of_the_transition_matrix(engine, seed):
    """Sharper than no drift: the exact distribution after 1 and 2 sweeps from a start far from equilibrium."""
    start = np.repeat(EXACT.v[[19]], CHAINS, axis=0)
    for sweeps in (1, 2):
        got = harmonium.sample(RBM(*PARAMETERS), start=start, sweeps=sweeps, seed=seed(6), engine=engine)
        assert distance(got, np.linalg.matrix_power(EXACT.sweep, sweeps)[19]) < bound(32)


def test_chains_forget_where_they_began(engine, seed):
    """Two chains of the same key would be equal if rows shared their noise: pairs must be independent."""
    start = np.repeat(EXACT.v[[19]], CHAINS, axis=0)
    got = row_number(harmonium.sample(RBM(*PARAMETERS), start=start, sweeps=1, seed=seed(7), engine=engine))
    row = EXACT.sweep[19]
    pairs = np.bincount(got[0::2] * 32 + got[1::2], minlength=1024) / (CHAINS // 2)
    assert np.abs(pairs - np.outer(row, row).ravel()).sum() < bound(1024, CHAINS // 2)


# Negative controls: broken kernels -----------------------------------------------------------------------------------


class StaleBeta(NumpyEngine):
    def bernoulli(self, logits, key, beta=1.0, offset=None):
        return super().bernoulli(logits, key, 1.0, offset)


class NoHiddenBias(NumpyEngine):
    def logits_h(self, v):
        return v @ self.W.T


class MeanFieldHidden(NumpyEngine):
    def sample_h(self, v, key, beta=1.0, offset=None):
        return self.mean(self.logits_h(v))


class SharedNoise(NumpyEngine):
    """Both layers draw with the same numbers: each conditional is right, and the pair is not."""

    def sample_v(self, h, key, beta=1.0, offset=None):
        return super().sample_v(h, key.on(0), beta, offset)


class NoTwist(NumpyEngine):
    def logits_v(self, h):
        return 0.9 * h @ self.W + self.b


@pytest.mark.parametrize("broken", [StaleBeta, NoHiddenBias, MeanFieldHidden, SharedNoise, NoTwist])
def test_broken_kernels_drift(monkeypatch, broken, seed):
    monkeypatch.setitem(ENGINES, "broken", broken)
    beta = 0.4 if broken is StaleBeta else 1.0
    exact = Exact(*PARAMETERS, beta=beta)
    start = exact_start(exact, exact.p_v, seed(8))
    got = harmonium.sample(RBM(*PARAMETERS), start=start, sweeps=4, beta=beta, seed=seed(9), engine="broken")
    assert distance(got, exact.p_v) > bound(32)


def test_the_test_sees_what_it_says():
    """A distribution off by twice the bound is caught, computed exactly for the weakest of the bugs above."""
    W, b, c = PARAMETERS
    twisted = EXACT.p_h_from_v @ Exact(0.9 * W, b, c).p_v_from_h.T
    off = np.abs(EXACT.p_v @ np.linalg.matrix_power(twisted, 4) - EXACT.p_v).sum()
    assert off > 2 * bound(32)


def test_the_noise_of_a_chain_is_not_that_of_its_start(seed):
    """Starts drawn by `sample` itself and the sweeps after them use separate streams.

    Every other chain starts from fair coins; those that start from the biases are at equilibrium already.
    """
    b = np.array([0.3, -0.8, 0.0])
    rbm = RBM(np.zeros((1, 3)), b, [0.0])
    start, end = (harmonium.sample(rbm, 2 * CHAINS, sweeps=sweeps, seed=Key(seed(1)))[::2] for sweeps in (0, 1))
    p = np.outer(Exact(*(rbm.W, b, rbm.c)).p_v, Exact(*(rbm.W, b, rbm.c)).p_v).ravel()
    assert distance(np.hstack([start, end]), p) < bound(64)
