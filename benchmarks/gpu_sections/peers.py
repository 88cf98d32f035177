"""Peers: torch with its own noise, and `rbms`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch

from gpu_sections.setting import Row, Setting


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
            yield {"peer": f"torch eager, {name}", "chains": chains, **at.flips(chains, lambda v=v: sweep(v), 1)}
            if tf32 and at.device.startswith("cuda"):
                compiled = captured(torch.compile(sweep, dynamic=False), v)
                yield {"peer": f"torch.compile, graph, {name}", "chains": chains, **at.flips(chains, compiled, 1)}
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


PEERS = {
    "peers": speed_of_peers,
    "peers in training": speed_of_peers_in_training,
}
