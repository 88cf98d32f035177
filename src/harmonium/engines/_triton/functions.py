"""What the kernels share: keyed noise, the decision, and the native engine's functions, operation by operation.

Every kernel that uses these is to be compiled without fusing (`enable_fp_fusion=False`): the native engine rounds a
product before it adds to it.
"""

from __future__ import annotations

import triton
import triton.language as tl

CLOSE = tl.constexpr(2.0**-19)  # a single-precision comparison nearer than this is made again in double precision


@triton.jit
def noise(seed_low, seed_high, stream, step, rows, quads):
    """Philox4x32-10 of `harmonium.random`: the four words of each (row, quad of columns); all arguments are uint32."""
    zero = tl.zeros_like(rows[:, None] + quads[None, :])
    x0 = zero + quads[None, :]
    x1 = zero + rows[:, None]
    x2 = zero + step
    x3 = zero + stream
    k0 = seed_low
    k1 = seed_high
    for _ in tl.static_range(10):
        # One product of 64 bits is cheaper than two halves of it.
        p = x0.to(tl.uint64) * 0xD2511F53
        q = x2.to(tl.uint64) * 0xCD9E8D57
        x0 = (q >> 32).to(tl.uint32) ^ x1 ^ k0
        x1 = q.to(tl.uint32)
        x2 = (p >> 32).to(tl.uint32) ^ x3 ^ k1
        x3 = p.to(tl.uint32)
        k0 = tl.add(k0, 0x9E3779B9, sanitize_overflow=False)
        k1 = tl.add(k1, 0xBB67AE85, sanitize_overflow=False)
    return x0, x1, x2, x3


@triton.jit
def nearest(x):
    """The nearest integer, halves to the even one, for |x| <= 2^23."""
    shift = tl.where(tl.abs(x) < 4194304.0, 12582912.0, 8388608.0)
    shift = tl.where(x < 0, -shift, shift)
    return (x + shift) - shift


@triton.jit
def exp_negative(a):
    """exp(-a) for a >= 0."""
    a = tl.minimum(a, 87.0)
    f = (a * 1.44269504 + 12582912.0) - 12582912.0  # to the nearest integer, halves to the even one
    r = f * 0.693359375 - a + f * -2.12194440e-4
    p = r * 1.9875691500e-4 + 1.3981999507e-3
    p = p * r + 8.3334519073e-3
    p = p * r + 4.1665795894e-2
    p = p * r + 1.6666665459e-1
    p = p * r + 5.0000001201e-1
    p = p * r * r + r + 1.0
    return (p.to(tl.int32, bitcast=True) - (f.to(tl.int32) << 23)).to(tl.float32, bitcast=True)


@triton.jit
def logistic(x):
    """1 / (1 + exp(-x))."""
    t = exp_negative(tl.abs(x))
    return tl.div_rn(tl.where(x >= 0, 1.0, t), t + 1.0)


@triton.jit
def softplus(x):
    """log(1 + exp(x)) by the series of 2 atanh(t / (2 + t)), t = exp(-|x|)."""
    t = exp_negative(tl.abs(x))
    z = tl.div_rn(t, t + 2.0)
    y = z * z
    p = y * 0.06666667014360428 + 0.07692307978868484
    p = p * y + 0.09090909361839294
    p = p * y + 0.1111111119389534
    p = p * y + 0.1428571492433548
    p = p * y + 0.20000000298023224
    p = p * y + 0.3333333432674408
    p = p * y * z + z
    return tl.maximum(x, 0.0) + (p + p)


@triton.jit
def exponential(x):
    """exp(x) in double precision, for -746 <= x <= 710."""
    shifted = x * 1.44269504088896340736 + 6755399441055744.0
    n = shifted - 6755399441055744.0
    r = x - n * 0.6931471803691238 - n * 1.9082149292705877e-10
    p = r * 1.6059043836821613e-10 + 2.08767569878681e-09
    p = p * r + 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 0.0001984126984126984
    p = p * r + 0.001388888888888889
    p = p * r + 0.008333333333333333
    p = p * r + 0.041666666666666664
    p = p * r + 0.16666666666666666
    p = p * r + 0.5
    p = p * r * r + r + 1.0
    # In two steps, as 2^n may leave the range where the result does not.
    k = n.to(tl.int64)
    half = k >> 1
    low = ((half + 1023) << 52).to(tl.float64, bitcast=True)
    return p * low * ((k - half + 1023) << 52).to(tl.float64, bitcast=True)


@triton.jit
def margin(x, word):
    """How far (word + 1/2) / 2^32 is below 1 / (1 + exp(-x)), times a positive number, in single precision."""
    t = tl.exp(-tl.abs(x))
    u = (word >> 8).to(tl.int32).to(tl.float32) * 5.9604644775390625e-08
    return tl.where(x >= 0, 1.0, t) - u * (t + 1.0)


@triton.jit
def uniform(word):
    """(word + 1/2) / 2^32."""
    return (word.to(tl.float64) + 0.5) * 2.3283064365386962890625e-10


@triton.jit
def exact_decision(x, word):
    """Whether (word + 1/2) / 2^32 < 1 / (1 + exp(-x)) in double precision."""
    z = tl.minimum(tl.maximum(-x.to(tl.float64), -746.0), 710.0)
    return uniform(word) < 1.0 / (exponential(z) + 1.0)


@triton.jit
def decide(x0, x1, x2, x3, w0, w1, w2, w3):
    """The decisions for four columns each; all are made again where one is too close to call."""
    m0 = margin(x0, w0)
    m1 = margin(x1, w1)
    m2 = margin(x2, w2)
    m3 = margin(x3, w3)
    b0 = m0 > 0
    b1 = m1 > 0
    b2 = m2 > 0
    b3 = m3 > 0
    nearest_call = tl.minimum(tl.minimum(tl.abs(m0), tl.abs(m1)), tl.minimum(tl.abs(m2), tl.abs(m3)))
    if tl.min(nearest_call) < CLOSE:
        b0 = exact_decision(x0, w0)
        b1 = exact_decision(x1, w1)
        b2 = exact_decision(x2, w2)
        b3 = exact_decision(x3, w3)
    return b0, b1, b2, b3


@triton.jit
def split4(x, ROWS: tl.constexpr, QUADS: tl.constexpr):
    """Columns 4 q, 4 q + 1, 4 q + 2 and 4 q + 3 of a (ROWS, 4 QUADS) tile."""
    even, odd = tl.split(tl.reshape(x, (ROWS, QUADS, 2, 2)))
    x0, x2 = tl.split(even)
    x1, x3 = tl.split(odd)
    return x0, x1, x2, x3
