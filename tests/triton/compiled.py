"""Run as a program with 80 or 90: compiles every kernel for a GPU of that compute capability, which need not be there.

Prints a JSON object: for each kernel the bytes of machine code, and how many products and sums it fuses.
"""

import json
import re
import sys
from pathlib import Path
from typing import ClassVar

import torch
import triton
from triton.backends.compiler import GPUTarget

from harmonium.engines import _triton
from harmonium.engines import torch_arithmetic as plain
from harmonium.engines._triton import functions, launch, learning, likelihood, sampling
from harmonium.engines.torch_noise import Noise
from harmonium.random import MovingStep

M, N, ROWS = 70, 45, 20


class Driver:
    """All that Triton asks of one before it launches."""

    def __init__(self, capability):
        self._target = GPUTarget("cuda", capability, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0

    def get_current_target(self):
        return self._target

    def get_active_torch_device(self):
        return torch.device("cpu")


class Compiled:
    """A kernel that is compiled where it would be launched."""

    found: ClassVar = {}

    def __init__(self, name, kernel):
        self._name, self._kernel = name, kernel

    def __getitem__(self, grid):
        def compile_it(*args, **options):
            made = self._kernel.warmup(*args, grid=grid, **options)
            fused = len(re.findall(r"\bfma\.rn\.f(?:32|64)", made.asm["ptx"]))
            self.found[self._name] = {"bytes": len(made.asm["cubin"]), "fused": fused}

        return compile_it


def main():
    triton.runtime.driver.set_active(Driver(int(sys.argv[1])))
    plain.product = lambda x, y: torch.mm(x.float(), y.float())
    kernels = set()
    for module in (sampling, learning, likelihood):
        for name in launched(module):
            kernels.add(name)
            setattr(module, name, Compiled(name, getattr(module, name)))
    m, n = plain.padded(M), plain.padded(N)
    W, b, c = torch.zeros(m, n), torch.zeros(m), torch.zeros(n)
    packed = (plain.pack(x, torch.float16) for x in (W, W.T))
    machine = plain.Machine(M, N, W, b, c, W.clone(), b.clone(), c.clone(), torch.float16, *packed)
    v, h = torch.zeros(ROWS, m, dtype=torch.float16), torch.zeros(ROWS, n, dtype=torch.float16)
    noise = Noise(2**63, 1, MovingStep(torch.zeros((), dtype=torch.int64), 2), 3)
    equal = torch.full((), 1 / ROWS).expand(ROWS), 1 / ROWS
    centre = torch.zeros(M), torch.zeros(N), 0.01
    _triton.contrast(machine, v, equal, h, equal, (noise, [], [noise]), (0.1, 0.5, 0.0), centre)
    _triton.softplus_sum(torch.zeros(ROWS, N), 0.5, None)
    _triton.temperature(
        machine, v, (noise, noise), torch.zeros(2), torch.zeros(2, n), torch.zeros(1, M), torch.zeros(2, m)
    )
    _triton.dot(v, torch.zeros(M))
    _triton.column_sums(torch.zeros(ROWS, N))
    _triton.real_product(torch.zeros(ROWS, M), torch.zeros(M, N))
    _triton.pseudo_log_likelihood(machine, v)
    wide = (torch.zeros(shape, dtype=torch.float64) for shape in ((6, M), M, 6))
    _triton.log_partition_block(*wide, 0, 64)
    missing = kernels - Compiled.found.keys()
    assert not missing, f"never compiled: {missing}"
    json.dump(Compiled.found, sys.stdout)


def launched(module):
    """The names of the kernels of a module that `launch` launches."""
    source = Path(launch.__file__).read_text()
    short = module.__name__.rpartition(".")[2]
    return set(re.findall(rf"\b{short}\.(\w+)\[", source))


assert functions.CLOSE.value == 2.0**-19
main()
