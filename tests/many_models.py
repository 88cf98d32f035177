"""Many models in one process: ``python tests/many_models.py 1000`` prints how its memory grows with them.

Models are trained, scored, sampled and saved, and either kept or forgotten. A kept one may take what its parameters
take and a little; a forgotten one nothing.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

import harmonium

N_HIDDEN, N_VISIBLE = 50, 200
PARAMETERS = 4 * (N_HIDDEN * N_VISIBLE + N_HIDDEN + N_VISIBLE)  # bytes
X = (np.random.default_rng(0).random((20, N_VISIBLE)) < 0.3).astype(np.uint8)


def resident() -> int:
    """Bytes of this process that are in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def live(seed: int, place: Path) -> harmonium.RBM:
    """A model and all that happens to it."""
    engine = ("native", "numpy")[seed % 2]
    rbm = harmonium.train(X, N_HIDDEN, method="pcd", chains=10, epochs=1, seed=seed, engine=engine).rbm
    harmonium.free_energy(rbm, X, engine=engine)
    harmonium.sample(rbm, 5, sweeps=2, seed=seed, engine=engine)
    rbm.save(place / "model")
    return harmonium.RBM.load(place / "model")


def slopes(n: int) -> dict[str, float]:
    """Bytes by which the process grows a model, forgotten and kept: least squares over `n` of each."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for seed in range(n // 4):  # until pools and caches are as large as they get
            live(seed, Path(place))
        for name in ("forgotten", "kept"):
            models, seen = [], []
            for seed in range(n):
                model = live(seed, Path(place))
                if name == "kept":
                    models.append(model)
                if seed % 10 == 0:
                    gc.collect()
                    seen.append((seed, resident()))
            found[name] = float(np.polyfit(*np.transpose(seen), 1)[0])
    return found


if __name__ == "__main__":
    n = int(sys.argv[1])
    print(json.dumps({"models": n, "parameters": PARAMETERS} | {k: round(x) for k, x in slopes(n).items()}))
