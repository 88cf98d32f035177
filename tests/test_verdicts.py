"""Samples and averages that know when they are wrong: a machine of two modes that Gibbs sampling never joins.

All units are on in one and off in the other. A start decides which one a chain is in, and the biases know of one.
"""

import json
import warnings

import numpy as np
import pytest

import harmonium
from harmonium import RBM, Clamp, sampling
from harmonium.cli.app import main
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


def test_modes_that_all_starts_reach_alike_are_seen_for_not_being_left():
    """Noise of both kinds leads to either mode in half of the chains, of which one has nine tenths of the mass."""
    up = np.ones((20, N))
    rbm = RBM(np.concatenate([up, -up]), np.full(N, 0.15), np.repeat([-N / 2, N / 2], 20))
    truth = harmonium.exact_statistics(rbm).v.mean()
    assert truth > 0.85
    for n in (4, 100):
        with pytest.warns(SamplingAlarm, match="have stayed where they were at half-time in .* after 100 sweeps"):
            assert harmonium.sample(rbm, n, sweeps=100).shape == (n, N)
        with pytest.warns(SamplingAlarm, match="chains have stayed where they were at half-time"):
            harmonium.complete(rbm, np.repeat(UNKNOWN[:1], n, axis=0), method="gibbs")
    other = RBM(rbm.W, rbm.b + 0.01, rbm.c)
    assert "at half-time" in sampling.gibbs.draw(other, 100, 100, harmonium.Key(0), "native")[1]


@pytest.mark.parametrize("n", [1, 30])
def test_few_samples_are_the_first_of_many(magnet, n):
    """The chains beside them that make a verdict do not change them."""
    with pytest.warns(SamplingAlarm, match="different starts"):
        few, many = (harmonium.sample(magnet, k, sweeps=20, seed=3) for k in (n, 200))
    np.testing.assert_array_equal(few, many[:n])


def test_starts_that_were_chosen_and_chains_that_differ_are_not_compared(magnet):
    """A start of one's own, a clamp for each chain: nothing to compare; a clamp for all: something."""
    halves = np.arange(100)[:, None] < 50
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        harmonium.sample(magnet, start=np.broadcast_to(halves, (100, N)), sweeps=20)
        harmonium.sample(
            magnet, 100, sweeps=20, clamp=Clamp(np.broadcast_to(np.arange(N) < 8, (100, N)), halves[:, [0] * N])
        )
        harmonium.sample(magnet, 100, sweeps=20, clamp=Clamp(np.arange(N) < 14, np.ones(N)))
    with pytest.warns(SamplingAlarm):
        harmonium.sample(magnet, 100, sweeps=20, clamp=Clamp(np.arange(N) < 1, np.ones(N)))
    with pytest.warns(SamplingAlarm):
        harmonium.sample(magnet, 100, sweeps=20, clamp=Clamp((np.arange(N) < 1)[None], np.ones((1, N))))


def test_a_single_chain_is_doubtful(magnet):
    found = harmonium.impute(magnet, UNKNOWN[:2], method="gibbs", chains=1, burn_in=0, sweeps=5)
    assert np.isnan(found.r_hat).all()
    assert found.n_doubtful == 2


def test_records_show_their_verdicts(magnet):
    for found in (
        harmonium.running_moments(magnet, method="gibbs", sweeps=20, burn_in=20),
        harmonium.pair_moments(magnet, method="gibbs", sweeps=20, burn_in=20),
        harmonium.sample_tempered(magnet, 20, sweeps=4, temperatures=2),
    ):
        assert repr(found).endswith("verdict='unreliable')")


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        (["-n", "4", "--sweeps", "50"], "unreliable"),
        ([], "ok"),
        (["--sweeps", "0"], "unknown"),
        (["--start", "states.npy", "--sweeps", "5"], "unknown"),
        (["--clamp", "one.npy", "--sweeps", "50"], "unreliable"),
        (["--clamp", "two.npy", "--sweeps", "50"], "unknown"),
    ],
    ids=" ".join,
)
def test_the_command_tells_the_verdict(magnet, options, verdict, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    magnet.save("model.safetensors")
    one = np.where(np.arange(N) < 1, 1, np.nan)[None]
    for name, x in {"states": np.eye(N), "one": one, "two": np.repeat(one, 2, axis=0)}.items():
        np.save(f"{name}.npy", x)
    assert main(["sample", "model.safetensors", *options, "--out", "s.npy", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["verdict"] == verdict
    assert ("or use --tempered" in captured.err) == (verdict == "unreliable")


def test_sound_samples_are_seldom_warned_of():
    """100 calls of 40 chains; at the stated rate of one in 250, more than 3 are warned of once in 1,300 times."""
    rbm, alarms = RBM(np.full((2, 12), 0.3), np.zeros(12), np.zeros(2)), 0
    for seed in range(100):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            harmonium.sample(rbm, 40, sweeps=30, seed=seed)
        alarms += len(caught)
    assert alarms <= 3
