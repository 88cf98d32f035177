"""The command on data as people have it."""

import json

import numpy as np
import pytest

from harmonium import RBM
from harmonium.cli import main
from harmonium.datasets import load
from harmonium.training import RunDirectory

RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (30, 6))
HOLES = np.where(RNG.random((30, 6)) < 0.2, np.nan, BITS)
QUICK = ["--hidden", "3", "--epochs", "2"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savetxt("bits.txt", BITS, "%d")
    RBM(RNG.normal(size=(3, 6)), np.zeros(6), np.zeros(3)).save("model.safetensors")
    return tmp_path


def test_a_run_remembers_how_its_data_are_read(place, capsys):
    table = np.column_stack([np.arange(30) % 10, 255 * BITS])
    np.savetxt("x.bin", table, "%d", delimiter=";", header="digit;a;b;c;d;e;f", comments="")
    options = ["--format", "csv", "--label-column", "digit", "--divide-by", "255"]
    assert main(["train", "x.bin", *QUICK, *options, "--out", "run"]) == 0
    shown = capsys.readouterr().out
    assert "--format csv --label-column digit --divide-by 255" in shown  # the next command can be copied
    run, _ = RunDirectory.open("run")
    assert run.reading == {"format": "csv", "label_column": "digit", "divide_by": 255.0}
    assert 'data_label_column = "digit"' in run.config_file.read_text()
    assert main(["train", "--resume", "run"]) == 0
    assert main(["train", "bits.txt", *QUICK, "--out", "same"]) == 0
    np.testing.assert_array_equal(RBM.load("run/model.safetensors").W, RBM.load("same/model.safetensors").W)


def test_options_are_refused_by_the_names_that_were_typed(place, capsys):
    assert main(["evaluate", "model.safetensors", "bits.txt", "--array", "X"]) == 2
    assert "error: --array must be used with npz, mat, hdf5" in capsys.readouterr().err
    assert main(["train", "digits", *QUICK, "--spins"]) == 1
    assert "spins must be used with a file" in capsys.readouterr().err
    assert main(["train", "bits.txt", *QUICK, "--max-columns", "5"]) == 1
    assert "--max-columns 6" in capsys.readouterr().err


def test_spins_and_arrays_by_name(place, capsys):
    np.savez("x.npz", left=2 * BITS - 1, right=BITS)
    assert main(["evaluate", "model.safetensors", "x.npz", "--array", "left", "--spins", "--json"]) == 0
    spins = json.loads(capsys.readouterr().out)
    assert main(["evaluate", "model.safetensors", "x.npz", "--array", "right", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["log_likelihood"] == spins["log_likelihood"]


def test_a_set_with_a_test_split_only(place, capsys):
    np.savez("x.npz", x_test=BITS)
    assert main(["evaluate", "model.safetensors", "x.npz"]) == 0
    assert "x.npz, test, 30 samples" in capsys.readouterr().out
    assert main(["train", "x.npz", *QUICK]) == 1
    assert "must have a train split for this. Got only: test" in capsys.readouterr().err


def test_images_are_flattened_with_a_note(place, capsys):
    np.save("x.npy", BITS.reshape(30, 2, 3))
    assert main(["evaluate", "model.safetensors", "x.npy"]) == 0
    assert "note: x.npy[train]: images of shape (2, 3) became rows of 6 columns.\n" in capsys.readouterr().err


def test_blank_images_are_noticed(place, capsys):
    np.save("x.npy", BITS / 255)
    assert main(["train", "x.npy", *QUICK, "--out", "run"]) == 0
    assert "warning: The largest value is 0.00392, as if bytes were divided by 255 twice." in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".npy", ".csv", ".tsv", ".csv.gz", ".npz", ".mat", ".h5", ".parquet", ".feather"])
def test_clamps_and_samples_in_every_format(place, ending):
    from pathlib import Path

    from harmonium.datasets.writing import write_array

    clamp = np.full((4, 6), np.nan)
    clamp[:, 0], clamp[:, 1] = 1, [0, 1, 0, 1]
    write_array(Path(f"clamp{ending}"), clamp)
    arguments = ["sample", "model.safetensors", "--sweeps", "5", "--clamp", f"clamp{ending}"]
    assert main([*arguments, "--out", f"samples{ending}"]) == 0
    samples = load(f"samples{ending}").train
    np.testing.assert_array_equal(samples[:, :2], clamp[:, :2])
    assert main(["sample", "model.safetensors", "--sweeps", "0", "--start", f"samples{ending}", "--out", "x.npy"]) == 0
    np.testing.assert_array_equal(np.load("x.npy"), samples)


def test_an_empty_field_of_a_clamp_is_free(place):
    (place / "clamp.csv").write_text("1,,,,,0\n")
    assert main(["sample", "model.safetensors", "-n", "50", "--clamp", "clamp.csv", "--out", "x.npy"]) == 0
    samples = np.load("x.npy")
    assert (samples[:, 0] == 1).all()
    assert (samples[:, 5] == 0).all()
    assert 0 < samples[:, 1:5].mean() < 1


def test_transform_of_missing_entries_is_the_expectation_given_the_others(place):
    np.savetxt("holes.csv", HOLES, "%g", delimiter=",")
    assert main(["transform", "model.safetensors", "holes.csv", "--out", "features.csv"]) == 0
    rbm = RBM.load("model.safetensors")
    features = np.loadtxt("features.csv", delimiter=",")
    row = next(i for i in range(30) if np.isnan(HOLES[i]).sum() == 1)
    filled = [np.where(np.isnan(HOLES[row]), x, HOLES[row]) for x in (0, 1)]
    p = np.exp(-rbm.free_energy(filled))
    np.testing.assert_allclose(features[row], p @ rbm.mean_h_from_v(filled) / p.sum(), rtol=1e-5)


def test_impute_writes_tables(place):
    np.savetxt("holes.csv", HOLES, "%g", delimiter=",")
    for out in ("filled.csv", "filled.npy", "filled.mat"):
        assert main(["impute", "model.safetensors", "holes.csv", "--out", out]) == 0
    np.testing.assert_allclose(load("filled.csv").train, np.load("filled.npy"), rtol=1e-6)
    np.testing.assert_array_equal(load("filled.mat", array="X").train, np.load("filled.npy"))
