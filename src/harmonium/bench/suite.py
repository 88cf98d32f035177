"""The benchmark as a whole: which contenders meet at which shapes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from harmonium.bench import contenders
from harmonium.bench.contenders import Shape
from harmonium.bench.interleave import Timing, interleave
from harmonium.bench.machine import blas_kernel, describe_machine, n_threads
from harmonium.bench.memory import training_memory
from harmonium.bench.watching import cost_of_watching
from harmonium.engines.native import instruction_set, instruction_sets, use_instruction_set
from harmonium.errors import MissingExtra
from harmonium.likelihood import log_partition
from harmonium.rbm import RBM

REFERENCE = Shape(784, 500, 100)
LAYERS = ((64, 256), (784, 200), (784, 500), (784, 1024), (4096, 4096))
BATCHES = (1, 10, 100, 500, 2000)
CHAINS = (100, 1000, 10_000)
DATA = ("coins", "digits")
_TEMPERATURES = 10  # of parallel tempering
# Multiply-adds of a step's products; a larger one takes many seconds through BLAS and is left out.
_LARGEST = 2e11
Progress = Callable[[str], None]


def run_suite(*, quick: bool = False, every_set: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Measure everything in this process.

    Parameters
    ----------
    quick : bool
        The reference shapes only, in a minute or two.
    every_set : bool
        Also the reference shapes on every instruction set that the processor runs.
    progress : callable
        Told what is being measured.

    Returns
    -------
    dict
        ``machine``, ``threads``, ``cd1``, ``cd1_batch_10``, ``methods``, ``monitoring``, ``gibbs``, ``digits``,
        ``log_partition``, ``peak_memory_mb``, ..., with `every_set` also ``instruction_sets``, and without `quick` the
        lists ``training``, ``sampling`` and ``scaling``, and ``annealing`` and ``enumeration``. Rates are samples a
        second (training), sweeps of all chains a second (Gibbs); ratios are medians of ratios round by round. What is
        called CD-1 is plain: ``method="cd"``, not centred; "native_centered" is the centred step. ``unreliable`` beside
        a ratio to the floor says why it should not be believed: the machine had other work to do (`Timing.doubts`).
        Data are fair coins, except in ``digits`` and in half of ``training`` and ``sampling``: real digits, and a
        machine that is trained on them.
    """
    progress = progress or (lambda _: None)
    rounds = 9 if quick else 15
    progress("training, 784 x 500, batch 100")
    result: dict[str, Any] = {"machine": describe_machine(), "threads": n_threads()}
    result["cd1"] = _reference(REFERENCE, rounds)
    result["cd1"]["python_overhead"] = _overhead(rounds)
    progress("training, batch 10")
    result["cd1_batch_10"] = _training(Shape(784, 500, 10), rounds)
    progress("methods of training, 100 chains")
    result["methods"] = _methods(REFERENCE, rounds)
    progress("watching a run, 784 x 500, batch 100")
    result["monitoring"] = cost_of_watching(REFERENCE, reports=3 if quick else 9)
    progress("sampling, 1,000 chains")
    result["gibbs"] = _gibbs(Shape(784, 500, 1000), rounds)
    progress("training and sampling on real digits")
    result["digits"] = {
        "cd1": _training(_on_digits(REFERENCE), rounds),
        "cd1_batch_10": _training(_on_digits(Shape(784, 500, 10)), rounds),
        "gibbs": _gibbs(_on_digits(Shape(784, 500, 1000)), rounds),
    }
    if every_set:
        result["instruction_sets"] = _every_set(rounds, progress)
    progress("enumeration, 20 hidden units")
    result["log_partition"] = _enumeration(rounds)
    progress("memory")
    memory = training_memory()
    result["peak_memory_mb"] = memory["peak_mb"]
    result["memory_added_by_training_mb"] = memory["added_by_training_mb"]
    if not quick:
        result |= _grids(progress)
    return result


def _reference(shape: Shape, rounds: int) -> dict[str, Any]:
    calls = {
        "floor": contenders.cd_floor(shape),
        "native": contenders.training(shape),
        "native_centered": contenders.training(shape, centered=True),
        "numpy": contenders.training(shape, engine="numpy"),
        "numpy_naive": contenders.cd_numpy_naive(shape),
        "sklearn": contenders.cd_sklearn(shape, np.uint8),
        "sklearn_float32": contenders.cd_sklearn(shape, np.float32),
    }
    if contenders.installed("torch"):
        calls["torch"] = contenders.cd_torch(shape)
    if contenders.installed("keras"):
        with contextlib.suppress(MissingExtra):  # Keras without the backend that it is told to use
            backend, call = contenders.cd_keras(shape)
            calls[f"keras_{backend}"] = call
    times = interleave(calls, rounds)
    # scikit-learn's call is ten batches.
    samples = {name: shape.batch * (10 if name.startswith("sklearn") else 1) for name in calls}
    rates: dict[str, Any] = {name: samples[name] / timing.median for name, timing in times.items()}
    native = times["native"]
    return {
        **_described(shape),
        **rates,
        "ratio_to_floor": native.times_faster_than(times["floor"]),
        "unreliable": times["floor"].doubts(n_threads()),
        "ratio_to_floor_centered": times["native_centered"].times_faster_than(times["floor"]),
        "ratio_to_sklearn": native.times_faster_than(times["sklearn"]) / 10,
        "ratio_to_sklearn_float32": native.times_faster_than(times["sklearn_float32"]) / 10,
        "spread": {name: [samples[name] / t.high, samples[name] / t.low] for name, t in times.items()},
    }


def _training(shape: Shape, rounds: int) -> dict[str, Any]:
    times = interleave({"floor": contenders.cd_floor(shape), "native": contenders.training(shape)}, rounds)
    return {**_described(shape), **_pair(times, shape.batch)}


def _methods(shape: Shape, rounds: int) -> dict[str, Any]:
    """The methods of training beside each other: each with as many chains as rows in a batch, PT at T temperatures."""
    calls: dict[str, contenders.Call] = {"floor": contenders.cd_floor(shape)}
    for centered in (False, True):
        name = "_centered" if centered else ""
        for method in ("cd", "pcd"):
            calls[method + name] = contenders.training(shape, method=method, centered=centered)
        pt = contenders.training(shape, method="pt", centered=centered, temperatures=_TEMPERATURES)
        calls["pt" + name] = pt
    calls["default"] = contenders.default_training(shape)
    times = interleave(calls, rounds)
    cost = times["pcd_centered"].times_faster_than(times["pt_centered"])
    return {
        **_described(shape),
        "chains": shape.batch,
        "temperatures": _TEMPERATURES,
        **{name: shape.batch / timing.median for name, timing in times.items()},
        "ratio_pcd_to_cd": times["pcd_centered"].times_faster_than(times["cd_centered"]),
        "ratio_pcd_to_cd_plain": times["pcd"].times_faster_than(times["cd"]),
        "cost_pt_to_pcd": cost,
        "cost_pt_to_pcd_per_temperature": cost / _TEMPERATURES,
        "ratio_centered_to_plain": {
            method: times[f"{method}_centered"].times_faster_than(times[method]) for method in ("cd", "pcd", "pt")
        },
        "ratio_to_floor": {name: timing.times_faster_than(times["floor"]) for name, timing in times.items()},
        "unreliable": times["floor"].doubts(n_threads()),
        "spread": {name: [shape.batch / t.high, shape.batch / t.low] for name, t in times.items()},
    }


def _gibbs(shape: Shape, rounds: int) -> dict[str, Any]:
    times = interleave(
        {"floor": contenders.gibbs_floor(shape), "native": contenders.gibbs_harmonium(shape, "native")}, rounds
    )
    flips = shape.batch * (shape.n_visible + shape.n_hidden)
    return {**_described(shape), **_pair(times, 1), "flips_per_ns": flips / times["native"].median * 1e-9}


def _pair(times: dict[str, Timing], units: int) -> dict[str, Any]:
    return {
        **{name: units / timing.median for name, timing in times.items()},
        "ratio_to_floor": times["native"].times_faster_than(times["floor"]),
        "unreliable": times["floor"].doubts(n_threads()),
        "spread": {name: [units / t.high, units / t.low] for name, t in times.items()},
    }


def _every_set(rounds: int, progress: Progress) -> list[dict[str, Any]]:
    """Every instruction set beside the same floor, in turn with it."""
    usual, found = instruction_set(), []
    for batch, floor, make in (
        (100, contenders.cd_floor, contenders.training),
        (10, contenders.cd_floor, contenders.training),
        (1000, contenders.gibbs_floor, functools.partial(contenders.gibbs_harmonium, engine="native")),
    ):
        for data in DATA:
            shape = dataclasses.replace(REFERENCE, batch=batch, data=data)
            kind = "sampling" if floor is contenders.gibbs_floor else "training"
            progress(f"{kind} on every instruction set, {batch} {data}")
            calls = {"floor": floor(shape)}
            for name in instruction_sets():
                calls[name] = contenders.on_instruction_set(name, functools.partial(make, shape))
            times = interleave(calls, rounds)
            use_instruction_set(usual)
            found.append(
                {
                    "kind": kind,
                    **dataclasses.asdict(shape),
                    "blas_kernel": blas_kernel(),
                    "seconds": {name: timing.median for name, timing in times.items()},
                    "ratio_to_floor": {
                        name: timing.times_faster_than(times["floor"]) for name, timing in times.items()
                    },
                    "unreliable": times["floor"].doubts(n_threads()),
                }
            )
    return found


def _on_digits(shape: Shape) -> Shape:
    return dataclasses.replace(shape, data="digits")


def _described(shape: Shape) -> dict[str, Any]:
    """The shape and what it was computed with."""
    return {**dataclasses.asdict(shape), "instruction_set": instruction_set(), "blas_kernel": blas_kernel()}


def _overhead(rounds: int) -> dict[str, float]:
    """A step on a machine of one unit a layer is all call and no work: what Python costs a step."""
    times = interleave(
        {
            "step": contenders.training(REFERENCE),
            "empty": contenders.training(Shape(1, 1, 1)),
        },
        rounds,
    )
    return {"seconds": times["empty"].median, "share_of_step": 1 / times["empty"].times_faster_than(times["step"])}


def _enumeration(rounds: int) -> dict[str, Any]:
    n_visible, n_hidden = 784, 20
    W = 0.1 * np.asarray(Shape(n_visible, n_hidden, 1).machine().W)
    rbm = RBM(W, np.zeros(n_visible), np.zeros(n_hidden))
    timing = interleave({"exact": lambda: log_partition(rbm, "exact")}, max(3, rounds // 3))["exact"]
    return {
        "n_visible": n_visible,
        "n_hidden": n_hidden,
        "ns_per_state_visible": timing.median / (2**n_hidden * n_visible) * 1e9,
        "seconds": timing.median,
    }


def _grids(progress: Progress) -> dict[str, Any]:
    training = []
    for n_visible, n_hidden in LAYERS:
        for batch in BATCHES:
            for sweeps in (1, 10):
                shape = Shape(n_visible, n_hidden, batch, sweeps)
                if shape.n_visible * shape.n_hidden * shape.batch * (2 * sweeps + 3) > _LARGEST:
                    continue
                progress(f"training, {n_visible} x {n_hidden}, batch {batch}, CD-{sweeps}")
                training += [_training(dataclasses.replace(shape, data=data), 5) for data in DATA]
    sampling = []
    for n_visible, n_hidden in LAYERS:
        for chains in CHAINS:
            progress(f"sampling, {n_visible} x {n_hidden}, {chains} chains")
            sampling += [_gibbs(Shape(n_visible, n_hidden, chains, data=data), 5) for data in DATA]
    progress("annealing, 14,503 temperatures x 100 chains, both directions")
    start = time.perf_counter()
    bracket = log_partition(REFERENCE.machine(), "ais", temperatures="salakhutdinov", chains=100)
    annealing = {"seconds": time.perf_counter() - start, "log_z": str(bracket)}
    progress("enumeration, 25 hidden units")
    start = time.perf_counter()
    log_partition(Shape(784, 25, 1).machine(), "exact")
    enumeration = {"n_visible": 784, "n_hidden": 25, "seconds": time.perf_counter() - start}
    scaling = []
    for threads in range(1, n_threads() + 1):
        progress(f"training on {threads} threads")
        with threadpool_limits(threads):
            scaling.append({"threads": threads, **_training(REFERENCE, 9)})
    return {
        "training": training,
        "sampling": sampling,
        "annealing": annealing,
        "enumeration": enumeration,
        "scaling": scaling,
    }
