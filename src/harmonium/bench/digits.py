"""Real digits, and machines trained on them.

States of data are mostly off, and kernels that skip what is off are faster on them than on fair coins.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from harmonium import datasets
from harmonium.rbm import RBM
from harmonium.training import Config, TrainingRun

_STEPS = 300  # as many as give the units the densities that they keep; large layers take a second a step


def digits(n_visible: int, n: int) -> npt.NDArray[np.float32]:
    """`n` handwritten digits of MNIST, thresholded, at a resolution of `n_visible` pixels: a square number."""
    images = np.asarray(datasets.load("mnist-5k").train).reshape(-1, 28, 28)
    side = math.isqrt(n_visible)
    if side * side != n_visible:
        raise ValueError(f"n_visible must be a square number. Got {n_visible}. Choose one that is.")
    nearest = (2 * np.arange(side) + 1) * 28 // (2 * side)
    flat = images[np.arange(n) % len(images)][:, nearest][:, :, nearest].reshape(n, n_visible)
    return (flat >= 0.5).astype(np.float32)


@functools.cache
def trained_machine(n_visible: int, n_hidden: int) -> RBM:
    """A machine after some hundred steps of CD-1 on the digits."""
    run = TrainingRun(digits(n_visible, 4000), Config(n_hidden, method="cd", epochs=_STEPS))
    steps = run.steps()
    for _ in range(_STEPS):
        next(steps)
    return run.rbm
