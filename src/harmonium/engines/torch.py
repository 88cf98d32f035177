"""The engine for GPUs: plain torch on any of its devices, with the native engine's bits.

`harmonium.engines.torch_arithmetic` says why the bits are the same, and does the computing. States are float16 on a GPU
of NVIDIA's, whose tensor cores take it, and float32 elsewhere. Before a machine is computed with, one product is held
against integers; where float16 fails, float32 is used.

Gradients stay on the device, too. What does not: those that are clipped, and weights whose norms are limited where one
has come to its limit; both have the size of W.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harmonium.engines import torch_arithmetic
from harmonium.engines.engine import Engine
from harmonium.engines.records import Beta, BoolArray, FloatArray, Offset, Offsets, Phase, Rates, Velocity
from harmonium.engines.torch_arithmetic import Machine, Side, padded
from harmonium.engines.torch_functions import ARRAYS, pairwise_sum, wide
from harmonium.engines.torch_noise import Noise, permutation
from harmonium.errors import EngineUnavailable
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.statistics import Statistics


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Binary states.

    Attributes
    ----------
    x : tensor of shape (rows, padded units)
        0 and 1; zeros beyond the last unit.
    n_units : int
    """

    x: Tensor
    n_units: int

    def __len__(self) -> int:
        return len(self.x)


class TorchEngine(Engine):
    """States are `Units`, reals are float32 tensors; see `harmonium.engines.engine.Engine` for the verbs."""

    name = "torch"
    term_seconds = 1e-10
    device = torch.device("cpu")
    do: ModuleType = torch_arithmetic  # the arithmetic, which another module may do faster

    def __init__(self, rbm: RBM, velocity: Velocity | None = None) -> None:
        self.n_visible, self.n_hidden = rbm.n_visible, rbm.n_hidden
        zeros = [np.zeros(x.shape, np.float32) for x in (rbm.W, rbm.b, rbm.c)]
        dW, db, dc = zeros if velocity is None else velocity
        states = state_dtype(self.device)
        W, b, c = self._fill_W(rbm.W), self._fill(rbm.b), self._fill(rbm.c)
        self._equal_weights: dict[int, tuple[Tensor, float]] = {}  # of batches, by their size
        self._machine = Machine(
            self.n_visible,
            self.n_hidden,
            *(W, b, c, self._fill_W(dW), self._fill(db), self._fill(dc)),
            states,
            *(torch_arithmetic.pack(x, states) for x in (W, W.T)),
        )

    @property
    def rbm(self) -> RBM:
        m = self._machine
        return RBM(self._crop_W(m.W).T, self._crop(m.b, self.n_visible), self._crop(m.c, self.n_hidden))

    @property
    def velocity(self) -> Velocity:
        m = self._machine
        return Velocity(self._crop_W(m.dW).T, self._crop(m.db, self.n_visible), self._crop(m.dc, self.n_hidden))

    # From NumPy and back
    def encode(self, X: npt.NDArray[Any], real: bool = False) -> Units | Tensor:
        if real:
            return self._real(X)
        on = self._upload(np.array(X, np.uint8, order="C")) != 0
        return Units(self.do.as_states(on, self._machine.states), X.shape[1])

    def draw(self, p: npt.NDArray[Any], key: Key) -> Units:
        return Units(self.do.draw(self._real(p), as_noise(key), self._machine.states), p.shape[1])

    def decode(self, states: Units) -> npt.NDArray[np.uint8]:
        return self._download(states.x[:, : states.n_units].to(torch.uint8))

    def to_numpy(
        self, x: Tensor | Units | npt.NDArray[Any], dtype: type[np.floating[Any]] = np.float32
    ) -> npt.NDArray[Any]:
        if not isinstance(x, np.ndarray):
            x = self._download(x.x[:, : x.n_units] if isinstance(x, Units) else x)
        return np.asarray(x, dtype)

    # Rows
    def table(self, rows: npt.NDArray[np.intp]) -> Tensor:
        return self._upload(np.array(rows, np.int64))

    def permutation(self, key: Key, n: int) -> Tensor:
        if n == 1 or self.device.type == "mps":
            return super().permutation(key, n)
        return permutation(as_noise(key), n, self.device)

    def take(self, x: Units | Tensor, rows: npt.NDArray[np.intp] | Tensor) -> Units | Tensor:
        index = self._index(rows)
        return Units(x.x[index], x.n_units) if isinstance(x, Units) else self._reals(x)[index]

    def put(self, x: Units | Tensor, rows: npt.NDArray[np.intp] | Tensor, values: Units | Tensor) -> None:
        there, new = (y.x if isinstance(y, Units) else y for y in (x, values))
        there[self._index(rows)] = new

    def _index(self, rows: npt.NDArray[np.intp] | Tensor) -> Tensor:
        return rows if isinstance(rows, Tensor) else self.table(rows)

    def overwrite(self, x: Units | Tensor, where: Units | BoolArray, values: Units) -> Units | Tensor:
        mask = where.x if isinstance(where, Units) else self._upload(np.asarray(where, np.uint8))[:, None]
        if isinstance(x, Units):
            return Units(torch.where(mask > 0, values.x, x.x), x.n_units)
        x = self._reals(x)
        n = x.shape[1]
        return torch.where((mask if mask.shape[1] == 1 else mask[:, :n]) > 0, values.x[:, :n].to(torch.float32), x)

    # Conditionals
    def logits_h(self, v: Units | Tensor) -> Tensor:
        m = self._machine
        if isinstance(v, Units):
            return self.do.logits(v.x, m.to_hidden, m.c, m.n_hidden)
        return self.do.real_product(self._reals(v), m.W[: m.n_visible, : m.n_hidden]) + m.c[: m.n_hidden]

    def logits_v(self, h: Units) -> Tensor:
        m = self._machine
        return self.do.logits(h.x, m.to_visible, m.b, m.n_visible)

    def mean(self, logits: Tensor, beta: Beta = 1.0, offset: Offset = None) -> Tensor:
        return self.do.mean(self._reals(logits), *self._affine(beta, offset))

    def bernoulli(self, logits: Tensor, key: Key, beta: Beta = 1.0, offset: Offset = None) -> Units:
        logits = self._reals(logits)
        states = self.do.decide(logits, as_noise(key), *self._affine(beta, offset), self._machine.states)
        return Units(states, logits.shape[1])

    def sample_h(self, v: Units | Tensor, key: Key, beta: Beta = 1.0, offset: Offset = None) -> Units:
        if not isinstance(v, Units):
            return self.bernoulli(self.logits_h(v), key, beta, offset)
        m = self._machine
        arguments = as_noise(key), *self._affine(beta, offset), m.states
        return Units(self.do.sample(v.x, m.to_hidden, m.c, m.n_hidden, *arguments), m.n_hidden)

    def sample_v(self, h: Units, key: Key, beta: Beta = 1.0, offset: Offset = None) -> Units:
        m = self._machine
        arguments = as_noise(key), *self._affine(beta, offset), m.states
        return Units(self.do.sample(h.x, m.to_visible, m.b, m.n_visible, *arguments), m.n_visible)

    # Sums
    def softplus_sum(self, logits: Tensor, beta: Beta = 1.0, offset: Offset = None) -> npt.NDArray[np.float64]:
        return self._download(self.do.softplus_sum(self._reals(logits), *self._affine(beta, offset)))

    def dot(self, v: Units | Tensor, x: FloatArray) -> npt.NDArray[np.float64]:
        if isinstance(v, Units):
            return self._download(self.do.dot(v.x, self._real(x)))
        return self._download(pairwise_sum(wide(self._reals(v)) * wide(self._real(x))))

    def column_sums(self, x: Tensor) -> npt.NDArray[np.float64]:
        if x.shape[1] == 1:  # which NumPy adds up in pairs, not row after row
            return super().column_sums(x)
        return self._download(self.do.column_sums(self._reals(x)))

    def pseudo_log_likelihood(self, v: Units) -> npt.NDArray[np.float64]:
        return self._download(self.do.pseudo_log_likelihood(self._machine, v.x))

    @classmethod
    def log_partition_block(cls, rbm: RBM, first: int, count: int) -> float:
        device = cls.device if cls.device.type != "mps" else torch.device("cpu")
        W, b, c = (torch.from_numpy(np.array(x, np.float64, order="C")).to(device) for x in (rbm.W, rbm.b, rbm.c))
        return cls.do.log_partition_block(W, b, c, first, count)

    # Gradients
    arrays = ARRAYS

    def own(self, x: Tensor | npt.NDArray[Any]) -> Tensor:
        return self._reals(x)

    def wide(self, x: Tensor | npt.NDArray[Any]) -> Tensor:
        return wide(self._reals(x))

    @property
    def parameters(self) -> Statistics:
        m = self._machine
        return Statistics(*self._of_units((m.W, m.b, m.c)))

    def moved(self, by: Statistics) -> TorchEngine:
        other, m = copy.copy(self), self._machine
        parts = [x.clone() for x in (m.W, m.b, m.c)]
        for x, step in zip(self._of_units(parts), by, strict=True):
            x += step
        W, b, c = parts
        packed = (torch_arithmetic.pack(x, m.states) for x in (W, W.T))
        dW, db, dc = (torch.zeros_like(x) for x in parts)
        other._machine = Machine(self.n_visible, self.n_hidden, W, b, c, dW, db, dc, m.states, *packed)
        return other

    def offset_sums(self, x: Tensor, offsets: Offsets) -> tuple[Tensor, Tensor]:
        in_order = pairwise_sum(offsets.h * x.T) if self.n_visible == 1 else self.do.real_product(offsets.h[None], x)[0]
        return in_order, pairwise_sum(x * offsets.v)

    def _of_units(self, parts: Sequence[Tensor]) -> tuple[Any, Any, Any]:
        """W, shape (n_hidden, n_visible), b and c, or what is shaped like them, without what fills them up; views."""
        W, b, c = parts
        return W[: self.n_visible, : self.n_hidden].T, b[: self.n_visible], c[: self.n_hidden]

    # Learning
    def moments(self, phase: Phase) -> Statistics:
        if isinstance(phase.v, Units):
            hv, v, h = self.do.moments(self._machine, [self._side(phase)])
            return Statistics(*self._of_units((hv, v, h)))
        weights = self._upload(phase.normalised_weights())
        real, weighted_h = self._reals(phase.v), weights[:, None] * self._reals(phase.mean_h)
        hv, v = self.do.real_product(real.T, weighted_h), self.do.real_product(weights[None], real)[0]
        # NumPy adds up a single column in pairs.
        h = pairwise_sum(weighted_h.T) if self.n_hidden == 1 else self.do.ordered_sum(weighted_h, 0)
        return Statistics(hv.T, v, h)

    def slide(self, mean: Tensor | None, phase: Phase, sliding_factor: float) -> Tensor:
        if self.n_hidden == 1:
            return super().slide(mean, phase, sliding_factor)
        before = None if mean is None else self._reals(mean)
        return self.do.slide(before, self._reals(phase.mean_h), self._weights(phase)[0], sliding_factor)

    def replace(self, rbm: RBM) -> None:
        m = self._machine
        for x, value in ((m.W, self._fill_W(rbm.W)), (m.b, self._fill(rbm.b)), (m.c, self._fill(rbm.c))):
            x.copy_(value)
        self.do.repack(m)

    def ascend(self, positive: Phase, negative: Phase, rates: Rates, offsets: Offsets | None = None) -> None:
        if not (isinstance(positive.v, Units) and isinstance(negative.v, Units)):
            super().ascend(positive, negative, rates, offsets)
            return
        mu, lam = (None, None) if offsets is None else (self._reals(x) for x in offsets)
        self.do.learn(self._machine, self._side(positive), self._side(negative), *rates, mu, lam)

    def ascend_along(self, gradient: Statistics, rates: Rates, offsets: Offsets | None = None) -> None:
        m, (learning_rate, momentum, weight_decay) = self._machine, map(float, rates)
        W, b, c = self._of_units((m.W, m.b, m.c))
        speeds = dW, _, _ = self._of_units((m.dW, m.db, m.dc))
        hv, v, h = map(self.own, gradient)
        for x, speed, slope in zip((W, b, c), speeds, (hv - W * weight_decay, v, h), strict=True):
            speed *= momentum
            speed += slope * learning_rate
            x += speed
        if offsets is not None:
            mu, lam = offsets.own(self)
            b -= pairwise_sum((dW * lam[:, None]).T)
            c -= pairwise_sum(dW * mu) if self.n_hidden == 1 else self.do.real_product(mu[None], dW.T)[0]
        self.do.repack(m)

    # Between the host and the device, nowhere else
    def _upload(self, x: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(x).to(self.device)

    def _real(self, X: npt.ArrayLike) -> Tensor:
        return self._upload(np.array(X, np.float32, order="C"))

    @staticmethod
    def _download(x: Tensor) -> Any:
        return x.cpu().numpy()

    def _fill(self, x: npt.NDArray[Any]) -> Tensor:
        out = np.zeros(padded(len(x)), np.float32)
        out[: len(x)] = x
        return self._upload(out)

    def _fill_W(self, W: npt.NDArray[Any]) -> Tensor:
        out = np.zeros((padded(self.n_visible), padded(self.n_hidden)), np.float32)
        out[: self.n_visible, : self.n_hidden] = W.T
        return self._upload(out)

    def _crop(self, x: Tensor, n: int) -> FloatArray:
        return np.array(self._download(x[:n]))

    def _crop_W(self, x: Tensor) -> FloatArray:
        return np.array(self._download(x[: self.n_visible, : self.n_hidden]))

    def _reals(self, x: Tensor | npt.NDArray[Any]) -> Tensor:
        return self._real(x) if isinstance(x, np.ndarray) else x

    def _affine(self, beta: Beta, offset: Offset) -> tuple[float | Tensor, Tensor | None]:
        table = offset if offset is None or isinstance(offset, Tensor) else self._real(np.atleast_2d(offset))
        factor = beta if isinstance(beta, Tensor) else self._real(beta) if np.ndim(beta) else float(beta)
        return factor, table

    def _weights(self, phase: Phase) -> tuple[Tensor, float]:
        """Of the rows, and the largest of them."""
        if phase.weights is None:
            n_rows = len(phase.mean_h)
            if n_rows not in self._equal_weights:
                weight = np.float32(1) / np.float32(n_rows)
                self._equal_weights[n_rows] = self._upload(np.array(weight)).expand(n_rows), float(weight)
            return self._equal_weights[n_rows]
        weights = phase.normalised_weights()
        return self._upload(weights), float(np.abs(weights).max())

    def _side(self, phase: Phase) -> Side:
        return Side(phase.v.x, self._reals(phase.mean_h), *self._weights(phase))


def as_noise(key: Key) -> Noise:
    """The key as the arithmetic takes it."""
    return Noise(key.seed, key.stream, key.step, key.row)


def state_dtype(device: torch.device) -> torch.dtype:
    """The fastest type whose products are exact on a device.

    Raises
    ------
    EngineUnavailable
        There is none: something has told torch to round more coarsely.
    """
    for states in (torch.float16, torch.float32) if device.type == "cuda" else (torch.float32,):
        if _is_exact(device, states):
            return states
    raise EngineUnavailable(
        f"Products of float32 on {device} must be exact for integers of 11 bits. Got others. "
        'Leave torch.set_float32_matmul_precision at "highest" or "high".'
    )


def _is_exact(device: torch.device, states: torch.dtype) -> bool:
    """Whether one product of halves equals that of int64: of 16 rows, 256 terms and 32 units, all numbers known."""
    k = torch.arange(256)
    x = ((torch.arange(16)[:, None] * 37 + k * k * 11) % 7 < 4).to(torch.int64)
    q = (k[:, None] * 2654435761 + torch.arange(32) * 40503) % 2**24 - 2**23
    expected = (x @ q).to(torch.float32)
    halves = torch_arithmetic.halves(q.to(torch.float32)).to(states)
    try:
        got = torch_arithmetic.exact_product(x.to(states).to(device), halves.to(device))
    except RuntimeError:  # the device has no such product
        return False
    return bool((got.cpu() == expected).all())
