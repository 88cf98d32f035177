"""The torch engine on a GPU: whether its bits are the native engine's, and how fast it is.

python benchmarks/gpu.py [--device cuda] [--small] [--seconds 230] [--only SECTION ...] [--out gpu.json]

First every section that compares bits runs, each in a process of its own, all at once, as most of their time goes into
compiling kernels; then, one after the other, those that measure, what is required before the peers. The reference is
the native engine, or, where that is not built, the torch engine on the processor. Each section prints when it ends, and
one that fails loses no other; what has not begun when the time is up is left out, and what does not end then is ended.
At the end stands a table: what is required of 784 x 500, what is aimed at, and what was found. With --small everything
is cut short, to see that it works.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import harmonium
from harmonium.chains.path import linear_path
from harmonium.engines import ENGINES, Centring, Engine, Rates, make_engine
from harmonium.likelihood.annealed import Annealer
from harmonium.random import Key
from harmonium.rbm import bias_of_means

VISIBLE, HIDDEN = 784, 500
Row = dict[str, Any]

# What is required, and what is aimed at: of times and differences at most, of rates at least.
FLIPS = {100: (8, 11), 1000: (50, 65), 10_000: (100, 115), 100_000: (120, 150)}  # a ns, by the number of chains
WITHOUT_TRITON = {10_000: (30, 40)}  # likewise
CD = {100: (1.5e6, 2.8e6), 500: (5e6, 7.7e6)}  # samples a second, centred, by the size of the batch
PCD = {500: (3e6, 6e6)}  # likewise
TEMPERATURE = {1000: (100, 80), 5000: (250, 200)}  # us, by the number of chains
LOG_Z = {30: (0.5, 0.3)}  # seconds, by the number of hidden units


def aimed(row: Row, measure: str, aims: tuple[float, float] | None, *, at_most: bool = False) -> Row:
    """The row, with what its measure should be."""
    if aims is None:
        return row
    required, goal = aims
    met = row[measure] <= required if at_most else row[measure] >= required
    return {**row, "measure": measure, "required": required, "goal": goal, "met": bool(met)}


class Setting:
    """Where, and at which sizes."""

    def __init__(self, device: str, small: bool) -> None:
        self.device, self.small = device, small
        self.engine = f"torch:{device}"
        self.reference = "torch:cpu" if ENGINES["native"].__name__ == "MissingEngine" else "native"
        self.shape = (64, 48) if small else (VISIBLE, HIDDEN)
        self.seconds = 0.02 if small else 0.3

    def machine(self, n_hidden: int | None = None, scale: float = 0.1) -> harmonium.RBM:
        m, n = self.shape
        n = n if n_hidden is None else n_hidden
        draw = np.random.default_rng(n)
        W, b, c = (draw.normal(0, x, size) for x, size in ((scale, (n, m)), (1, m), (0.5, n)))
        return harmonium.RBM(*(x.astype(np.float32) for x in (W, b - 1, c)))

    def data(self, rows: int) -> npt.NDArray[np.uint8]:
        draw = np.random.default_rng(1)
        return (draw.random((rows, self.shape[0])) < draw.random(self.shape[0]) ** 2).astype(np.uint8)

    def clock(self, call: Callable[[], object]) -> float:
        """Seconds a call: the median of five times of as many calls as take `seconds`."""
        for _ in range(3):
            call()
        calls, times = 1, []
        while True:
            seconds = self._time(call, calls)
            if seconds > self.seconds / 5:
                break
            calls *= 2
        times = [seconds, *(self._time(call, calls) for _ in range(4))]
        return sorted(times)[2] / calls

    def _time(self, call: Callable[[], object], calls: int) -> float:
        self.wait()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()


# Bits ----------------------------------------------------------------------------------------------------------------


def bits_of_sampling(at: Setting) -> Iterator[Row]:
    rbm, chains, sweeps = at.machine(), 20 if at.small else 1000, 4 if at.small else 50
    start = at.data(chains)
    found = [
        harmonium.sample(rbm, sweeps=sweeps, start=start, seed=3, engine=name) for name in (at.engine, at.reference)
    ]
    yield {"what": f"{chains} chains, {sweeps} sweeps", **differing(*found)}


def bits_of_cd(at: Setting) -> Iterator[Row]:
    for centred in (True, False):
        yield from _bits_of_training(at, method="cd", batch_size=10 if at.small else 100, centered=centred)


def bits_of_pcd(at: Setting) -> Iterator[Row]:
    batch = 10 if at.small else 500
    for sweeps in (1, 3):
        yield from _bits_of_training(at, method="pcd", batch_size=batch, chains=batch, sweeps=sweeps)


def bits_of_pt(at: Setting) -> Iterator[Row]:
    batch = 10 if at.small else 100
    yield from _bits_of_training(at, method="pt", batch_size=batch, chains=batch, temperatures=5)


def _bits_of_training(at: Setting, **choices: Any) -> Iterator[Row]:
    X, epochs = at.data(4 * choices["batch_size"] + 3), 2 if at.small else 8
    found = []
    for name in (at.engine, at.reference):
        rbm = harmonium.train(X, at.shape[1], epochs=epochs, held_out=0, engine=name, seed=4, **choices).rbm
        found.append(np.concatenate([x.ravel() for x in (rbm.W, rbm.b, rbm.c)]))
    yield {"what": f"{5 * epochs} steps of {choices}", **differing(*found)}


def bits_of_enumeration(at: Setting) -> Iterator[Row]:
    units = 10 if at.small else 20
    rbm = at.machine(units)
    found = [
        harmonium.log_partition(rbm, "exact", max_units=units, engine=name).value for name in (at.engine, at.reference)
    ]
    row = {"what": f"log Z of 2^{units} x {at.shape[0]}", "log_z": found[0], "difference": abs(found[0] - found[1])}
    yield aimed(row, "difference", (1e-8, 1e-8), at_most=True)


def bits_of_pseudo_likelihood(at: Setting) -> Iterator[Row]:
    X = at.data(20 if at.small else 500)
    found = [harmonium.pseudo_log_likelihood(at.machine(), X, engine=name) for name in (at.engine, at.reference)]
    yield {"what": f"pseudo-log-likelihoods of {len(X)} rows", **differing(*found)}


def bits_of_annealing(at: Setting) -> Iterator[Row]:
    chains, temperatures = (10, 12) if at.small else (100, 300)
    found = []
    for name in (at.engine, at.reference):
        annealer = _annealer(at, name)
        works = annealer.run(annealer.start(chains, Key(1)), np.linspace(0, 1, temperatures + 1), Key(2))
        found.append(np.concatenate([works.log_w, works.lengths]))
    yield {"what": f"weights of {chains} chains, {temperatures} temperatures", **differing(*found)}


def _annealer(at: Setting, engine: str) -> Annealer:
    base = bias_of_means(at.data(1000).sum(axis=0), 1000)
    return Annealer(at.machine(), linear_path(base, at.shape[1]), engine)


def differing(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Row:
    return aimed({"differing": int((x != y).sum()), "of": x.size}, "differing", (0, 0), at_most=True)


# Speed ---------------------------------------------------------------------------------------------------------------


def speed_of_sampling(at: Setting) -> Iterator[Row]:
    sweeps = 4 if at.small else 64
    for chains in (10,) if at.small else (100, 1000, 10_000, 100_000):
        engine = make_engine(at.machine(), at.engine)
        row = {"chains": chains, **_flips(at, chains, _sweeping(engine, at.data(chains), sweeps), sweeps)}
        yield aimed(row, "flips_per_ns", FLIPS.get(chains))


def _sweeping(engine: Engine, start: npt.NDArray[Any], n: int) -> Callable[[], object]:
    v = engine.encode(start)
    key_h, key_v = Key(1, 0), Key(1, 1)

    def call() -> None:
        nonlocal v, key_h, key_v
        v = engine.sweeps(v, key_h, key_v, n)
        key_h, key_v = key_h.at(key_h.step + n), key_v.at(key_v.step + n)

    return call


def _flips(at: Setting, chains: int, call: Callable[[], object], sweeps: int) -> Row:
    seconds = at.clock(call) / sweeps
    return {"us_a_sweep": 1e6 * seconds, "flips_per_ns": 1e-9 * chains * sum(at.shape) / seconds}


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
    annealer, temperatures = _annealer(at, at.engine), 20 if at.small else 1000
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


def speed_of_peers(at: Setting) -> Iterator[Row]:
    """Torch with its own noise: the same products in single precision, or in TF32."""
    m, n = at.shape
    W = torch.randn(n, m, device=at.device) * 0.05
    b, c = torch.zeros(m, device=at.device), torch.zeros(n, device=at.device)

    def sweep(v: torch.Tensor) -> torch.Tensor:
        h = torch.bernoulli(torch.sigmoid(torch.addmm(c, v, W.T)))
        return torch.bernoulli(torch.sigmoid(torch.addmm(b, h, W)))

    for tf32 in (False, True):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        name = "TF32" if tf32 else "float32"
        for chains in (10,) if at.small else (100, 1000, 10_000, 100_000):
            v = (torch.rand(chains, m, device=at.device) < 0.4).float()
            yield {"peer": f"torch eager, {name}", "chains": chains, **_flips(at, chains, lambda v=v: sweep(v), 1)}
            if tf32 and at.device.startswith("cuda"):
                compiled = captured(torch.compile(sweep, dynamic=False), v)
                yield {"peer": f"torch.compile, graph, {name}", "chains": chains, **_flips(at, chains, compiled, 1)}
    torch.backends.cuda.matmul.allow_tf32 = False


def speed_of_peers_in_training(at: Setting) -> Iterator[Row]:
    """CD-1 in torch with its own noise, momentum and decay; and `rbms`, where it is installed."""
    m, n = at.shape
    X = torch.from_numpy(at.data(200 if at.small else 60_000)).to(at.device).float()
    W, b, c = (torch.randn(k, device=at.device) * 0.01 for k in ((n, m), (m,), (n,)))
    dW, db, dc = (torch.zeros_like(x) for x in (W, b, c))
    rows = torch.randperm(len(X), device=at.device)

    def step(rows: torch.Tensor) -> torch.Tensor:
        v = X[rows]
        p = torch.sigmoid(torch.addmm(c, v, W.T))
        x = torch.bernoulli(torch.sigmoid(torch.addmm(b, torch.bernoulli(p), W)))
        q = torch.sigmoid(torch.addmm(c, x, W.T))
        dW.mul_(0.5).add_((p.T @ v - q.T @ x) / len(v) - 1e-4 * W, alpha=0.01)
        db.mul_(0.5).add_(v.mean(0) - x.mean(0), alpha=0.01)
        dc.mul_(0.5).add_(p.mean(0) - q.mean(0), alpha=0.01)
        for parameter, velocity in ((W, dW), (b, db), (c, dc)):
            parameter.add_(velocity)
        return W

    torch.backends.cuda.matmul.allow_tf32 = True
    for batch in (10,) if at.small else (100, 500):
        part = rows[:batch]
        ways = {"torch eager, TF32": lambda part=part: step(part)}
        if at.device.startswith("cuda"):
            ways["torch graph, TF32"] = captured(step, part)
        with contextlib.suppress(ImportError):
            ways["rbms PCD-1, TF32"] = _rbms(at, batch)
        for name, call in ways.items():
            seconds = at.clock(call)
            yield {"peer": name, "batch": batch, "us_a_step": 1e6 * seconds, "samples_per_s": batch / seconds}
    torch.backends.cuda.matmul.allow_tf32 = False


def _rbms(at: Setting, batch: int) -> Callable[[], object]:
    """A step of PCD-1, centred, of the package `rbms` (Décelle, Furtlehner, Seoane)."""
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.dataset.dataset_class import RBMDataset
    from rbms.sampler.pcd import PCD

    torch.set_grad_enabled(False)
    X = at.data(200 if at.small else 60_000).astype(np.float32)
    count = np.arange(len(X))
    data = RBMDataset(X, 0 * count, 1 + 0 * count, count.astype(str), "x", "bernoulli", device=at.device)
    machine = BBRBM.init_parameters(at.shape[1], data, torch.device(at.device), torch.float32)
    machine.init_grad()
    chains = PCD(machine, machine.init_chains(batch), 1)
    optimizer = torch.optim.SGD(machine.parameters(), lr=0.01, maximize=True)

    def step() -> None:
        rows = data.batch(batch)
        optimizer.zero_grad(set_to_none=False)
        now = machine.init_chains(num_samples=len(rows["data"]), weights=rows["weights"], start_v=rows["data"])
        machine.compute_gradient(data=now, chains=chains.get_conf_grad(batch=rows["data"]), centered=True)
        optimizer.step()
        machine.post_grad_update()
        chains.post_grad_update(params=machine)

    return step


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
        flips = _flips(at, chains, _sweeping(engine, at.data(chains), 10), 10)
        row = {"without Triton": name, "chains": chains, "wrong": int((left[0] != left[1]).sum()), **flips}
        yield aimed(row, "flips_per_ns", WITHOUT_TRITON.get(chains) if name in ways else None)


def captured(call: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Callable[[], object]:
    """A CUDA graph of `call` on `x`."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            call(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call(x)
    return graph.replay


# The run -------------------------------------------------------------------------------------------------------------

BITS = {
    "bits of sampling": bits_of_sampling,
    "bits of CD-1": bits_of_cd,
    "bits of PCD": bits_of_pcd,
    "bits of PT": bits_of_pt,
    "bits of annealing": bits_of_annealing,
    "bits of enumeration": bits_of_enumeration,
    "bits of pseudo-likelihood": bits_of_pseudo_likelihood,
}
SPEED = {
    "sampling": speed_of_sampling,
    "CD-1": speed_of_cd,
    "training": speed_of_training,
    "annealing": speed_of_annealing,
    "enumeration": speed_of_enumeration,
    "without Triton": speed_without_triton,
    "peers": speed_of_peers,
    "peers in training": speed_of_peers_in_training,
}
SECTIONS = BITS | SPEED
# A fault in a kernel that has not been tried on a device ends all that its process does there.
ALONE = ("without Triton",)


def run(name: str, at: Setting) -> Row:
    """One section; what goes wrong in it is a part of what it found."""
    start, rows, error = time.perf_counter(), [], None
    try:
        for row in SECTIONS[name](at):
            rows.append(row)
            print(f"  {name}: {as_text(row)}", flush=True)
    except Exception:
        error = traceback.format_exc()
        print(f"  {name}: {error}", flush=True)
    return {"section": name, "seconds": time.perf_counter() - start, "rows": rows, "error": error}


def run_apart(names: Iterable[str], arguments: list[str], until: float) -> Iterator[Row]:
    """Sections in processes of their own, all at once; at the time `until` they are ended."""
    command = [sys.executable, __file__, *arguments, "--only"]
    found = [(name, subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True)) for name in names]
    for name, process in found:
        try:
            text = process.communicate(timeout=max(0.0, until - time.perf_counter()))[0]
        except subprocess.TimeoutExpired:
            process.kill()
            text = process.communicate()[0]
        print(text, end="", flush=True)
        lines = [line for line in text.splitlines() if line.startswith("{")]
        error = f"exit status {process.returncode} after: {text[-500:]}"
        yield json.loads(lines[-1])["sections"][0] if lines else {"section": name, "rows": [], "error": error}


def run_all(at: Setting, arguments: list[str], until: float) -> Iterator[Row]:
    """Every section, as far as the time goes."""
    yield from run_apart(BITS, arguments, until)
    for name in SPEED:
        if time.perf_counter() > until:
            yield {"section": name, "rows": [], "error": "not begun: no time was left"}
        elif name in ALONE:
            yield from run_apart([name], arguments, until)
        else:
            yield run(name, at)


def table(result: Row) -> str:
    """Every row with an aim, in Markdown."""
    lines = ["| | required | goal | found | met |", "|---|---|---|---|---|"]
    for section in result["sections"]:
        for row in section["rows"]:
            if "required" in row:
                numbers = (f"{row[name]:.4g}" for name in ("required", "goal", row["measure"]))
                names = ("what", "without Triton", "states", "chains", "batch")
                what = ", ".join(f"{name} {row[name]}" for name in names if name in row)
                met = "yes" if row["met"] else "**no**"
                lines.append(f"| {section['section']}, {what}: {row['measure']} | {' | '.join(numbers)} | {met} |")
    return "\n".join(lines)


def as_text(row: Row) -> str:
    return ", ".join(f"{name} {x:.4g}" if isinstance(x, float) else f"{name} {x}" for name, x in row.items())


def about(at: Setting) -> Row:
    cuda = at.device.startswith("cuda")
    found = {
        "device": torch.cuda.get_device_name(at.device) if cuda else "cpu",
        "torch": torch.__version__,
        "reference": at.reference,
        "shape": f"{at.shape[0]}x{at.shape[1]}",
    }
    with contextlib.suppress(ImportError):
        import triton

        found["triton"] = triton.__version__
    if cuda:
        from harmonium.engines.torch_devices import description

        found["engine"] = description(at.device)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION")
    parser.add_argument("--out")
    parser.add_argument("--seconds", type=float, default=230.0, help="that all of it may take")
    given = parser.parse_args()
    until = time.perf_counter() + given.seconds
    at = Setting(given.device, given.small)
    arguments = ["--device", given.device, *(["--small"] if given.small else [])]
    found = (run(name, at) for name in given.only) if given.only else run_all(at, arguments, until)
    result = {
        **about(at),
        "command": " ".join(["python", "benchmarks/gpu.py", *arguments, *(given.only or [])]),
        "sections": [],
    }
    for section in found:
        result["sections"].append(section)
        if given.out:  # after each, in case that time runs out
            Path(given.out).write_text(json.dumps(result, indent=1))
    if not given.only:
        print(table(result))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
