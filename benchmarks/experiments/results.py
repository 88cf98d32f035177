"""Results on disk: one JSON an experiment, written after each run, with all that is needed to repeat it."""

import datetime
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harmonium
from harmonium.bench.machine import describe_machine, n_threads
from harmonium.engines import TORCH
from harmonium.io import atomic_write

Run = dict[str, Any]


class Results:
    """The runs of an experiment, in ``OUT/training/EXPERIMENT.json``.

    Parameters
    ----------
    out : Path
    experiment : str
    quick : bool
        Whether the runs are cut short; a quick experiment does not overwrite a full one.
    resume : bool
        Whether runs that the file has already, with the same settings, are kept.
    engine : str
        What machines are trained and evaluated on, where the experiment leaves that open.
    """

    def __init__(self, out: Path, experiment: str, *, quick: bool, resume: bool, engine: str = "native") -> None:
        self.engine = engine
        self.path = path_of(out, experiment)
        old = json.loads(self.path.read_text()) if self.path.exists() else None
        if old is not None and quick and not old["quick"]:
            sys.exit(f"--quick must not replace a full experiment. Got {self.path}. Pass another --out.")
        self._old = old["runs"] if old is not None and resume and old["quick"] == quick else []
        self._content: dict[str, Any] = {
            "experiment": experiment,
            "quick": quick,
            "date": datetime.date.today().isoformat(),
            "harmonium": harmonium.__version__,
            "machine": describe_machine(),
            "threads": n_threads(),
            "device": _device(engine),
            "runs": [],
        }

    def add(self, name: str, settings: dict[str, Any], run: Callable[[], Run]) -> None:
        """Do a run, unless it is there, and save it as ``{"name", "settings", "seconds", **what it returns}``."""
        settings = json.loads(json.dumps(settings))
        known = [x for x in self._old if x["name"] == name and x["settings"] == settings]
        self._old = [x for x in self._old if x["name"] != name]
        if known:
            tell(f"{name}: kept")
            self._content["runs"] += known
            return
        tell(f"{name} ...")
        start = time.perf_counter()
        found = run()
        seconds = time.perf_counter() - start
        self._content["runs"].append({"name": name, "settings": settings, "seconds": seconds, **found})
        self._save(self._old)  # those that are still to be looked at must not be lost if this is stopped
        tell(f"{name}: {seconds:.1f} s")

    def finish(self) -> None:
        """Save for the last time, without runs of earlier settings."""
        self._save([])

    def _save(self, more: list[Run]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {**self._content, "runs": self._content["runs"] + more}
        atomic_write(self.path, (json.dumps(content, indent=1) + "\n").encode())


def _device(engine: str) -> str | None:
    """What "torch" runs on, in words; None for an engine of the processor, of which `machine` tells."""
    if not engine.startswith(TORCH):
        return None
    from harmonium.engines.torch_devices import description  # PyTorch is an extra

    return description(engine.partition(":")[2])


def tell(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def path_of(out: Path, experiment: str) -> Path:
    return out / "training" / f"{experiment}.json"
