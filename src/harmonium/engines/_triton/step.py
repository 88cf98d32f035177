"""Whole steps, of contrastive divergence and of annealing: fewer kernels than their verbs, and two streams."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from harmonium.engines import torch_arithmetic as plain
from harmonium.engines._triton.launch import (
    aside,
    centred_sum,
    decide,
    empty_states,
    gains,
    learn,
    sample,
    slide,
    units,
)
from harmonium.engines.torch_arithmetic import Machine, Side
from harmonium.engines.torch_noise import Noise


class Made(NamedTuple):
    """What a step leaves: the negative side, its logits, where persistent chains go on, and the running mean of h."""

    negative: Side
    logits: Tensor
    h: Tensor | None
    mean_h: Tensor | None


def contrast(
    machine: Machine,
    v: Tensor,
    weights: tuple[Tensor, float],
    h: Tensor | None,
    weights_of_chains: tuple[Tensor, float],
    noises: tuple[Noise, list[Noise], list[Noise]],
    rates: tuple[float | Tensor, float, float],
    centre: tuple[Tensor, Tensor | None, float] | None,
) -> Made:
    """`harmonium.engines.Engine.contrast`; the noises of h and v are those of its sweeps, v's one more.

    What centres the step is of shape (n_visible,), of shape (n_hidden,) or None at first, and the sliding factor.
    """
    M, n = machine, machine.n_hidden
    noise, noises_h, noises_v = noises
    mean_h = torch.empty(len(v), n, dtype=torch.float32, device=v.device)
    start = empty_states(v, n, M.states) if h is None else h
    units(
        plain.product(v, M.to_hidden.halves), n, M.to_hidden, M.c,
        noise=noise, mean=mean_h, states=start if h is None else None,
    )  # fmt: skip
    positive = Side(v, mean_h, *weights)
    offset_v = running = begun = None
    # Sums over the rows in their order take one warp a long time, and are not needed before the end.
    with aside(v.device) as join:
        if centre is not None:
            offset_v, before, sliding_factor = centre
            running = slide(before, mean_h, weights[0], sliding_factor)
            begun = centred_sum(positive, running, None)
    x = sample(start, M.to_visible, M.b, M.n_visible, noises_v[0], 1.0, None, M.states)
    for noise_h, noise_v in zip(noises_h, noises_v[1:], strict=True):
        between = sample(x, M.to_hidden, M.c, n, noise_h, 1.0, None, M.states)
        x = sample(between, M.to_visible, M.b, M.n_visible, noise_v, 1.0, None, M.states)
    logits, means = (torch.empty(len(x), n, dtype=torch.float32, device=v.device) for _ in range(2))
    after = None if h is None else empty_states(x, n, M.states)
    units(
        plain.product(x, M.to_hidden.halves), n, M.to_hidden, M.c, noise=noise, logits=logits, mean=means, states=after
    )  # fmt: skip
    negative = Side(x, means, *weights_of_chains)
    join()
    learn(machine, positive, negative, *rates, offset_v, running, begun)
    return Made(negative, logits, after, running)


def temperature(
    machine: Machine,
    v: Tensor,
    noises: tuple[Noise, Noise],
    betas: Tensor,
    ys: Tensor | None,
    x: Tensor | None,
    slopes: Tensor,
) -> tuple[Tensor, Tensor]:
    """As the plain one."""
    M, n = machine, machine.n_hidden
    if max(M.W.shape) > plain.TERMS:
        return plain.temperature(M, v, noises, betas, ys, x, slopes, decide=decide, sample=sample)
    z, h = torch.empty(len(v), n, dtype=torch.float32, device=v.device), empty_states(v, n, M.states)
    offset = None if ys is None else ys[1:, :n]
    units(
        plain.product(v, M.to_hidden.halves), n, M.to_hidden, M.c,
        noise=noises[0], beta=betas[1:], offset=offset, logits=z, states=h,
    )  # fmt: skip
    with aside(v.device) as join:  # nothing of the sweep waits for the weights
        sums = gains(z, v, betas, ys, slopes)
    after = sample(h, M.to_visible, M.b, M.n_visible, noises[1], betas[1:], x, M.states)
    join()
    return after, sums
