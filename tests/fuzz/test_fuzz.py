"""Whatever is in a file, a configuration or a command line: a result or our own error, and bounded memory.

Each test is a target. Here Hypothesis tries some hundreds of inputs for each, always the same; ``make fuzz`` tries as
many as fit into its time, led by coverage where Atheris is installed (`fuzz.py`).
"""

import contextlib
import io
import json
import os
import re
import resource
import tempfile
import tomllib
import warnings
from dataclasses import asdict
from pathlib import Path

import safetensors.numpy
from command_lines import command_lines, furnish
from damaged import choices, configurations, damaged, data_files, models
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonium import RBM, Config, datasets
from harmonium.cli import main
from harmonium.errors import HarmoniumError
from harmonium.io.tensor_file import _digest
from harmonium.training import RunDirectory, load_checkpoint
from harmonium.training.run_directory import _to_toml

THREE_PARTS = re.compile(r"(?s).*must .*\. Got.*\. .*[.?)]$")
TABLES = (".csv", ".csv.gz", ".parquet", ".feather")
MEGABYTES = 300  # the most that one input may add to what the process has ever taken
PLACE = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)  # no disk, if there is one
FOLDER = Path(PLACE.name)
MODELS, DATA = models(FOLDER), data_files()
CONFIGURATIONS = configurations(FOLDER)


@contextlib.contextmanager
def held():
    """Let what is read be refused by our own error, with a message that helps; and take little memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except HarmoniumError as error:
            message = str(error)
        else:
            message = ""
    assert not message or THREE_PARTS.match(message), f"a message in other parts: {message}"
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert taken < MEGABYTES, f"{taken:.0f} MB for one input"


def resealed(content: bytes) -> bytes:
    """The same file with the digest that belongs to it, if it has a header: what is behind the digest is met too."""
    try:
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:end])
        metadata = header["__metadata__"]
        metadata["digest"] = _digest(metadata["attributes"], safetensors.numpy.load(content))
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + content[end:]
    except Exception:
        return content


@settings(max_examples=400)
@given(content=damaged(MODELS), reseal=st.booleans())
def test_models_and_checkpoints(content, reseal):
    (FOLDER / "file").write_bytes(resealed(content) if reseal else content)
    with held():
        RBM.load(FOLDER / "file")
    with held():
        load_checkpoint(FOLDER / "file")


def data_inputs():
    """Endings with damaged files of their kind, and now and then of another."""
    every = sorted(DATA)
    return st.sampled_from(every).flatmap(
        lambda ending: st.tuples(st.sampled_from([ending] * 9 + every), damaged(DATA[ending]))
    )


@settings(max_examples=600)
@given(file=data_inputs(), allow_nan=st.booleans(), label=st.sampled_from([None, None, "a", -1]))
def test_data_files(file, allow_nan, label):
    ending, content = file
    options = {} if label is None or not ending.endswith(TABLES) else {"label_column": label}
    path = FOLDER / f"file{ending}"
    path.write_bytes(content)
    with held():
        datasets.load(path, allow_nan=allow_nan, max_gigabytes=0.01, max_columns=1000, **options)


@settings(max_examples=300)
@given(options=choices(), n_samples=st.integers(1, 9), n_visible=st.integers(1, 9))
def test_choices(options, n_samples, n_visible):
    """What `Config` takes it keeps through its file."""
    with held():
        config = Config(**{"n_hidden": 3} | options).for_data(n_samples, n_visible)
        text = _to_toml(asdict(config))
        assert Config(**tomllib.loads(text.decode())) == config


@settings(max_examples=200)
@given(text=damaged(CONFIGURATIONS), history=damaged(CONFIGURATIONS))
def test_configurations_and_histories(text, history):
    run, kept = FOLDER / "pcd", CONFIGURATIONS[0]
    try:
        (run / "config.toml").write_bytes(text)
        with held():
            RunDirectory.open(run)
        (run / "config.toml").write_bytes(kept)
        (run / "history.jsonl").write_bytes(history)
        with held():
            list(RunDirectory.open(run)[0].history())
    finally:
        (run / "config.toml").write_bytes(kept)


@settings(max_examples=120)
@given(line=command_lines())
def test_command_lines(line):
    out, err, here = io.StringIO(), io.StringIO(), os.getcwd()
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        furnish(Path(folder))
        os.chdir(folder)
        try:
            with held(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(line)
        finally:
            os.chdir(here)
    assert code in (0, 1, 2), line
    assert "Traceback" not in err.getvalue(), line
    if code:
        assert any(x.startswith("error: ") for x in err.getvalue().splitlines()), (line, err.getvalue())
