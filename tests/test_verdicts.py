"""Samples and averages that know when they are wrong: a machine of two modes that Gibbs sampling never joins.

All units are on in one and off in the other. A start decides which one a chain is in, and the biases know of one.
"""

import warnings

import numpy as np
import pytest

import harmonium
from harmonium import RBM, Clamp
from harmonium.errors import SamplingAlarm

N = 16
UNKNOWN = np.full((20, N), np.nan)


@pytest.fixture(scope="module", params=[30, 40], ids="{} hidden".format)
def magnet(request):
    n = request.param
    return RBM.from_ising(J=np.full((n, N), 0.09), field_v=np.full(N, 0.01), field_h=np.zeros(n))[0]


def test_the_machine_has_two_modes(magnet):
    """Both count, and the starts of Gibbs sampling from the biases are in one."""
    truth = harmonium.exact_statistics(magnet).v.mean()
    assert 0.55 < truth < 0.6
    up = harmonium.sample(magnet, start=np.ones((50, N)), sweeps=50).mean()
    down = harmonium.sample(magnet, start=np.zeros((50, N)), sweeps=50).mean()
    assert up - down > 0.5


def test_nothing_that_is_sampled_is_silently_wrong(magnet):
    with pytest.warns(SamplingAlarm, match="chains from different starts differ in .* after 100 sweeps: take more"):
        harmonium.sample(magnet, 100, sweeps=100)
    with pytest.warns(SamplingAlarm, match="different starts"):
        harmonium.complete(magnet, np.repeat(UNKNOWN, 5, axis=0), method="gibbs")
    assert harmonium.impute(magnet, UNKNOWN, method="gibbs").n_doubtful == 20
    for found in (harmonium.running_moments, harmonium.pair_moments):
        assert found(magnet, method="gibbs", sweeps=200, burn_in=200).verdict == "unreliable"
    with pytest.raises(harmonium.errors.Unreliable):
        harmonium.thinned_sample(magnet, 10, method="gibbs", max_sweeps=2000)
    assert harmonium.sample_tempered(magnet, 20, sweeps=4, temperatures=2).verdict == "unreliable"


def test_what_is_right_is_said_to_be(magnet):
    truth = harmonium.exact_statistics(magnet).v.mean()
    found = harmonium.sample_tempered(magnet, 100, sweeps=400)
    assert found.verdict == "ok"
    assert found.samples.mean() == pytest.approx(truth, abs=0.15)
    assert harmonium.sample(magnet, 400).mean() == pytest.approx(truth, abs=0.15)  # exact: six deviations of 400
    assert harmonium.running_moments(magnet).exact
    assert harmonium.impute(magnet, UNKNOWN[:2], method="exact").mean.mean() == pytest.approx(truth, abs=1e-6)


def test_starts_that_were_chosen_and_chains_that_differ_are_not_compared(magnet):
    """A start of one's own, a clamp for each chain, few chains: nothing to compare; a clamp for all: something."""
    halves = np.arange(100)[:, None] < 50
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        harmonium.sample(magnet, start=np.broadcast_to(halves, (100, N)), sweeps=20)
        harmonium.sample(magnet, 10, sweeps=20)
        harmonium.sample(
            magnet, 100, sweeps=20, clamp=Clamp(np.broadcast_to(np.arange(N) < 8, (100, N)), halves[:, [0] * N])
        )
        harmonium.sample(magnet, 100, sweeps=20, clamp=Clamp(np.arange(N) < 14, np.ones(N)))
    with pytest.warns(SamplingAlarm):
        harmonium.sample(magnet, 100, sweeps=20, clamp=Clamp(np.arange(N) < 1, np.ones(N)))


def test_sound_samples_are_seldom_warned_of():
    """100 calls of 40 chains; at the stated rate of one in 500, more than 3 are warned of once in 30,000 times."""
    rbm, alarms = RBM(np.full((2, 12), 0.3), np.zeros(12), np.zeros(2)), 0
    for seed in range(100):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            harmonium.sample(rbm, 40, sweeps=30, seed=seed)
        alarms += len(caught)
    assert alarms <= 3
