"""Peak memory of training, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

# The kernel keeps a process' peak resident memory and forgets it on request, so that the making of the data, which
# needs more than the training, does not hide it.
_CHILD = """
import json
import numpy as np
from harmonium.training import Config, TrainingRun

def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(field))

n_visible, n_hidden, batch, rows = {shape}
X = (np.random.default_rng(0).integers(0, 2, (rows, n_visible), np.uint8))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = status("VmRSS")
run = TrainingRun(X, Config(n_hidden, batch_size=batch, epochs=1))
for _ in run.steps():
    pass
print(json.dumps([status("VmHWM"), status("VmHWM") - before]))
"""


def training_memory(
    n_visible: int = 784, n_hidden: int = 500, batch: int = 100, rows: int = 20_000
) -> dict[str, float | None]:
    """Peak resident memory in MB of a process that trains one epoch, and how much of it came with the training.

    Method, chains and optimiser are those of the default `harmonium.training.Config`.

    Returns
    -------
    dict with ``peak_mb`` and ``added_by_training_mb``
        The second counts everything but the array of data: parameters, momentum, packed copies, packed data, buffers.
        None on systems without Linux's ``/proc``.
    """
    code = _CHILD.format(shape=(n_visible, n_hidden, batch, rows))
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if child.returncode != 0:
        return {"peak_mb": None, "added_by_training_mb": None}
    peak, added = json.loads(child.stdout)
    return {"peak_mb": peak, "added_by_training_mb": added}
