"""Loading a model or a checkpoint is safe: it runs nothing, needs little, and ends in our own error, whatever is there.

That every truncation and every flipped bit is noticed stands in ``test_io.py``.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from oracles import random_states

from harmonium import RBM, Config, TrainingRun
from harmonium.errors import HarmoniumError, InvalidParameter
from harmonium.io import read_tensors, write_tensors
from harmonium.training import RunDirectory, load_checkpoint, save_checkpoint

THREE_PARTS = r"(?s)must .*\. Got.*\. .*\.$"
MACHINE = RBM([[1.0, -2.0]], [0.5, 0.25], [3.0])


def make_run(path, **options):
    """A run of one step on four rows, some of which have a hole."""
    X = np.where(np.eye(4, 9) > 0, np.nan, random_states(4, 9))
    of_method = {"pt": {"chains": 4, "temperatures": 3}, "cd": {}, "exact": {}}.get(options["method"], {"chains": 4})
    config = Config(3, epochs=3, batch_size=2, patience=1, engine="numpy", **of_method, **options)
    run = TrainingRun(X, config, valid=random_states(5, 9))
    record = next(run.epochs())
    directory = RunDirectory.create(path, run.config, data="digits", X=X, state=run.state)
    directory.append(record)
    return X, run, directory


# Nothing is run ------------------------------------------------------------------------------------------------------


def test_loading_imports_runs_and_opens_nothing_else(tmp_path):
    """Python's own audit of a process: beside the file itself nothing is opened, imported, compiled or run."""
    MACHINE.save(tmp_path / "model")
    make_run(tmp_path / "run", method="pt")
    code = """
import sys
import harmonium
from harmonium.training import RunDirectory, load_checkpoint
model, run = sys.argv[1:]
def load():
    harmonium.RBM.load(model)
    load_checkpoint(run + "/checkpoint.safetensors")
    RunDirectory.open(run)[0].history()
load()  # whatever the libraries import late is there from here on
events, watching = [], [True]
sys.addaudithook(lambda name, arguments: events.append((name, str(arguments[:1]))) if watching[0] else None)
load()
watching[0] = False
ours = {f"('{run}/{name}',)" for name in ("checkpoint.safetensors", "config.toml", "history.jsonl")} | {f"('{model}',)"}
harmless = ("object.__getattr__", "builtins.id")
print([event for event in events if event[0] not in harmless and not (event[0] == "open" and event[1] in ours)])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model"), str(tmp_path / "run")], capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr


# What is no file of ours ---------------------------------------------------------------------------------------------


def places(tmp_path):
    """Paths with something at them that is no plain file, or nothing."""
    names = ["missing", "dangling", "loop", "pipe", "link to a pipe", "folder"]
    os.symlink("missing", tmp_path / "dangling")
    os.symlink("loop", tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    os.symlink("pipe", tmp_path / "link to a pipe")
    (tmp_path / "folder").mkdir()
    return [tmp_path / name for name in names] + ["/dev/zero", "/dev/null", tmp_path / "a\0b", tmp_path / ("x" * 5000)]


@pytest.mark.parametrize("load", [RBM.load, load_checkpoint, RunDirectory.open])
def test_what_is_no_plain_file_is_refused_and_not_waited_for(tmp_path, load):
    for path in places(tmp_path):
        with pytest.raises(HarmoniumError, match=THREE_PARTS):
            load(path)


def test_a_link_to_a_sound_file_is_followed(tmp_path):
    MACHINE.save(tmp_path / "model")
    os.symlink("model", tmp_path / "link")
    np.testing.assert_array_equal(RBM.load(tmp_path / "link").W, MACHINE.W)


# Headers that lie ----------------------------------------------------------------------------------------------------

HUGE = 2**62


def tensor(dtype="F32", shape=(1, 2), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def sound():
    return {"W": tensor(), "b": tensor(shape=(2,), offsets=(8, 16)), "c": tensor(shape=(1,), offsets=(16, 20))}


LYING = {
    "overlapping": sound() | {"b": tensor(shape=(2,), offsets=(4, 12))},
    "the same bytes twice": sound() | {"b": tensor(shape=(2,))},
    "a gap": {"W": tensor(), "b": tensor(shape=(2,), offsets=(12, 20))},
    "beyond the end": sound() | {"c": tensor(shape=(2,), offsets=(16, 24))},
    "backwards": sound() | {"W": tensor(offsets=(8, 0))},
    "negative offsets": sound() | {"W": tensor(offsets=(-8, 0))},
    "more than fits": sound() | {"W": tensor(shape=(1000, 1000))},
    "a huge shape": sound() | {"W": tensor(shape=(HUGE, 2))},
    "a product that overflows": sound() | {"W": tensor(shape=(2**33, 2**33))},
    "huge and empty": {"W": tensor(shape=(0, HUGE), offsets=(0, 0))},
    "a negative shape": sound() | {"W": tensor(shape=(-1, -2))},
    "a shape of fractions": sound() | {"W": tensor(shape=(0.5, 4))},
    "64 axes": sound() | {"W": tensor(shape=(1,) * 70 + (2,))},
    "an unknown type": sound() | {"W": tensor(dtype="F33")},
    "a type without NumPy's": sound() | {"W": tensor(dtype="BF16", shape=(2, 2))},
    "integers": sound() | {"W": tensor(dtype="I32")},
    "booleans": sound() | {"W": tensor(dtype="BOOL", shape=(1, 8))},
    "no offsets": {"W": {"dtype": "F32", "shape": [1, 2]}},
    "no tensor": {"W": None},
    "a list": [1, 2],
    "a number": 3,
}


def write_header(path, text, body=b"\0" * 20, length=None):
    text += b" " * (-len(text) % 8)
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + body)


@pytest.mark.parametrize("name", LYING)
def test_headers_that_lie_are_refused(tmp_path, name):
    header = LYING[name]
    if isinstance(header, dict):
        attributes = {"format": "harmonium", "version": "1", "kind": "rbm", "attributes": "{}", "digest": "0" * 32}
        header = header | {"__metadata__": attributes}
    write_header(tmp_path / "f", json.dumps(header).encode())
    with pytest.raises(HarmoniumError, match=THREE_PARTS):
        RBM.load(tmp_path / "f")


@pytest.mark.parametrize("name", ["W", "__metadata__"])
def test_a_name_that_stands_twice_is_refused(tmp_path, name):
    """JSON lets it pass; which of the two counts would be up to the reader."""
    MACHINE.save(tmp_path / "f")
    content = (tmp_path / "f").read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = content[8:end].rstrip()
    again = json.dumps({name: json.loads(header)[name]}).encode()[1:]
    write_header(tmp_path / "f", header[:-1] + b"," + again, content[end:])
    with pytest.raises(HarmoniumError, match=THREE_PARTS):
        RBM.load(tmp_path / "f")


@pytest.mark.parametrize("length", [0, 1, 2**20, 10**8, 10**8 + 1, 2**31, 2**63, 2**64 - 1])
@pytest.mark.parametrize("text", [b"", b"{}", b"[" * 10_000, b'{"a":' * 10_000, b"\xff" * 64], ids=len)
def test_lengths_of_headers_that_lie_are_refused(tmp_path, length, text):
    write_header(tmp_path / "f", text, length=length)
    with pytest.raises(HarmoniumError, match=THREE_PARTS):
        RBM.load(tmp_path / "f")


def test_a_lying_file_takes_no_memory(tmp_path):
    """A header that promises 16 GB, before a hole of as much that takes no room on the disk: 100 MB at the most."""
    MACHINE.save(tmp_path / "model")
    size = 2**34
    shapes = {
        "too short": (sound() | {"W": tensor(shape=(2**16, 2**16), offsets=(0, size))}, 100),
        "another kind": ({"x": tensor(shape=(2**16, 2**16), offsets=(0, size))}, size),
        "zeros": (None, size),
    }
    for name, (header, length) in shapes.items():
        path = tmp_path / name
        if header is None:
            path.touch()
        else:
            write_header(path, json.dumps(header).encode())
        os.truncate(path, path.stat().st_size + length)
    code = """
import resource, sys
from harmonium import RBM
from harmonium.errors import HarmoniumError
model, *files = sys.argv[1:]
RBM.load(model)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in files:
    try:
        RBM.load(path)
    except HarmoniumError:
        print("refused")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000)
"""
    files = [str(tmp_path / name) for name in ("model", *shapes)]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True)
    assert done.stdout.split() == ["refused"] * 3 + ["True"], done.stderr


def test_a_header_as_long_as_the_format_allows_takes_no_memory(tmp_path):
    """Read whole, a million empty tensors would take 1.8 GB. What cannot be read is not written either."""
    text = b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % k for k in range(200_000))
    write_header(tmp_path / "f", b"{" + text + b"}")
    with pytest.raises(HarmoniumError, match=r"Got: a header of .* bytes, where 4,000,000 are the most"):
        RBM.load(tmp_path / "f")
    with pytest.raises(InvalidParameter, match="must take at most 4,000,000 bytes"):
        MACHINE.save(tmp_path / "g", note="x" * 4_000_000)
    MACHINE.save(tmp_path / "g", note="x" * 3_999_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f", "g"]
    np.testing.assert_array_equal(RBM.load(tmp_path / "g").W, MACHINE.W)


@pytest.mark.parametrize(
    "attributes", ['{"step": NaN}', '{"step": ' + "9" * 5000 + "}", "[" * 5000, '{"a": 1, "a"}', '"\\ud800"', ""]
)
def test_attributes_that_lie_are_refused(tmp_path, attributes):
    make_run(tmp_path / "run", method="cd")
    tensors, old = read_tensors(tmp_path / "run/checkpoint.safetensors", "checkpoint")
    write_tensors(tmp_path / "f", "checkpoint", tensors, old)
    content = (tmp_path / "f").read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"]["attributes"] = attributes
    write_header(tmp_path / "f", json.dumps(header).encode(), content[end:])
    with pytest.raises(HarmoniumError, match=THREE_PARTS):
        load_checkpoint(tmp_path / "f")


# Checkpoints with a sound digest and unsound contents ----------------------------------------------------------------


@pytest.mark.parametrize("method", ["cd", "pcd", "fpcd", "pt", "exact"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_no_array_of_a_checkpoint_can_be_such_that_a_run_stumbles_over_it(tmp_path, method, optimizer):
    """Left out, cut, of another type, of another number of axes: refused, or the run goes on without an error."""
    sparsity = {} if optimizer == "adam" else {"sparsity_cost": 0.1}
    X, run, _ = make_run(tmp_path / "run", method=method, optimizer=optimizer, **sparsity)
    save_checkpoint(tmp_path / "f", run.state, run.config)
    tensors, attributes = read_tensors(tmp_path / "f", "checkpoint")
    refused = 0
    for name, x in tensors.items():
        others = [
            None,
            x[:-1],
            x[..., :-1],
            x[None],
            x.ravel(),
            x.astype(np.float16),
            x.astype(np.int8),
            x.astype(bool),
        ]
        for other in others:
            if other is not None and other.shape == x.shape and other.dtype == x.dtype:
                continue
            changed = {key: value for key, value in (tensors | {name: other}).items() if value is not None}
            write_tensors(tmp_path / "f", "checkpoint", changed, attributes)
            try:
                state, config, _ = load_checkpoint(tmp_path / "f")
                again = TrainingRun(X, config, valid=random_states(5, 9), state=state)
                list(again.epochs())
            except HarmoniumError:
                refused += 1
    assert refused > 4 * len(tensors)


@pytest.mark.parametrize("field", sorted(asdict(Config(3))))
@pytest.mark.parametrize("value", [float("nan"), -1, 1e300, "x" * 100, [], {}, None, True])
def test_no_choice_in_a_checkpoint_can_be_such_that_a_run_stumbles_over_it(tmp_path, field, value):
    state = TrainingRun(random_states(4, 9), Config(3, "pcd", chains=4, engine="numpy", epochs=1)).state
    config = asdict(Config(3, "pcd", chains=4, engine="numpy", epochs=1)) | {field: value}
    tensors = {name: getattr(state.rbm, name) for name in "Wbc"}
    tensors |= {f"velocity.{name}": getattr(state.velocity, name) for name in "Wbc"}
    tensors["chains"] = np.packbits(state.chains, axis=1)
    write_tensors(tmp_path / "f", "checkpoint", tensors, {"step": 0, "config": config})
    try:
        load_checkpoint(tmp_path / "f")
    except HarmoniumError:
        return
    assert value is None or isinstance(value, float | bool) or field == "seed"


HISTORIES = [
    b"\xff\xfe",
    b"[1]\n",
    b"3\n",
    b'{"step": "x"}\n',
    b'{"step": null}\n',
    b"{\n",
    b"null\n",
    b'{"epoch": 1}\n',
    b'{"step": 1, "alarms": 3}\n',
    b'{"step": ' * 50_000,
]


@pytest.mark.parametrize("content", HISTORIES)
def test_histories_that_are_none_are_refused(tmp_path, content):
    _, _, directory = make_run(tmp_path / "run", method="cd")
    directory.history_file.write_bytes(content)
    with pytest.raises(HarmoniumError, match=THREE_PARTS):
        directory.history()


@pytest.mark.parametrize("name", ["config.toml", "history.jsonl"])
@pytest.mark.parametrize("what", ["pipe", "folder", "link to a device", "a terabyte"])
def test_what_stands_beside_a_checkpoint_is_a_plain_file_of_some_length(tmp_path, name, what):
    _, _, directory = make_run(tmp_path / "run", method="cd")
    path = directory.path / name
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "link to a device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 10**12)
    with pytest.raises(HarmoniumError, match=THREE_PARTS):
        RunDirectory.open(directory.path)[0].history()


def test_a_config_is_text(tmp_path):
    _, _, directory = make_run(tmp_path / "run", method="cd")
    for content in (b"\xff\xfe", b"[" * 5000, b"seed = 1e9999\n", b"a" * 10**6, b"a = " + b"[" * 10**5):
        directory.config_file.write_bytes(content)
        with pytest.raises((HarmoniumError, InvalidParameter), match=THREE_PARTS):
            RunDirectory.open(directory.path)
