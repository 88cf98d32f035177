"""The kernels as functions of tensors, with the names and arguments of `harmonium.engines.torch_arithmetic`."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator

import torch
import triton
from torch import Tensor

from harmonium.engines import torch_arithmetic as plain
from harmonium.engines._triton import learning, likelihood, sampling
from harmonium.engines.torch_arithmetic import Beta, Machine, Offset, Packed, Side
from harmonium.engines.torch_likelihood import log_of
from harmonium.engines.torch_noise import Noise
from harmonium.random import MovingStep

# Tiles, measured on an H200.
_ROWS, _QUADS = 2, 128  # of an elementwise kernel: rows, and columns in fours
_SUM_UNITS = 32  # one warp of an ordered sum
_STACK_ROWS, _STACK_UNITS = 4, 256
_VISIBLE, _HIDDEN = 32, 64  # of the weights
_REFIT = 256  # weights of a unit that are packed again at a time
_SUM_ROWS = 2  # of a sum of softplus, in one warp
_DOT_ROWS = 32  # of a dot, likewise
_FLIP_ROWS, _FLIP_UNITS = 4, 32
_FLIP_CELLS = 2**22  # rows times visible units, at a time
_LOW_BITS, _HIGHS = 11, 2**13  # of an enumeration: the states of the low bits, and of the high ones at a time
_HIGH, _LOW = 32, 64
_MOST_SAFE = 16  # factors of a product between two looks at its exponent
_EXACT: dict[str, bool] = {"enable_fp_fusion": False}


def logits(x: Tensor, packed: Packed, bias: Tensor, n: int) -> Tensor:
    if x.shape[1] > plain.TERMS:
        return plain.logits(x, packed, bias, n)
    out = torch.empty(len(x), n, dtype=torch.float32, device=x.device)
    units(plain.product(x, packed.halves), n, packed, bias, logits=out)
    return out


def mean(z: Tensor, beta: Beta, offset: Offset) -> Tensor:
    out = torch.empty_like(z, memory_format=torch.contiguous_format)
    units(z, z.shape[1], beta=beta, offset=offset, mean=out)
    return out


def decide(z: Tensor, noise: Noise, beta: Beta, offset: Offset, states: torch.dtype) -> Tensor:
    out = empty_states(z, z.shape[1], states)
    units(z, z.shape[1], noise=noise, beta=beta, offset=offset, states=out)
    return out


def sample(
    x: Tensor, packed: Packed, bias: Tensor, n: int, noise: Noise, beta: Beta, offset: Offset, states: torch.dtype
) -> Tensor:
    if x.shape[1] > plain.TERMS:
        return decide(plain.logits(x, packed, bias, n), noise, beta, offset, states)
    out = empty_states(x, n, states)
    units(plain.product(x, packed.halves), n, packed, bias, noise=noise, beta=beta, offset=offset, states=out)
    return out


def draw(p: Tensor, noise: Noise, states: torch.dtype) -> Tensor:
    out = empty_states(p, p.shape[1], states)
    units(p, p.shape[1], noise=noise, states=out, draw=True)
    return out


def empty_states(x: Tensor, n: int, states: torch.dtype) -> Tensor:
    """Room for the states of `n` units, as many rows as `x` has."""
    return torch.empty(len(x), plain.padded(n), dtype=states, device=x.device)


def units(
    x: Tensor,
    n: int,
    packed: Packed | None = None,
    bias: Tensor | None = None,
    *,
    noise: Noise | None = None,
    beta: Beta = 1.0,
    offset: Offset = None,
    logits: Tensor | None = None,
    mean: Tensor | None = None,
    states: Tensor | None = None,
    draw: bool = False,
) -> None:
    """Fill `logits`, `mean` and `states` from `x`: products with the weights of a layer, or logits where it is None."""
    rows, half = len(x), x.shape[1] // 2
    if rows == 0:
        return
    seed, stream, step, row = (0, 0, 0, 0) if noise is None else noise
    first, stride, clock = (step.offset, step.stride, step.clock) if isinstance(step, MovingStep) else (step, 0, None)
    kind, number, groups, beta_group = _beta(beta, rows)
    width = n if states is None else states.shape[1]
    sampling.units[triton.cdiv(rows, _ROWS), triton.cdiv(width, 4 * _QUADS)](
        x, None if packed is None else packed.scale, bias, groups, offset, clock, logits, mean,
        None if states is None else states.view(torch.int64),
        rows, n, x.stride(0), half, beta_group, 1 if offset is None else rows // len(offset),
        0 if states is None else states.stride(0) // 4,
        _signed(seed & 0xFFFFFFFF), _signed(seed >> 32), _signed(stream), _signed(first), stride, _signed(row), number,
        PRODUCT=packed is not None, BETA=kind, OFFSET=offset is not None, MOVING=clock is not None,
        LOGITS=logits is not None, MEAN=mean is not None, STATES=states is not None, DRAW=draw,
        ROWS=_ROWS, QUADS=_QUADS, num_warps=4, **_EXACT,
    )  # fmt: skip


def _beta(beta: Beta, rows: int) -> tuple[str, float, Tensor | None, int]:
    """The kind of factor, the number, the tensor, and how many rows share an entry of it."""
    if isinstance(beta, Tensor):
        groups = beta.reshape(-1)
        return "groups", 1.0, groups, rows // len(groups)
    return "none" if beta == 1 else "number", float(beta), None, 1


def _signed(word: int) -> int:
    """A number of 32 bits, always as an int32: Triton compiles anew for a longer type."""
    return word - (word >> 31 << 32)


def softplus_sum(z: Tensor, beta: Beta, offset: Offset) -> Tensor:
    rows, n = z.shape
    out = torch.empty(rows, dtype=torch.float64, device=z.device)
    if rows == 0:
        return out
    kind, number, groups, beta_group = _beta(beta, rows)
    likelihood.softplus_sums[(triton.cdiv(rows, _SUM_ROWS),)](
        z, groups, offset, out, rows, n, z.stride(0), beta_group, 1 if offset is None else rows // len(offset), number,
        BETA=kind, OFFSET=offset is not None, MOST=_up(n, 64), ROWS=_SUM_ROWS, num_warps=1, **_EXACT,
    )  # fmt: skip
    return out


def dot(v: Tensor, x: Tensor) -> Tensor:
    out = torch.empty(len(v), dtype=torch.float64, device=v.device)
    if len(v):
        x = torch.nn.functional.pad(x, (0, v.shape[1] - len(x)))
        likelihood.dots[(triton.cdiv(len(v), _DOT_ROWS),)](
            v.view(torch.int64), x, out, len(v), v.stride(0) // 4, WORDS=v.shape[1] // 4, ROWS=_DOT_ROWS, num_warps=1,
            **_EXACT,
        )  # fmt: skip
    return out


def gains(z: Tensor, v: Tensor, betas: Tensor, ys: Tensor | None, slopes: Tensor) -> Tensor:
    rows, n = z.shape
    out = torch.empty(1 + len(slopes), rows, dtype=torch.float64, device=z.device)
    if rows == 0:
        return out
    n_blocks = triton.cdiv(rows, _DOT_ROWS)
    n_dots = len(slopes) * n_blocks
    likelihood.gains[(n_dots + triton.cdiv(rows, _SUM_ROWS),)](
        z, v.view(torch.int64), betas, ys, slopes, out, rows, n, z.stride(0), v.stride(0) // 4,
        0 if ys is None else ys.stride(0), slopes.stride(0), n_blocks, n_dots,
        BENT=ys is not None, MOST=_up(n, 64), WORDS=v.shape[1] // 4, DOT_ROWS=_DOT_ROWS, ROWS=_SUM_ROWS, num_warps=1,
        **_EXACT,
    )  # fmt: skip
    return out


def column_sums(x: Tensor) -> Tensor:
    rows, n = x.shape
    out = torch.empty(n, dtype=torch.float64, device=x.device)
    likelihood.column_sums[(triton.cdiv(n, _SUM_UNITS),)](
        x.contiguous(), out, rows, n,
        MOST_ROWS=triton.next_power_of_2(max(rows, 16)), AT_ONCE=16, UNITS=_SUM_UNITS, num_warps=1, **_EXACT,
    )  # fmt: skip
    return out


def real_product(x: Tensor, W: Tensor) -> Tensor:
    (rows, n_terms), n = x.shape, W.shape[1]
    out = torch.empty(rows, n, dtype=torch.float32, device=x.device)
    if rows:
        learning.real_product[triton.cdiv(rows, 16), triton.cdiv(n, 64)](
            x, W, out, rows, n_terms, n, *x.stride(), *W.stride(),
            MOST=_up(n_terms, 16), AT_A_TIME=16, ROWS=16, UNITS=64, num_warps=4, **_EXACT,
        )  # fmt: skip
    return out


def slide(before: Tensor | None, mean_h: Tensor, weights: Tensor, sliding_factor: float | Tensor) -> Tensor:
    rows, n = mean_h.shape
    out = torch.empty(n, dtype=torch.float32, device=mean_h.device)
    learning.slide[(triton.cdiv(n, _SUM_UNITS),)](
        mean_h.contiguous(), weights, before, _scalar(sliding_factor, mean_h), out,
        N=n, ROWS=rows, EQUAL=weights.stride(0) == 0, MOVING=before is not None, UNITS=_SUM_UNITS, num_warps=1,
        **_EXACT,
    )  # fmt: skip
    return out


def centred_sum(side: Side, offset_h: Tensor, before: Tensor | None) -> Tensor:
    """The sum of the weighted expectations of one side less `offset_h`; taken off `before`, if that is given."""
    rows, n = side.mean_h.shape
    out = torch.empty(n, dtype=torch.float32, device=offset_h.device)
    learning.centred_sum[(triton.cdiv(n, _SUM_UNITS),)](
        side.mean_h.contiguous(), side.weights, offset_h, before, out, 1.0 if before is None else -1.0,
        N=n, ROWS=rows, EQUAL=side.weights.stride(0) == 0, GOES_ON=before is not None, UNITS=_SUM_UNITS, num_warps=1,
        **_EXACT,
    )  # fmt: skip
    return out


def learn(
    machine: Machine,
    positive: Side,
    negative: Side,
    learning_rate: float | Tensor,
    momentum: float,
    weight_decay: float,
    offset_v: Tensor | None = None,
    offset_h: Tensor | None = None,
    begun: Tensor | None = None,
) -> None:
    """As the plain one; `begun` is the `centred_sum` of the positive side, if that has been taken already."""
    M, m, n, device = machine, machine.n_visible, machine.n_hidden, machine.W.device
    rows = len(positive.v) + len(negative.v)
    if rows > plain.TERMS or M.W.numel() >= 2**30:
        plain.learn(machine, positive, negative, learning_rate, momentum, weight_decay, offset_v, offset_h)
        return
    padded_m, padded_n = M.W.shape
    wide_m, wide_n = plain.padded(m + 1), plain.padded(n + 1)
    centred = offset_v is not None and offset_h is not None
    rate = _scalar(learning_rate, M.W)
    exponent = max(math.frexp(max(positive.largest, negative.largest))[1], -100)
    scale = 2.0 ** (exponent - 23)
    v = torch.empty(rows, wide_m, dtype=torch.float16, device=device)
    h = torch.empty(rows, 2 * wide_n, dtype=torch.float16, device=device)
    sums = None
    with aside(device) as join:
        if offset_h is not None:
            sums = centred_sum(negative, offset_h, centred_sum(positive, offset_h, None) if begun is None else begun)
    n_programs = triton.cdiv(wide_n, _STACK_UNITS)
    learning.stack[triton.cdiv(rows, _STACK_ROWS), n_programs + triton.cdiv(wide_m, _STACK_UNITS)](
        positive.v, positive.mean_h.contiguous(), positive.weights,
        negative.v, negative.mean_h.contiguous(), negative.weights, offset_h, v, h,
        len(positive.v), len(negative.v), m, n, positive.v.stride(0), negative.v.stride(0), wide_m, wide_n,
        positive.weights.stride(0), negative.weights.stride(0), 1 / scale,
        CENTRED=centred, N_PROGRAMS=n_programs, ROWS=_STACK_ROWS, UNITS=_STACK_UNITS, num_warps=4, **_EXACT,
    )  # fmt: skip
    product = plain.product(v.T, h)
    b_parts = c_parts = None
    if centred:
        b_parts = torch.empty(triton.cdiv(n, 64) * m, dtype=torch.float32, device=device)
        c_parts = torch.empty(triton.cdiv(m, 64) * n, dtype=torch.float32, device=device)
    largest = machine.largest
    if largest is None:
        largest = machine.largest = torch.zeros(padded_m + padded_n, dtype=torch.int32, device=device)
    join()
    learning.learn[triton.cdiv(m, _VISIBLE), triton.cdiv(n, _HIDDEN)](
        product, rate, offset_v, sums, M.W, M.dW, M.to_hidden.halves, M.to_visible.halves, M.to_hidden.scale,
        M.to_visible.scale, largest, m, n, padded_m, padded_n, wide_n, scale, momentum, weight_decay,
        CENTRED=centred, VISIBLE=_VISIBLE, HIDDEN=_HIDDEN, num_warps=4, **_EXACT,
    )  # fmt: skip
    if centred:
        n_b_programs = triton.cdiv(m, 64)
        learning.offset_sums[n_b_programs + triton.cdiv(n, 64), max(triton.cdiv(n, 64), triton.cdiv(m, 64))](
            M.dW, offset_v, offset_h, b_parts, c_parts, m, n, padded_n, n_b_programs, UNITS=64, num_warps=2, **_EXACT
        )
    learning.settle[(m + n,)](
        product, M.W, rate, M.b, M.db, b_parts, M.c, M.dc, c_parts,
        largest, M.to_hidden.scale, M.to_visible.scale, M.to_hidden.halves, M.to_visible.halves,
        m, n, padded_m, padded_n, wide_n, scale, momentum,
        CENTRED=centred, WIDTH=_REFIT, MOST_V=_up(m, _REFIT), MOST_H=_up(n, _REFIT), num_warps=4, **_EXACT,
    )  # fmt: skip


@contextlib.contextmanager
def aside(device: torch.device) -> Iterator[Callable[[], None]]:
    """Within, kernels run beside those that follow it, up to the call of what this yields."""
    if device.type != "cuda":
        yield lambda: None
        return
    here, there = torch.cuda.current_stream(device), _side_stream(device)
    there.wait_stream(here)
    with torch.cuda.stream(there):
        yield lambda: here.wait_stream(there)


@functools.cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def _scalar(x: float | Tensor, like: Tensor) -> Tensor:
    return x if isinstance(x, Tensor) else torch.full((), x, dtype=torch.float32, device=like.device)


def _up(n: int, to: int) -> int:
    return triton.cdiv(n, to) * to


def pseudo_log_likelihood(machine: Machine, v: Tensor) -> Tensor:
    return plain.pseudo_log_likelihood(
        machine,
        v,
        activations=activations,
        flip_logs=flip_logs,
        row_sums=lambda x: column_sums(x.T),
        at_once=max(1, _FLIP_CELLS // machine.n_visible),
    )


def activations(machine: Machine, v: Tensor) -> Tensor:
    M, m, n = machine, machine.n_visible, machine.n_hidden
    out = torch.empty(len(v), n, dtype=torch.float64, device=v.device)
    likelihood.activations[triton.cdiv(len(v), 16), triton.cdiv(n, 32)](
        v, M.W, M.c, out, len(v), m, n, v.stride(0), M.W.stride(0),
        MOST=_up(m, 16), AT_A_TIME=16, ROWS=16, UNITS=32, num_warps=4, **_EXACT,
    )  # fmt: skip
    return out


def flip_logs(table: Tensor, off: Tensor, on: Tensor, is_on: Tensor) -> Tensor:
    rows, m = is_on.shape
    mantissa = torch.empty(rows, m, dtype=torch.float64, device=table.device)
    power = torch.empty(rows, m, dtype=torch.int32, device=table.device)
    likelihood.flip_products[triton.cdiv(rows, _FLIP_ROWS), triton.cdiv(m, _FLIP_UNITS)](
        table, off, on, is_on.to(torch.int8), mantissa, power, rows, m,
        WIDTH=table.shape[1], ROWS=_FLIP_ROWS, UNITS=_FLIP_UNITS, num_warps=4, **_EXACT,
    )  # fmt: skip
    return log_of(mantissa, power)


def _safe(factors: float) -> int:
    """A power of two of at most so many factors."""
    return 2 ** int(math.log2(min(max(factors, 1.0), _MOST_SAFE)))


def log_partition_block(W: Tensor, b: Tensor, c: Tensor, first: int, count: int) -> float:
    n, m = W.shape
    up, down = W.clamp_min(0).sum(0) + b, W.clamp_max(0).sum(0) + b
    largest = float(torch.maximum(up.abs(), down.abs()).max()) if m else 0.0
    if largest >= 200:
        return plain.log_partition_block(W, b, c, first, count)
    low_bits = min(_LOW_BITS, n)
    states = torch.arange(2**low_bits, device=W.device)
    bits = _bits(states, low_bits)
    low, low_terms = _table(W[:low_bits], torch.zeros_like(b), bits), c[:low_bits] @ bits
    n_low, last = 2**low_bits, first + count
    first_high, last_high = first >> low_bits, ((last - 1) >> low_bits) + 1
    logs = []
    for start in range(first_high, last_high, _HIGHS):
        stop = min(last_high, start + _HIGHS)
        # At both ends some states of the low bits are left out: such values of the high bits stand alone.
        for begin, end in _whole(start, stop, first, last, n_low):
            highs = torch.arange(begin, end, device=W.device)
            bits = _bits(highs, n - low_bits)
            terms = low_terms
            if end == begin + 1:
                number = begin * n_low + states
                terms = low_terms.masked_fill((number < first) | (number >= last), -torch.inf)
            logs.append(_pairs(_table(W[low_bits:], b, bits), low, c[low_bits:] @ bits, terms, largest))
    return float(torch.logsumexp(torch.cat(logs), 0))


def _whole(start: int, stop: int, first: int, last: int, n_low: int) -> list[tuple[int, int]]:
    """The values of the high bits from `start` to `stop`, those with all of the low bits together."""
    head, tail = int(start * n_low < first), int(stop * n_low > last)
    if stop - start <= head + tail:
        return [(x, x + 1) for x in range(start, stop)]
    parts = [(start, start + head), (start + head, stop - tail), (stop - tail, stop)]
    return [(x, y) for x, y in parts if x < y]


def _bits(states: Tensor, n: int) -> Tensor:
    """Shape (n, states), float64."""
    return ((states >> torch.arange(n, device=states.device)[:, None]) & 1).to(torch.float64)


def _table(W: Tensor, b: Tensor, bits: Tensor) -> Tensor:
    """exp(b + W'h) of all states, shape (units, states): zeros for the units that fill up the last product."""
    m = len(b)
    table = torch.zeros(_up(m, _MOST_SAFE), bits.shape[1], dtype=torch.float64, device=bits.device)
    table[:m] = torch.exp(W.T @ bits + b[:, None])
    return table


def _pairs(high: Tensor, low: Tensor, high_terms: Tensor, low_terms: Tensor, largest: float) -> Tensor:
    n_high, n_low = high.shape[1], low.shape[1]
    grid = triton.cdiv(n_low, _LOW), triton.cdiv(n_high, _HIGH)
    out = torch.empty(grid[0] * grid[1], dtype=torch.float64, device=high.device)
    likelihood.pairs[grid](
        high, low, high_terms, low_terms, out, n_high, n_low,
        M=len(high), SAFE=_safe(700 / (largest + 0.7)), HIGH=_HIGH, LOW=_LOW, num_warps=4,
    )  # fmt: skip
    return out
