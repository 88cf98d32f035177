"""exp, log, logistic and softplus in torch, operation by operation as the native kernels compute them."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

_LN2_HIGH, _LN2_LOW = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
_SHIFT = float.fromhex("0x1.8p52")
_SHIFT_BITS = 0x4338000000000000
_FACTORIALS = (
    6227020800, 479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6,
)  # fmt: skip


def wide(x: Tensor) -> Tensor:
    """`x` in float64: on its device, or on the host if that has none."""
    return x.to(torch.float64) if x.device.type != "mps" else x.cpu().to(torch.float64)


# Sums -----------------------------------------------------------------------------------------------------------------


def ordered_sum(x: Tensor, dim: int) -> Tensor:
    """The sum along `dim`, one term after the other."""
    if x.shape[dim] and x.dtype == torch.float64 and x.device.type == "cpu":
        return x.cumsum(dim).select(dim, -1)  # which goes in order there
    total = torch.zeros_like(x.select(dim, 0)) if x.shape[dim] else x.sum(dim)
    for part in x.unbind(dim):
        total = total + part
    return total


def pairwise_sum(x: Tensor) -> Tensor:
    """The sum along the last axis in the order of NumPy's, where that axis is contiguous.

    Parts of at most 128 terms are added up in eight sums of every eighth term, and longer ones in two halves.
    """
    n = x.shape[-1]
    if n > 128:
        half = n // 2 // 8 * 8
        return pairwise_sum(x[..., :half]) + pairwise_sum(x[..., half:])
    whole = n // 8 * 8
    total = torch.zeros_like(x[..., 0]) if n else x.sum(-1)
    if whole:
        eight = ordered_sum(x[..., :whole].unflatten(-1, (-1, 8)), -2)
        four = eight[..., 0::2] + eight[..., 1::2]
        two = four[..., 0::2] + four[..., 1::2]
        total = two[..., 0] + two[..., 1]
    for term in x[..., whole:].unbind(-1):
        total = total + term
    return total


# Single precision ----------------------------------------------------------------------------------------------------


def exp_negative(a: Tensor) -> Tensor:
    """exp(-a) for a >= 0."""
    a = a.clamp_max(87.0)
    n = (a * 1.44269504).round()
    r = n * 0.693359375 - a + n * -2.12194440e-4
    p = r * 1.9875691500e-4 + 1.3981999507e-3
    for constant in (8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        p = p * r + constant
    p = p * r * r + r + 1.0
    return (p.view(torch.int32) - (n.to(torch.int32) << 23)).view(torch.float32)


def logistic(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    t = exp_negative(x.abs())
    return torch.where(x >= 0, torch.ones_like(t), t) / (t + 1.0)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x))."""
    t = exp_negative(x.abs())
    z = t / (t + 2.0)
    y = z * z
    p = y * (1 / 15) + 1 / 13
    for k in (11, 9, 7, 5, 3):
        p = p * y + 1 / k
    p = p * y * z + z
    return x.clamp_min(0.0) + (p + p)


def sqrt(x: Tensor) -> Tensor:
    """The square root, rounded correctly, which a library's for single precision need not be."""
    return wide(x).sqrt().to(torch.float32).to(x.device)


ARRAYS = SimpleNamespace(sign=torch.sign, sqrt=sqrt, zeros_like=torch.zeros_like)  # of `harmonium.engines.Engine`


# Double precision ----------------------------------------------------------------------------------------------------


def exact_decision(z: Tensor, words: Tensor) -> Tensor:
    """Whether (word + 1/2) / 2**32 < logistic(z) in double precision."""
    return ((wide(words) + 0.5) * 2.0**-32 < 1.0 / (1.0 + exp(-wide(z)))).to(z.device)


def exp(x: Tensor) -> Tensor:
    """The exponential function, float64."""
    t = torch.where(x > 710.0, torch.full_like(x, 710.0), torch.where(x < -746.0, torch.full_like(x, -746.0), x))
    shifted = t * 1.44269504088896340736 + _SHIFT
    n = shifted - _SHIFT
    r = t - n * _LN2_HIGH - n * _LN2_LOW
    p = r * (1 / _FACTORIALS[0]) + 1 / _FACTORIALS[1]
    for factorial in _FACTORIALS[2:]:
        p = p * r + 1 / factorial
    p = p * r + 0.5
    p = p * r * r + r + 1.0
    k = shifted.view(torch.int64) - _SHIFT_BITS
    half = k >> 1
    p = p * ((half + 1023) << 52).view(torch.float64) * ((k - half + 1023) << 52).view(torch.float64)
    return torch.where(x == x, p, x)


def log(x: Tensor) -> Tensor:
    """The natural logarithm, float64; -inf for 0."""
    x = x.contiguous()
    tiny = x < 2.0**-1022
    y = torch.where(tiny, x * 2.0**54, x)
    bits = y.view(torch.int64)
    e = (bits - 0x3FE6A09E667F3BCD) >> 52
    m = (bits - (e << 52)).view(torch.float64)
    f = m - 1.0
    n = e.to(torch.float64) - torch.where(tiny, 54.0, 0.0)
    s = f / (f + 2.0)
    z = s * s
    h = f * f * 0.5
    p = z * (2 / 23) + 2 / 21
    for k in (19, 17, 15, 13, 11, 9, 7, 5, 3):
        p = p * z + 2 / k
    total = n * _LN2_HIGH - ((h - (s * (h + p * z) + n * _LN2_LOW)) - f)
    edge = torch.where(x == 0, -torch.inf, torch.where(x == torch.inf, torch.inf, torch.nan))
    return torch.where((x > 0) & (x < torch.inf), total, edge)


def quick_exp(x: Tensor) -> Tensor:
    """exp(x) for |x| < 700, float64, to about two units in the last place."""
    shifted = x * 1.44269504088896340736 + _SHIFT
    n = shifted - _SHIFT
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    a = r + 1.0 + (r * (1 / 6) + 0.5) * r2
    b = r * (1 / 120) + 1 / 24 + (r * (1 / 5040) + 1 / 720) * r2
    c = r * (1 / 362880) + 1 / 40320 + (r * (1 / 39916800) + 1 / 3628800) * r2 + r4 * (1 / 479001600)
    bits = (a + b * r4 + c * (r4 * r4)).view(torch.int64)
    return (bits + (shifted.view(torch.int64) << 52)).view(torch.float64)


def softplus_wide(x: Tensor) -> Tensor:
    """log(1 + exp(x)), float64."""
    t = exp(-x.abs())
    u = t + 1.0
    return torch.where(x > 0, x, torch.zeros_like(x)) + (log(u) + (t - (u - 1.0)) / u)
