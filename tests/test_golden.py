"""Files of every version load for ever: those in ``golden`` were written once, by the version that names them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import harmonium
from harmonium import RBM, TrainingRun, datasets
from harmonium.deep import Stack
from harmonium.errors import UnreadableFile
from harmonium.io import read_tensors, write_tensors
from harmonium.training import RunDirectory, load_checkpoint
from harmonium.training.checkpoint import RESULTS

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(path.parent.name for path in GOLDEN.glob("*/SHA256SUMS"))
GOES_ON = (2, 3, RESULTS)  # of version 2, what is neither steered nor "exact"
RUNS = {"cd": {"hidden_means", "activity"}, "exact": {"hidden_means"}, "pcd": {"hidden_means"}, "fpcd": {"fast.W"}}
RUNS |= {"pt": {"tempered.direction", "tempered.ladder", "tempered.swaps", "adam.W", "adam2.c"}}


def machine(n_hidden, n_visible):
    """What the files hold: numbers that are the same in any precision."""
    W = ((np.arange(n_hidden * n_visible) % 7 - 3) / 4).reshape(n_hidden, n_visible)
    return W, np.arange(n_visible) / 8, np.arange(n_hidden) / -16


def is_machine(rbm, n_hidden, n_visible):
    for got, expected in zip((rbm.W, rbm.b, rbm.c), machine(n_hidden, n_visible), strict=True):
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected)


def test_there_are_files_of_this_version():
    assert {"0.1.0", f"{harmonium.__version__}-results-{RESULTS}"} <= set(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_files_are_as_they_were(version):
    """A golden file that does not load is a bug of the reader: it is never made anew."""
    sums = [line.split() for line in (GOLDEN / version / "SHA256SUMS").read_text().splitlines()]
    assert len(sums) == len([path for path in (GOLDEN / version).rglob("*.*") if path.is_file()])
    for digest, name in sums:
        assert hashlib.sha256((GOLDEN / version / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("version", VERSIONS)
def test_models_load(version):
    is_machine(RBM.load(GOLDEN / version / "model.safetensors"), 3, 5)
    first, second = Stack.load(GOLDEN / version / "stack.safetensors")
    is_machine(first, 3, 5)
    is_machine(second, 2, 3)


@pytest.mark.parametrize(
    "path", [path.parent for path in sorted(GOLDEN.glob("*/run-*/checkpoint.safetensors"))], ids=str
)
def test_runs_are_continued_or_refused_in_words(path):
    """A run goes on with the bits that it began with, or not at all: `RESULTS` counts the changes of them."""
    method, _, unsteered = path.name.removeprefix("run-").partition("-")
    results = read_tensors(path / "checkpoint.safetensors", "checkpoint")[1].get("results", 1)
    if results not in GOES_ON or (results == 2 and (method == "exact" or not unsteered)):
        with pytest.raises(UnreadableFile, match=rf"version {RESULTS} of.*Got version {results}\b.* Go on"):
            RunDirectory.open(path)
        assert RBM.load(path / "model.safetensors").n_hidden == 2
        return
    directory, state = RunDirectory.open(path)
    config, history = directory.config, directory.history()
    patience = 0 if unsteered else 5
    assert (config.method, config.n_hidden, config.n_epochs, config.patience, config.seed) == (
        method,
        2,
        3,
        patience,
        7,
    )
    assert (state.step, directory.data, [line["step"] for line in history]) == (1, "bars-and-stripes-3x3", [1])
    assert set(state.extras) >= RUNS[method] | (set() if unsteered else {"best.W", "best.b", "best.c"})
    np.testing.assert_array_equal(state.rbm.W, RBM.load(directory.model_file).W)
    assert np.abs(state.velocity.W).max() > 0
    X = datasets.load(directory.data).train
    directory.check_data(X)
    run = TrainingRun(X, config, valid=X[:6], state=state, history=history)
    records = list(run.epochs())
    assert run.finished
    assert [record.epoch for record in records][-1] == 3
    whole = TrainingRun(X, config, valid=X[:6])  # as if it had begun today
    assert list(whole.epochs())
    for name in "Wbc":
        np.testing.assert_array_equal(getattr(run.rbm, name), getattr(whole.rbm, name))


@pytest.mark.parametrize("option", ["max_norm", "clip"])
def test_runs_whose_norms_were_others_are_refused(tmp_path, option):
    path = GOLDEN / "0.1.0-results-2/run-cd-unsteered/checkpoint.safetensors"
    tensors, attributes = read_tensors(path, "checkpoint")
    attributes["config"][option] = 1.0
    write_tensors(tmp_path / "checkpoint", "checkpoint", tensors, attributes)
    with pytest.raises(UnreadableFile, match=r"Got version 2, with .* max_norm or clip\. Go on"):
        load_checkpoint(tmp_path / "checkpoint")


def test_runs_whose_temperatures_were_fewer_are_refused(tmp_path):
    path = GOLDEN / "0.1.0-results-3/run-pt/checkpoint.safetensors"
    tensors, attributes = read_tensors(path, "checkpoint")
    attributes["config"]["temperatures"] = "adaptive"
    write_tensors(tmp_path / "checkpoint", "checkpoint", tensors, attributes)
    with pytest.raises(UnreadableFile, match=r"Got version 3, with adaptive temperatures\. Go on"):
        load_checkpoint(tmp_path / "checkpoint")
