"""Where the sections of `gpu.py` measure, how, and what they aim at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import harmonium
from harmonium.chains.path import linear_path
from harmonium.engines import ENGINES
from harmonium.initial import bias_of_means
from harmonium.likelihood.annealed import Annealer

VISIBLE, HIDDEN = 784, 500
Row = dict[str, Any]


def aimed(row: Row, measure: str, aims: tuple[float, float] | None, *, at_most: bool = False) -> Row:
    """The row, with what its measure should be."""
    if aims is None:
        return row
    required, goal = aims
    met = row[measure] <= required if at_most else row[measure] >= required
    return {**row, "measure": measure, "required": required, "goal": goal, "met": bool(met)}


class Setting:
    """Where, and at which sizes."""

    def __init__(self, device: str, small: bool) -> None:
        self.device, self.small = device, small
        self.engine = f"torch:{device}"
        self.reference = "torch:cpu" if ENGINES["native"].__name__ == "MissingEngine" else "native"
        self.shape = (64, 48) if small else (VISIBLE, HIDDEN)
        self.seconds = 0.02 if small else 0.3

    def machine(self, n_hidden: int | None = None, scale: float = 0.1) -> harmonium.RBM:
        m, n = self.shape
        n = n if n_hidden is None else n_hidden
        draw = np.random.default_rng(n)
        W, b, c = (draw.normal(0, x, size) for x, size in ((scale, (n, m)), (1, m), (0.5, n)))
        return harmonium.RBM(*(x.astype(np.float32) for x in (W, b - 1, c)))

    def data(self, rows: int) -> npt.NDArray[np.uint8]:
        draw = np.random.default_rng(1)
        return (draw.random((rows, self.shape[0])) < draw.random(self.shape[0]) ** 2).astype(np.uint8)

    def annealer(self, engine: str) -> Annealer:
        base = bias_of_means(self.data(1000).sum(axis=0), 1000)
        return Annealer(self.machine(), linear_path(base, self.shape[1]), engine)

    def clock(self, call: Callable[[], object]) -> float:
        """Seconds a call: the median of five times of as many calls as take `seconds`."""
        for _ in range(3):
            call()
        calls, times = 1, []
        while True:
            seconds = self._time(call, calls)
            if seconds > self.seconds / 5:
                break
            calls *= 2
        times = [seconds, *(self._time(call, calls) for _ in range(4))]
        return sorted(times)[2] / calls

    def flips(self, chains: int, call: Callable[[], object], sweeps: int) -> Row:
        seconds = self.clock(call) / sweeps
        return {"us_a_sweep": 1e6 * seconds, "flips_per_ns": 1e-9 * chains * sum(self.shape) / seconds}

    def _time(self, call: Callable[[], object], calls: int) -> float:
        self.wait()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
