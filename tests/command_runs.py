"""The command as tests call it: a run and data for it, its JSON, and what it writes to a terminal."""

import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest

from harmonium.cli import main

COMMAND = [sys.executable, "-m", "harmonium.cli"]
DATA = "bars-and-stripes-3x3"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "run"
    assert main(["train", DATA, "--hidden", "4", "--epochs", "2", "--batch-size", "8", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "splits.npz"
    X = np.random.default_rng(0).random((40, 9))
    np.savez(path, train=X[:20], valid=X[20:25], test=X[25:])
    return str(path)


def result_of(capsys, *arguments):
    """What a command prints with --json, which must be one JSON object and nothing else."""
    assert main([*map(str, arguments), "--json"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert "Traceback" not in err
    return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def in_terminal(columns, *arguments):
    """What a command writes to a terminal of some width."""
    parent, child = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen([*COMMAND, *arguments], stdout=child, stderr=child, stdin=child, env=environment)
    os.close(child)
    written = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:  # how Linux says that the other end has closed
            part = b""
        if not part:
            break
        written += part
    os.close(parent)
    assert process.wait(timeout=600) == 0
    return written.decode()
