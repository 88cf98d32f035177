"""A step of learning with the native engine's bits: ordered sums, the move along the gradient, and the packing.

Weights are (visible, hidden), padded as `harmonium.engines.torch_arithmetic` has them. Expectations become integers of
24 bits, each 4096 * high + low, so that the sums over the rows are exact in whatever order a product takes them.
Single-precision sums that are not exact are taken in the order of the native engine.
"""

from __future__ import annotations

import triton
import triton.language as tl

from harmonium.engines._triton.functions import nearest

AT_ONCE = tl.constexpr(64)  # loads under way in an ordered sum


@triton.jit
def ordered_sum(
    total, x_ptr, weights_ptr, sign, cols, offset, STRIDE: tl.constexpr, ROWS: tl.constexpr, EQUAL: tl.constexpr
):
    """`total` + (x - offset) * weight * sign of each row, one after the other."""
    # One warp does this, so every instruction counts: there are no masks, and the places of the rows are constants.
    w = tl.load(weights_ptr) * sign
    WHOLE: tl.constexpr = ROWS // AT_ONCE * AT_ONCE
    for first in range(0, WHOLE, AT_ONCE):
        for k in tl.static_range(AT_ONCE):
            if not EQUAL:
                w = tl.load(weights_ptr + first + k) * sign
            total += (tl.load(x_ptr + first * STRIDE + cols + k * STRIDE) - offset) * w
    for k in tl.static_range(ROWS - WHOLE):
        if not EQUAL:
            w = tl.load(weights_ptr + WHOLE + k) * sign
        total += (tl.load(x_ptr + cols + (WHOLE + k) * STRIDE) - offset) * w
    return total


@triton.jit(do_not_specialize=["rows"])
def real_product(
    x_ptr, w_ptr, out_ptr, rows, n_terms, n, x_row, x_column, w_row, w_column,
    MOST: tl.constexpr, AT_A_TIME: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """x @ w of real numbers, the terms of each sum one after the other."""
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    cols = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    total = tl.zeros((ROWS, UNITS), tl.float32)
    for first in range(0, MOST, AT_A_TIME):
        for k in tl.static_range(AT_A_TIME):
            t = first + k
            x = tl.load(x_ptr + r.to(tl.int64) * x_row + t * x_column, mask=(r < rows) & (t < n_terms), other=0.0)
            w = tl.load(w_ptr + t * w_row + cols * w_column, mask=(cols < n) & (t < n_terms), other=0.0)
            total += x[:, None] * w[None, :]
    tl.store(
        out_ptr + r.to(tl.int64)[:, None] * n + cols[None, :], total, mask=(r < rows)[:, None] & (cols < n)[None, :]
    )


@triton.jit
def slide(
    x_ptr, weights_ptr, before_ptr, factor_ptr, out_ptr,
    N: tl.constexpr, ROWS: tl.constexpr, EQUAL: tl.constexpr, MOVING: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """The weighted average of the rows, or what was before it moved by a share of the way there."""
    cols = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    near = tl.minimum(cols, N - 1)
    zero = tl.zeros((UNITS,), tl.float32)
    now = ordered_sum(zero, x_ptr, weights_ptr, 1.0, near, zero, N, ROWS, EQUAL)
    if MOVING:
        before = tl.load(before_ptr + near)
        now = before + tl.load(factor_ptr) * (now - before)
    tl.store(out_ptr + cols, now, mask=cols < N)


@triton.jit(do_not_specialize=["sign"])
def centred_sum(
    x_ptr, weights_ptr, offset_ptr, before_ptr, out_ptr, sign,
    N: tl.constexpr, ROWS: tl.constexpr, EQUAL: tl.constexpr, GOES_ON: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """The sum of one side's weighted expectations less their offsets; it goes on from that of the other side."""
    cols = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    near = tl.minimum(cols, N - 1)
    total = tl.zeros((UNITS,), tl.float32)
    if GOES_ON:
        total = tl.load(before_ptr + near)
    total = ordered_sum(total, x_ptr, weights_ptr, sign, near, tl.load(offset_ptr + near), N, ROWS, EQUAL)
    tl.store(out_ptr + cols, total, mask=cols < N)


@triton.jit
def halves(x):
    """The integer of 24 bits nearest to x, as high and low with 4096 * high + low."""
    q = tl.minimum(nearest(x), 8388607.0)
    high = nearest(q * 0.000244140625)
    return high, q - high * 4096.0


@triton.jit
def store_halves(packed_ptr, at, half, x, mask):
    """`x` as halves where a layer's weights are packed, the low ones `half` places further on."""
    high, low = halves(x)
    tl.store(packed_ptr + at, high.to(tl.float16), mask=mask)
    tl.store(packed_ptr + half + at, low.to(tl.float16), mask=mask)


@triton.jit
def inverse_of(scale):
    """1 / scale for a power of two."""
    return ((254 << 23) - scale.to(tl.int32, bitcast=True)).to(tl.float32, bitcast=True)


@triton.jit(do_not_specialize=["p_rows", "n_rows", "factor"])
def stack(
    pv_ptr, ph_ptr, pw_ptr, nv_ptr, nh_ptr, nw_ptr, offset_ptr, v_ptr, h_ptr,
    p_rows, n_rows, m, n, pv_stride, nv_stride, wide_m, wide_n, p_weight_stride, n_weight_stride, factor,
    CENTRED: tl.constexpr, N_PROGRAMS: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """The states of both sides one below the other, and beside each row its weighted expectations as halves.

    Those of the second side are negative. Unit m of v and unit n of h are always on: for the sums of h, and of v.
    """
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    first = (r < p_rows)[:, None]
    second = ((r >= p_rows) & (r < p_rows + n_rows))[:, None]
    pr = r.to(tl.int64)[:, None]
    nr = pr - p_rows
    if tl.program_id(1) < N_PROGRAMS:
        is_ = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
        real = (is_ < n)[None, :]
        h = tl.load(ph_ptr + pr * n + is_[None, :], mask=first & real, other=0.0)
        h += tl.load(nh_ptr + nr * n + is_[None, :], mask=second & real, other=0.0)
        if CENTRED:
            h = h - tl.load(offset_ptr + is_, mask=is_ < n, other=0.0)[None, :]
        h = tl.where(real, h, tl.where((is_ == n)[None, :], 1.0, 0.0))
        w = tl.load(pw_ptr + pr * p_weight_stride, mask=first, other=0.0)
        w -= tl.load(nw_ptr + nr * n_weight_stride, mask=second, other=0.0)
        at = pr * (2 * wide_n) + is_[None, :]
        store_halves(h_ptr, at, wide_n, h * (w * factor), (first | second) & (is_ < wide_n)[None, :])
    else:
        js = (tl.program_id(1) - N_PROGRAMS) * UNITS + tl.arange(0, UNITS)
        real = (js < m)[None, :]
        v = tl.load(pv_ptr + pr * pv_stride + js[None, :], mask=first & real, other=0.0)
        v += tl.load(nv_ptr + nr * nv_stride + js[None, :], mask=second & real, other=0.0)
        v = tl.where((js == m)[None, :], 1.0, v.to(tl.float32)).to(tl.float16)
        tl.store(v_ptr + pr * wide_m + js[None, :], v, mask=(first | second) & (js < wide_m)[None, :])


@triton.jit(do_not_specialize=["scale", "momentum", "decay"])
def learn(
    product_ptr, rate_ptr, offset_v_ptr, sums_ptr, W_ptr, dW_ptr, to_h_ptr, to_v_ptr, scale_h_ptr, scale_v_ptr,
    largest_ptr, m, n, padded_m, padded_n, wide_n, scale, momentum, decay,
    CENTRED: tl.constexpr, VISIBLE: tl.constexpr, HIDDEN: tl.constexpr,
):  # fmt: skip
    """A tile of weights: the step along the gradient, and the weights packed with the scales as they were."""
    js = tl.program_id(0) * VISIBLE + tl.arange(0, VISIBLE)
    is_ = tl.program_id(1) * HIDDEN + tl.arange(0, HIDDEN)
    inside = (js < m)[:, None] & (is_ < n)[None, :]
    at = product_ptr + js[:, None] * (2 * wide_n) + is_[None, :]
    high = tl.load(at, mask=inside, other=0.0)
    slope = (high * 4096.0 + tl.load(at + wide_n, mask=inside, other=0.0)) * scale
    if CENTRED:
        mu = tl.load(offset_v_ptr + js, mask=js < m, other=0.0)
        slope = slope - tl.load(sums_ptr + is_, mask=is_ < n, other=0.0)[None, :] * mu[:, None]
    at = js[:, None] * padded_n + is_[None, :]
    w = tl.load(W_ptr + at, mask=inside, other=0.0)
    speed = tl.load(dW_ptr + at, mask=inside, other=0.0) * momentum + (slope - w * decay) * tl.load(rate_ptr)
    w = tl.where(inside, w + speed, 0.0)
    tl.debug_barrier()  # no thread loads what another has stored, should a tile be held twice
    tl.store(W_ptr + at, w, mask=inside)
    tl.store(dW_ptr + at, speed, mask=inside)
    # Numbers that are not negative are in the order of their bits.
    bits = tl.abs(w).to(tl.int32, bitcast=True)
    tl.atomic_max(largest_ptr + js, tl.max(bits, 1), mask=js < m, sem="relaxed")
    tl.atomic_max(largest_ptr + padded_m + is_, tl.max(bits, 0), mask=is_ < n, sem="relaxed")
    inverse = inverse_of(tl.load(scale_h_ptr + is_, mask=is_ < n, other=1.0))
    at = js[:, None] * (2 * padded_n) + is_[None, :]
    store_halves(to_h_ptr, at, padded_n, w * inverse[None, :], inside)
    inverse = inverse_of(tl.load(scale_v_ptr + js, mask=js < m, other=1.0))
    at = is_[:, None] * (2 * padded_m) + js[None, :]
    store_halves(to_v_ptr, at, padded_m, tl.trans(w * inverse[:, None]), tl.trans(inside))


@triton.jit
def offset_sums(
    dW_ptr, offset_v_ptr, offset_h_ptr, b_part_ptr, c_part_ptr, m, n, padded_n, n_b_programs, UNITS: tl.constexpr
):
    """Sums of the weights' velocity with the offsets, for every 64 units of the other layer: (parts, units) each.

    Those of a visible unit are taken in two halves of sixteen parts, whose two terms are 16 units apart; those of a
    hidden unit in the order of the visible ones.
    """
    pid = tl.program_id(0)
    part = tl.program_id(1)
    if pid < n_b_programs:
        js = pid * UNITS + tl.arange(0, UNITS)
        row = dW_ptr + js.to(tl.int64) * padded_n
        total = tl.zeros((UNITS,), tl.float32)
        for half in tl.static_range(2):
            sixteen = tl.zeros((UNITS,), tl.float32)
            for k in tl.static_range(16):
                i = part * 64 + half * 32 + k
                x = tl.load(row + i, mask=(js < m) & (i < n), other=0.0)
                y = tl.load(row + i + 16, mask=(js < m) & (i + 16 < n), other=0.0)
                x = x * tl.load(offset_h_ptr + i, mask=i < n, other=0.0)
                sixteen += x + y * tl.load(offset_h_ptr + i + 16, mask=i + 16 < n, other=0.0)
            total += sixteen
        tl.store(b_part_ptr + part * m + js, total, mask=(js < m) & (part * 64 < n))
    else:
        is_ = (pid - n_b_programs) * UNITS + tl.arange(0, UNITS)
        total = tl.zeros((UNITS,), tl.float32)
        for k in tl.static_range(64):
            j = part * 64 + k
            x = tl.load(dW_ptr + j.to(tl.int64) * padded_n + is_, mask=(is_ < n) & (j < m), other=0.0)
            total += x * tl.load(offset_v_ptr + j, mask=j < m, other=0.0)
        tl.store(c_part_ptr + part * n + is_, total, mask=(is_ < n) & (part * 64 < m))


@triton.jit
def settle_bias(
    u, x_ptr, velocity_ptr, slope, part_ptr, rate, momentum, n_units, n_others, CENTRED: tl.constexpr,
    PARTS: tl.constexpr,
):  # fmt: skip
    """The step of one bias, less what its centred machine keeps."""
    velocity = tl.load(velocity_ptr + u) * momentum + slope * rate
    x = tl.load(x_ptr + u) + velocity
    if CENTRED:
        for first in range(0, PARTS, 8):
            for k in tl.static_range(8):
                part = first + k
                x = x - tl.load(part_ptr + part * n_units + u, mask=part * 64 < n_others, other=0.0)
    tl.debug_barrier()  # every thread has loaded what one of them is about to overwrite
    tl.store(velocity_ptr + u, velocity)
    tl.store(x_ptr + u, x)


@triton.jit
def refit(
    u, W_ptr, unit_stride, other_stride, n_others, largest_ptr, scale_ptr, packed_ptr, stride, half,
    WIDTH: tl.constexpr, MOST: tl.constexpr,
):  # fmt: skip
    """The scale that a unit's largest weight demands; its weights are packed again if that is another."""
    bits = tl.load(largest_ptr)
    before = tl.load(scale_ptr + u)
    exponent = tl.where(bits > 0, tl.maximum((bits >> 23) - 126, -100), 0)
    scale = ((exponent + 104) << 23).to(tl.float32, bitcast=True)
    tl.debug_barrier()  # every thread has loaded what one of them is about to overwrite
    tl.store(largest_ptr, 0)
    if scale != before:
        tl.store(scale_ptr + u, scale)
        for first in range(0, MOST, WIDTH):
            k = first + tl.arange(0, WIDTH)
            exists = k < n_others
            w = tl.load(W_ptr + u.to(tl.int64) * unit_stride + k.to(tl.int64) * other_stride, mask=exists, other=0.0)
            store_halves(packed_ptr, k.to(tl.int64) * stride + u, half, w * inverse_of(scale), exists)


@triton.jit(do_not_specialize=["scale", "momentum"])
def settle(
    product_ptr, W_ptr, rate_ptr, b_ptr, db_ptr, b_part_ptr, c_ptr, dc_ptr, c_part_ptr,
    largest_ptr, scale_h_ptr, scale_v_ptr, to_h_ptr, to_v_ptr, m, n, padded_m, padded_n, wide_n, scale, momentum,
    CENTRED: tl.constexpr, WIDTH: tl.constexpr, MOST_V: tl.constexpr, MOST_H: tl.constexpr,
):  # fmt: skip
    """What is left to do for each unit, visible ones first: its bias, and its scale."""
    u = tl.program_id(0)
    rate = tl.load(rate_ptr)
    if u < m:
        at = product_ptr + u * (2 * wide_n) + n
        slope = (tl.load(at) * 4096.0 + tl.load(at + wide_n)) * scale
        settle_bias(u, b_ptr, db_ptr, slope, b_part_ptr, rate, momentum, m, n, CENTRED, MOST_H // 64)
        refit(
            u, W_ptr, padded_n, 1, n, largest_ptr + u, scale_v_ptr, to_v_ptr, 2 * padded_m, padded_m, WIDTH, MOST_H
        )  # fmt: skip
    else:
        u = u - m
        at = product_ptr + m * (2 * wide_n) + u
        slope = (tl.load(at) * 4096.0 + tl.load(at + wide_n)) * scale
        settle_bias(u, c_ptr, dc_ptr, slope, c_part_ptr, rate, momentum, n, m, CENTRED, MOST_V // 64)
        refit(
            u, W_ptr, 1, padded_n, m, largest_ptr + padded_m + u, scale_h_ptr, to_h_ptr, 2 * padded_n, padded_n,
            WIDTH, MOST_V,
        )  # fmt: skip
