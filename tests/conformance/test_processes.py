"""Processes that are made after the kernels' threads have been used: all of them end, with the bits of their parent."""

import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 120  # a hang is what is tested for; a run takes a few
STARTS = ("fork", "forkserver", "spawn", "pool", "loky", "joblib", "worker queue", "threads", "kernel in a thread")


@pytest.mark.parametrize("start", STARTS)
def test_workers_finish_with_the_bits_of_their_parent(start):
    if start in ("fork", "pool", "joblib", "worker queue") and sys.platform == "win32":
        pytest.skip("this system does not fork")
    script = Path(__file__).with_name("workers.py")
    command = [sys.executable, "-W", "ignore", str(script), start]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "same"
