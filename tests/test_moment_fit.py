"""Moments of machines held against those of data, and the alarms of a run where its machine is used."""

import json

import numpy as np
import pytest
from oracles import random_parameters

import harmonium
from harmonium import RBM
from harmonium.cli import main
from harmonium.sampling import fit
from harmonium.training.alarms import last_alarms


def test_a_machine_agrees_with_its_own_samples_and_not_with_others():
    rbm = RBM(*random_parameters(5, 12, scale=1.0))
    own, _ = harmonium.exact_sample(rbm, 20_000, seed=1)
    found = harmonium.moment_fit(rbm, own)
    assert found.exact
    assert found.mean_error < 0.01
    assert found.covariance_slope == pytest.approx(1, abs=0.05)
    assert found.covariance_correlation > 0.95
    weak = harmonium.moment_fit(RBM(np.zeros((1, 12)), rbm.b, [0.0]), own)
    assert weak.covariance_slope == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("quick", [True, False], ids=["exact samples", "chains"])
def test_states_do_where_sums_would_be_long(quick, monkeypatch):
    rbm = RBM(*random_parameters(5, 12, scale=0.7))
    own, _ = harmonium.exact_sample(rbm, 20_000, seed=1)
    monkeypatch.setattr(fit, "pairs_are_quick", lambda _: False)
    monkeypatch.setattr(fit, "is_quick", lambda _: quick)
    found = harmonium.moment_fit(rbm, own, sweeps=400, burn_in=50)
    assert (found.exact, found.verdict) == (quick, "ok")
    assert found.mean_error < 0.02
    assert found.covariance_slope == pytest.approx(1, abs=0.1)


def test_it_is_the_definition_where_entries_are_missing():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((50, 4)) < 0.3, np.nan, rng.random((50, 4)) < 0.5)
    rbm = RBM(*random_parameters(3, 4))
    mean = np.nanmean(X, axis=0)
    x = [np.nanmean((X[:, j] - mean[j]) * (X[:, k] - mean[k])) for j in range(4) for k in range(j + 1, 4)]
    pairs = harmonium.pair_moments(rbm)
    y = pairs.covariance[np.triu_indices(4, 1)]
    found = harmonium.moment_fit(rbm, X)
    assert found.covariance_slope == pytest.approx(np.dot(x, y) / np.dot(x, x), rel=1e-4)
    assert found.mean_error == pytest.approx(np.sqrt(np.mean((pairs.mean - mean) ** 2)), rel=1e-6)


def test_chains_that_stay_apart_say_so():
    rbm, _ = RBM.from_ising(J=np.full((30, 30), 0.2), field_v=np.zeros(30), field_h=np.zeros(30))
    found = harmonium.moment_fit(rbm, np.eye(30), sweeps=40, burn_in=10)
    assert found.verdict == "unreliable"
    assert "unreliable: R-hat" in str(found)
    json.dumps(found.as_dict(), allow_nan=False)


def test_the_last_word_of_each_kind_of_alarm_stands():
    history = [
        {"epoch": 1, "alarms": ["R-hat 2.5: raise sweeps", "weights grow"]},
        {"epoch": 7, "alarms": ["R-hat 1.9: raise sweeps"]},
        {"epoch": 9, "alarms": []},
    ]
    assert last_alarms(history) == ["epoch 1: weights grow", "epoch 7: R-hat 1.9: raise sweeps"]
    assert last_alarms([]) == []


def test_alarms_stand_in_the_end_of_training_in_evaluate_and_in_sample(tmp_path, capsys):
    run = tmp_path / "run"
    start = ["train", "bars-and-stripes-3x3", "--hidden", "6", "--epochs", "3", "--out", str(run)]
    assert main(start) == 0
    out = capsys.readouterr().out
    assert "moments of the machine  " in out
    assert "(exact)" in out
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    lines[0]["alarms"] = ["the chains hardly move: raise sweeps"]
    (run / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    alarm = f"epoch {lines[0]['epoch']}: the chains hardly move: raise sweeps"
    picture = tmp_path / "x.npy"
    for command in (
        ["train", "--resume", str(run)],
        ["evaluate", str(run), "bars-and-stripes-3x3"],
        ["sample", str(run), "--out", str(picture)],
    ):
        assert main(command) == 0
        assert alarm in capsys.readouterr().out
        assert main([*command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["alarms"] == [alarm]
    assert main(["evaluate", str(run / "model.safetensors"), "bars-and-stripes-3x3", "--json"]) == 0
    assert "alarms" not in json.loads(capsys.readouterr().out)


def test_what_is_nearly_nothing_has_no_sign():
    assert str(fit.MomentFit(0.1, -0.001, -0.004, 1.0, True)).endswith("with slope 0.00 (r = 0.00) (exact)")


def test_moments_are_of_rows_from_all_over_the_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("harmonium.cli.train._MOMENT_ROWS", 20)
    rows = np.repeat([[1, 1, 0, 0], [0, 0, 1, 1]], 100, axis=0).astype(np.uint8)  # in order of classes
    np.save(tmp_path / "rows.npy", rows)
    start = ["train", str(tmp_path / "rows.npy"), "--hidden", "2", "--epochs", "40", "--out", str(tmp_path / "run")]
    assert main([*start, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["moments"]["mean_error"] < 0.2  # 0.5 of the first rows
