"""From products, or logits, to logits, expectations and states: one elementwise kernel."""

from __future__ import annotations

import triton
import triton.language as tl

from harmonium.engines._triton.functions import decide, logistic, noise, split4, uniform


@triton.jit(
    do_not_specialize=[
        "rows", "beta_group", "offset_group", "seed_low", "seed_high", "stream", "step", "step_stride", "row", "beta"
    ]
)  # fmt: skip
def units(
    x_ptr, scale_ptr, bias_ptr, beta_ptr, offset_ptr, clock_ptr, logits_ptr, mean_ptr, states_ptr,
    rows, n, x_stride, half, beta_group, offset_group, states_stride,
    seed_low, seed_high, stream, step, step_stride, row, beta,
    PRODUCT: tl.constexpr, BETA: tl.constexpr, OFFSET: tl.constexpr, MOVING: tl.constexpr,
    LOGITS: tl.constexpr, MEAN: tl.constexpr, STATES: tl.constexpr, DRAW: tl.constexpr,
    ROWS: tl.constexpr, QUADS: tl.constexpr,
):  # fmt: skip
    """A tile of rows and units: what is asked for of logits, their logistic function, and states drawn from it.

    `x` holds two exact products side by side (`half` columns apart), the high and the low halves of the weights with
    the states, or logits. `BETA` and `OFFSET` are the affine argument: a number or one for each `beta_group` rows, and
    a row of the table for each `offset_group` rows. Logits are stored as they are without it. States are halves, four
    to a word, zero beyond the last unit; `MOVING` ones draw the noise of step ``step_stride * clock + step``, and with
    `DRAW` `x` holds probabilities.
    """
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    quads = tl.program_id(1) * QUADS + tl.arange(0, QUADS)
    cols = tl.program_id(1) * QUADS * 4 + tl.arange(0, QUADS * 4)
    inside = (r < rows)[:, None] & (cols < n)[None, :]
    at = r.to(tl.int64)[:, None] * x_stride + cols[None, :]
    z = tl.load(x_ptr + at, mask=inside, other=0.0)
    if PRODUCT:
        z = z * 4096.0 + tl.load(x_ptr + half + at, mask=inside, other=0.0)
        scale = tl.load(scale_ptr + cols, mask=cols < n, other=0.0)
        z = z * scale[None, :] + tl.load(bias_ptr + cols, mask=cols < n, other=0.0)[None, :]
    to = r.to(tl.int64)[:, None] * n + cols[None, :]
    if LOGITS:
        tl.store(logits_ptr + to, z, mask=inside)
    if BETA == "number":
        z = z * beta
    if BETA == "groups":
        z = z * tl.load(beta_ptr + r // beta_group, mask=r < rows, other=0.0)[:, None]
    if OFFSET:
        table = (r // offset_group).to(tl.int64)[:, None] * n + cols[None, :]
        z = z + tl.load(offset_ptr + table, mask=inside, other=0.0)
    if MEAN:
        tl.store(mean_ptr + to, logistic(z), mask=inside)
    if STATES:
        now = step.to(tl.uint32)
        if MOVING:
            now = (tl.load(clock_ptr) * step_stride + step).to(tl.uint32)
        w0, w1, w2, w3 = noise(
            seed_low.to(tl.uint32), seed_high.to(tl.uint32), stream.to(tl.uint32), now,
            r.to(tl.uint32) + row.to(tl.uint32), quads.to(tl.uint32),
        )  # fmt: skip
        x0, x1, x2, x3 = split4(z, ROWS, QUADS)
        if DRAW:
            b0 = uniform(w0) < x0.to(tl.float64)
            b1 = uniform(w1) < x1.to(tl.float64)
            b2 = uniform(w2) < x2.to(tl.float64)
            b3 = uniform(w3) < x3.to(tl.float64)
        else:
            b0, b1, b2, b3 = decide(x0, x1, x2, x3, w0, w1, w2, w3)
        first = quads * 4
        p0 = half_of_one(b0, first, n)
        p1 = half_of_one(b1, first + 1, n)
        p2 = half_of_one(b2, first + 2, n)
        p3 = half_of_one(b3, first + 3, n)
        word = p0 | (p1 << 16) | (p2 << 32) | (p3 << 48)
        words = r.to(tl.int64)[:, None] * states_stride + quads[None, :]
        tl.store(states_ptr + words, word, mask=(r < rows)[:, None] & (quads < states_stride)[None, :])


@triton.jit
def half_of_one(on, col, n):
    """The bits of 1 in half precision where a unit is on and exists."""
    return tl.where(on & (col < n)[None, :], 0x3C00, 0).to(tl.int64)
