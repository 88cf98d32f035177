"""The reverse annealed bound: against the annealed model counted out, on machines small enough to be enumerated."""

import json
import math

import numpy as np
import pytest
from oracles import Exact, all_states, logistic, random_parameters

import harmonium
from harmonium import RBM
from harmonium.cli import main
from harmonium.errors import InvalidData, InvalidParameter
from harmonium.likelihood import schedule
from harmonium.likelihood.conservative import conservative_log_likelihood
from harmonium.random import Key

PARAMETERS = random_parameters(3, 5, seed=2, scale=2.0)
MACHINE, EXACT = RBM(*PARAMETERS), Exact(*PARAMETERS)


def annealed_model(base, betas):
    """q(v) of annealing without weights, by transition matrices: sweeps at all temperatures but the first and last."""
    W, b, c = PARAMETERS
    v, h = all_states(5), all_states(3)

    def product(p, states):
        return np.prod(np.where(states[None], p[:, None], 1 - p[:, None]), axis=2)

    q = product(logistic(base[None]), v > 0)[0]
    for beta in betas[1:-1]:
        p_h = product(logistic(beta * (v @ W.T + c)), h > 0)
        p_v = product(logistic(beta * (h @ W + b) + (1 - beta) * base), v > 0)
        q = q @ p_h @ p_v
    return q


@pytest.mark.false_alarm(1e-8)
@pytest.mark.parametrize("betas", [[0, 1], [0, 0.5, 1], [0, 0.3, 0.7, 0.9, 1]])
def test_weights_are_unbiased_for_the_annealed_model_and_their_logarithms_bound_it(engine, betas, seed):
    """2,000 chains from each of 4 states: means within 7 standard errors, as the weights are skew."""
    rows = np.argsort(EXACT.p_v)[[-1, -2, 5, 16]]
    data = EXACT.v[np.random.default_rng(0).choice(32, 200, p=EXACT.p_v)]
    base = np.log((data.sum(axis=0) + 0.5) / (len(data) - data.sum(axis=0) + 0.5))
    q = annealed_model(base, betas)
    assert q.sum() == pytest.approx(1)
    for row in rows:
        X = np.repeat(EXACT.v[row][None], 2000, axis=0)
        found = conservative_log_likelihood(
            MACHINE, X, n_samples=2000, X_train=data, temperatures=betas, seed=seed(3), engine=engine
        )
        w = np.exp(found.per_sample) / q[row]
        if w.std() < 1e-6:  # two temperatures: no sweep, no noise
            assert w.mean() == pytest.approx(1, abs=1e-4)
            continue
        assert abs(w.mean() - 1) < 7 * w.std() / math.sqrt(2000)
        assert found.mean < math.log(q[row]) + 7 * found.standard_error
        assert found.mean == pytest.approx(found.per_sample.mean())


@pytest.mark.false_alarm(1e-8)
def test_the_gap_closes_from_below(seed):
    """Rows from the machine itself, so that log q, and the bound of it, are below log p on average: by 0.015 with three
    temperatures, which is eight standard errors, and by 0.001 with a hundred."""
    X = EXACT.v[np.random.default_rng(seed(1)).choice(32, 10_000, p=EXACT.p_v)]
    gaps, errors = [], []
    for temperatures in (3, 100):
        found = conservative_log_likelihood(MACHINE, X, n_samples=10_000, temperatures=temperatures, seed=seed(0))
        gap = MACHINE.log_likelihood(X[found.rows]) - found.per_sample
        gaps.append(gap.mean())
        errors.append(gap.std() / math.sqrt(10_000))
    assert gaps[0] > max(gaps[1], 0)
    assert -6 * errors[1] < gaps[1] < 0.003 + 6 * errors[1]


def test_an_evaluation_carries_the_bound_beside_the_bracket(engine):
    X = EXACT.v[np.random.default_rng(1).choice(32, 60, p=EXACT.p_v)]
    without = harmonium.evaluate(MACHINE, X, engine=engine)
    found = harmonium.evaluate(MACHINE, X, conservative=True, temperatures=200, chains=40, engine=engine)
    assert without.conservative is None
    assert "conservative" not in without.as_dict()
    assert (found.conservative.n_samples, found.conservative.n_temperatures) == (40, 200)
    assert found.log_likelihood == without.log_likelihood
    fields = json.loads(json.dumps(found.as_dict()))["conservative"]
    assert list(fields) == ["mean", "standard_error", "n_samples", "n_temperatures"]
    bound = found.conservative
    gap = found.log_likelihood.per_sample[bound.rows] - bound.per_sample
    assert abs(gap.mean()) < 0.3


def test_what_are_no_states_has_no_bound():
    with pytest.raises(InvalidData):
        conservative_log_likelihood(MACHINE, np.full((3, 5), 0.5))
    told = []  # refused before log Z is looked for
    with pytest.raises(InvalidData, match="for the conservative bound"):
        harmonium.evaluate(
            MACHINE,
            np.full((3, 5), 0.5),
            binarize="none",
            log_z="ais",
            conservative=True,
            progress=lambda *counts: told.append(counts),
        )
    assert not told
    with pytest.raises(InvalidParameter):
        conservative_log_likelihood(MACHINE, np.ones((3, 5)), n_samples=1)
    with pytest.raises(InvalidParameter, match="conservative must be True or False"):
        harmonium.evaluate(MACHINE, np.ones((3, 5)), conservative=50)


def test_the_command_tells_what_the_bound_is_of(tmp_path, capsys):
    """A single row tells no error; rows with missing entries have no part in the bound."""
    MACHINE.save(tmp_path / "m.safetensors")
    X = EXACT.v[:3].astype(np.float32)
    holes = np.concatenate([X, [[np.nan, 1, 0, 0, 1]]])
    for rows, words in ((X[:1], "of a single one of the samples, which tells no error"), (holes, "3 complete samples")):
        np.save(tmp_path / "X.npy", rows)
        assert main(["evaluate", str(tmp_path / "m.safetensors"), str(tmp_path / "X.npy"), "--conservative"]) == 0
        (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("conservative bound")]
        assert line.endswith(words)
        assert "inf" not in line


def test_the_bound_takes_four_times_the_temperatures_that_a_bracket_may_take(monkeypatch):
    """Where the plan would have ever more, as it has for digits."""
    monkeypatch.setattr(schedule, "_VARIANCE", 1e-6)
    assert conservative_log_likelihood(MACHINE, EXACT.v[:2]).n_temperatures == 12_000
    assert len(schedule.plan(MACHINE, schedule.ADAPTIVE, None, Key(0), "native").betas) == 3_000
