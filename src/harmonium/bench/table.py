"""The shapes that are measured on every instruction set, beside the floor of a processor that has no more than it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from harmonium.bench import contenders
from harmonium.bench.contenders import Shape
from harmonium.bench.interleave import Timing, doubts, interleave
from harmonium.bench.machine import blas_kernel, n_threads
from harmonium.engines.processor import instruction_set, instruction_sets

DATA = ("coins", "digits")
REFERENCE = Shape(784, 500, 100)
TRAINING = (REFERENCE, Shape(784, 500, 10), Shape(784, 200, 100), Shape(64, 256, 100), Shape(4096, 4096, 100))
SAMPLING = (Shape(784, 500, 1000), Shape(784, 200, 1000), Shape(64, 256, 1000), Shape(4096, 4096, 100))
# A machine of so many weights takes minutes to train; it is measured on coins alone.
_MANY = 10**7
_ROUNDS = 7
# What OpenBLAS calls a processor with AVX2 and no more: what the portable kernels run on has it, mostly.
_BLAS_KERNELS = {"avx2": "Haswell", "portable": "Haswell"}
_CHILD = "from harmonium.bench import table; table.tell({quick})"


def training(shape: Shape, rounds: int = _ROUNDS) -> dict[str, Any]:
    """Samples a second of CD-k beside its floor."""
    return _beside(contenders.cd_floor(shape), contenders.training(shape), "training", shape, shape.batch, rounds)


def sampling(shape: Shape, rounds: int = _ROUNDS) -> dict[str, Any]:
    """Sweeps of all chains a second beside their floor."""
    floor, native = contenders.gibbs_floor(shape), contenders.gibbs_harmonium(shape, "native")
    found = _beside(floor, native, "sampling", shape, 1, rounds)
    return {**found, "flips_per_ns": shape.batch * (shape.n_visible + shape.n_hidden) * found["native"] * 1e-9}


def rows(*, quick: bool = False) -> Iterator[dict[str, Any]]:
    """One row after the other, on the instruction set in use; with `quick` the layers of `REFERENCE` alone."""
    for measure, shapes in ((training, TRAINING), (sampling, SAMPLING)):
        for shape in shapes:
            for data in DATA:
                if quick and (shape.n_visible, shape.n_hidden) != (REFERENCE.n_visible, REFERENCE.n_hidden):
                    continue
                if data == "coins" or shape.n_visible * shape.n_hidden < _MANY:
                    yield measure(dataclasses.replace(shape, data=data))


def on_every_set(tell: Callable[[dict[str, Any]], None], *, quick: bool = False) -> list[dict[str, Any]]:
    """The rows of all instruction sets that run here, each set in a process of its own.

    OpenBLAS chooses its kernels when it is loaded. Beside those for AVX2 and the portable ones it has AVX2, unless the
    variable OPENBLAS_CORETYPE says what it is to be.

    Parameters
    ----------
    tell : callable
        Is given each row when it has been measured.
    quick : bool
        As for `rows`.
    """
    found = []
    for name in instruction_sets():
        environment = {**os.environ, "HARMONIUM_INSTRUCTION_SET": name}
        if name in _BLAS_KERNELS:
            environment.setdefault("OPENBLAS_CORETYPE", _BLAS_KERNELS[name])
        command = [sys.executable, "-c", _CHILD.format(quick=quick)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                found.append(json.loads(line))
                tell(found[-1])
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, command)
    return found


def line(row: dict[str, Any]) -> str:
    """A row in words."""
    kind = "Gibbs" if row["kind"] == "sampling" else f"CD-{row['sweeps']}"
    return (
        f"{row['instruction_set']}, {kind} {row['n_visible']} x {row['n_hidden']}, {row['batch']} {row['data']}: "
        f"{ratio(row)} x floor"
    )


def ratio(row: dict[str, Any]) -> str:
    """Times the floor, and why that is not to be believed, if it is not."""
    reasons = row["unreliable"]
    return f"{row['ratio_to_floor']:.2f}" + (f" (unreliable: {', '.join(reasons)})" if reasons else "")


def tell(quick: bool) -> None:
    """Print the rows, each as a line of JSON."""
    for row in rows(quick=quick):
        print(json.dumps(row), flush=True)


def described(shape: Shape) -> dict[str, Any]:
    """The shape and what it was computed with."""
    return {**dataclasses.asdict(shape), "instruction_set": instruction_set(), "blas_kernel": blas_kernel()}


def _beside(
    floor: contenders.Call, native: contenders.Call, kind: str, shape: Shape, units: int, rounds: int
) -> dict[str, Any]:
    times: dict[str, Timing] = interleave({"floor": floor, "native": native}, rounds)
    return {
        "kind": kind,
        **described(shape),
        **{name: units / timing.median for name, timing in times.items()},
        "ratio_to_floor": times["native"].times_faster_than(times["floor"]),
        "unreliable": doubts(times, n_threads()),
        "spread": {name: [units / t.high, units / t.low] for name, t in times.items()},
    }
