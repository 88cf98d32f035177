"""Engines: the readable one as the equations say, and the fast one as that, in every variant of its kernels.

One battery of everything that an engine computes, on a machine with widths that fill no word. The variants of the
native engine, and the torch engine, must give the same bits; all must agree with the machine on paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from harmonium.engines import TORCH, Offsets, Phase, Rates, make_engine
from harmonium.engines.processor import instruction_set, threads_awake, use_instruction_set
from harmonium.errors import InvalidParameter
from harmonium.random import Key
from harmonium.rbm import RBM, float64
from harmonium.verify.check import EXACT, SINGLE, Check, compare
from harmonium.verify.machines import parameters

_SETS = ("portable", "avx2", "avx512", "amx")
_THREADS = (1, 2, 3, 4)
_RATES = Rates(0.125, 0.5, 0.0625)


def checks(engines: tuple[str, ...]) -> Iterator[Check]:
    """The battery on each engine, instruction set and number of threads."""
    rbm = RBM(*(x.astype(np.float32) / 4 for x in parameters(70, 131)))
    v, h = _states(rbm.n_visible, "v"), _states(rbm.n_hidden, "h")
    expected = _on_paper(rbm, v, h)
    for name in engines:
        for verb, value in _battery(rbm, v, h, name).items():
            if verb in expected:
                scale = max(1.0, float(np.abs(expected[verb]).max()))
                yield compare("engines", f"engines.Engine.{verb}, on paper", value, expected[verb], engine=name,
                              tolerance=SINGLE * scale)  # fmt: skip
        if name.startswith(TORCH):
            found, native = (tuple(_battery(rbm, v, h, each).values()) for each in (name, "native"))
            yield compare("engines", "engines.torch, native bits", found, native, engine=name, tolerance=EXACT)
    if "native" in engines:
        yield from _variants(rbm, v, h)


def _variants(rbm: RBM, v: Any, h: Any) -> Iterator[Check]:
    """Every instruction set that runs here, with 1 to 4 threads: the same bits as the first."""
    used, first = instruction_set(), None
    try:
        for name in _SETS:
            try:
                use_instruction_set(name)
            except InvalidParameter:
                continue  # not on this processor
            for threads in _THREADS:
                with threadpool_limits(threads), threads_awake():
                    found = tuple(_battery(rbm, v, h, "native").values())
                first = found if first is None else first
                yield compare("engines", "engines.NativeEngine, same bits", found, first, tolerance=EXACT,
                              engine=f"native, {name}, {threads} threads")  # fmt: skip
    finally:
        use_instruction_set(used)


def _battery(rbm: RBM, v: Any, h: Any, name: str) -> dict[str, Any]:
    """What the verbs of an engine give, by verb."""
    engine = make_engine(rbm, name)
    bits_v, bits_h, key = engine.encode(v), engine.encode(h), Key(2026).derive("verify battery")
    logits = engine.logits_h(bits_v)
    mean = engine.mean(logits)
    moments = [engine.to_numpy(part) for part in engine.moments(Phase(bits_v, mean))]
    found = {
        "decode": engine.decode(bits_v),
        "logits_h": engine.to_numpy(logits),
        "logits_v": engine.to_numpy(engine.logits_v(bits_h)),
        "mean": engine.to_numpy(mean),
        "softplus_sum": engine.softplus_sum(logits),
        "dot": engine.dot(bits_v, np.asarray(rbm.b, np.float32)),
        "pseudo_log_likelihood": engine.pseudo_log_likelihood(bits_v),
        "moments": np.concatenate([part.ravel() for part in moments]),
        "sample_h": engine.decode(engine.sample_h(bits_v, key)),
        "sample_v": engine.decode(engine.sample_v(bits_h, key.on(1), 0.5)),
    }
    engine.ascend(Phase(bits_v, mean), _other(engine, v), _RATES, _offsets(rbm))
    found["ascend"] = np.concatenate([x.ravel() for x in (engine.rbm.W, engine.rbm.b, engine.rbm.c)])
    return found


def _other(engine: Any, v: Any) -> Phase:
    """A second phase: the same rows, mirrored."""
    states = engine.encode(np.ascontiguousarray(v[:, ::-1]))
    return Phase(states, engine.mean(engine.logits_h(states)))


def _on_paper(rbm: RBM, v: Any, h: Any) -> dict[str, Any]:
    """The same by the equations, in double precision."""
    paper = float64(rbm)
    logits = paper.logits_h(v)
    softplus = np.logaddexp(logits, 0)
    energies = paper.free_energy(v)
    pseudo = np.zeros(len(v))
    for j in range(paper.n_visible):
        flipped = v.copy()
        flipped[:, j] = 1 - flipped[:, j]
        pseudo -= np.logaddexp(0, energies - paper.free_energy(flipped))
    data, model = paper.expected_statistics(v), paper.expected_statistics(v[:, ::-1])
    gradient = data - model
    mu, lam = _offsets(rbm)
    centred = gradient.hv - np.outer(gradient.h, mu) - np.outer(lam, gradient.v) - _RATES.weight_decay * paper.W
    W = _RATES.learning_rate * centred
    b, c = _RATES.learning_rate * gradient.v - lam @ W, _RATES.learning_rate * gradient.h - W @ mu
    return {
        "decode": v,
        "logits_h": logits,
        "logits_v": paper.logits_v(h),
        "mean": paper.mean_h_from_v(v),
        "softplus_sum": softplus.sum(axis=1),
        "dot": v @ paper.b,
        "pseudo_log_likelihood": pseudo,
        "moments": np.concatenate([part.ravel() for part in data]),
        "ascend": np.concatenate([x.ravel() for x in (paper.W + W, paper.b + b, paper.c + c)]),
    }


def _offsets(rbm: RBM) -> Offsets:
    mu, lam = (np.linspace(*ends, n, dtype=np.float32) for ends, n in (((0, 1), rbm.n_visible), ((1, 0), rbm.n_hidden)))
    return Offsets(mu, lam)


def _states(n_units: int, label: str) -> Any:
    return (Key(2026).derive("verify states", label).uniform(41, n_units) < 0.5).astype(np.uint8)
