"""Bad input × every command: a message that helps, a non-zero exit, and a disk as it was."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harmonium import RBM
from harmonium.cli import main

GOOD = np.eye(9)[np.arange(20) % 9]
# One directory for all of it, so that relative names do.
BAD_ARRAYS = {
    "nan.npy": np.where(GOOD > 0, np.nan, GOOD),
    "inf.npy": np.where(GOOD > 0, np.inf, GOOD),
    "bytes.npy": GOOD * 255,
    "negative.npy": -GOOD,
    "vector.npy": GOOD.ravel(),
    "cube.npy": GOOD[None],
    "no_rows.npy": GOOD[:0],
    "no_columns.npy": GOOD[:, :0],
    "strings.npy": GOOD.astype(str),
    "complex.npy": GOOD.astype(complex),
    "times.npy": GOOD.astype("datetime64[s]"),
    "scalar.npy": np.array(1.0),
}
BAD_FILES = [
    "text.npy",
    "empty.npy",
    "torn.npy",
    "pickle.npy",
    "words.csv",
    "torn.npz",
    "folder",
    "unknown.xyz",
    "gone.npy",
]
BAD_DATA = [*BAD_ARRAYS, *BAD_FILES, "no-such-name", "bars-and-stripes-0x4", "bars-and-stripes-99x99", ""]
BAD_MODELS = [
    "torn.safetensors",
    "empty.safetensors",
    "text.safetensors",
    "run/checkpoint.safetensors",
    "good.npy",
    "gone",
]
BAD_MODELS += ["folder", "", "torn_header.safetensors"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with sound files and with all kinds of broken ones."""
    path = tmp_path_factory.mktemp("place")
    for name, array in BAD_ARRAYS.items():
        np.save(path / name, array)
    np.save(path / "good.npy", GOOD)
    np.save(path / "narrow.npy", GOOD[:, :5])
    np.savez(path / "good.npz", train=GOOD)
    content = (path / "good.npy").read_bytes()
    (path / "text.npy").write_text("hello")
    (path / "empty.npy").write_bytes(b"")
    (path / "torn.npy").write_bytes(content[: len(content) // 2])
    np.save(path / "pickle.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    (path / "words.csv").write_text("a,b\nx,y\n")
    (path / "torn.npz").write_bytes((path / "good.npz").read_bytes()[:100])
    (path / "folder").mkdir()
    (path / "unknown.xyz").write_bytes(content)
    assert main(["train", str(path / "good.npy"), "--hidden", "3", "--epochs", "1", "--out", str(path / "run")]) == 0
    model = (path / "run" / "model.safetensors").read_bytes()
    (path / "torn.safetensors").write_bytes(model[:-5])
    (path / "torn_header.safetensors").write_bytes(model[:40])
    (path / "empty.safetensors").write_bytes(b"")
    (path / "text.safetensors").write_text("hello")
    RBM(np.ones((2, 7)), np.zeros(7), np.zeros(2)).save(path / "oblong.safetensors")
    clamp = np.full((2, 9), np.nan)
    clamp[:, 0] = 1
    for name, array in {"clamp": clamp, "half": clamp / 2, "held": GOOD[:2], "wide": np.ones((2, 10)) * np.nan}.items():
        np.save(path / f"{name}.npy", array)
    return path


def snapshot(path: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(path)): p.read_bytes() if p.is_file() else None for p in sorted(path.rglob("*"))}


def refused(place, monkeypatch, capsys, *arguments):
    """Run a command that must fail; its message."""
    monkeypatch.chdir(place)
    before = snapshot(place)
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert code in (1, 2), err
    assert out == ""
    assert "Traceback" not in err
    message = err.splitlines()[-1]
    # What must hold, what was got, what to do.
    assert re.match(r"error: .*\b(must|It must)\b.* Got\b.*[.?)] \S.*", message), message
    assert len(message) < 700
    assert snapshot(place) == before
    return message


@pytest.mark.parametrize(
    ("command", "data"),
    # NaN is a missing entry, and a cube is images.
    [
        (command, data)
        for command in ("train", "evaluate", "transform")
        for data in BAD_DATA
        if data != "nan.npy" and (command, data) != ("train", "cube.npy")
    ],
)
def test_bad_data(place, monkeypatch, capsys, command, data):
    arguments = {
        "train": ["train", data, "--hidden", 3, "--out", "new"],
        "evaluate": ["evaluate", "run", data],
        "transform": ["transform", "run", data, "--out", "new.npy"],
    }[command]
    refused(place, monkeypatch, capsys, *arguments)


@pytest.mark.parametrize("model", BAD_MODELS)
@pytest.mark.parametrize("command", ["evaluate", "sample", "transform", "inspect"])
def test_bad_models(place, monkeypatch, capsys, command, model):
    arguments = {
        "evaluate": ["evaluate", model, "good.npy"],
        "sample": ["sample", model, "--out", "new.npy"],
        "transform": ["transform", model, "good.npy", "--out", "new.npy"],
        "inspect": ["inspect", model],
    }[command]
    refused(place, monkeypatch, capsys, *arguments, "--json")


@pytest.mark.parametrize("command", ["evaluate", "transform"])
def test_data_of_another_width(place, monkeypatch, capsys, command):
    out = ["--out", "new.npy"] if command == "transform" else []
    assert "must have 9 columns" in refused(place, monkeypatch, capsys, command, "run", "narrow.npy", *out)


TRAIN = ["train", "good.npy", "--hidden", "3", "--out", "new"]
TRANSFORM = ["transform", "run", "good.npy", "--out", "new.npy"]
SAMPLE = ["sample", "run", "--out", "new.npy"]
BAD_OPTIONS = [
    *([*TRAIN, name, value]
      for name in ("--hidden", "--sweeps", "--chains", "--batch-size", "--epochs", "--seed")
      for value in ("-3", "abc", "2.5", "", "nan", "9" * 5000)),
    *([*TRAIN, name, "0"] for name in ("--hidden", "--sweeps", "--chains", "--batch-size")),
    *([*TRAIN, name, value]
      for name in ("--learning-rate", "--momentum", "--weight-decay")
      for value in ("-1", "nan", "inf", "x", "")),
    *([*TRAIN, name, value]
      for name in ("--method", "--schedule", "--binarize", "--statistic", "--engine")
      for value in ("nonsense", "")),
    [*TRAIN, "--momentum", "1"],
    [*TRAIN, "--learning-rate", "0"],
    [*TRAIN, "--seed", str(2**64)],
    ["train", "good.npy"],
    ["train", "--hidden", "3"],
    ["train", "good.npy", "--hidden", "3", "--resume", "run"],
    *(["evaluate", "run", "good.npy", name, "nonsense"] for name in ("--split", "--binarize", "--engine", "--seed")),
    ["evaluate", "run", "good.npy", "--seed", "-1"],
    ["evaluate", "run", "good.npy", "--split", "test"],
    *([*TRANSFORM, name, "nonsense"] for name in ("--split", "--binarize", "--engine")),
    *([*SAMPLE, name, value] for name in ("-n", "--sweeps") for value in ("-1", "x", "1.5")),
    [*SAMPLE, "-n", "0"],
    [*SAMPLE, "--seed", "-1"],
    [*SAMPLE, "--engine", "nonsense"],
    [*SAMPLE, "-n", "3", "--clamp", "clamp.npy"],
    [*SAMPLE, "-n", "3", "--start", "held.npy"],
    *([*SAMPLE, "--clamp", name] for name in ("half.npy", "held.npy", "wide.npy", "gone.npy", "good.npz")),
    *([*SAMPLE, "--clamp", name] for name in (*BAD_ARRAYS, "text.npy", "torn.npy", "pickle.npy") if name != "nan.npy"),
    *([*SAMPLE, "--start", name]
      for name in ("clamp.npy", "narrow.npy", "gone.npy", "nan.npy", "no_rows.npy", "strings.npy", "folder")),
    *(["sample", "run", "--out", "new.png", "--shape", shape]
      for shape in ("3", "3x4", "ax3", "0x9", "-3x-3", "9" * 20 + "x1")),
    ["sample", "oblong.safetensors", "--out", "new.png"],
    ["inspect"],
    ["inspect", "run", "--device", "cuda"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", BAD_OPTIONS, ids=lambda arguments: " ".join(arguments)[:60])
def test_bad_options(place, monkeypatch, capsys, arguments):
    refused(place, monkeypatch, capsys, *arguments)


OUTS = ["folder", "gone/new.npy", "good.npy/new.npy", "new.txt", "new", "/proc/new.npy", "", "good.npy"]


@pytest.mark.parametrize("out", OUTS)
@pytest.mark.parametrize("command", ["sample", "transform"])
def test_bad_outputs(place, monkeypatch, capsys, command, out):
    arguments = {"sample": ["sample", "run", "--clamp", "good.npy"], "transform": ["transform", "run", "good.npy"]}
    refused(place, monkeypatch, capsys, *arguments[command], "--out", out)


@pytest.mark.parametrize("out", ["folder/../run", "good.npy", "good.npy/new", "/proc/new"])
def test_bad_run_directories(place, monkeypatch, capsys, out):
    refused(place, monkeypatch, capsys, "train", "good.npy", "--hidden", 3, "--epochs", 1, "--out", out)


@pytest.mark.parametrize("run", ["gone", "folder", "good.npy", ""])
def test_bad_resumption(place, monkeypatch, capsys, run):
    refused(place, monkeypatch, capsys, "train", "--resume", run)


@pytest.mark.parametrize("damage", ["checkpoint.safetensors", "config.toml", "history.jsonl"])
def test_damaged_runs(tmp_path, monkeypatch, capsys, damage):
    np.save(tmp_path / "good.npy", GOOD)
    arguments = ["train", str(tmp_path / "good.npy"), "--hidden", "3", "--epochs", "1", "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    capsys.readouterr()
    (tmp_path / "run" / damage).write_bytes((tmp_path / "run" / damage).read_bytes()[:-5])
    refused(tmp_path, monkeypatch, capsys, "inspect", "run")
    (tmp_path / "run" / damage).unlink()
    refused(tmp_path, monkeypatch, capsys, "inspect", "run")
    if damage != "history.jsonl":
        refused(tmp_path, monkeypatch, capsys, "train", "--resume", "run")


@pytest.mark.parametrize("hidden", [10**13, 10**18])
def test_a_machine_beyond_memory(place, monkeypatch, capsys, hidden):
    message = refused(place, monkeypatch, capsys, "train", "good.npy", "--hidden", hidden, "--out", "new")
    assert "must fit into memory" in message


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_is_said(tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "good.npy", GOOD)
    monkeypatch.chdir(tmp_path)
    assert main(["train", "good.npy", "--hidden", "3", "--learning-rate", "1e38", "--out", "new"]) != 0
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "must be finite. Got NaN or infinity. Lower the learning rate" in err


@pytest.mark.parametrize("arguments", [["nonsense"], ["train", "--nonsense"], ["evaluate"], ["inspect", "a", "b"]])
def test_wrong_command_lines(capsys, arguments):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"error: .*\. See: harmonium.* --help\n", err)


def test_a_real_process_fails_as_it_should(place):
    command = [sys.executable, "-m", "harmonium.cli", "evaluate", str(place / "run"), str(place / "inf.npy"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: .* must be finite, or NaN where missing\. Got infinity\. .*\n", done.stderr)
