"""Processes that are made after the kernels' threads have been used: all of them end, with the bits of their parent."""

import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 600  # a hang is what is tested for; a run takes a few, and more on a busy machine
FORKS = ("fork", "pool", "joblib", "worker queue", "kernel in a thread", "packing")
STARTS = (*FORKS, "forkserver", "spawn", "loky", "threads")


@pytest.mark.parametrize("start", STARTS)
def test_workers_finish_with_the_bits_of_their_parent(start):
    if start in FORKS and sys.platform == "win32":
        pytest.skip("this system does not fork")
    script = Path(__file__).with_name("workers.py")
    command = [sys.executable, "-W", "ignore", str(script), start]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "same"
