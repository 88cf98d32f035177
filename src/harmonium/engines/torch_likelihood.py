"""Pseudo-likelihoods and exact sums in torch, operation by operation as the native engine computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harmonium.engines.torch_functions import exp as exp_wide
from harmonium.engines.torch_functions import log, ordered_sum, quick_exp, softplus_wide, wide

if TYPE_CHECKING:
    from harmonium.engines.torch_arithmetic import Machine

_LN2 = 0.69314718055994530942
_TAME, _LINEAR = 300.0, 40.0  # beyond these exponentials are not taken, and softplus(x) is x


def activations(machine: Machine, v: Tensor) -> Tensor:
    """Wv + c in float64, the terms of each sum one after the other, for states `v`."""
    m, n = machine.n_visible, machine.n_hidden
    v, W, c = (wide(x) for x in (v[:, :m], machine.W[:m, :n], machine.c[:n]))
    a = c.expand(len(v), n)
    for j in range(m):
        a = a + v[:, j : j + 1] * W[j]
    return a


def flip_logs(table: Tensor, off: Tensor, on: Tensor, is_on: Tensor) -> Tensor:
    """Logarithms of products over the hidden units of `table` and, where a unit is on, `on`, else `off`; (rows, m).

    Shapes (m, width), (rows, width), (rows, width) and (rows, m).
    """
    own = torch.where(is_on[..., None], on[:, None], off[:, None])
    eights = zip(_in_eights(table), _in_eights(own), strict=True)
    return _log_product((x + y for x, y in eights), _safe(_TAME))


def pseudo_log_likelihood(
    machine: Machine,
    v: Tensor,
    *,
    activations: Callable[..., Tensor] = activations,
    flip_logs: Callable[..., Tensor] = flip_logs,
    row_sums: Callable[[Tensor], Tensor] = lambda x: ordered_sum(x, 1),
    at_once: int | None = None,
) -> Tensor:
    """Sum over visible units of log p(v_j | the others), float64, shape (rows,).

    exp(-F) has the factors 1 + exp(a_i), a = Wv + c. Where unit j goes on they become 1 + exp(a_i + W_ij), and their
    ratio is (exp(-a_i) + exp(W_ij)) / (exp(-a_i) + 1); where it goes off, exp(-W_ij) (exp(a_i) + exp(W_ij)) /
    (exp(a_i) + 1).
    """
    m, n = machine.n_visible, machine.n_hidden
    W, b = (wide(x) for x in (machine.W[:m, :n], machine.b[:m]))
    width = max(32, -(-n // 32) * 32)
    W = torch.nn.functional.pad(W, (0, width - n))
    largest = float(machine.to_hidden.scale[:n].max()) * 2.0**23 if n else 0.0  # no weight is larger
    table = quick_exp(W.clamp(-_TAME, _TAME))
    halved = W.unflatten(1, (-1, 2, 16)).sum(2)
    sums = ordered_sum(ordered_sum(halved, 2), 1)
    out = []
    for rows in v.split(at_once or max(1, 2**22 // (m * width))):
        a = activations(machine, rows)
        extreme = a.abs().amax(1) if n else a.sum(1)
        tame = extreme.clamp_min(largest) < _TAME
        bound = a.clamp(-_TAME, _TAME)
        off, on = (torch.nn.functional.pad(quick_exp(x), (0, width - n)) for x in (-bound, bound))
        bases = [_log_product(iter(_in_eights(1.0 + x)), _safe(_TAME)) for x in (off, on)]
        is_on = (rows[:, :m] > 0).to(a.device)
        change = flip_logs(table, off, on, is_on) - torch.where(is_on, bases[1][:, None], bases[0][:, None])
        change = torch.where(is_on, change - sums - b, change + b)
        if not bool(tame.all()):
            change = torch.where(tame[:, None], change, _changes_beyond(a, W[:, :n], b, is_on))
        out.append(-_softplus_sum_wide(change, row_sums))
    return torch.cat(out)


def _changes_beyond(a: Tensor, W: Tensor, b: Tensor, is_on: Tensor) -> Tensor:
    """What flipping each unit adds to -F, by the difference of softplus: where exponentials leave their range."""
    sign = torch.where(is_on, -1.0, 1.0).to(torch.float64)
    change, before = sign * b, softplus_wide(a)
    for i in range(a.shape[1]):
        change = change + (softplus_wide(a[:, i : i + 1] + sign * W[:, i]) - before[:, i : i + 1])
    return change


def _softplus_sum_wide(x: Tensor, row_sums: Callable[[Tensor], Tensor]) -> Tensor:
    """Sums of softplus over the last axis, of which nothing is left over beyond 40."""
    linear = row_sums(torch.where(x > _LINEAR, x, torch.zeros_like(x)))
    x = torch.where(x > _LINEAR, torch.full_like(x, -_TAME), x.clamp_min(-_TAME))
    factors = torch.nn.functional.pad(quick_exp(x), (0, -x.shape[1] % 8)) + 1.0
    return linear + _log_product(iter(_in_eights(factors)), _safe(_LINEAR))


# Enumeration ---------------------------------------------------------------------------------------------------------


def log_partition_block(W: Tensor, b: Tensor, c: Tensor, first: int, count: int) -> float:
    """Log of the sum of exp(-F(h)) over hidden states first, ..., first + count - 1; float64, W (n_hidden, n_visible).

    exp(b_j + (W'h)_j) is a product of factors from the low, the middle and the high bits of h.
    """
    n, m = W.shape
    width = -(-m // 8) * 8
    table_bits = 0
    while (width << (table_bits + 1)) * 8 <= 512 * 1024:
        table_bits += 1
    low_bits = min(table_bits, n)
    middle_bits = min(table_bits, n - low_bits)
    n_low, top_bits = 2**low_bits, n - low_bits - middle_bits
    nothing = torch.zeros_like(W)
    up = _sums(torch.where(W > 0, W, nothing), b)
    down = _sums(torch.where(W > 0, nothing, W), b)
    largest = max(float(up.abs().max()), float(down.abs().max())) if m else 0.0
    tame, safe = largest < 200, _safe(largest)
    W = torch.nn.functional.pad(W, (0, width - m))
    b = torch.nn.functional.pad(b, (0, width - m))
    low, low_c = _table(W, c, 0, low_bits)
    middle, middle_c = _table(W, c, low_bits, middle_bits)
    if tame:
        low, middle = exp_wide(low), exp_wide(middle)
    first_high, last_high = (first >> low_bits) // 2 * 2, ((first + count - 1) >> low_bits) // 2 * 2 + 2
    logs = []
    for start in range(first_high, last_high, _at_a_time(W.device, n_low * width)):
        numbers = torch.arange(start, min(last_high, start + _at_a_time(W.device, n_low * width)), device=W.device)
        top, top_c = b.expand(len(numbers), width), torch.zeros(len(numbers), dtype=torch.float64, device=W.device)
        for i in range(top_bits):
            is_on = ((numbers >> (middle_bits + i)) & 1).to(torch.float64)
            top = top + is_on[:, None] * W[low_bits + middle_bits + i]
            top_c = top_c + is_on * c[low_bits + middle_bits + i]
        place = numbers & (2**middle_bits - 1)
        high_c = top_c + middle_c[place]
        if tame:
            high = exp_wide(top) * middle[place]
            high[:, m:] = 0
            eights = zip(_in_eights(high), _in_eights(low), strict=True)
            out = _log_product((x[:, None] * y + 1.0 for x, y in eights), safe)
        else:
            out = ordered_sum(softplus_wide((top + middle[place])[:, None, :m] + low[:, :m]), -1)
        out = out + (low_c + high_c[:, None])
        state = numbers[:, None] * n_low + torch.arange(n_low, device=W.device)
        out[(state < first) | (state >= first + count)] = -torch.inf
        logs.append(_log_sum_exp(out.reshape(-1, 2 * n_low)))
    return float(_log_sum_exp(torch.cat(logs)[None])[0])


def _at_a_time(device: torch.device, size: int) -> int:
    """An even number of values of the high bits whose products fit."""
    return max(1, (2**20 if device.type == "cpu" else 2**27) // size) * 2


def _sums(W: Tensor, start: Tensor) -> Tensor:
    for row in W.unbind(0):
        start = start + row
    return start


def _table(W: Tensor, c: Tensor, first: int, bits: int) -> tuple[Tensor, Tensor]:
    """Sums of the rows of W, and of c, over the on bits of every state of some hidden units."""
    rows, biases = W.new_zeros(1, W.shape[1]), c.new_zeros(1)
    for i in range(first, first + bits):
        rows, biases = torch.cat([rows, rows + W[i]]), torch.cat([biases, biases + c[i]])
    return rows, biases


def _log_sum_exp(x: Tensor) -> Tensor:
    """Over the last axis, term after term."""
    largest = x.amax(-1)
    return largest + log(ordered_sum(exp_wide(x - largest[..., None]), -1))


# Long products -------------------------------------------------------------------------------------------------------


def _in_eights(x: Tensor) -> tuple[Tensor, ...]:
    return x.unflatten(-1, (-1, 8)).unbind(-2)


def _safe(largest_log: float) -> int:
    """How many factors, each of whose logarithms is at most so large, have a product within range."""
    return max(1, int(700 / (largest_log + 0.7)))


def _log_product(eights: Iterator[Tensor], safe: int) -> Tensor:
    """Logarithms of long products of positive factors, eight of each at a time; exponents are set aside."""
    product = next(eights)
    power = torch.zeros(product.shape, dtype=torch.int64, device=product.device)
    for number, factors in enumerate(eights, 1):
        if number % safe == 0:
            product, power = _set_aside(product, power)
        product = product * factors
    product, power = _set_aside(product, power)
    mantissa = torch.ones_like(product[..., 0])
    for x in product.unbind(-1):
        mantissa = mantissa * x
    return log_of(mantissa, power.sum(-1))


def log_of(mantissa: Tensor, power: Tensor) -> Tensor:
    """The logarithm of mantissa * 2**power, float64."""
    return log(mantissa) + power.to(torch.float64) * _LN2


def _set_aside(product: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
    """Products from 1 to 2, with the powers of two that were taken out of them added to `power`."""
    bits = product.contiguous().view(torch.int64)
    mantissa = ((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000).view(torch.float64)
    return mantissa, power + ((bits >> 52) - 1023)
