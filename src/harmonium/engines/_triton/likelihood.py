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
def flip_sums(
    off_ptr, on_ptr, up_ptr, down_ptr, v_ptr, b_ptr, out_ptr, rows, m, n, v_stride,
    MOST: tl.constexpr, SAFE: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """-F of each row with one visible unit flipped, less -F of the row: for every unit, (rows, m).

    exp(-F) has the factors 1 + exp(a_i); flipping unit j multiplies each by off_i + on_i exp(+-W_ij), where `on` and
    `off` are the probabilities of both states of hidden unit i, and `up` and `down` (n, m) hold exp(W_ij) and
    exp(-W_ij). The product of `SAFE` factors stays within range.
    """
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    js = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    inside = (r < rows)[:, None] & (js < m)[None, :]
    at = r.to(tl.int64)[:, None]
    on_now = tl.load(v_ptr + at * v_stride + js[None, :], mask=inside, other=0.0) > 0
    p = tl.full((ROWS, UNITS), 1.0, tl.float64)
    power = tl.zeros((ROWS, UNITS), tl.int32)
    for first in range(0, MOST, SAFE):
        for k in tl.static_range(SAFE):
            i = first + k
            off = tl.load(off_ptr + r.to(tl.int64) * n + i, mask=(r < rows) & (i < n), other=1.0)
            on = tl.load(on_ptr + r.to(tl.int64) * n + i, mask=(r < rows) & (i < n), other=0.0)
            rise = tl.load(up_ptr + js.to(tl.int64) + i * m, mask=(js < m) & (i < n), other=0.0)
            fall = tl.load(down_ptr + js.to(tl.int64) + i * m, mask=(js < m) & (i < n), other=0.0)
            change = tl.where(on_now, fall[None, :], rise[None, :])
            p = p * (off[:, None] + on[:, None] * change)
        p, power = set_aside(p, power)
    b = tl.load(b_ptr + js, mask=js < m, other=0.0).to(tl.float64)
    total = tl.log(p) + power.to(tl.float64) * LN2 + tl.where(on_now, -b[None, :], b[None, :])
    tl.store(out_ptr + at * m + js[None, :], total, mask=inside)


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
