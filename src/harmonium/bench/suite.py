"""The benchmark as a whole: which contenders meet at which shapes."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from harmonium.bench import contenders, table
from harmonium.bench.contenders import Shape
from harmonium.bench.interleave import doubts, interleave
from harmonium.bench.machine import describe_machine, n_threads
from harmonium.bench.memory import training_memory
from harmonium.bench.table import REFERENCE, described, sampling, training
from harmonium.bench.watching import cost_of_watching
from harmonium.errors import MissingExtra
from harmonium.likelihood import log_partition
from harmonium.rbm import RBM

# Beside the table, on fair coins: where the ratio to the floor goes as layers, batches and sweeps grow.
TRAINED = (
    *(Shape(784, 500, batch) for batch in (1, 500, 2000)),
    Shape(64, 256, 10),
    Shape(784, 1024, 100),
    *(Shape(*layers, 100, sweeps=10) for layers in ((64, 256), (784, 500))),
)
SAMPLED = (Shape(784, 500, 100), Shape(784, 500, 10_000), Shape(784, 1024, 1000))
_TEMPERATURES = 10  # of parallel tempering
Progress = Callable[[str], None]


def run_suite(*, quick: bool = False, every_set: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Measure everything in this process.

    Parameters
    ----------
    quick : bool
        The reference shapes only, in a minute or two.
    every_set : bool
        The rows of `harmonium.bench.table` for every instruction set that the processor runs; without it, and without
        `quick`, for the one in use.
    progress : callable
        Told what is being measured.

    Returns
    -------
    dict
        ``machine``, ``threads``, ``cd1``, ``cd1_batch_10``, ``methods``, ``monitoring``, ``gibbs``, ``digits``,
        ``log_partition``, ``peak_memory_mb``, ..., with `every_set` or without `quick` the list ``table``, and without
        `quick` the lists ``training``, ``sampling`` and ``scaling``, and ``annealing`` and ``enumeration``. Rates are
        samples a second (training), sweeps of all chains a second (Gibbs); ratios are medians of ratios round by round.
        What is called CD-1 is plain: ``method="cd"``, not centred; "native_centered" is the centred step.
        ``unreliable`` beside a ratio to the floor says why it should not be believed: the machine had other work to do
        (`harmonium.bench.interleave.doubts`).
        Data are fair coins, except in ``digits`` and where a row of ``table`` says so: real digits, and a machine that
        is trained on them.
    """
    progress = progress or (lambda _: None)
    rounds = 9 if quick else 11
    progress("training, 784 x 500, batch 100")
    result: dict[str, Any] = {"machine": describe_machine(), "threads": n_threads()}
    result["cd1"] = _reference(REFERENCE, rounds)
    result["cd1"]["python_overhead"] = _overhead(rounds)
    progress("training, batch 10")
    result["cd1_batch_10"] = training(Shape(784, 500, 10), rounds)
    progress("methods of training, 100 chains")
    result["methods"] = _methods(REFERENCE, rounds)
    progress("watching a run, 784 x 500, batch 100")
    result["monitoring"] = cost_of_watching(REFERENCE, reports=3 if quick else 9)
    progress("sampling, 1,000 chains")
    result["gibbs"] = sampling(Shape(784, 500, 1000), rounds)
    progress("training and sampling on real digits")
    result["digits"] = {
        "cd1": training(_on_digits(REFERENCE), rounds),
        "cd1_batch_10": training(_on_digits(Shape(784, 500, 10)), rounds),
        "gibbs": sampling(_on_digits(Shape(784, 500, 1000)), rounds),
    }
    if every_set:
        progress("all instruction sets")
        result["table"] = table.on_every_set(lambda row: progress(table.line(row)), quick=quick)
    elif not quick:
        progress("the table's shapes")
        result["table"] = list(table.rows())
    progress("enumeration, 20 hidden units")
    result["log_partition"] = _enumeration(rounds)
    progress("memory")
    memory = training_memory()
    result["peak_memory_mb"] = memory["peak_mb"]
    result["memory_added_by_training_mb"] = memory["added_by_training_mb"]
    if not quick:
        result |= _more(progress)
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
        **described(shape),
        **rates,
        "ratio_to_floor": native.times_faster_than(times["floor"]),
        "unreliable": doubts({name: times[name] for name in ("floor", "native")}, n_threads()),
        "ratio_to_floor_centered": times["native_centered"].times_faster_than(times["floor"]),
        "ratio_to_sklearn": native.times_faster_than(times["sklearn"]) / 10,
        "ratio_to_sklearn_float32": native.times_faster_than(times["sklearn_float32"]) / 10,
        "spread": {name: [samples[name] / t.high, samples[name] / t.low] for name, t in times.items()},
    }


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
        **described(shape),
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
        "unreliable": doubts(times, n_threads()),
        "spread": {name: [shape.batch / t.high, shape.batch / t.low] for name, t in times.items()},
    }


def _on_digits(shape: Shape) -> Shape:
    return dataclasses.replace(shape, data="digits")


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


def _more(progress: Progress) -> dict[str, Any]:
    found: dict[str, Any] = {"training": [], "sampling": []}
    for kind, measure, shapes in (("training", training, TRAINED), ("sampling", sampling, SAMPLED)):
        for shape in shapes:
            progress(f"{kind}, {shape.n_visible} x {shape.n_hidden}, {shape.batch} rows, {shape.sweeps} sweeps")
            found[kind].append(measure(shape, 5))
    progress("annealing, 14,503 temperatures x 100 chains, both directions")
    start = time.perf_counter()
    bracket = log_partition(REFERENCE.machine(), "ais", temperatures="salakhutdinov", chains=100)
    found["annealing"] = {"seconds": time.perf_counter() - start, "log_z": str(bracket)}
    progress("enumeration, 25 hidden units")
    start = time.perf_counter()
    log_partition(Shape(784, 25, 1).machine(), "exact")
    found["enumeration"] = {"n_visible": 784, "n_hidden": 25, "seconds": time.perf_counter() - start}
    found["scaling"] = []
    for threads in range(1, n_threads() + 1):
        progress(f"training on {threads} threads")
        with threadpool_limits(threads):
            found["scaling"].append({"threads": threads, **training(REFERENCE, 9)})
    return found
