"""The torch engine on several devices: each process of `torch.distributed` has a part of the rows of every array.

Every process runs the same program on the same data, and comes to the same machine, states and numbers, bit for bit
those of one device: noise is keyed by the row, sums over rows are of integers, and the few sums of real numbers over
rows are taken in their order by every process. Parameters are held by each. Data that are encoded are held by each,
too, so that the rows of a batch are at hand wherever they are to be computed with; chains are split.
"""

from __future__ import annotations

import copy
import functools
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as processes
from torch import Tensor

from harmonium.engines import generic, torch_arithmetic
from harmonium.engines.engine import Engine
from harmonium.engines.records import Beta, BoolArray, FloatArray, Offset, Offsets, Phase, Rates, Velocity
from harmonium.engines.torch import TorchEngine, Units
from harmonium.engines.torch_arithmetic import Side
from harmonium.engines.torch_devices import torch_engine
from harmonium.engines.torch_functions import ARRAYS
from harmonium.errors import EngineUnavailable
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.statistics import Statistics


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """States, or reals, whose rows the processes share.

    Attributes
    ----------
    local : Units or tensor
        The rows of this process.
    n_rows : int
        Of all.
    whole : Units or tensor, optional
        All rows, where every process has them.
    """

    local: Units | Tensor
    n_rows: int
    whole: Units | Tensor | None = None

    def __len__(self) -> int:
        return self.n_rows


class DistributedEngine(Engine):
    """States and 2-dimensional reals are `Rows`; see `harmonium.engines.engine.Engine` for the verbs."""

    name = "torch:distributed"
    on: type[TorchEngine]  # the engine of this process' device

    def __init__(self, rbm: RBM, velocity: Velocity | None = None) -> None:
        self.n_visible, self.n_hidden = rbm.n_visible, rbm.n_hidden
        self._mine = self.on(rbm, velocity)

    @property
    def rbm(self) -> RBM:
        return self._mine.rbm

    @property
    def velocity(self) -> Velocity:
        return self._mine.velocity

    # From NumPy and back
    def encode(self, X: npt.NDArray[Any], real: bool = False) -> Rows | Tensor:
        whole = self._mine.encode(X, real)
        return whole if np.ndim(X) == 1 and isinstance(whole, Tensor) else self._shared(whole)

    def draw(self, p: npt.NDArray[Any], key: Key) -> Rows:
        return self._shared(self._mine.draw(p, key))

    def to_numpy(
        self, x: Rows | Tensor | npt.NDArray[Any], dtype: type[np.floating[Any]] = np.float32
    ) -> npt.NDArray[Any]:
        return self._mine.to_numpy(self._whole(x) if isinstance(x, Rows) else x, dtype)

    def decode(self, states: Rows) -> npt.NDArray[np.uint8]:
        return self._mine.decode(self._whole(states))

    # Rows
    def take(self, x: Rows, rows: npt.NDArray[np.intp]) -> Rows:
        return Rows(self._mine.take(self._whole(x), rows[_part(len(rows))]), len(rows))

    def put(self, x: Rows, rows: npt.NDArray[np.intp], values: Rows) -> None:
        assert x.whole is not None  # as of all that is encoded
        self._mine.put(x.whole, rows, self._whole(values))

    def overwrite(self, x: Rows, where: Rows | BoolArray, values: Rows) -> Rows:
        wholes: list[Any] = [y.whole for y in (x, where, values) if isinstance(y, Rows)]
        if len(wholes) == 3 and all(whole is not None for whole in wholes):
            return self._shared(self._mine.overwrite(*wholes))
        mask = where.local if isinstance(where, Rows) else where[_part(len(x))]
        return Rows(self._mine.overwrite(self._local(x), mask, values.local), len(x))

    # Conditionals
    def logits_h(self, v: Rows) -> Rows:
        return Rows(self._mine.logits_h(self._local(v)), len(v))

    def logits_v(self, h: Rows) -> Rows:
        return Rows(self._mine.logits_v(self._local(h)), len(h))

    def mean(self, logits: Rows, beta: Beta = 1.0, offset: Offset = None) -> Rows:
        return Rows(self._mine.mean(self._local(logits), *_affine(beta, offset, len(logits))), len(logits))

    def bernoulli(self, logits: Rows, key: Key, beta: Beta = 1.0, offset: Offset = None) -> Rows:
        return self._drawn(self._mine.bernoulli, logits, key, beta, offset)

    def sample_h(self, v: Rows, key: Key, beta: Beta = 1.0, offset: Offset = None) -> Rows:
        return self._drawn(self._mine.sample_h, v, key, beta, offset)

    def sample_v(self, h: Rows, key: Key, beta: Beta = 1.0, offset: Offset = None) -> Rows:
        return self._drawn(self._mine.sample_v, h, key, beta, offset)

    def _drawn(self, verb: Any, x: Rows, key: Key, beta: Beta, offset: Offset) -> Rows:
        part = _part(len(x))
        return Rows(verb(self._local(x), key.rows_from(part.start), *_affine(beta, offset, len(x))), len(x))

    # Sums
    def softplus_sum(self, logits: Rows, beta: Beta = 1.0, offset: Offset = None) -> npt.NDArray[np.float64]:
        return self._all(self._mine.softplus_sum(self._local(logits), *_affine(beta, offset, len(logits))), len(logits))

    def dot(self, v: Rows, x: FloatArray) -> npt.NDArray[np.float64]:
        return self._all(self._mine.dot(self._local(v), x), len(v))

    def column_sums(self, x: Rows) -> npt.NDArray[np.float64]:
        return self._mine.column_sums(self._whole(x))

    def pseudo_log_likelihood(self, v: Rows) -> npt.NDArray[np.float64]:
        return self._all(self._mine.pseudo_log_likelihood(v.local), len(v))

    @classmethod
    def log_partition_block(cls, rbm: RBM, first: int, count: int) -> float:
        return cls.on.log_partition_block(rbm, first, count)

    # Gradients, which every process has all of
    arrays = ARRAYS

    def own(self, x: Rows | Tensor | npt.NDArray[Any]) -> Tensor:
        return self._mine.own(self._whole(x) if isinstance(x, Rows) else x)

    def wide(self, x: Tensor | npt.NDArray[Any]) -> Tensor:
        return self._mine.wide(x)

    @property
    def parameters(self) -> Statistics:
        return self._mine.parameters

    def moved(self, by: Statistics) -> DistributedEngine:
        other = copy.copy(self)
        other._mine = self._mine.moved(by)
        return other

    def offset_sums(self, x: Tensor, offsets: Offsets) -> tuple[Tensor, Tensor]:
        return self._mine.offset_sums(x, offsets)

    # Learning
    def moments(self, phase: Phase) -> Statistics:
        if not self._is_states(phase.v):
            return self._mine.moments(self._whole_phase(phase))
        hv, v, h = self._mine.do.moments(self._mine._machine, [self._side(phase)], None, _total)
        return Statistics(*self._mine._of_units((hv, v, h)))

    def slide(self, mean: Tensor | None, phase: Phase, sliding_factor: float) -> Tensor:
        return self._mine.slide(mean, self._whole_phase(phase._replace(v=None)), sliding_factor)

    def replace(self, rbm: RBM) -> None:
        self._mine.replace(rbm)

    def ascend(self, positive: Phase, negative: Phase, rates: Rates, offsets: Offsets | None = None) -> None:
        if not (self._is_states(positive.v) and self._is_states(negative.v)):
            super().ascend(positive, negative, rates, offsets)
            return
        mine, phases = self._mine, (positive, negative)
        mu = lam = centred = None
        if offsets is not None:
            mu, lam = (mine._reals(x) for x in offsets)
            wholes = [mine._side(self._whole_phase(phase._replace(v=phase.v.local))) for phase in phases]
            centred = torch_arithmetic.centred_sum(wholes, lam)
        sums = mine.do.moments(mine._machine, [self._side(phase) for phase in phases], lam, _total)
        torch_arithmetic.follow(mine._machine, sums, *rates, centred, mu, lam)
        mine.do.repack(mine._machine)

    def ascend_along(self, gradient: Statistics, rates: Rates, offsets: Offsets | None = None) -> None:
        self._mine.ascend_along(gradient, rates, offsets)

    # Rows of this process, and of all
    @staticmethod
    def _shared(whole: Units | Tensor) -> Rows:
        part = _part(len(whole))
        local = Units(whole.x[part], whole.n_units) if isinstance(whole, Units) else whole[part]
        return Rows(local, len(whole), whole)

    def _local(self, x: Rows | npt.NDArray[Any]) -> Any:
        return x.local if isinstance(x, Rows) else self._mine._reals(x[_part(len(x))])

    def _whole(self, x: Rows | npt.NDArray[Any]) -> Any:
        if not isinstance(x, Rows):
            return self._mine._reals(x)
        if x.whole is not None:
            return x.whole
        if isinstance(x.local, Units):
            return Units(_gathered(x.local.x, len(x)), x.local.n_units)
        return _gathered(x.local, len(x))

    def _all(self, x: npt.NDArray[np.float64], n_rows: int) -> npt.NDArray[np.float64]:
        """The results of all rows, from those of this process."""
        found: npt.NDArray[np.float64] = _gathered(torch.from_numpy(x).to(self.on.device), n_rows).cpu().numpy()
        return found

    @staticmethod
    def _is_states(x: Any) -> bool:
        return isinstance(x, Rows) and isinstance(x.local, Units)

    def _whole_phase(self, phase: Phase) -> Phase:
        v = self._whole(phase.v) if isinstance(phase.v, Rows | np.ndarray) else phase.v
        return Phase(v, self._whole(phase.mean_h), phase.weights)

    def _side(self, phase: Phase) -> Side:
        weights = phase.normalised_weights()
        part = _part(len(weights))
        mine = torch.from_numpy(weights[part].copy()).to(self.on.device)
        return Side(phase.v.local.x, self._local(phase.mean_h), mine, float(np.abs(weights).max()))


def _part(n_rows: int) -> slice:
    """Which of the rows are those of this process."""
    rank, n = processes.get_rank(), processes.get_world_size()
    return slice(rank * n_rows // n, (rank + 1) * n_rows // n)


def _affine(beta: Beta, offset: Offset, n_rows: int) -> tuple[Beta, Offset]:
    """What the rows of this process have of an affine argument of all."""
    part = _part(n_rows)
    if part.start == part.stop:
        return 1.0, None
    if np.size(beta) > 1:
        beta = generic.per_row(beta, n_rows)[part]
    if offset is not None and np.ndim(offset) == 2 and len(offset) > 1:
        table: Any = offset
        owned = isinstance(table, Tensor)
        offset = (table.repeat_interleave(n_rows // len(table), 0) if owned else generic.per_row(table, n_rows))[part]
    return beta, offset


def _total(x: Tensor) -> Tensor:
    """The sum over the processes; of integers, so that it does not depend on their order."""
    processes.all_reduce(x)
    return x


def _gathered(x: Tensor, n_rows: int) -> Tensor:
    """The rows of all processes, in order, from those of this one."""
    n = processes.get_world_size()
    sizes = [(rank + 1) * n_rows // n - rank * n_rows // n for rank in range(n)]
    padded = x.new_zeros(max(sizes), *x.shape[1:])
    padded[: len(x)] = x
    parts = [torch.empty_like(padded) for _ in range(n)]
    processes.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


@functools.cache
def distributed_engine(name: str) -> type[DistributedEngine]:
    """The engine of this process, whose device is that of its LOCAL_RANK, or the processor where there is no GPU.

    Raises
    ------
    EngineUnavailable
        This is no process of several, or there are fewer devices than processes.
    """
    if not processes.is_available() or not (processes.is_initialized() or {"RANK", "WORLD_SIZE"} <= set(os.environ)):
        raise EngineUnavailable(
            'device="distributed" must be used in a process of torch.distributed. Got neither a process group nor RANK '
            "and WORLD_SIZE. Start the program with: torchrun --nproc-per-node 2 PROGRAM."
        )
    gpu, device = torch.cuda.is_available(), "cpu"
    if gpu:
        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    on = torch_engine(f"{name}:device", device)
    if gpu:
        torch.cuda.set_device(on.device)  # that of NCCL's own kernels, and of all that is no verb
    if not processes.is_initialized():
        processes.init_process_group("nccl" if gpu else "gloo")
    return type("DistributedEngine", (DistributedEngine,), {"name": name, "on": on, "term_seconds": on.term_seconds})
