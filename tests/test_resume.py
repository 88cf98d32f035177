"""However a run is stopped, what it ends with is what it would have ended with, bit for bit."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from harmonium import Config, TrainingRun, datasets
from harmonium.cli import main, running
from harmonium.cli.progress import TrainingProgress
from harmonium.training import RunDirectory

COMMAND = [sys.executable, "-m", "harmonium.cli"]
VARIANTS = {
    "cd": [],
    "pcd": ["--method", "pcd", "--chains", "6", "--sweeps", "2"],
    "mean-field": ["--method", "pcd", "--statistic", "mean-field", "--schedule", "cosine"],
    "grey": ["--binarize", "none"],
    "drawn": ["--binarize", "sample", "--momentum", "0.9"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "data.npz"
    X = np.random.default_rng(0).random((53, 12))
    np.savez(path, train=X[:43], valid=X[43:])
    return str(path)


def arguments(data, out, *options):
    return ["train", data, "--hidden", "5", "--epochs", "4", "--batch-size", "8", *options, "--out", str(out)]


def stop_at(monkeypatch, step, number):
    """Let the process receive a signal when a step is done."""
    show = TrainingProgress.step

    def step_and_signal(self, done):
        show(self, done)
        if done == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(TrainingProgress, "step", step_and_signal)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("step", [1, 8, 12])  # the first, one within an epoch, the last of the second epoch
def test_a_stopped_run_continues_bit_for_bit(data, tmp_path, monkeypatch, capsys, options, step):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(arguments(data, whole, *options)) == 0
    with monkeypatch.context() as patch:
        stop_at(patch, step, signal.SIGTERM)
        assert main(arguments(data, parts, *options)) == 128 + signal.SIGTERM
    assert f"stopped: after step {step} of 24" in capsys.readouterr().err
    assert RunDirectory.open(parts)[1].step == step
    assert main(["train", "--resume", str(parts)]) == 0
    for name in ("model.safetensors", "checkpoint.safetensors", "config.toml"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    histories = [RunDirectory.open(path)[0].history() for path in (whole, parts)]
    for history in histories:
        for line in history:
            # The clock's, and what is counted from the resumption on: chains, and alarms about them.
            del line["seconds"], line["samples_per_second"], line["chains"], line["alarms"]
    assert histories[0] == histories[1]


def test_early_stopping_looks_back_over_every_resumption(data, tmp_path, monkeypatch):
    """Stopped after every record: as many records, the same ones, and the same machine is kept in the end."""
    options = ["--method", "pcd", "--chains", "20", "--learning-rate", "0.4", "--patience", "2", "--epochs", "60"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(arguments(data, whole, *options)) == 0
    show = TrainingProgress.step

    def step_and_signal(self, done):
        show(self, done)
        if self._run.due:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(TrainingProgress, "step", step_and_signal)
    code = main(arguments(data, parts, *options))
    while code == 128 + signal.SIGTERM:
        code = main(["train", "--resume", str(parts)])
    assert code == 0
    for name in ("model.safetensors", "checkpoint.safetensors"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    histories = [RunDirectory.open(path)[0].history() for path in (whole, parts)]
    for line in (line for history in histories for line in history):
        del line["seconds"], line["samples_per_second"]
    assert histories[0] == histories[1]
    assert 3 < len(histories[0]) < 60


def test_a_run_that_goes_on_knows_all_its_records(data, tmp_path, monkeypatch):
    """Alarms look back on them; the last one stands at the very step of the checkpoint."""
    assert main(arguments(data, tmp_path / "a")) == 0
    told = []

    def noted(*arguments, history, **options):
        told.extend(history)
        return TrainingRun(*arguments, history=history, **options)

    monkeypatch.setattr(running, "TrainingRun", noted)
    directory, run, _ = running.reopen(tmp_path / "a")
    assert told == directory.history()
    assert told[-1]["step"] == run.step


def test_ctrl_c_stops_cleanly_and_restores_the_handlers(data, tmp_path, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stop_at(monkeypatch, 5, signal.SIGINT)
    assert main([*arguments(data, tmp_path / "a"), "--json"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert "Go on with: harmonium train --resume" in err
    assert "Traceback" not in err
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_ctrl_c_stops_at_once(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("harmonium.cli.stopping._PATIENCE", 0.0)
    show = TrainingProgress.step

    def step_and_signal_twice(self, done):
        show(self, done)
        if done == 10:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingProgress, "step", step_and_signal_twice)
        assert main(arguments(data, tmp_path / "a")) == 130
    assert "stopped: at once" in capsys.readouterr().err
    assert RunDirectory.open(tmp_path / "a")[1].step == 6
    assert main(["train", "--resume", str(tmp_path / "a")]) == 0


@pytest.mark.parametrize("successes", range(4, 12, 2))
def test_a_disk_that_fills_up_costs_no_checkpoint(data, tmp_path, monkeypatch, capsys, successes):
    assert main(arguments(data, tmp_path / "whole")) == 0
    replace, left = os.replace, [successes]

    def failing(source, target):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("harmonium.io.atomic.os.replace", failing)
        assert main(arguments(data, tmp_path / "parts")) == 1
    assert "Got: No space left on device" in capsys.readouterr().err
    assert main(["train", "--resume", str(tmp_path / "parts")]) == 0
    model = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert model[0] == model[1]
    assert len(RunDirectory.open(tmp_path / "parts")[0].history()) == 4
    assert not [path for path in (tmp_path / "parts").iterdir() if path.name.startswith(".")]


def test_a_long_epoch_is_saved_within(data, tmp_path, monkeypatch):
    monkeypatch.setattr("harmonium.cli.running._CHECKPOINT_SECONDS", 0.0)
    steps, save = [], RunDirectory.save
    monkeypatch.setattr(RunDirectory, "save", lambda self, state: (steps.append(state.step), save(self, state)))
    assert main(arguments(data, tmp_path / "a")) == 0
    assert steps == list(range(25))


def test_a_signal_in_the_last_step_loses_nothing(data, tmp_path, monkeypatch):
    stop_at(monkeypatch, 24, signal.SIGTERM)
    assert main(arguments(data, tmp_path / "a")) == 0


def test_a_complete_run_is_left_alone(data, tmp_path, capsys):
    assert main(arguments(data, tmp_path / "a")) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert main(["train", "--resume", str(tmp_path / "a")]) == 0
    assert "complete" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before


def test_other_data_or_options_are_refused(tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "x.npy", np.eye(8))
    monkeypatch.chdir(tmp_path)
    assert main(["train", "x.npy", "--hidden", "2", "--epochs", "1", "--out", "run"]) == 0
    assert RunDirectory.open("run")[0].data == str(tmp_path / "x.npy")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert main(["train", "x.npy", "--resume", "run", "--epochs", "1", "--seed", "0"]) == 2
    assert "Got also DATA, --epochs, --seed" in capsys.readouterr().err
    np.save(tmp_path / "x.npy", 1 - np.eye(8))
    assert main(["train", "--resume", "run"]) == 1
    assert "must continue with the data it began with" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_steps_and_states_compose_in_the_library(data):
    X = datasets.load(data).train
    config = Config(5, method="pcd", epochs=3, batch_size=8)
    whole, state = TrainingRun(X, config), None
    for _ in whole.steps():
        pass
    for _ in range(whole.n_steps):
        run = TrainingRun(X, config, state=state)
        next(run.steps())
        state = run.state
    np.testing.assert_array_equal(run.rbm.W, whole.rbm.W)
    np.testing.assert_array_equal(run.state.chains, whole.state.chains)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_real_process_can_be_killed(tmp_path, number):
    """Once, with its real exit code; ``tests/faults`` kills again and again, in forked processes."""
    X = (np.random.default_rng(1).random((600, 30)) < 0.3).astype(np.uint8)
    np.save(tmp_path / "x.npy", X)
    options = ["--hidden", "16", "--method", "pcd", "--epochs", "8", "--batch-size", "10", "--engine", "numpy"]
    start = ["train", str(tmp_path / "x.npy"), *options, "--out", str(tmp_path / "parts")]
    process = subprocess.Popen([*COMMAND, *start], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=600)
    assert "Traceback" not in err
    assert process.returncode == (143 if number == signal.SIGTERM else -9)
    assert out == ""
    assert main(["train", "--resume", str(tmp_path / "parts")]) == 0
    assert main(["train", str(tmp_path / "x.npy"), *options, "--out", str(tmp_path / "whole")]) == 0
    for name in ("model.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len(RunDirectory.open(tmp_path / "parts")[0].history()) == 8
