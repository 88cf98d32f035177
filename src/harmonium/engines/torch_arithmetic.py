"""The torch engine's arithmetic in plain torch, on any device: the native engine's bits.

A weight is an integer of 24 bits times a power of two for its unit, as in the native engine, and that integer is
4096 * high + low with two halves of at most 2048 in magnitude. Halves are exact in float16, TF32 and float32. States
are 0 or 1, so every partial sum of at most 8192 terms is an integer of at most 2**24: a product that accumulates in
float32 is exact in any order, on any device. Everything else is done operation by operation as the native kernels do
it, and sums of real numbers are taken in their order.

`engines/_triton` and `engines/torch_jit.py` have functions of the same names for those that are worth a kernel.

Conventions: units are padded with zeros to a multiple of 16 columns (`padded`); states are of shape (rows, padded
units), 0 or 1; reals are float32 of shape (rows, units). `beta` is a number or a tensor of shape (groups,), `offset`
None or a tensor of shape (groups, units); as many consecutive rows as there are rows to a group share an entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from harmonium.engines.torch_functions import exact_decision, exp_negative, logistic, softplus, wide
from harmonium.engines.torch_functions import ordered_sum as ordered_sum
from harmonium.engines.torch_likelihood import log_partition_block as log_partition_block
from harmonium.engines.torch_likelihood import pseudo_log_likelihood as pseudo_log_likelihood
from harmonium.engines.torch_noise import Noise, words

PADDING = 16
TERMS = 8192  # of an exact product
_LARGEST = 8388607.0  # the largest integer of 24 bits with a sign
_CLOSE = 2.0**-19

# Sums tensors over the processes that hold the rows of a batch together.
Across = Callable[[Tensor], Tensor]
Beta: TypeAlias = "float | Tensor"
Offset: TypeAlias = "Tensor | None"


class Packed(NamedTuple):
    """The weights of one direction, ready for a product.

    Attributes
    ----------
    halves : tensor of shape (padded inputs, 2 * padded units), the states' dtype
        High halves beside low ones.
    scale : float32 tensor of shape (padded units,)
        What one is worth: powers of two.
    """

    halves: Tensor
    scale: Tensor


class Side(NamedTuple):
    """One side of a gradient.

    Attributes
    ----------
    v : states of shape (rows, padded visible units)
    mean_h : reals of shape (rows, n_hidden)
    weights : float32 tensor of shape (rows,)
        They sum to one.
    largest : float
        The largest of them.
    """

    v: Tensor
    mean_h: Tensor
    weights: Tensor
    largest: float


@dataclass
class Machine:
    """Parameters and momentum; W and dW are (padded visible, padded hidden), float32 with zeros beyond the units."""

    n_visible: int
    n_hidden: int
    W: Tensor
    b: Tensor
    c: Tensor
    dW: Tensor
    db: Tensor
    dc: Tensor
    states: torch.dtype
    to_hidden: Packed
    to_visible: Packed
    largest: Tensor | None = None  # scratch of Triton's kernels


def padded(n: int) -> int:
    """Columns that hold `n` units."""
    return max(1, -(-n // PADDING)) * PADDING


# Products ------------------------------------------------------------------------------------------------------------


def exact_product(x: Tensor, halves: Tensor, across: Across | None = None) -> Tensor:
    """``x @ (4096 * high + low)``, rounded once to float32; `x` holds 0 and 1, `halves` are [high | low]."""
    n_terms = x.shape[1]
    if n_terms <= TERMS and across is None:
        high, low = product(x, halves).chunk(2, dim=1)
        return high * 4096.0 + low
    total = None
    for first in range(0, max(1, n_terms), TERMS):
        part = wide(product(x[:, first : first + TERMS], halves[first : first + TERMS]))
        total = part if total is None else total + part
    assert total is not None
    if across is not None:
        total = across(total)
    high, low = total.chunk(2, dim=1)
    return (high * 4096.0 + low).to(torch.float32).to(x.device)


def product(x: Tensor, y: Tensor) -> Tensor:
    """``x @ y``, accumulated in float32."""
    if x.dtype == torch.float16:
        return torch.mm(x, y, out_dtype=torch.float32)
    return torch.mm(x, y)


def logits(x: Tensor, packed: Packed, bias: Tensor, n: int) -> Tensor:
    """The logits of `n` units, given states `x`."""
    return (exact_product(x, packed.halves) * packed.scale + bias)[:, :n]


def real_product(x: Tensor, W: Tensor) -> Tensor:
    """``x @ W`` of real numbers, in float32: the terms of each sum are added one after the other."""
    total = torch.zeros(x.shape[0], W.shape[1], dtype=torch.float32, device=x.device)
    for column, row in zip(x.unbind(1), W.unbind(0), strict=True):
        total += column[:, None] * row
    return total


# Decisions -----------------------------------------------------------------------------------------------------------


def affine(z: Tensor, beta: Beta, offset: Offset) -> Tensor:
    """beta * z + offset, rounded twice."""
    if isinstance(beta, Tensor):
        z = (z.reshape(len(beta), -1, z.shape[1]) * beta[:, None, None]).reshape(z.shape)
    elif beta != 1:
        z = z * beta
    if offset is not None:
        z = (z.reshape(len(offset), -1, z.shape[1]) + offset[:, None]).reshape(z.shape)
    return z


def decide(z: Tensor, noise: Noise, beta: Beta, offset: Offset, states: torch.dtype) -> Tensor:
    """States that are on where (bits + 1/2) / 2**32 < logistic(beta * z + offset)."""
    z = affine(z, beta, offset)
    return as_states(is_on(z, words(noise, z)), states)


def is_on(z: Tensor, bits: Tensor) -> Tensor:
    """Whether (bits + 1/2) / 2**32 < logistic(z)."""
    # Single precision decides, and where that is too close to call, double precision.
    t = exp_negative(z.abs())
    margin = torch.where(z >= 0, torch.ones_like(t), t) - ((bits >> 8).to(torch.float32) * 2.0**-24) * (t + 1.0)
    on, close = margin > 0, margin.abs() < _CLOSE
    if z.device.type == "cuda":  # nothing there may depend on the data, or no graph could be recorded
        on = torch.where(close, exact_decision(z, bits), on)
    else:
        on[close] = exact_decision(z[close], bits[close])
    return on


def sample(
    x: Tensor, packed: Packed, bias: Tensor, n: int, noise: Noise, beta: Beta, offset: Offset, states: torch.dtype
) -> Tensor:
    """`decide` of the logits of `n` units, given states `x`."""
    return decide(logits(x, packed, bias, n), noise, beta, offset, states)


def draw(p: Tensor, noise: Noise, states: torch.dtype) -> Tensor:
    """States that are on where (bits + 1/2) / 2**32 < p."""
    bits = wide(words(noise, p))
    return as_states(((bits + 0.5) * 2.0**-32 < wide(p)).to(p.device), states)


def as_states(on: Tensor, states: torch.dtype) -> Tensor:
    """Units as states: padded, 0 and 1."""
    x = torch.zeros(len(on), padded(on.shape[1]), dtype=states, device=on.device)
    x[:, : on.shape[1]] = on
    return x


# Elementwise, and sums -----------------------------------------------------------------------------------------------


def mean(z: Tensor, beta: Beta, offset: Offset) -> Tensor:
    """The logistic function of beta * z + offset."""
    return logistic(affine(z, beta, offset))


def softplus_sum(z: Tensor, beta: Beta, offset: Offset) -> Tensor:
    """Row sums of log(1 + exp(beta * z + offset)), float64: in sixteen parts, as the native engine has them."""
    terms = wide(softplus(affine(z, beta, offset)))
    parts = torch.nn.functional.pad(terms, (0, -terms.shape[1] % 16)).reshape(len(z), -1, 16)
    return ordered_sum(ordered_sum(parts, 1), 1)


def dot(v: Tensor, x: Tensor) -> Tensor:
    """Row sums of v * x, float64, unit after unit; `x` has the shape (n,)."""
    return ordered_sum(wide(v[:, : len(x)]) * wide(x), 1)


def column_sums(x: Tensor) -> Tensor:
    """Sums over the rows, float64."""
    return ordered_sum(wide(x), 0)


def slide(before: Tensor | None, mean_h: Tensor, weights: Tensor, sliding_factor: float) -> Tensor:
    """The running mean of the hidden units, moved."""
    now = ordered_sum(weights[:, None] * mean_h, 0)
    return now if before is None else before + sliding_factor * (now - before)


# Annealing -----------------------------------------------------------------------------------------------------------


def temperature(
    machine: Machine,
    v: Tensor,
    noises: tuple[Noise, Noise],
    betas: Tensor,
    ys: Tensor | None,
    x: Tensor | None,
    slopes: Tensor,
    *,
    decide: Callable[..., Tensor] = decide,
    sample: Callable[..., Tensor] = sample,
) -> tuple[Tensor, Tensor]:
    """The states after a sweep at the second beta, and the `gains` of the chains as it found them.

    `x` is the offset of v, shape (1, n_visible); the other arguments are those of `gains`.
    """
    M, n = machine, machine.n_hidden
    z = logits(v, M.to_hidden, M.c, n)
    h = decide(z, noises[0], betas[1:], None if ys is None else ys[1:, :n], M.states)
    after = sample(h, M.to_visible, M.b, M.n_visible, noises[1], betas[1:], x, M.states)
    return after, gains(z, v, betas, ys, slopes)


def gains(z: Tensor, v: Tensor, betas: Tensor, ys: Tensor | None, slopes: Tensor) -> Tensor:
    """What a temperature adds to the weights of chains, float64, shape (1 + slopes, rows).

    `softplus_sum` at the second of two betas less that at the first, and `dot` with each of the slopes. `ys` are the
    offsets of h at both, shape (2, at least n_hidden), the slopes of shape (any, padded visible units).
    """
    offsets = [None, None] if ys is None else [y[None, : z.shape[1]] for y in ys]
    before, after = (softplus_sum(z, beta[None], y) for beta, y in zip(betas, offsets, strict=True))
    return torch.stack([after - before, *(dot(v, slope) for slope in slopes)])


# Learning ------------------------------------------------------------------------------------------------------------


def pack(W: Tensor, states: torch.dtype) -> Packed:
    """Weights of shape (inputs, units) for products, with the scales that they demand."""
    largest = W.abs().amax(0)
    exponent = ((largest.view(torch.int32) >> 23) - 126).clamp_min(-100)
    exponent = torch.where(largest > 0, exponent, torch.zeros_like(exponent))
    q = _quantised(W * _power_of_two(23 - exponent))
    return Packed(halves(q).to(states), _power_of_two(exponent - 23))


def repack(machine: Machine) -> None:
    """Renew what is derived from W, where it stands: a recorded program knows no other place."""
    for packed, W in ((machine.to_hidden, machine.W), (machine.to_visible, machine.W.T)):
        for mine, new in zip(packed, pack(W, machine.states), strict=True):
            mine.copy_(new)


def halves(q: Tensor) -> Tensor:
    """[high | low] of integers of 24 bits in float32."""
    high = (q * 2.0**-12).round()
    return torch.cat([high, q - high * 4096.0], 1)


def _quantised(x: Tensor) -> Tensor:
    return x.round().clamp_max(_LARGEST)


def _power_of_two(e: Tensor) -> Tensor:
    return ((e + 127) << 23).view(torch.float32)


def moments(
    machine: Machine, sides: list[Side], offset_h: Tensor | None = None, across: Across | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of v h', v and h over the rows of the first side minus those of the others.

    Shapes (padded visible, padded hidden), (padded visible,) and (padded hidden,). With `offset_h` it is taken off the
    expectations first.
    """
    n = machine.n_hidden
    largest = max(side.largest for side in sides)
    exponent = max(math.frexp(largest)[1], -100)
    scale, inverse = 2.0 ** (exponent - 23), 2.0 ** (23 - exponent)
    rows, ones, states = [], [], []
    for number, side in enumerate(sides):
        factors = side.weights * (inverse if number == 0 else -inverse)
        means = side.mean_h if offset_h is None else side.mean_h - offset_h
        rows.append(_quantised(means * factors[:, None]))
        ones.append(_quantised(factors))
        states.append(side.v)
    # A unit that is always on is added to both layers: its sums are those of h, and of v.
    q = torch.nn.functional.pad(torch.cat(rows), (0, padded(n) - n + PADDING))
    q[:, -PADDING] = torch.cat(ones)
    v = torch.nn.functional.pad(torch.cat(states), (0, PADDING))
    v[:, -PADDING] = 1.0
    sums = exact_product(v.T, halves(q).to(machine.states), across) * scale
    return sums[:-PADDING, :-PADDING], sums[:-PADDING, -PADDING], sums[-PADDING, :-PADDING]


def learn(
    machine: Machine,
    positive: Side,
    negative: Side,
    learning_rate: float | Tensor,
    momentum: float,
    weight_decay: float,
    offset_v: Tensor | None = None,
    offset_h: Tensor | None = None,
) -> None:
    """One step of gradient ascent, in place; the offsets have the shapes (n_visible,) and (n_hidden,)."""
    sums = moments(machine, [positive, negative], offset_h)
    centred = None if offset_h is None else centred_sum([positive, negative], offset_h)
    follow(machine, sums, learning_rate, momentum, weight_decay, centred, offset_v, offset_h)
    repack(machine)


def centred_sum(sides: list[Side], offset_h: Tensor) -> Tensor:
    """Sum of h - offset over the rows of the first side minus those of the second, one after the other."""
    signed = zip(sides, (1.0, -1.0), strict=True)
    terms = [(side.mean_h - offset_h) * (side.weights * sign)[:, None] for side, sign in signed]
    return ordered_sum(torch.cat(terms), 0)


def follow(
    m: Machine,
    sums: tuple[Tensor, Tensor, Tensor],
    learning_rate: float | Tensor,
    momentum: float,
    weight_decay: float,
    centred: Tensor | None = None,
    offset_v: Tensor | None = None,
    offset_h: Tensor | None = None,
) -> None:
    """Move the parameters along `moments`, in place; what is derived from W is still to be renewed."""
    gradient, v, h = sums
    if centred is not None and offset_v is not None and offset_h is not None:
        mu, lam = _fill(offset_v, m.b), _fill(offset_h, m.c)
        gradient = gradient - _fill(centred, m.c) * mu[:, None]
    for x, velocity, slope, decay in ((m.W, m.dW, gradient, weight_decay), (m.b, m.db, v, 0.0), (m.c, m.dc, h, 0.0)):
        if decay:
            slope = slope - x * decay
        velocity.copy_(velocity * momentum + slope * learning_rate)
        x += velocity
    if centred is not None:
        _keep_centred_biases(m, mu, lam)


def _keep_centred_biases(m: Machine, mu: Tensor, lam: Tensor) -> None:
    """What the centred machine's biases are to keep, the biases of this one make up for; in the native order."""
    rows, columns = m.W.shape
    dW = torch.nn.functional.pad(m.dW, (0, -columns % 64, 0, -rows % 64))
    mu, lam = (torch.nn.functional.pad(x, (0, -len(x) % 64)) for x in (mu, lam))
    parts = (dW * lam).reshape(len(mu), -1, 2, 2, 16)  # pairs of tiles of 32 columns, and sixteen parts of each sum
    totals = ordered_sum(parts[..., 0, :] + parts[..., 1, :], -1)
    for total in (totals[..., 0] + totals[..., 1]).unbind(1):
        m.b -= total[:rows]
    for total in ordered_sum((dW * mu[:, None]).reshape(-1, 64, len(lam)), 1).unbind(0):
        m.c -= total[:columns]


def _fill(x: Tensor, like: Tensor) -> Tensor:
    return torch.nn.functional.pad(x, (0, len(like) - len(x)))
