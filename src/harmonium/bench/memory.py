"""Peak memory of training, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

_CHILD = """
import json, resource
import numpy as np
from harmonium.bench.contenders import Shape
from harmonium.engines import make_engine
from harmonium.training import Config, TrainingRun

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

n_visible, n_hidden, batch, rows = {shape}
X = Shape(n_visible, n_hidden, batch).binary(n_visible, rows).astype(np.uint8)
run = TrainingRun(X, Config(n_hidden, batch_size=batch, epochs=1))
del X
before = peak()
for _ in run.steps():
    pass
print(json.dumps([before, peak()]))
"""


def training_memory(
    n_visible: int = 784, n_hidden: int = 500, batch: int = 100, rows: int = 20_000
) -> dict[str, float]:
    """Peak resident memory in MB of a process that trains one epoch, and how much of it the training added.

    Returns
    -------
    dict with ``peak_mb`` and ``added_by_training_mb``
    """
    code = _CHILD.format(shape=(n_visible, n_hidden, batch, rows))
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    before, after = json.loads(output)
    return {"peak_mb": after, "added_by_training_mb": after - before}
