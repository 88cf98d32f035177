"""Files: nothing on disk is lost by a failed write, and no damaged file is taken for a sound one."""

import errno
import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from oracles import random_parameters

from harmonium import RBM, Config
from harmonium.engines import Velocity
from harmonium.errors import DataUnavailable, HarmoniumError, InvalidParameter, UnreadableFile, UnwritableOutput
from harmonium.io import atomic_write, read_tensors, temporary, to_json, write_tensors
from harmonium.io.temporary import temporary_directory, temporary_file
from harmonium.training import TrainingState, load_checkpoint, save_checkpoint
from harmonium.training.checkpoint import RESULTS

THREE_PARTS = r"(?s)must .*\. Got.*\. .*\.$"


def model_bytes(tmp_path, kind="rbm"):
    """A small sound file and its content."""
    path = tmp_path / "model.safetensors"
    if kind == "rbm":
        RBM(*(x.astype(np.float32) for x in random_parameters(1, 1))).save(path, number=12)
    else:
        save_checkpoint(path, training_state(), Config(n_hidden=2, method="pcd", chains=5, seed=7))
    return path, path.read_bytes()


def training_state():
    W, b, c = (x.astype(np.float32) for x in random_parameters(2, 3))
    chains = np.random.default_rng(0).integers(0, 2, (5, 2), dtype=np.uint8)
    return TrainingState(RBM(W, b, c), Velocity(W / 2, b / 2, c / 2), chains, 17)


# Atomic replacement --------------------------------------------------------------------------------------------------


def test_writing_replaces_the_content_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "file"
    for content in (b"first", b"", b"x" * 100_000):
        atomic_write(path, content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["file"]


def test_new_files_have_ordinary_permissions(tmp_path):
    atomic_write(tmp_path / "ours", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("call", ["replace", "fsync", "fchmod"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, call, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(UnwritableOutput, match=THREE_PARTS) as caught:
        atomic_write(path, b"new")
    assert os.strerror(error) in str(caught.value)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_an_interrupt_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_reported():
    """The limit on file sizes stands for the disk: writing stops half-way, inside the real system call."""
    code = """
import resource, signal, sys, tempfile, pathlib
from harmonium.errors import UnwritableOutput
from harmonium.io import atomic_write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = pathlib.Path(tempfile.mkdtemp()) / "file"
path.write_bytes(b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic_write(path, b"x" * 100_000)
except UnwritableOutput:
    assert path.read_bytes() == b"old" and len(list(path.parent.iterdir())) == 1
    print("refused")
path.unlink()
path.parent.rmdir()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


@pytest.mark.parametrize("target", ["missing/file", ".", "file/below"])
def test_places_that_cannot_be_written(tmp_path, target):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(UnwritableOutput, match=THREE_PARTS):
        RBM([[0.0]], [0.0], [0.0]).save(tmp_path / target)
    assert os.listdir(tmp_path) == ["file"]


def test_the_name_is_on_the_disk_before_the_writer_returns(tmp_path, monkeypatch):
    """The file, then its name, then the directory that holds the name: a crash in between keeps the old file."""
    order, fsync, replace = [], os.fsync, os.replace

    def fsync_and_tell(descriptor):
        order.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def replace_and_tell(source, target):
        order.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync_and_tell)
    monkeypatch.setattr(os, "replace", replace_and_tell)
    atomic_write(tmp_path / "file", b"content")
    assert order == ["file", "name", "directory"]


def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path):
    path, inside = tmp_path / "model", tmp_path / "other"
    left = [temporary_file(path), temporary_file(path), temporary_directory(path)]
    (Path(left[2][1]) / "below").write_text("x")
    foreign = [tmp_path / name for name in (".model.abcdefgh", ".model.abc.tmp", ".model.ABCDEFGH.tmp", "model.tmp")]
    foreign += [tmp_path / ".model.x.abcdefgh.tmp", tmp_path / "xmodel.abcdefgh.tmp"]
    for file in foreign:
        file.write_text("mine")
    inside.mkdir()
    (tmp_path / ".model.aaaaaaaa.tmp").symlink_to(inside)
    os.mkfifo(tmp_path / ".model.bbbbbbbb.tmp")
    atomic_write(path, b"1")  # all three are locked: their writers live
    assert all(os.path.lexists(name) for _, name in left)
    for descriptor, _ in left:
        os.close(descriptor)
    atomic_write(tmp_path / "mode", b"another's")
    assert all(os.path.lexists(name) for _, name in left)
    atomic_write(path, b"2")
    assert not any(os.path.lexists(name) for _, name in left)
    assert all(file.read_text() == "mine" for file in foreign)
    assert inside.is_dir()
    assert path.read_bytes() == b"2"


def test_a_temporary_taken_for_abandoned_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    """Between the making of a temporary and its lock another process may find it without one."""
    taken, lock = [], temporary.lock

    def lock_too_late(descriptor, *, wait):
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        return lock(descriptor, wait=wait)

    monkeypatch.setattr(temporary, "lock", lock_too_late)
    atomic_write(tmp_path / "file", b"content")
    assert len(taken) == 1
    assert (tmp_path / "file").read_bytes() == b"content"
    assert os.listdir(tmp_path) == ["file"]


def test_without_locks_files_are_written_and_nothing_is_removed(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("harmonium.io.temporary.fcntl.flock", refuse)
    (tmp_path / ".file.abcdefgh.tmp").write_text("left")
    atomic_write(tmp_path / "file", b"content")
    assert sorted(os.listdir(tmp_path)) == [".file.abcdefgh.tmp", "file"]


# Sound files ---------------------------------------------------------------------------------------------------------


def test_tensors_and_attributes_come_back(tmp_path):
    tensors = {"a": np.arange(6, dtype=np.uint8).reshape(2, 3).T, "b": np.zeros((0, 4)), "c": np.float32([1.5])}
    attributes = {"text": "ü\n", "list": [1, None, {"x": 0.1}], "big": 2**70}
    write_tensors(tmp_path / "f", "kind", tensors, attributes)
    back, got = read_tensors(tmp_path / "f", "kind")
    assert got == attributes
    assert back.keys() == tensors.keys()
    for name, array in tensors.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype


def test_attributes_that_are_no_json_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InvalidParameter, match=THREE_PARTS):
        RBM([[0.0]], [0.0], [0.0]).save(tmp_path / "f", note=object())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("with_chains", [True, False])
def test_checkpoints_come_back(tmp_path, with_chains):
    state = training_state()
    if not with_chains:
        state = TrainingState(state.rbm, state.velocity, None, state.step)
    config = Config(
        n_hidden=2,
        method="pcd" if with_chains else "cd",
        chains=5 if with_chains else None,
        seed=2**64 - 1,
        learning_rate=1 / 3,
    )
    save_checkpoint(tmp_path / "f", state, config, data="digits")
    back, got, attributes = load_checkpoint(tmp_path / "f")
    assert (got, attributes, back.step) == (config, {"data": "digits"}, 17)
    for name in "Wbc":
        np.testing.assert_array_equal(getattr(back.rbm, name), getattr(state.rbm, name))
        np.testing.assert_array_equal(getattr(back.velocity, name), getattr(state.velocity, name))
    np.testing.assert_array_equal(back.chains, state.chains)


# Damaged files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "load", "step"), [("rbm", RBM.load, 1), ("checkpoint", load_checkpoint, 5)])
def test_every_truncation_is_noticed(tmp_path, kind, load, step):
    """Every length of a model file, every fifth of a checkpoint; and one byte too many."""
    path, content = model_bytes(tmp_path, kind)
    for length in range(0, len(content), step):
        path.write_bytes(content[:length])
        with pytest.raises(UnreadableFile):
            load(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(UnreadableFile, match=THREE_PARTS):
        load(path)


@pytest.mark.parametrize(("kind", "bits_of_a_byte"), [("rbm", 8), ("checkpoint", 1)])
def test_every_flipped_bit_is_noticed_or_harmless(tmp_path, kind, bits_of_a_byte):
    """Header and numbers: every bit of a model file, one bit of every byte of a checkpoint."""
    path, content = model_bytes(tmp_path, kind)
    expected_tensors, expected_attributes = read_tensors(path, kind)
    unnoticed = 0
    for place in range(len(content)):
        for bit in (place + k for k in range(bits_of_a_byte)):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit % 8
            path.write_bytes(damaged)
            try:
                tensors, attributes = read_tensors(path, kind)
            except UnreadableFile:
                continue
            unnoticed += 1
            assert attributes == expected_attributes, (place, bit)
            assert tensors.keys() == expected_tensors.keys(), (place, bit)
            for name, array in tensors.items():
                np.testing.assert_array_equal(array, expected_tensors[name], f"byte {place}, bit {bit}", strict=True)
    assert unnoticed < 30  # such as a padding space that became another kind of space


def rewrite(path, *, tensors=None, **header):
    """The same file with other tensors or other header fields, written by the format's own library."""
    old = safetensors.numpy.load_file(path)
    with safetensors.safe_open(str(path), framework="numpy") as file:
        fields = file.metadata() | header
    fields = {name: value for name, value in fields.items() if value is not None}
    safetensors.numpy.save_file(old if tensors is None else tensors, path, metadata=fields)


@pytest.mark.parametrize(
    "header",
    [
        {"format": "other"},
        {"format": None},
        {"kind": "checkpoint"},
        {"kind": None},
        {"version": "2"},
        {"version": "0"},
        {"version": None},
        {"attributes": None},
        {"attributes": "{"},
        {"attributes": "1"},
        {"attributes": "null"},
        {"attributes": "[" * 100_000},
        {"attributes": "[[[], 1]]"},
    ],
)
def test_wrong_headers_are_refused(tmp_path, header):
    path, _ = model_bytes(tmp_path)
    rewrite(path, **header)
    with pytest.raises(UnreadableFile, match=THREE_PARTS):
        RBM.load(path)


def test_shapes_are_part_of_the_digest(tmp_path):
    """The same bytes under another shape are not what was written."""
    path = tmp_path / "f"
    write_tensors(path, "kind", {"a": np.arange(6.0), "b": np.arange(3)}, {})
    rewrite(path, tensors={"a": np.arange(6.0).reshape(2, 3), "b": np.arange(3)})
    with pytest.raises(UnreadableFile, match="does not match its digest"):
        read_tensors(path, "kind")


def test_the_message_says_which_kind_was_got(tmp_path):
    path, _ = model_bytes(tmp_path, "checkpoint")
    with pytest.raises(UnreadableFile, match=r"must be a Harmonium rbm file\. Got .*'checkpoint'.*\. Check the path\."):
        RBM.load(path)


W, b, c = (x.astype(np.float32) for x in random_parameters(2, 3))
WRONG_TENSORS = {
    "NaN": {"W": np.full_like(W, np.nan), "b": b, "c": c},
    "infinity": {"W": W, "b": b, "c": np.full_like(c, np.inf)},
    "half infinity": {"W": W, "b": np.full(3, np.inf, np.float16), "c": c},
    "missing": {"W": W, "b": b},
    "empty": {},
    "transposed": {"W": np.ascontiguousarray(W.T), "b": b, "c": c},
    "flat": {"W": W.ravel(), "b": b, "c": c},
}


@pytest.mark.parametrize("name", WRONG_TENSORS)
def test_wrong_tensors_are_refused(tmp_path, name):
    path = tmp_path / "f"
    write_tensors(path, "rbm", WRONG_TENSORS[name], {})
    with pytest.raises(UnreadableFile, match=THREE_PARTS):
        RBM.load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_array_of_any_file_holds_what_is_no_number(tmp_path, value):
    write_tensors(tmp_path / "f", "kind", {"a": np.zeros(3), "b": np.float32([1, value])}, {})
    with pytest.raises(UnreadableFile, match="must hold finite numbers"):
        read_tensors(tmp_path / "f", "kind")


WRONG_CHECKPOINTS = {
    "no velocity": ({"velocity.W": None}, {}),
    "velocity of another shape": ({"velocity.b": np.zeros(2, np.float32)}, {}),
    "chains of another width": ({"chains": np.zeros((5, 0), np.uint8)}, {}),
    "chains that are no bytes": ({"chains": np.zeros((5, 1), np.float32)}, {}),
    "flat chains": ({"chains": np.zeros(5, np.uint8)}, {}),
    "results of another version": ({}, {"results": RESULTS + 1}),
    "results of the first version": ({}, {"results": None}),
    "no step": ({}, {"step": None}),
    "negative step": ({}, {"step": -1}),
    "no config": ({}, {"config": None}),
    "config of a list": ({}, {"config": [1]}),
    "config with an unknown field": ({}, {"config": {"n_hidden": 2, "speed": 3}}),
    "config out of range": ({}, {"config": {"n_hidden": 0}}),
    "config of another machine": ({}, {"config": {"n_hidden": 3, "method": "pcd"}}),
    "persistent method without chains": ({"chains": None}, {}),
    "chains of a method that has none": ({}, {"config": {"n_hidden": 2, "method": "cd"}}),
}


@pytest.mark.parametrize("name", WRONG_CHECKPOINTS)
def test_wrong_checkpoints_are_refused(tmp_path, name):
    path, _ = model_bytes(tmp_path, "checkpoint")
    tensors, attributes = read_tensors(path, "checkpoint")
    for old, new in zip((tensors, attributes), WRONG_CHECKPOINTS[name], strict=True):
        old.update(new)
    write_tensors(
        path,
        "checkpoint",
        {key: value for key, value in tensors.items() if value is not None},
        {key: value for key, value in attributes.items() if value is not None},
    )
    with pytest.raises(UnreadableFile, match=THREE_PARTS):
        load_checkpoint(path)


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(DataUnavailable, match=THREE_PARTS):
        RBM.load(tmp_path)


@pytest.mark.parametrize("seed", range(200))
def test_noise_is_no_model(tmp_path, seed):
    """Random bytes behind a plausible header length, and random JSON-like headers: only our own errors."""
    rng = np.random.default_rng(seed)
    body = rng.integers(32, 127, rng.integers(0, 80)).astype(np.uint8).tobytes()
    if seed % 2:
        body = json.dumps({"W": {"dtype": "F32", "shape": rng.integers(-3, 2**40, 2).tolist(), "data_offsets": [0, 8]}})
        body = body.encode()
    path = tmp_path / "f"
    path.write_bytes(len(body).to_bytes(8, "little") + body + bytes(8))
    with pytest.raises(HarmoniumError, match=THREE_PARTS):
        RBM.load(path)


def test_json_is_read_alike_by_all():
    text = to_json({"seed": 2**60 + 1, "small": 2**53, "list": (1, math.nan, -math.inf), "yes": True, "none": None})
    expected = {"seed": str(2**60 + 1), "small": 2**53, "list": [1, None, None], "yes": True, "none": None}
    assert json.loads(text) == expected
    assert json.loads(text, parse_int=float)["seed"] == expected["seed"]  # as in a browser
