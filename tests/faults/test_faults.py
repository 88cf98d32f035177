"""Nothing is lost: each family of faults (`harness.py`) in small numbers; ``make faults`` runs them in large ones."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).with_name("harness.py")


@pytest.mark.parametrize(
    ("family", "least"),
    [
        (["kills", "40"], {"kills": 40}),
        (["threads", "3"], {"kills": 3}),
        (["signals"], {}),
        (["disks"], {}),
        (["pairs"], {}),
    ],
    ids=str,
)
def test_nothing_is_lost(family, least):
    done = subprocess.run([sys.executable, HARNESS, *family], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)[family[0]]
    assert counts["wrong"] == 0
    for name, number in least.items():
        assert counts[name] >= number
