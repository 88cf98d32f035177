"""Sums for likelihoods in double precision: softplus of logits, flipped units, and all states of a layer."""

from __future__ import annotations

import triton
import triton.language as tl

from harmonium.engines._triton.functions import softplus

LN2 = tl.constexpr(0.69314718055994530942)


LANES = tl.constexpr(16)  # parts of a sum of softplus, as the native engine has them
AT_ONCE = tl.constexpr(4)  # of their blocks, whose loads are under way together
WORDS_AT_ONCE = tl.constexpr(16)  # of four states, likewise


@triton.jit
def more_softplus(parts, z, inside):
    """The parts of a sum, and the next block of its terms."""
    return parts + tl.where(inside, softplus(z).to(tl.float64), 0.0)


@triton.jit
def sum_of_parts(parts, ROWS: tl.constexpr):
    """Over the lanes, one after the other."""
    lanes = tl.arange(0, LANES)
    total = tl.zeros((ROWS,), tl.float64)
    for k in tl.static_range(LANES):
        total += tl.sum(tl.where((lanes == k)[None, :], parts, 0.0), 1)
    return total


@triton.jit
def row_dots(v_ptr, x_ptr, r, rows, v_stride, WORDS: tl.constexpr, ROWS: tl.constexpr):
    """Sums of v * x of some rows in double precision, unit after unit; v are states, four to a word of 64 bits."""
    row = v_ptr + tl.minimum(r, rows - 1).to(tl.int64) * v_stride
    total = tl.zeros((ROWS,), tl.float64)
    WHOLE: tl.constexpr = WORDS // WORDS_AT_ONCE * WORDS_AT_ONCE
    for first in range(0, WHOLE, WORDS_AT_ONCE):
        for k in tl.static_range(WORDS_AT_ONCE):
            total = four_terms(total, tl.load(row + (first + k)), x_ptr + (first + k) * 4)
    for k in tl.static_range(WORDS - WHOLE):
        total = four_terms(total, tl.load(row + (WHOLE + k)), x_ptr + (WHOLE + k) * 4)
    return total


@triton.jit
def four_terms(total, word, x_ptr):
    """`total` and the x of the units that are on, of the four in a word."""
    for k in tl.static_range(4):
        x = tl.load(x_ptr + k).to(tl.float64)
        total += tl.where(((word >> (16 * k)) & 0x3C00) != 0, x, 0.0)
    return total


@triton.jit(do_not_specialize=["rows", "beta_group", "offset_group", "beta"])
def softplus_sums(
    z_ptr, beta_ptr, offset_ptr, out_ptr, rows, n, z_stride, beta_group, offset_group, beta,
    BETA: tl.constexpr, OFFSET: tl.constexpr, MOST: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The sum over the units of log(1 + exp(beta * logit + offset)), in sixteen parts as the native engine takes it.

    `BETA` and `OFFSET` are as in `sampling.units`.
    """
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    exists = (r < rows)[:, None]
    parts = tl.zeros((ROWS, LANES), tl.float64)
    factor = tl.zeros((ROWS,), tl.float32) + beta
    if BETA == "groups":
        factor = tl.load(beta_ptr + r // beta_group, mask=r < rows, other=0.0)
    for first in range(0, MOST, LANES * AT_ONCE):
        for k in tl.static_range(AT_ONCE):
            cols = first + k * LANES + tl.arange(0, LANES)
            inside = exists & (cols < n)[None, :]
            z = tl.load(z_ptr + r.to(tl.int64)[:, None] * z_stride + cols[None, :], mask=inside, other=0.0)
            if BETA != "none":
                z = z * factor[:, None]
            if OFFSET:
                table = (r // offset_group).to(tl.int64)[:, None] * n + cols[None, :]
                z = z + tl.load(offset_ptr + table, mask=inside, other=0.0)
            parts = more_softplus(parts, z, inside)
    tl.store(out_ptr + r, sum_of_parts(parts, ROWS), mask=r < rows)


@triton.jit(do_not_specialize=["rows"])
def dots(v_ptr, x_ptr, out_ptr, rows, v_stride, WORDS: tl.constexpr, ROWS: tl.constexpr):
    """Row sums of v * x, as `row_dots` has them."""
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    tl.store(out_ptr + r, row_dots(v_ptr, x_ptr, r, rows, v_stride, WORDS, ROWS), mask=r < rows)


@triton.jit(do_not_specialize=["rows", "n_blocks", "n_dots"])
def gains(
    z_ptr, v_ptr, betas_ptr, y_ptr, slopes_ptr, out_ptr, rows, n, z_stride, v_stride, y_stride, slope_stride, n_blocks,
    n_dots, BENT: tl.constexpr, MOST: tl.constexpr, WORDS: tl.constexpr, DOT_ROWS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """What a temperature adds to the weights of the chains: (1 + slopes, rows).

    First the sum of softplus at the second beta and offsets less that at the first, then the dots with the slopes.
    These take a warp longest, so they are the first programs: `n_blocks` blocks of rows each, `n_dots` in all.
    """
    pid = tl.program_id(0)
    if pid < n_dots:
        slope = pid // n_blocks
        chains = (pid % n_blocks) * DOT_ROWS + tl.arange(0, DOT_ROWS)
        total = row_dots(v_ptr, slopes_ptr + slope * slope_stride, chains, rows, v_stride, WORDS, DOT_ROWS)
        tl.store(out_ptr + (slope + 1) * rows + chains, total, mask=chains < rows)
    else:
        r = (pid - n_dots) * ROWS + tl.arange(0, ROWS)
        exists = (r < rows)[:, None]
        before = tl.zeros((ROWS, LANES), tl.float64)
        after = tl.zeros((ROWS, LANES), tl.float64)
        beta = tl.load(betas_ptr)
        beta_after = tl.load(betas_ptr + 1)
        for first in range(0, MOST, LANES * AT_ONCE):
            for k in tl.static_range(AT_ONCE):
                cols = first + k * LANES + tl.arange(0, LANES)
                inside = exists & (cols < n)[None, :]
                z = tl.load(z_ptr + r.to(tl.int64)[:, None] * z_stride + cols[None, :], mask=inside, other=0.0)
                z_before = z * beta
                z_after = z * beta_after
                if BENT:
                    z_before = z_before + tl.load(y_ptr + cols, mask=cols < n, other=0.0)[None, :]
                    z_after = z_after + tl.load(y_ptr + y_stride + cols, mask=cols < n, other=0.0)[None, :]
                before = more_softplus(before, z_before, inside)
                after = more_softplus(after, z_after, inside)
        tl.store(out_ptr + r, sum_of_parts(after, ROWS) - sum_of_parts(before, ROWS), mask=r < rows)


@triton.jit(do_not_specialize=["rows"])
def column_sums(x_ptr, out_ptr, rows, n, MOST_ROWS: tl.constexpr, AT_ONCE: tl.constexpr, UNITS: tl.constexpr):
    """Sums over the rows in double precision, one after the other."""
    cols = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    total = tl.zeros((UNITS,), tl.float64)
    for first in range(0, MOST_ROWS, AT_ONCE):
        for k in tl.static_range(AT_ONCE):
            r = first + k
            x = tl.load(x_ptr + r * n + cols, mask=(cols < n) & (r < rows), other=0.0)
            total += x.to(tl.float64)
    tl.store(out_ptr + cols, total, mask=cols < n)


@triton.jit
def set_aside(p, power):
    """Numbers of at least 2^-1022 as their fractions from 1 to 2, and their exponents added to `power`."""
    bits = p.to(tl.int64, bitcast=True)
    power += ((bits >> 52) - 1023).to(tl.int32)
    return ((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000).to(tl.float64, bitcast=True), power


@triton.jit(do_not_specialize=["rows"])
def activations(
    v_ptr, W_ptr, c_ptr, out_ptr, rows, m, n, v_stride, W_stride, MOST: tl.constexpr, AT_A_TIME: tl.constexpr,
    ROWS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """c + Wv in double precision, unit after unit, for states v; weights are (visible, hidden)."""
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    cols = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    total = (
        tl.zeros((ROWS, UNITS), tl.float64) + tl.load(c_ptr + cols, mask=cols < n, other=0.0).to(tl.float64)[None, :]
    )
    for first in range(0, MOST, AT_A_TIME):
        for k in tl.static_range(AT_A_TIME):
            j = first + k
            v = tl.load(v_ptr + r.to(tl.int64) * v_stride + j, mask=(r < rows) & (j < m), other=0.0).to(tl.float64)
            w = tl.load(W_ptr + j * W_stride + cols, mask=(cols < n) & (j < m), other=0.0).to(tl.float64)
            total += v[:, None] * w[None, :]
    to = r.to(tl.int64)[:, None] * n + cols[None, :]
    tl.store(out_ptr + to, total, mask=(r < rows)[:, None] & (cols < n)[None, :])


@triton.jit(do_not_specialize=["rows"])
def flip_products(
    table_ptr, off_ptr, on_ptr, is_on_ptr, mantissa_ptr, power_ptr, rows, m,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """For each row and visible unit the product over the hidden units of `table` + (`on` or `off`): fraction and power.

    In eight products of every eighth factor, as the native engine has them; two factors are within range at a time.
    """
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    js = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    lanes = tl.arange(0, 8)
    inside = (r < rows)[:, None] & (js < m)[None, :]
    to = r.to(tl.int64)[:, None] * m + js[None, :]
    is_on = (tl.load(is_on_ptr + to, mask=inside, other=0) != 0)[:, :, None]
    p = tl.full((ROWS, UNITS, 8), 1.0, tl.float64)
    power = tl.zeros((ROWS, UNITS, 8), tl.int32)
    for first in range(0, WIDTH, 16):
        p, power = set_aside(p, power)
        for k in tl.static_range(2):
            cols = (first + k * 8 + lanes)[None, :]
            of_row = r.to(tl.int64)[:, None] * WIDTH + cols
            off = tl.load(off_ptr + of_row, mask=(r < rows)[:, None], other=1.0)[:, None, :]
            on = tl.load(on_ptr + of_row, mask=(r < rows)[:, None], other=1.0)[:, None, :]
            x = tl.load(table_ptr + js.to(tl.int64)[:, None] * WIDTH + cols, mask=(js < m)[:, None], other=1.0)
            p = p * (x[None, :, :] + tl.where(is_on, on, off))
    p, power = set_aside(p, power)
    mantissa = tl.full((ROWS, UNITS), 1.0, tl.float64)
    for k in tl.static_range(8):
        mantissa = mantissa * tl.sum(tl.where((lanes == k)[None, None, :], p, 0.0), 2)
    tl.store(mantissa_ptr + to, mantissa, mask=inside)
    tl.store(power_ptr + to, tl.sum(power, 2), mask=inside)


@triton.jit
def pairs(
    high_ptr, low_ptr, high_terms_ptr, low_terms_ptr, out_ptr, n_high, n_low,
    M: tl.constexpr, SAFE: tl.constexpr, HIGH: tl.constexpr, LOW: tl.constexpr,
):  # fmt: skip
    """The log of the sum over a tile of pairs of exp(terms) times the product over M units of 1 + high * low.

    The tables are (M, states); M is a multiple of SAFE, as many factors as stay within range. A pair is left out where
    its terms are minus infinity.
    """
    hs = tl.program_id(1) * HIGH + tl.arange(0, HIGH)
    ls = tl.program_id(0) * LOW + tl.arange(0, LOW)
    p = tl.full((HIGH, LOW), 1.0, tl.float64)
    power = tl.zeros((HIGH, LOW), tl.int32)
    for first in range(0, M, SAFE):
        for k in tl.static_range(SAFE):
            j = first + k
            x = tl.load(high_ptr + j * n_high + hs, mask=hs < n_high, other=0.0)
            y = tl.load(low_ptr + j * n_low + ls, mask=ls < n_low, other=0.0)
            p = p * (x[:, None] * y[None, :] + 1.0)
        p, power = set_aside(p, power)
    high_terms = tl.load(high_terms_ptr + hs, mask=hs < n_high, other=float("-inf"))
    low_terms = tl.load(low_terms_ptr + ls, mask=ls < n_low, other=float("-inf"))
    z = tl.log(p) + power.to(tl.float64) * LN2 + (high_terms[:, None] + low_terms[None, :])
    top = tl.max(tl.max(z, 1), 0)
    top = tl.where(top == float("-inf"), 0.0, top)
    total = tl.sum(tl.sum(tl.exp(z - top), 1), 0)
    tl.store(out_ptr + tl.program_id(1) * tl.num_programs(0) + tl.program_id(0), top + tl.log(total))
