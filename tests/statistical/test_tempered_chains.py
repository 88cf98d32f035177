"""Tempered ladders do not drift from an exact start, and weigh modes right that Gibbs sampling never joins.

The distances and their false-alarm rate are those of ``test_stationarity.py``: N chains compared with an enumerated
distribution over K states exceed sqrt(2 (K log 2 + log(1/FALSE_ALARM)) / N) with probability at most FALSE_ALARM; what
is off by twice that is caught with probability 1 - FALSE_ALARM. Every seed is fixed.
"""

import contextlib
import math

import numpy as np
import pytest
from oracles import Exact, random_parameters, row_number

from harmonium import RBM, Key, sample
from harmonium.chains import tempered
from harmonium.chains.path import linear_path
from harmonium.chains.tempered import Ladder
from harmonium.engines import ENGINES, NumpyEngine, make_engine
from harmonium.errors import SamplingAlarm
from harmonium.sampling import sample_tempered

FALSE_ALARM = 1e-9
pytestmark = pytest.mark.false_alarm(4 * FALSE_ALARM)  # at most four comparisons a test
CHAINS = 40_000
BETAS = np.array([0, 0.35, 1.0])
BASE = np.array([0.7, -1.0, 0.4])


LADDER = Ladder(linear_path(BASE, 4), BETAS)


def bound(n_states, n_samples=CHAINS):
    return math.sqrt(2 * (n_states * math.log(2) + math.log(1 / FALSE_ALARM)) / n_samples)


def centred(n_hidden, n_visible, seed, scale):
    """Random couplings with biases that centre both layers, so that both states of every unit matter."""
    W, b, c = random_parameters(n_hidden, n_visible, seed)
    W *= scale
    return W, b / 2 - W.sum(axis=0) / 2, c / 2 - W.sum(axis=1) / 2


PARAMETERS = centred(4, 3, seed=0, scale=3.0)
LEVELS = [Exact(beta * W, beta * b + (1 - beta) * BASE, beta * c) for W, b, c in [PARAMETERS] for beta in BETAS]
TOGETHER = np.einsum("i,j,k->ijk", *(level.p_v for level in LEVELS)).ravel()


def drift(engine, steps, number):
    """How far ladders that start exactly are from it after `steps`: each temperature, and all of them together."""
    rng = np.random.default_rng(number)
    v = np.concatenate([level.v[rng.choice(8, CHAINS, p=level.p_v / level.p_v.sum())] for level in LEVELS])
    machine = make_engine(RBM(*PARAMETERS), engine)
    state = tempered.init(machine, LADDER, CHAINS, Key(0))._replace(v=machine.encode(v.astype(np.uint8)))
    for _ in range(steps):
        state, _ = tempered.step(machine, state, Key(number), LADDER)
    after = row_number(machine.decode(state.v)).reshape(3, CHAINS)
    assert (after != row_number(v).reshape(3, CHAINS)).mean() > 0.2  # they did move
    alone = [
        np.abs(np.bincount(x, minlength=8) / CHAINS - level.p_v).sum() for x, level in zip(after, LEVELS, strict=True)
    ]
    together = np.abs(np.bincount(after.T @ [64, 8, 1], minlength=512) / CHAINS - TOGETHER).sum()
    return max(alone), together


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_no_temperature_drifts_and_none_learns_of_another(engine, steps, seed):
    alone, together = drift(engine, steps, seed(steps))
    assert alone < bound(8)
    assert together < bound(512)


def always(engine, v, logits, ladder, low):
    return np.zeros((2, len(low), len(v) // len(ladder.betas)))


def without_base(engine, v, logits, ladder, low):
    return right(engine, v, logits, Ladder(linear_path(0 * BASE, ladder.path.y.shape[1]), ladder.betas), low)


def without_hidden_units(engine, v, logits, ladder, low):
    return right(engine, v, np.zeros_like(logits), ladder, low)


def other_pairs(engine, v, logits, ladder, low):
    return right(engine, v, logits, ladder, 1 - low)


def other_chains(engine, v, logits, ladder, low):
    return np.roll(right(engine, v, logits, ladder, low), 1, axis=2)


def bolder(engine, v, logits, ladder, low):
    return right(engine, v, logits, ladder, low) / 2


right = tempered.swap_gains
BROKEN = [always, without_base, without_hidden_units, other_pairs, other_chains, bolder]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda f: f.__name__)
def test_broken_swaps_drift(monkeypatch, broken, seed):
    monkeypatch.setattr(tempered, "swap_gains", broken)
    assert drift("native", 7, seed(5))[0] > bound(8)


class NoTake(NumpyEngine):
    """Rows draw h at their new temperature and stay where they were."""

    def take(self, states, rows):
        return states if len(rows) == len(states) else super().take(states, rows)


class StaleBeta(NumpyEngine):
    """Rows draw h at their old temperature and then move."""

    def bernoulli(self, logits, key, beta=1.0, offset=None):
        beta = np.sort(beta) if np.ndim(beta) else beta
        return super().bernoulli(logits, key, beta, offset)


class OneBase(NumpyEngine):
    """The base does not wane."""

    def bernoulli(self, logits, key, beta=1.0, offset=None):
        return super().bernoulli(logits, key, beta, None if offset is None else BASE)


@pytest.mark.parametrize("broken", [NoTake, StaleBeta, OneBase])
def test_broken_sweeps_drift(monkeypatch, broken, seed):
    monkeypatch.setitem(ENGINES, "broken", broken)
    alone, together = drift("broken", 4, seed(6))
    assert alone > bound(8) or together > bound(512)


# What tempering is for ---------------------------------------------------------------------------------------------

# Two modes, all units on or all off, with weights 0.69 and 0.31 and a ravine between them.
W = np.full((4, 10), 4.0)
PLANTED = W, -W.sum(axis=0) / 2, -W.sum(axis=1) / 2 + 0.2
N = 400


def planted_modes():
    """The exact weight of the upper mode, and how likely a Gibbs sweep leaves either."""
    exact = Exact(*PLANTED)
    up = exact.v.sum(axis=1) > 5
    crossing = exact.p_v[up] @ exact.sweep[np.ix_(up, ~up)].sum(axis=1)
    return exact.p_v[up].sum(), crossing / min(exact.p_v[up].sum(), exact.p_v[~up].sum())


@pytest.mark.parametrize("temperatures", [8, "adaptive"])
def test_tempering_weighs_modes_that_gibbs_sampling_never_joins(engine, temperatures, seed):
    """N independent samples: 6 binomial standard deviations (false alarms 2e-9) are 0.14; Gibbs is off by 0.2 or more.

    Gibbs chains that start in a mode leave it in 500 sweeps with probability below 1 %, all N of them together 4 times;
    half of those that choose their starts are fair coins, of which half are in the upper mode.
    """
    weight, leaving = planted_modes()
    assert 0.65 < weight < 0.75
    assert leaving * 500 < 0.01
    error = math.sqrt(weight * (1 - weight) / N)
    found = sample_tempered(RBM(*PLANTED), N, sweeps=400, temperatures=temperatures, seed=seed(1), engine=engine)
    assert abs((found.samples.sum(axis=1) > 5).mean() - weight) < 6 * error
    assert found.round_trips > N
    start = np.tile([[0], [1]], (N // 2, 10))
    for states, stuck in ((start, 0.5), (start[::2], 0.0), (None, 0.25)):
        n, alarm = (N, pytest.warns(SamplingAlarm)) if states is None else (None, contextlib.nullcontext())
        with alarm:
            gibbs = sample(RBM(*PLANTED), n, start=states, sweeps=500, seed=seed(1), engine=engine)
        share = (gibbs.sum(axis=1) > 5).mean()
        assert abs(share - stuck) < 0.13  # 7 standard deviations of 200 fair coins among 400
        assert abs(share - weight) > error


def test_samples_are_distributed_as_the_model(engine, seed):
    """All of p(v), not only its modes; each sample is a ladder of its own, so they are independent."""
    parameters, n = centred(4, 5, seed=10, scale=4.0), 4000
    found = sample_tempered(RBM(*parameters), n, sweeps=60, temperatures=5, seed=seed(2), engine=engine)
    p = Exact(*parameters).p_v
    assert np.abs(np.bincount(row_number(found.samples), minlength=32) / n - p).sum() < bound(32, n)
