"""No damaged file is taken for a sound one."""

import json
import math
import os

import numpy as np
import pytest
import safetensors.numpy
from oracles import random_parameters

from harmonium import RBM, Config
from harmonium.engines import Velocity
from harmonium.errors import DataUnavailable, HarmoniumError, InvalidParameter, UnreadableFile
from harmonium.io import read_tensors, to_json, write_tensors
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
