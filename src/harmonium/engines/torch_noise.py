"""The keyed noise of `harmonium.random` in torch, on any device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from harmonium.random import MovingStep

_LOW = 0xFFFFFFFF
_MULTIPLIERS, _WEYL = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)


class Noise(NamedTuple):
    """A key; a recorded program reads its step anew each time."""

    seed: int
    stream: int
    step: int | MovingStep
    row: int


def words(noise: Noise, like: Tensor) -> Tensor:
    """The 32-bit words of `harmonium.random.Key.bits`, int64, in the shape and place of a matrix."""
    n_rows, n_columns, device = len(like), like.shape[1], like.device
    columns = torch.arange(-(-n_columns // 4), device=device)
    rows = (torch.arange(n_rows, device=device) + noise.row) & _LOW
    step = noise.step.tensor() & _LOW if isinstance(noise.step, MovingStep) else noise.step
    return philox(columns, rows[:, None], step, noise.stream, noise.seed)[:, :n_columns]


def philox(columns: Tensor, rows: Tensor, step: int | Tensor, stream: int, seed: int) -> Tensor:
    """Four words for each number of `columns`, int64, for `rows` of shape (rows, 1)."""
    # What goes beyond 32 bits, and beyond 64, is cut off by masks; the sign of the shifted products with it.
    x0: int | Tensor = columns
    x1: int | Tensor = rows
    x2: int | Tensor = step
    x3: int | Tensor = stream
    k0, k1 = seed & _LOW, (seed >> 32) & _LOW
    for _ in range(10):
        p0, p1 = _MULTIPLIERS[0] * x0, _MULTIPLIERS[1] * x2
        x0, x1, x2, x3 = ((p1 >> 32) & _LOW) ^ x1 ^ k0, p1 & _LOW, ((p0 >> 32) & _LOW) ^ x3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return torch.stack([x0, x1, x2, x3], -1).reshape(len(rows), 4 * len(columns))


def permutation(noise: Noise, n: int, device: torch.device) -> Tensor:
    """That of `harmonium.random.Key.permutation`."""
    high, low = words(noise, torch.empty(2, n, device=device))
    # With the first bit turned, numbers of 64 bits without a sign are in the order of those with one.
    return torch.argsort(((high << 32) | low) ^ torch.iinfo(torch.int64).min, stable=True)
