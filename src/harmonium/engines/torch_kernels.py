"""Which arithmetic the torch engine uses on a GPU of NVIDIA's: the fastest that is seen to give plain torch's bits."""

from __future__ import annotations

import functools
import importlib
import logging
from types import ModuleType

import torch
from torch import Tensor

from harmonium.engines import torch_arithmetic as plain
from harmonium.engines.torch_arithmetic import Machine
from harmonium.engines.torch_noise import Noise
from harmonium.random import MovingStep

KINDS = {
    "_triton": "Triton",
    "torch_jit": "torch.cuda.jiterator (sampling only)",
    "torch_arithmetic": "none, plain torch",
}
_LOG = logging.getLogger(__name__)


@functools.cache
def arithmetic_on(device: torch.device) -> ModuleType:
    """Triton's kernels, or functions that torch compiles, or plain torch.

    Each is compared with plain torch first, once in a process; one that fails or differs is said in the log.
    """
    for name in ("_triton", "torch_jit"):
        try:
            module = importlib.import_module(f"harmonium.engines.{name}")
            if is_sound(module, device):
                return module
            reason = "other bits than plain torch"
        except torch.OutOfMemoryError:
            raise
        except ModuleNotFoundError as error:  # Triton is not made for every system
            _LOG.info("No kernels of %s on %s: %s", KINDS[name], device, error)
            continue
        except Exception as error:  # whatever a compiler or a driver raises
            reason = f"{type(error).__name__}: {error}"
        _LOG.warning("No kernels of %s on %s, which is slower. Got: %s", KINDS[name], device, reason)
    return plain


def is_sound(module: ModuleType, device: torch.device) -> bool:
    """Whether sampling and annealing of a small machine give what plain torch gives."""
    machine, v = _small_case(device)
    m, n, rows = machine.n_visible, machine.n_hidden, len(v)
    step = MovingStep(torch.full((), 3, dtype=torch.int64, device=device), 5, 2**32 - 7)
    noise = Noise(0x9123456789ABCDEF, 3, step, 11)
    betas = torch.linspace(0.4, 1.3, rows, device=device)
    ys, x, slopes = (_numbers(*shape).to(device) for shape in ((2, plain.padded(n)), (1, m), (2, plain.padded(m))))
    found = []
    for do in (module, plain):
        to_hidden = v, machine.to_hidden, machine.c, n, noise
        samples = [
            do.sample(*to_hidden, *affine, machine.states) for affine in ((1.0, None), (betas, ys[:, :n].contiguous()))
        ]
        climb = do.temperature(machine, v, (noise, noise), betas[:2], ys, x, slopes)
        found.append((*samples, *climb))
    return all(bool((mine == theirs).all()) for mine, theirs in zip(*found, strict=True))


def _small_case(device: torch.device) -> tuple[Machine, Tensor]:
    m, n, rows = 45, 26, 40
    shape = plain.padded(m), plain.padded(n)
    W, b, c = torch.zeros(shape), torch.zeros(shape[0]), torch.zeros(shape[1])
    W[:m, :n], b[:m], c[:n] = _numbers(m, n), _numbers(m), _numbers(n)
    v = torch.zeros(rows, shape[0], dtype=torch.float16)
    v[:, :m] = (_numbers(rows, m) > 0).to(torch.float16)
    W, b, c, v = (x.to(device) for x in (W, b, c, v))
    packed = (plain.pack(x, torch.float16) for x in (W, W.T))
    return Machine(m, n, W, b, c, W.clone(), b.clone(), c.clone(), torch.float16, *packed), v


def _numbers(*shape: int) -> Tensor:
    """Numbers between -1 and 1 that look like noise."""
    k = torch.arange(torch.Size(shape).numel())
    return ((k * 2654435761 % 2**32).to(torch.float32) * 2.0**-31 - 1).reshape(shape)
