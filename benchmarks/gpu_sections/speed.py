"""How fast the engine is, beside what is required."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

import harmonium
from gpu_sections.setting import Row, Setting, aimed
from harmonium.engines import Centring, Engine, Rates, make_engine
from harmonium.random import Key

# What is required, and what is aimed at: of times and differences at most, of rates at least.
FLIPS = {100: (8, 11), 1000: (50, 65), 10_000: (100, 115), 100_000: (120, 150)}  # a ns, by the number of chains
WITHOUT_TRITON = {10_000: (30, 40)}  # likewise
CD = {100: (1.5e6, 2.8e6), 500: (5e6, 7.7e6)}  # samples a second, centred, by the size of the batch
PCD = {500: (3e6, 6e6)}  # likewise
TEMPERATURE = {1000: (100, 80), 5000: (250, 200)}  # us, by the number of chains
LOG_Z = {30: (0.5, 0.3)}  # seconds, by the number of hidden units


def speed_of_sampling(at: Setting) -> Iterator[Row]:
    sweeps = 4 if at.small else 64
    for chains in (10,) if at.small else (100, 1000, 10_000, 100_000):
        engine = make_engine(at.machine(), at.engine)
        row = {"chains": chains, **at.flips(chains, _sweeping(engine, at.data(chains), sweeps), sweeps)}
        yield aimed(row, "flips_per_ns", FLIPS.get(chains))


def _sweeping(engine: Engine, start: npt.NDArray[Any], n: int) -> Callable[[], object]:
    v = engine.encode(start)
    key_h, key_v = Key(1, 0), Key(1, 1)

    def call() -> None:
        nonlocal v, key_h, key_v
        v = engine.sweeps(v, key_h, key_v, n)
        key_h, key_v = key_h.at(key_h.step + n), key_v.at(key_v.step + n)

    return call


def speed_of_cd(at: Setting) -> Iterator[Row]:
    """CD-1, by many steps at a time: `Engine.contrasts`."""
    steps = 10 if at.small else 100
    for centred in (True, False):
        for batch in (10,) if at.small else (100, 500, 2000):
            seconds = at.clock(_contrasting(at, steps, batch, centred)) / steps
            row = {"batch": batch, "centred": centred, "us_a_step": 1e6 * seconds, "samples_per_s": batch / seconds}
            yield aimed(row, "samples_per_s", CD.get(batch) if centred else None)


def _contrasting(at: Setting, steps: int, batch: int, centred: bool) -> Callable[[], object]:
    X = at.data(200 if at.small else 60_000)
    engine = make_engine(harmonium.RBM.initialise(X, at.shape[1]), at.engine)
    data, rates = engine.encode(X), [Rates(0.01, 0.5, 1e-4)] * steps
    rows = engine.table(np.random.default_rng(0).integers(0, len(X), (steps, batch)))
    centring = Centring(X.mean(axis=0).astype(np.float32), None, 0.01) if centred else None
    step = 0

    def call() -> None:
        nonlocal step, centring
        done = engine.contrasts(
            data, rows, None, (Key(1, 0, step), Key(2, 0, step), Key(2, 1, step)), 1, rates, centring
        )
        centring = None if centring is None else centring._replace(h=done.mean_h)
        step += steps

    return call


def speed_of_annealing(at: Setting) -> Iterator[Row]:
    annealer, temperatures = at.annealer(at.engine), 20 if at.small else 1000
    betas = np.linspace(0, 1, temperatures + 1)
    for chains in (10,) if at.small else (100, 1000, 5000):
        start = annealer.start(chains, Key(1))
        annealer.run(start, betas[:20], Key(2))
        at.wait()
        begin = time.perf_counter()
        annealer.run(start, betas, Key(2))
        row = {"chains": chains, "us_a_temperature": 1e6 * (time.perf_counter() - begin) / temperatures}
        yield aimed(row, "us_a_temperature", TEMPERATURE.get(chains), at_most=True)


def speed_of_training(at: Setting) -> Iterator[Row]:
    """PCD-1 from the outside, everything included: the start, the order of the rows, the records."""
    rows, batch, epochs = (200, 20, 2) if at.small else (60_000, 500, 200)
    X = at.data(rows)
    choices: Row = {"method": "pcd", "sweeps": 1, "batch_size": batch, "chains": batch, "held_out": 0}
    harmonium.train(X, at.shape[1], engine=at.engine, epochs=1, **choices)
    start = time.perf_counter()
    history = harmonium.train(X, at.shape[1], engine=at.engine, epochs=epochs, **choices).history
    seconds = time.perf_counter() - start
    steps = sorted(record.samples_per_second for record in history)[len(history) // 2]
    row = {"batch": batch, "seconds": seconds, "samples_per_s": rows * epochs / seconds, "between_records": steps}
    yield aimed(row, "samples_per_s", PCD.get(batch))


def speed_of_enumeration(at: Setting) -> Iterator[Row]:
    for units in (10,) if at.small else (25, 30):
        rbm, times = at.machine(units), []
        for _ in range(3):
            start = time.perf_counter()
            log_z = harmonium.log_partition(rbm, "exact", max_units=units, engine=at.engine).value
            times.append(time.perf_counter() - start)
        row = {"states": f"2^{units} x {at.shape[0]}", "seconds": sorted(times)[1], "log_z": log_z}
        yield aimed(row, "seconds", LOG_Z.get(units), at_most=True)


def speed_without_triton(at: Setting) -> Iterator[Row]:
    """The same bits by the function that torch compiles itself, and by plain torch, each in a CUDA graph."""
    from harmonium.engines import torch_arithmetic, torch_jit

    chains = 10 if at.small else 10_000
    ways = {"torch.cuda.jiterator": torch_jit} if at.device.startswith("cuda") else {}
    for name, do in {**ways, "plain torch": torch_arithmetic}.items():
        left = []
        for arithmetic in (do, None):
            engine = make_engine(at.machine(), at.engine)
            if arithmetic is not None:
                engine.do = arithmetic  # type: ignore[attr-defined]
            left.append(engine.decode(engine.sweeps(engine.encode(at.data(chains)), Key(1, 0), Key(1, 1), 10)))
        engine = make_engine(at.machine(), at.engine)
        engine.do = do  # type: ignore[attr-defined]
        flips = at.flips(chains, _sweeping(engine, at.data(chains), 10), 10)
        row = {"without Triton": name, "chains": chains, "wrong": int((left[0] != left[1]).sum()), **flips}
        yield aimed(row, "flips_per_ns", WITHOUT_TRITON.get(chains) if name in ways else None)


SPEED = {
    "sampling": speed_of_sampling,
    "CD-1": speed_of_cd,
    "training": speed_of_training,
    "annealing": speed_of_annealing,
    "enumeration": speed_of_enumeration,
    "without Triton": speed_without_triton,
}
