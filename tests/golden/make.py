"""Write the golden files of this version and its results, once: when it is released, and when `RESULTS` goes up.

``python tests/golden/make.py``

They hold numbers that any machine writes alike, and runs that were stopped after their first record.
"""

import hashlib
import itertools
from pathlib import Path

import numpy as np

import harmonium
from harmonium import RBM, Config, TrainingRun, datasets
from harmonium.deep import Stack
from harmonium.training import RunDirectory
from harmonium.training.checkpoint import RESULTS

METHODS = {
    "pcd": {"chains": 4},
    "fpcd": {"chains": 4},
    "pt": {"chains": 4, "temperatures": 3, "optimizer": "adam"},
    "cd": {"sparsity_cost": 0.1},
    "exact": {},
}


def machine(n_hidden, n_visible):
    W = ((np.arange(n_hidden * n_visible) % 7 - 3) / 4).reshape(n_hidden, n_visible)
    return RBM(*(np.float32(x) for x in (W, np.arange(n_visible) / 8, np.arange(n_hidden) / -16)))


def main():
    folder = Path(__file__).parent / f"{harmonium.__version__}-results-{RESULTS}"
    folder.mkdir()
    machine(3, 5).save(folder / "model.safetensors", data="golden", number=12)
    Stack((machine(3, 5), machine(2, 3))).save(folder / "stack.safetensors")
    X = datasets.load("bars-and-stripes-3x3").train
    for (method, options), patience in itertools.product(METHODS.items(), (5, 0)):
        config = Config(2, method, epochs=3, batch_size=16, patience=patience, seed=7, **options)
        run = TrainingRun(X, config, valid=X[:6])
        record = next(run.epochs())
        made = RunDirectory.create(
            folder / f"run-{method}{'' if patience else '-unsteered'}",
            run.config,
            data="bars-and-stripes-3x3",
            X=X,
            state=run.state,
        )
        made.append(record)
    files = sorted(path for path in folder.rglob("*.*") if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    main()
