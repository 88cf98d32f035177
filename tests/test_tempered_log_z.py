"""log Z along tempered ladders: against enumeration, its error against that of repetitions, and what is doubted."""

import math

import numpy as np
import pytest
from oracles import random_parameters, random_states

from harmonium import RBM, evaluate, log_partition
from harmonium.errors import InvalidParameter
from harmonium.likelihood import tempered


@pytest.mark.parametrize("with_data", [False, True])
def test_intervals_cover_the_enumerated_log_z(with_data):
    """40 machines from flat to sharp. Of intervals that cover 95 % in truth, 32 or fewer do once in 10,000 tables."""
    sound, covered, far = 0, 0, []
    for seed in range(40):
        rbm = RBM(*random_parameters(9, 14, seed, scale=(0.5, 1, 2, 3)[seed % 4]))
        X = random_states(50, 14, seed) if with_data else None
        found, truth = log_partition(rbm, "tempered", X=X, chains=20, sweeps=100, seed=seed), rbm.log_z()
        assert (found.method, found.n_chains) == ("tempered", 20)
        sound += found.verdict == "ok"  # so few sweeps make few round trips on some
        covered += found.lower <= truth <= found.upper
        far.append(2.09 * (found.value - truth) / (found.upper - found.value))
    assert sound >= 36
    assert covered >= 33
    assert 0.7 < np.std(far) < 1.5  # errors are neither too small nor too large; of 40 normal numbers, 5 deviations
    assert abs(np.mean(far)) < 1


def test_the_error_is_the_spread_of_repetitions():
    """Normal works, each ladder with one number at all times: what repeats within a ladder counts once."""
    rng, s, log_ratio, chains = np.random.default_rng(1), 1.5, 0.7, 40
    values, errors = [], []
    for _ in range(300):
        up, down = (
            np.tile(rng.normal(mean, s, chains), (5, 1)) for mean in (log_ratio - s**2 / 2, -log_ratio - s**2 / 2)
        )
        found = tempered._ratio(up, down)
        values.append(found.log_z)
        errors.append(found.shifts.std(ddof=1) / math.sqrt(chains))
    assert np.mean(values) == pytest.approx(log_ratio, abs=0.05)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_levels_that_differ_by_a_factor_have_no_error():
    found = tempered._ratio(np.full((3, 4), 2.5), np.full((3, 4), -2.5))
    assert found.log_z == pytest.approx(2.5, abs=1e-9)
    np.testing.assert_allclose(found.shifts, 0, atol=1e-9)
    assert found.overlap == pytest.approx(0.5)


def test_what_cannot_be_relied_on_is_said():
    sharp = RBM(*random_parameters(30, 40, scale=8.0))
    found = log_partition(sharp, "tempered", temperatures=2, chains=20, sweeps=100)
    assert found.verdict == "unreliable"
    for reason in ("all levels and back", "neighbouring levels overlap"):
        assert reason in found.reason
    first, second = tempered._Found(1.0, np.linspace(-1, 1, 20), 0.5), tempered._Found(2.0, np.linspace(-1, 1, 20), 0.5)
    assert tempered._drift([first, second]) == "log Z still drifts, by 1.00 nats"
    assert tempered._drift([first, first]) == ""
    rng = np.random.default_rng(0)
    assert "2.0" in tempered._apart(rng.normal(0, 0.1, 30), rng.normal(2, 0.1, 30), "x")
    assert tempered._apart(rng.normal(0, 1, 30), rng.normal(0, 1, 30), "x") == ""


def test_what_each_comparison_finds_is_a_reason(monkeypatch):
    rbm = RBM(*random_parameters(9, 14))
    monkeypatch.setattr(tempered, "_drift", lambda _: "halves differ")
    monkeypatch.setattr(tempered, "_apart", lambda *_: "starts differ")
    found = log_partition(rbm, "tempered", chains=20, sweeps=100)
    assert (found.verdict, found.reason) == ("unreliable", "starts differ; halves differ")


def test_a_likelihood_takes_it():
    rbm, X = RBM(*random_parameters(9, 14)), random_states(30, 14)
    found, exact = (evaluate(rbm, X, log_z=how) for how in ("tempered", "exact"))
    assert found.log_likelihood.lower <= exact.log_likelihood.value <= found.log_likelihood.upper
    assert found.log_likelihood.method == "tempered"


@pytest.mark.parametrize(
    "options",
    [
        {"chains": 19},
        {"sweeps": 99},
        {"temperatures": 1},
        {"temperatures": [0.0, 1.0]},
        {"temperatures": "salakhutdinov"},
    ],
)
def test_bad_input_is_refused(options):
    with pytest.raises(InvalidParameter, match=next(iter(options))):
        log_partition(RBM(*random_parameters(3, 4)), "tempered", **options)
