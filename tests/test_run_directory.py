"""A run on disk: made in one step, never overwritten, and honest about changes."""

import json
import os
import shutil
import tomllib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from harmonium import RBM, Config, TrainingRun, datasets, errors
from harmonium.io.temporary import temporary_directory
from harmonium.training import RunDirectory
from harmonium.training.run_directory import advancing, fingerprint_of

X = datasets.load("bars-and-stripes-3x3").train


def make(path, *, data="bars-and-stripes-3x3", **options):
    config = Config(3, epochs=2, batch_size=7, engine="numpy", **options)
    run = TrainingRun(X, config)
    return run, RunDirectory.create(path, config, data=data, X=X, state=run.state)


def test_a_new_directory_is_complete_and_can_be_opened(tmp_path):
    run, made = make(tmp_path / "runs" / "a", method="pcd", chains=5)
    names = {"model.safetensors", "checkpoint.safetensors", "history.jsonl", "config.toml"}
    assert {path.name for path in made.path.iterdir()} == names
    assert [path.name for path in made.path.parent.iterdir()] == ["a"]
    opened, state = RunDirectory.open(made.path)
    assert opened == made
    assert state.step == 0
    np.testing.assert_array_equal(state.chains, run.state.chains)
    np.testing.assert_array_equal(RBM.load(made.model_file).W, run.rbm.W)


@pytest.mark.parametrize("data", ["digits", 'C:\\a "b"\n\t\x7f', "données/数字 🎲.npy"])
def test_config_is_toml(tmp_path, data):
    _, made = make(tmp_path / "a", data=data, learning_rate=1e-5)
    expected = {name: value for name, value in asdict(made.config).items() if value is not None}
    assert tomllib.loads(made.config_file.read_text("utf-8")) == expected | {"data": data}
    assert RunDirectory.open(made.path)[0].data == data


def test_data_without_a_unicode_name_are_refused(tmp_path):
    with pytest.raises(errors.InvalidParameter, match="must be valid Unicode"):
        make(tmp_path / "a", data="x\udcff.npy")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path):
    _, made = make(tmp_path / "a")
    before = made.checkpoint_file.read_bytes()
    with pytest.raises(errors.UnwritableOutput, match="Got a run that exists"):
        make(tmp_path / "a", seed=1)
    assert made.checkpoint_file.read_bytes() == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(errors.UnwritableOutput, match="Got something else"):
        make(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "empty", "file"]


def test_a_failing_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harmonium.io.atomic.os.fsync", full)
    with pytest.raises(errors.UnwritableOutput, match="Got: No space left on device"):
        make(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_start_left_is_cleared_by_the_next_one(tmp_path):
    descriptor, left = temporary_directory(tmp_path / "a")
    (Path(left) / "config.toml").write_text("half")
    make(tmp_path / "a")
    assert Path(left).exists()  # its process lives
    os.close(descriptor)
    make(tmp_path / "b")
    assert Path(left).exists()  # it is that of another run
    shutil.rmtree(tmp_path / "a")
    make(tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_new_name_is_on_the_disk(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def fsync_and_tell(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_and_tell)
    make(tmp_path / "a")
    assert synced[-1] == tmp_path.stat().st_ino


def test_one_process_at_a_time_advances_a_run(tmp_path):
    _, made = make(tmp_path / "a")
    with advancing(made.path):
        with pytest.raises(errors.UnwritableOutput, match="by one process at a time"), advancing(made.path):
            pass
        RunDirectory.open(made.path)  # whoever only looks is free to
    with advancing(made.path):
        pass


def test_history_drops_what_is_ahead_of_the_checkpoint(tmp_path):
    run, made = make(tmp_path / "a")
    records = list(run.epochs())
    for record in [*records, *records]:  # as after a crash between history and checkpoint
        made.append(record)
    assert [line["epoch"] for line in made.history()] == [1, 2]
    assert made.history()[-1] == json.loads(json.dumps(asdict(records[-1])))


def test_other_data_are_refused(tmp_path):
    _, made = make(tmp_path / "a")
    made.check_data(X.copy())
    for other in (X[:-1], 1 - X, X.astype(np.float32), X.reshape(-1, 3)):
        with pytest.raises(errors.InvalidData, match="must continue with the data it began with"):
            made.check_data(other)
    assert fingerprint_of(X[:, ::-1]) == fingerprint_of(X[:, ::-1].copy())


def test_an_edited_config_is_refused(tmp_path):
    _, made = make(tmp_path / "a")
    made.config_file.write_text(made.config_file.read_text().replace("epochs = 2", "epochs = 9"))
    with pytest.raises(errors.InvalidParameter, match="Got another epochs"):
        RunDirectory.open(made.path)
    made.config_file.write_text("epochs = = 2")
    with pytest.raises(errors.UnreadableFile, match="must hold the choices"):
        RunDirectory.open(made.path)


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_torn_checkpoint_is_refused(tmp_path, kept):
    _, made = make(tmp_path / "a")
    made.checkpoint_file.write_bytes(made.checkpoint_file.read_bytes()[:kept])
    with pytest.raises(errors.UnreadableFile):
        RunDirectory.open(made.path)


def test_what_is_no_run_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(errors.DataUnavailable, match="must be the directory of a run"):
            RunDirectory.open(path)
