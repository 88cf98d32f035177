"""Of which command, code, data and machine a result is."""

from __future__ import annotations

import datetime
import os
import subprocess
from pathlib import Path
from typing import Any

import harmonium
from harmonium.bench.machine import describe_machine
from harmonium.reproduce.digits import Digits
from harmonium.training.run_directory import fingerprint_of


def describe_origin(made_by: str, versions: dict[str, str], digits: Digits) -> dict[str, Any]:
    """What a reader needs in order to make a result again, ready for JSON.

    Parameters
    ----------
    made_by : str
        The command.
    versions : dict of str to str
        Of the packages that matter.
    digits : Digits
    """
    return {
        "made_by": made_by,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": versions,
        "commit": commit(),
        "machine": describe_machine(),
        "n_cores": n_cores(),
        "data_sha256": {"train": fingerprint_of(digits.X), "test": fingerprint_of(digits.X_test)},
    }


def commit() -> str | None:
    """The commit of a clone that this code is in, with a + if anything is changed there; None where there is none."""
    package = Path(harmonium.__file__).parent
    root = package.parents[1]
    if package != root / "src" / "harmonium" or not (root / ".git").exists():
        return None  # an installed copy, perhaps within somebody else's repository
    try:
        head, changes = (
            subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=True, timeout=10).stdout
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.strip() + ("+" if changes.strip() else "")


def n_cores() -> int:
    """The cores that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
