"""The command, used as it is meant to be: what each subcommand gives is what the library gives."""

import json
import re
from dataclasses import asdict

import command_runs
import numpy as np
import pytest
from command_runs import DATA, result_of
from oracles import random_states, two_kinds

import harmonium
from harmonium import RBM, Config, Key, datasets, log_partition, sampling
from harmonium.cli import main

run = command_runs.run  # the fixture
splits = command_runs.splits  # the fixture


@pytest.mark.filterwarnings("ignore::harmonium.errors.TrainingAlarm")  # three epochs at a high rate
def test_train_makes_the_same_machine_as_the_library(tmp_path, capsys, splits):
    options = [
        "--method",
        "pcd",
        "--sweeps",
        2,
        "--chains",
        7,
        "--epochs",
        3,
        "--batch-size",
        6,
        "--learning-rate",
        0.1,
    ]
    options += ["--schedule", "cosine", "--momentum", 0.8, "--weight-decay", 0.01, "--binarize", "sample", "--seed", 5]
    options += ["--statistic", "mean-field", "--engine", "numpy"]
    result = result_of(capsys, "train", splits, "--hidden", 4, *options, "--out", tmp_path / "a")
    dataset = datasets.load(splits)
    expected = harmonium.train(
        dataset.train,
        4,
        valid=dataset.valid,
        method="pcd",
        sweeps=2,
        chains=7,
        epochs=3,
        batch_size=6,
        learning_rate=0.1,
        schedule="cosine",
        momentum=0.8,
        weight_decay=0.01,
        binarize="sample",
        seed=5,
        last_statistic="mean_field",
        engine="numpy",
    )
    rbm = RBM.load(result["model"])
    np.testing.assert_array_equal(rbm.W, expected.rbm.W)
    assert (result["epochs"], result["steps"]) == (3, 12)
    assert result["valid"]["pseudo_log_likelihood"] == expected.history[-1].valid.pseudo_log_likelihood
    assert result["best_epoch"] is None


def test_train_prints_the_scores_of_the_machine_that_it_keeps(tmp_path, capsys, monkeypatch):
    """It printed those of the last epoch, beside a model of an earlier one."""
    monkeypatch.chdir(tmp_path)
    valid = two_kinds(20, 12, 2)
    np.savez("rows.npz", train=two_kinds(40, 12, 1), valid=valid)
    np.savez("coins.npz", train=random_states(40, 12, 1), valid=random_states(20, 12, 2))
    options = [
        "--hidden",
        8,
        "--epochs",
        100,
        "--learning-rate",
        0.3,
        "--weight-decay",
        0,
        "--patience",
        2,
        "--out",
    ]
    result = result_of(capsys, "train", "rows.npz", *options, "a")
    exact = RBM.load(result["model"]).log_likelihood(valid).mean()
    assert 0 < result["best_epoch"] < result["epochs"]
    assert not result["independent"]
    assert result["valid"]["log_likelihood"] == pytest.approx(exact, abs=1e-4)
    assert main(["train", "--resume", "a"]) == 0
    out = capsys.readouterr().out
    assert re.search(rf"^kept +the machine of epoch {result['best_epoch']}$", out, re.MULTILINE)
    assert f"{result['valid']['pseudo_log_likelihood']:.2f}" in out
    result = result_of(capsys, "train", "coins.npz", *options, "b")
    assert result["independent"]
    assert not RBM.load(result["model"]).W.any()
    assert main(["train", "--resume", "b"]) == 0
    assert re.search(r"^kept +independent units$", capsys.readouterr().out, re.MULTILINE)


def test_train_defaults_are_those_of_config(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = result_of(capsys, "train", DATA, "--hidden", 4, "--epochs", 50)
    assert result["run"] == f"runs/{DATA}-pt-4-0"
    expected = harmonium.train(datasets.load(DATA).train, 4, epochs=50)
    np.testing.assert_array_equal(RBM.load(result["model"]).W, expected.rbm.W)


def test_explain_says_why_and_trains_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    choices = result_of(capsys, "train", DATA, "--hidden", 4, "--momentum", 0.9, "--explain")
    expected = Config(4, momentum=0.9).for_data(*datasets.load(DATA).train.shape)
    assert {name: choice["value"] for name, choice in choices.items()} == asdict(expected)
    assert choices["momentum"]["why"] == "as given"
    assert not any("{" in choice["why"] for choice in choices.values())
    assert main(["train", DATA, "--hidden", "4", "--explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(choices)
    assert any(line.startswith("--weight-decay") for line in lines)
    assert not list(tmp_path.iterdir())


def test_no_epochs_give_the_fresh_machine(tmp_path, capsys):
    assert result_of(capsys, "train", DATA, "--hidden", 3, "--epochs", 0, "--out", tmp_path / "a")["steps"] == 0


@pytest.mark.parametrize("of", ["run", "model file"])
def test_evaluate_prints_the_library_s_evaluation(run, capsys, of, splits):
    model = run if of == "run" else run / "model.safetensors"
    found = result_of(capsys, "evaluate", model, splits, "--binarize", "sample", "--seed", 3)
    rbm, X = RBM.load(run / "model.safetensors"), datasets.load(splits).test
    assert found == json.loads(json.dumps(harmonium.evaluate(rbm, X, binarize="sample", seed=3).as_dict()))
    assert list(found) == [
        "n_visible",
        "n_hidden",
        "n_samples",
        "binarize",
        "log_z",
        "log_likelihood",
        "pseudo_log_likelihood",
        "reconstruction_error",
    ]
    assert list(found["log_z"]) == ["quantity", "value", "lower", "upper", "method", "verdict", "reason"]
    assert list(found["log_likelihood"]) == [*found["log_z"], "binarize", "n_missing"]


def test_evaluate_scores_what_is_observed(run, tmp_path, capsys, splits):
    X = datasets.load(splits).test.astype(np.float32)
    X[::2, 3] = np.nan
    np.save(tmp_path / "holes.npy", X)
    found = result_of(capsys, "evaluate", run, tmp_path / "holes.npy", "--split", "train")
    assert found == json.loads(json.dumps(harmonium.evaluate(RBM.load(run / "model.safetensors"), X).as_dict()))
    assert found["log_likelihood"]["quantity"] == "mean log-likelihood of what is observed"
    assert main(["evaluate", str(run), str(tmp_path / "holes.npy"), "--split", "train"]) == 0
    assert re.search(r"of +what is observed, missing entries being summed out: 8\n", capsys.readouterr().out)


def test_evaluate_adds_the_conservative_bound(run, capsys, splits):
    how = ["--conservative", "--chains", 10, "--temperatures", 20]
    found = result_of(capsys, "evaluate", run, splits, *how)
    rbm, X = RBM.load(run / "model.safetensors"), datasets.load(splits).test
    expected = harmonium.evaluate(rbm, X, conservative=True, chains=10, temperatures=20).as_dict()
    assert found == json.loads(json.dumps(expected))
    assert found["conservative"]["n_samples"] == 10
    assert main(["evaluate", str(run), str(splits), *map(str, how)]) == 0
    assert re.search(r"conservative bound \(nats\) +-\d+\.\d+ ± \d+\.\d+, of 10 samples", capsys.readouterr().out)


def test_evaluate_chooses_the_split(run, capsys, splits):
    assert result_of(capsys, "evaluate", run, splits)["n_samples"] == 15
    assert result_of(capsys, "evaluate", run, splits, "--split", "valid")["n_samples"] == 5
    assert main(["evaluate", str(run), DATA]) == 0
    assert f"note: {DATA} has no test split" in capsys.readouterr().err


def test_sample_writes_what_the_library_samples(run, capsys, tmp_path):
    out = tmp_path / "s.npy"
    result = result_of(capsys, "sample", run, "-n", 6, "--sweeps", 11, "--seed", 2, "--out", out)
    assert (result["n"], result["n_visible"]) == (6, 9)
    expected = harmonium.sample(RBM.load(run / "model.safetensors"), 6, sweeps=11, seed=2)
    np.testing.assert_array_equal(np.load(out), expected)


@pytest.mark.parametrize("rows", [1, 3])
def test_clamped_units_keep_their_values(run, capsys, tmp_path, rows):
    clamp = np.full((rows, 9), np.nan, np.float32)
    clamp[:, :4] = np.random.default_rng(0).integers(0, 2, (rows, 4))
    np.save(tmp_path / "c.npy", clamp if rows > 1 else clamp[0])
    arguments = ["sample", run, "--sweeps", 4, "--clamp", tmp_path / "c.npy", "--out", tmp_path / "s.npy"]
    assert result_of(capsys, *arguments)["n"] == (3 if rows == 3 else 100)
    samples = np.load(tmp_path / "s.npy")
    np.testing.assert_array_equal(samples[:, :4], np.broadcast_to(clamp[:, :4], (len(samples), 4)))


def test_no_sweeps_return_the_start(run, capsys, tmp_path):
    start = datasets.load(DATA).train[:5]
    np.save(tmp_path / "start.npy", start)
    result_of(capsys, "sample", run, "--sweeps", 0, "--start", tmp_path / "start.npy", "--out", tmp_path / "s.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), start)


@pytest.mark.parametrize("temperatures", [None, 4, "adaptive"])
def test_tempered_samples_are_those_of_the_library(run, capsys, tmp_path, temperatures):
    arguments = ["sample", run, "--tempered", "-n", 5, "--sweeps", 80, "--seed", 3, "--out", tmp_path / "s.npy"]
    arguments += [] if temperatures is None else ["--temperatures", temperatures]
    rbm, options = RBM.load(run / "model.safetensors"), {} if temperatures is None else {"temperatures": temperatures}
    for data in (None, DATA):
        result = result_of(capsys, *arguments, *([] if data is None else ["--data", data]))
        X = None if data is None else datasets.load(DATA).train
        expected = sampling.sample_tempered(rbm, 5, sweeps=80, seed=3, X=X, **options)
        np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), expected.samples)
        assert list(result)[:5] == ["out", "n", "n_visible", "sweeps", "seed"]
        assert result["n"] == 5
        assert result["betas"] == expected.betas.tolist()
        assert result["acceptance"] == expected.acceptance.tolist()
        assert result["round_trips"] == expected.round_trips > 0


def test_the_trajectory_of_a_command_is_that_of_the_library(run, capsys, tmp_path):
    rbm = RBM.load(run / "model.safetensors")
    passed = RBM(rbm.W / 2, rbm.b, rbm.c)
    passed.save(tmp_path / "half.safetensors")
    options = ["--trajectory", tmp_path / "half.safetensors", "--trajectory", run]
    draw = ["sample", run, "--tempered", "-n", 5, "--sweeps", 40, "--data", DATA, "--out", tmp_path / "s.npy"]
    result, X = result_of(capsys, *draw, *options), datasets.load(DATA).train
    expected = sampling.sample_tempered(rbm, 5, sweeps=40, X=X, trajectory=[passed, rbm])
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), expected.samples)
    assert result["betas"] == expected.betas.tolist()
    score = ["evaluate", run, DATA, "--split", "train", "--chains", 20, "--log-z"]
    found = result_of(capsys, *score, "tempered", *options)["log_z"]
    key = Key(0).derive("evaluate")
    expected = log_partition(rbm, "tempered", X=X, chains=20, trajectory=[passed, rbm], seed=key)
    assert found == expected.as_dict()
    assert found["method"] == "tempered"
    for arguments, needed in (
        (["sample", run, "--out", tmp_path / "s.npy"], "--tempered"),
        ([*score, "ais"], "--log-z"),
    ):
        assert main([*map(str, arguments), "--trajectory", str(run)]) == 2
        assert f"--trajectory must be used with {needed}" in capsys.readouterr().err


def test_a_result_says_how_samples_were_drawn(run, capsys, tmp_path):
    """It said nothing where the sweeps were left out, of exact samples as of a thousand sweeps."""
    out = tmp_path / "s.npy"
    assert result_of(capsys, "sample", run, "-n", 2, "--out", out)["sweeps"] is None
    assert main(["sample", str(run), "-n", "2", "--out", str(out)]) == 0
    assert "none, as samples are exact" in capsys.readouterr().out
    RBM(np.zeros((40, 40)), np.zeros(40), np.zeros(40)).save(tmp_path / "large.safetensors")
    assert result_of(capsys, "sample", tmp_path / "large.safetensors", "-n", 2, "--out", out)["sweeps"] == 1000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "nowhere", DATA], "MODEL must be a model file, or the directory of a run. Got 'nowhere'"),
        (["evaluate", "RUN", DATA, "--split", "trian"], "--split must be one of"),
        (["verify", "--engine", "gpu"], "--engine must be one of"),
    ],
)
def test_messages_name_what_was_typed(run, capsys, arguments, said):
    assert main([str(run) if x == "RUN" else x for x in arguments]) != 0
    assert said in capsys.readouterr().err


def test_the_sweeps_of_tempering_may_be_left_out(run, capsys, tmp_path):
    """They were None, and refused."""
    assert result_of(capsys, "sample", run, "--tempered", "-n", 2, "--out", tmp_path / "s.npy")["sweeps"] == 1000
    expected = sampling.sample_tempered(RBM.load(run / "model.safetensors"), 2).samples
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), expected)


def test_tempering_without_a_round_trip_is_a_warning(run, capsys, tmp_path):
    assert main(["sample", str(run), "--tempered", "--sweeps", "2", "--out", str(tmp_path / "s.npy")]) == 0
    out, err = capsys.readouterr()
    assert "few states have been through all temperatures" in err
    assert "10 temperatures" in out


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("--tempered must be used without --clamp", ["--tempered", "--clamp", "c.npy"]),
        ("--tempered must be used without --start", ["--tempered", "--start", "c.npy"]),
        ("--temperatures must be used with --tempered", ["--temperatures", "3"]),
        ("--data must be used with --tempered", ["--data", DATA]),
        ("--temperatures must be an integer", ["--tempered", "--temperatures", "1"]),
        ("--temperatures must be one of", ["--tempered", "--temperatures", "few"]),
        ("--sweeps must be an integer", ["--tempered", "--sweeps", "1"]),
        ("-n must be an integer", ["--tempered", "-n", "0"]),
    ],
)
def test_options_that_tempering_does_not_take(run, capsys, tmp_path, message, options):
    assert main(["sample", str(run), "--out", str(tmp_path / "s.npy"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s.npy").exists()


@pytest.mark.parametrize("shape", [[], ["--shape", "1x9"]])
def test_sample_draws_pictures(run, capsys, tmp_path, shape):
    result_of(capsys, "sample", run, "-n", 4, "--sweeps", 1, "--out", tmp_path / "s.png", *shape)
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_transform_writes_expectations(run, capsys, tmp_path, splits, monkeypatch):
    monkeypatch.setattr("harmonium.deep._ROWS", 4)  # several blocks
    arguments = ["transform", run, splits, "--split", "train", "--binarize", "none", "--out", tmp_path / "f.npy"]
    assert result_of(capsys, *arguments)["n_samples"] == 20
    found, rbm = np.load(tmp_path / "f.npy"), RBM.load(run / "model.safetensors")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rbm.mean_h_from_v(datasets.load(splits).train), rtol=1e-4)


def test_inspect_tells_what_the_parameters_tell(tmp_path, capsys, run):
    W = np.array([[9.0, -1.0], [-1.0, -1.0], [0.01, 0.0], [1.0, -1.0]])
    RBM(W, b=[0.0, 1.0], c=[6.0, -5.0, 0.0, 0.0]).save(tmp_path / "m.safetensors")
    found = result_of(capsys, "inspect", tmp_path / "m.safetensors")
    assert [found[f"hidden_{kind}"] for kind in ("always_on", "always_off", "idle")] == [1, 1, 1]
    assert found["n_parameters"] == 14
    assert found["weights"]["max"] == 9
    assert found["log_z"] == pytest.approx(RBM.load(tmp_path / "m.safetensors").log_z())
    found = result_of(capsys, "inspect", run)["run"]
    assert found["config"]["n_hidden"] == 4
    assert (found["data"], found["last"]["epoch"]) == (DATA, 2)
    assert result_of(capsys, "inspect", "--engine", "native")["engine"]
