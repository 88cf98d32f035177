"""The runs that are killed: small ones of every kind, in processes forked from one that has imported everything.

What was forked computes on one thread, so there is one larger run, too, in processes of its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harmonium import Config, TrainingRun
from harmonium.cli import main
from harmonium.engines import find_engine
from harmonium.training import RunDirectory

FILES = {"model.safetensors", "checkpoint.safetensors", "history.jsonl", "config.toml"}
CLOCK = ("seconds", "samples_per_second")
SINCE_RESUMED = ("chains", "alarms")  # a run that is stopped within an epoch watches its chains anew from there

RUNS: dict[str, list[str]] = {
    "cd": ["--method", "cd"],
    "cd-2, drawn, momentum": ["--method", "cd", "--sweeps", "2", "--binarize", "sample", "--momentum", "0.9"],
    "cd, numpy, mean field": ["--method", "cd", "--engine", "numpy", "--statistic", "mean-field"],
    "cd, numpy, missing": ["--method", "cd", "--engine", "numpy"],
    "pcd": ["--method", "pcd", "--chains", "6", "--sweeps", "2"],
    "pcd, missing": ["--method", "pcd", "--chains", "6"],
    "pcd, restarts, sparsity": ["--method", "pcd", "--chains", "9", "--restarts", "0.3", "--sparsity-cost", "0.1"],
    "pcd, adam": ["--method", "pcd", "--chains", "6", "--optimizer", "adam", "--learning-rate", "0.01"],
    "pcd, numpy": ["--method", "pcd", "--chains", "6", "--engine", "numpy", "--binarize", "none"],
    "pcd, early stopping": ["--method", "pcd", "--chains", "20", "--learning-rate", "0.4", "--patience", "2"],
    "fpcd": ["--method", "fpcd", "--chains", "6"],
    "fpcd, numpy, clip": ["--method", "fpcd", "--chains", "6", "--engine", "numpy", "--clip", "0.5"],
    "pt": ["--method", "pt", "--chains", "4", "--temperatures", "5", "--sweeps", "30"],
    "pt, numpy, missing": ["--method", "pt", "--chains", "3", "--temperatures", "4", "--engine", "numpy"],
    "exact": ["--method", "exact"],
    "exact, adam, missing": ["--method", "exact", "--optimizer", "adam", "--learning-rate", "0.01"],
    "weights": [],
}
THREADED = ["--hidden", "80", "--epochs", "30", "--batch-size", "100", "--method", "pcd", "--chains", "200"]
if importlib.util.find_spec("torch") is not None:
    RUNS["cd, torch"] = ["--method", "cd", "--engine", "torch"]
    RUNS["pcd, torch, adam, missing"] = ["--method", "pcd", "--chains", "6", "--engine", "torch", "--optimizer", "adam"]
    RUNS["pt, torch"] = ["--method", "pt", "--chains", "3", "--temperatures", "4", "--engine", "torch"]


def make_data(folder: Path) -> None:
    """Grey levels, and the same with holes; and states for the run on several threads."""
    np.savez(folder / "large.npz", train=(np.random.default_rng(2).random((300, 120)) < 0.3).astype(np.uint8))
    X = np.random.default_rng(0).random((53, 12)).astype(np.float32)
    for name in ("complete", "missing"):
        train = X[:43].copy()
        if name == "missing":
            train[np.random.default_rng(1).random(train.shape) < 0.2] = np.nan
        np.savez(folder / f"{name}.npz", train=train, valid=X[43:])


def warm_up(folder: Path) -> None:
    """Import what a run imports late, without computing: threads would not survive the forks to come."""
    with contextlib.redirect_stdout(io.StringIO()):
        main(["train", str(folder / "complete.npz"), "--hidden", "5", "--explain"])
    if "cd, torch" in RUNS:
        find_engine("torch")


def start(name: str, folder: Path, out: Path) -> int:
    """Begin a run, or go on with it where its directory is there; the exit code."""
    if name == "weights":
        return _weighted(out)
    if (out / "checkpoint.safetensors").exists():
        return main(["train", "--resume", str(out)])
    data = folder / ("missing.npz" if "missing" in name else "complete.npz")
    size = ["--hidden", "5", "--epochs", "60" if "stopping" in name else "4", "--batch-size", "8"]
    return main(["train", str(data), *size, *RUNS[name], "--out", str(out)])


def _weighted(out: Path) -> int:
    """Weighted rows, which only the library takes: the same directory, written by its own functions."""
    rng = np.random.default_rng(3)
    X, weights = (rng.random((43, 12)) < 0.4).astype(np.uint8), rng.gamma(1.0, size=43)
    if (out / "checkpoint.safetensors").exists():
        directory, state = RunDirectory.open(out)
        history = directory.history(before=state.step + 1)
        run = TrainingRun(X, directory.config, sample_weight=weights, state=state, history=history)
    else:
        config = Config(5, "pcd", chains=6, epochs=4, batch_size=8, optimizer="adam", learning_rate=0.01)
        run = TrainingRun(X, config, sample_weight=weights)
        directory = RunDirectory.create(out, run.config, data="weights", X=X, state=run.state)
    for record in run.epochs():
        directory.append(record)
        directory.save(run.state)
    return 0


class Outcome:
    """What a run has left: the bytes of its files, and its history without the clock's fields."""

    def __init__(self, out: Path, drop: tuple[str, ...] = ()) -> None:
        self.names = {path.name for path in out.iterdir()}
        self.files = {name: (out / name).read_bytes() for name in FILES - {"history.jsonl"} if name in self.names}
        self.history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
        for line in self.history:
            for field in (*CLOCK, *drop):
                del line[field]

    def differences(self, whole: Outcome) -> list[str]:
        """In what it is not what it should be."""
        found = [name for name in sorted(whole.files) if self.files.get(name) != whole.files[name]]
        if self.history != whole.history:
            found.append("history.jsonl")
        return found + [f"left: {name}" for name in sorted(self.names ^ FILES)]


class Child:
    """A forked process."""

    def __init__(self, work: Callable[[], int], log: Path) -> None:
        self._log, self._start = log, time.monotonic()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 99
            try:
                descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(descriptor, 1)
                os.dup2(descriptor, 2)
                code = work()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """The exit code, or minus the number of the signal that it died of."""
        _, status = os.waitpid(self.pid, 0)
        self.seconds = time.monotonic() - self._start
        return os.waitstatus_to_exitcode(status)

    def end_after(self, number: int) -> float:
        """Send a signal, and let the process end: the seconds between, but for those it waited for a processor."""
        begun, queued = time.monotonic(), self._queued()
        self.signal(number)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        return time.monotonic() - begun - (self._queued() - queued)

    def _queued(self) -> float:
        """Seconds that the process was ready to run while others ran, as far as the system counts them."""
        counts = Path(f"/proc/{self.pid}/schedstat")
        return int(counts.read_text().split()[1]) / 1e9 if counts.exists() else 0.0

    def kill_after(self, seconds: float) -> int:
        time.sleep(seconds)
        self.signal(signal.SIGKILL)
        return self.wait()

    @property
    def messages(self) -> str:
        return self._log.read_text(errors="replace")


def on_threads(threads: int, folder: Path, out: Path) -> subprocess.Popen[bytes]:
    """A process of its own on so many threads, that begins the larger run or goes on with it."""
    words = ["--resume", str(out)] if out.exists() else [str(folder / "large.npz"), *THREADED, "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "harmonium.cli", "train", *words]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def run_whole(name: str, folder: Path, before: Callable[[], Any] | None = None) -> tuple[Path, float]:
    """A run that nothing stops: its directory, and how long it took."""
    out = folder / f"whole {name}"

    def work() -> int:
        if before is not None:
            before()
        return start(name, folder, out)

    child = Child(work, folder / "log")
    if child.wait() != 0:
        raise RuntimeError(f"{name} failed when nothing was done to it:\n{child.messages}")
    return out, child.seconds
