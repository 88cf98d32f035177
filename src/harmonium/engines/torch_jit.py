"""The torch engine's sampling on NVIDIA's GPUs without Triton: one elementwise function in C++, compiled by torch.

Torch brings a compiler for elementwise functions (`torch.cuda.jiterator`, over NVRTC), which needs neither Triton nor a
CUDA toolkit. It hands a function the entries of tensors of one type, and numbers. So the function below is given the
numbers of a row and of a quad of columns, and finds the rest at addresses, which are numbers too; what it returns is
the states of four units, halves of a word of 64 bits. It does what `_triton.sampling.units` does, by plain functions of
C++, which `tests/conformance/test_torch_jit.py` compiles with the system's compiler and holds against the native
engine.

The module has all names of `harmonium.engines.torch_arithmetic`; those that it does not define are that module's own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harmonium.engines import torch_arithmetic as plain
from harmonium.engines.torch_arithmetic import Beta, Offset, Packed
from harmonium.engines.torch_noise import Noise
from harmonium.random import MovingStep

# Products and sums are not to be fused, so that both are rounded: intrinsic functions say so. The text begins with a
# template, and its last function is the one that is called, as the compiler wants it.
SOURCE = """
template <typename T> T exponential(T x) {  // exp(x), -746 <= x <= 710
  T n = __dadd_rn(__dadd_rn(__dmul_rn(x, 1.44269504088896340736), 6755399441055744.0), -6755399441055744.0);
  T r = __dadd_rn(x, -__dmul_rn(n, 0.6931471803691238));
  r = __dadd_rn(r, -__dmul_rn(n, 1.9082149292705877e-10));
  const T c[] = {2.08767569878681e-09, 2.505210838544172e-08, 2.755731922398589e-07, 2.7557319223985893e-06,
                 2.48015873015873e-05, 0.0001984126984126984, 0.001388888888888889, 0.008333333333333333,
                 0.041666666666666664, 0.16666666666666666, 0.5};
  T p = 1.6059043836821613e-10;
  for (int i = 0; i < 11; i++) p = __dadd_rn(__dmul_rn(p, r), c[i]);
  p = __dadd_rn(__dadd_rn(__dmul_rn(__dmul_rn(p, r), r), r), 1.0);
  long long k = (long long)n, half = k >> 1;  // in two steps, as 2^n may leave the range where the result does not
  p = __dmul_rn(p, __longlong_as_double((half + 1023) << 52));
  return __dmul_rn(p, __longlong_as_double((k - half + 1023) << 52));
}

bool is_on(float x, unsigned word) {  // whether (word + 1/2) / 2^32 < 1 / (1 + exp(-x))
  float t = expf(-fabsf(x)), u = (float)(word >> 8) * 5.9604644775390625e-08f;
  float margin = (x >= 0 ? 1.0f : t) - u * (t + 1.0f);
  if (!(fabsf(margin) < 1.9073486328125e-06f)) return margin > 0;
  double z = fmin(fmax(-(double)x, -746.0), 710.0);  // too close to call in single precision
  double uniform = __dmul_rn(__dadd_rn((double)word, 0.5), 2.3283064365386962890625e-10);
  return uniform < __ddiv_rn(1.0, __dadd_rn(exponential(z), 1.0));
}

template <typename T> T four_states(
    T row, T quad, T x, T stride, T half, T scale, T bias, T n, T beta, T beta_rows, T offset, T offset_rows,
    T seed_low, T seed_high, T stream, T step, T step_stride, T clock, T first_row) {
  if (clock) step += step_stride * *(const T*)clock;
  unsigned x0 = quad, x1 = row + first_row, x2 = step, x3 = stream, k0 = seed_low, k1 = seed_high;
  for (int i = 0; i < 10; i++) {
    unsigned low = 0xD2511F53u * x0, high = __umulhi(0xD2511F53u, x0);
    x0 = __umulhi(0xCD9E8D57u, x2) ^ x1 ^ k0;
    x1 = 0xCD9E8D57u * x2;
    x2 = high ^ x3 ^ k1;
    x3 = low;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const unsigned words[] = {x0, x1, x2, x3};
  const float* at = (const float*)x + row * stride;
  unsigned long long states = 0;
  for (int k = 0; k < 4; k++) {
    T j = 4 * quad + k;
    if (j < n) {
      float z = at[j];
      if (half) {  // two products side by side, with the high and the low halves of the weights
        z = __fadd_rn(__fmul_rn(z, 4096.0f), at[half + j]);
        z = __fadd_rn(__fmul_rn(z, ((const float*)scale)[j]), ((const float*)bias)[j]);
      }
      if (beta) z = __fmul_rn(z, ((const float*)beta)[row / beta_rows]);
      if (offset) z = __fadd_rn(z, ((const float*)offset)[row / offset_rows * n + j]);
      if (is_on(z, words[k])) states |= 0x3C00ull << (16 * k);  // 1 in half precision
    }
  }
  return (T)states;
}
"""


def __getattr__(name: str) -> Any:
    """What is not here is plain torch's."""
    return getattr(plain, name)


def decide(z: Tensor, noise: Noise, beta: Beta, offset: Offset, states: torch.dtype) -> Tensor:
    """As the plain one; `states` are halves."""
    assert states == torch.float16
    z = z.contiguous()
    return _drawn(z, 0, None, z.shape[1], noise, beta, offset)


def sample(
    x: Tensor, packed: Packed, bias: Tensor, n: int, noise: Noise, beta: Beta, offset: Offset, states: torch.dtype
) -> Tensor:
    """As the plain one; `states` are halves."""
    assert states == torch.float16
    if x.shape[1] > plain.TERMS:
        return decide(plain.logits(x, packed, bias, n), noise, beta, offset, states)
    product = plain.product(x, packed.halves)
    return _drawn(product, product.shape[1] // 2, (packed.scale, bias), n, noise, beta, offset)


temperature = functools.partial(plain.temperature, decide=decide, sample=sample)


def _drawn(
    x: Tensor, half: int, affine: tuple[Tensor, Tensor] | None, n: int, noise: Noise, beta: Beta, offset: Offset
) -> Tensor:
    """States of `n` units, from logits, or from products `half` columns apart with what makes logits of them."""
    device, rows = x.device, len(x)
    factor = (
        beta
        if isinstance(beta, Tensor)
        else None
        if beta == 1
        else torch.full((1,), beta, dtype=torch.float32, device=device)
    )
    table = None if offset is None else offset.contiguous()
    now = noise.step
    step, step_stride, clock = (now.offset, now.stride, now.clock) if isinstance(now, MovingStep) else (now, 0, None)
    scale, bias = (None, None) if affine is None else affine
    numbers = {
        "x": _address(x),
        "stride": x.stride(0),
        "half": half,
        "scale": _address(scale),
        "bias": _address(bias),
        "n": n,
        "beta": _address(factor),
        "beta_rows": 1 if factor is None else rows // factor.numel(),
        "offset": _address(table),
        "offset_rows": 1 if table is None else rows // len(table),
        "seed_low": noise.seed & 0xFFFFFFFF,
        "seed_high": noise.seed >> 32,
        "stream": noise.stream,
        "step": step,
        "step_stride": step_stride,
        "clock": _address(clock),
        "first_row": noise.row,
    }
    quads = torch.arange(plain.padded(n) // 4, device=device)
    # What is at the addresses is held until here, and then by the order of the stream.
    return _compiled()(torch.arange(rows, device=device)[:, None], quads, **numbers).view(torch.float16)


def _address(x: Tensor | None) -> int:
    return 0 if x is None else x.data_ptr()


@functools.cache
def _compiled() -> Callable[..., Any]:
    return torch.cuda.jiterator._create_jit_fn(SOURCE, **dict.fromkeys(parameters(), 0))


def parameters() -> list[str]:
    """The names of the numbers that the function takes beside a row and a quad, in order."""
    return re.findall(r"\bT (\w+)[,)]", SOURCE[SOURCE.rindex("T four_states(") :])[2:]
