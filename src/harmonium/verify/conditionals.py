"""Energy and conditionals: equations (1) to (21) of the first seed, (1) to (8) of the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from harmonium.engines import make_engine
from harmonium.rbm import RBM
from harmonium.verify.check import SINGLE, Check, compare
from harmonium.verify.counting import Counted
from harmonium.verify.machines import machine


def checks(engines: tuple[str, ...]) -> Iterator[Check]:
    """All conditionals of one machine."""
    rbm, counted = machine()
    v, h = np.repeat(counted.v, len(counted.h), axis=0), np.tile(counted.h, (len(counted.v), 1))
    for equation in ("seed 1 (1)", "seed 2, energy", "(1)"):
        yield compare(equation, "RBM.energy", rbm.energy(v, h), counted.energy.ravel())
    for equation in ("seed 2, joint", "(2)"):
        log_joint = rbm.log_joint_unnormalised(v, h) - rbm.log_z()
        yield compare(equation, "RBM.log_joint_unnormalised", np.exp(log_joint), counted.joint.ravel())
    yield from _layer(rbm, counted, "v", 2, engines)
    yield from _layer(rbm, counted, "h", 12, engines)
    yield from _page(rbm, counted)


def _layer(rbm: RBM, counted: Counted, layer: str, first: int, engines: tuple[str, ...]) -> Iterator[Check]:
    """Ten equations about one layer given the other: the seed writes them down twice, with the layers exchanged.

    Its alpha_j (and gamma_i) is minus the log-odds: E = v_j alpha_j + terms without v_j.
    """
    given, units = (counted.h, counted.v) if layer == "v" else (counted.v, counted.h)
    p = (counted.p_v_from_h.T if layer == "v" else counted.p_h_from_v)[:, :, None]  # (given, states, 1)
    on = (p * units).sum(axis=1)  # p(unit = 1 | the other layer), shape (given, units)
    off = (p * (1 - units)).sum(axis=1)
    name, mean_of = ("v_from_h", rbm.mean_v_from_h) if layer == "v" else ("h_from_v", rbm.mean_h_from_v)
    log_p = rbm.log_p_v_from_h if layer == "v" else rbm.log_p_h_from_v
    logits = (rbm.logits_v if layer == "v" else rbm.logits_h)(given)

    pairs = np.tile(units, (len(given), 1)), np.repeat(given, len(units), axis=0)
    whole = np.exp(log_p(*pairs)).reshape(len(given), len(units))
    yield compare(f"seed 1 ({first})", f"RBM.log_p_{name}", whole, p[:, :, 0])
    mean = mean_of(given)
    yield compare(f"seed 1 ({first + 1})", f"RBM.mean_{name}", mean, on)
    yield compare(
        f"seed 1 ({first + 2})", "RBM.log_joint_unnormalised", *_odds_of_one_unit(rbm, layer, given, units, on)
    )
    alpha = -logits
    both = np.stack([1 / (1 + np.exp(-alpha)), np.exp(-alpha) / (1 + np.exp(-alpha))])
    yield compare(f"seed 1 ({first + 3})", f"RBM.logits_{layer}", both, np.stack([off, on]))
    for engine_name in engines:
        engine = make_engine(rbm, engine_name)
        states = engine.encode(given.astype(np.uint8))
        logits = engine.logits_v(states) if layer == "v" else engine.logits_h(states)
        odds, single = engine.to_numpy(logits), engine.to_numpy(engine.mean(logits))
        options: dict[str, Any] = {"engine": engine_name, "tolerance": SINGLE}
        yield compare(f"seed 1 ({first + 4})", "engines.Engine.mean", single, on, **options)
        yield compare(f"seed 1 ({first + 5})", "engines.Engine.mean", 1 - single, off, **options)
        yield compare(f"seed 1 ({first + 6})", f"engines.Engine.logits_{layer}", odds, np.log(on / off), **options)
    yield compare(f"seed 1 ({first + 7})", f"RBM.mean_{name}", 1 - mean, off)
    yield compare(f"seed 1 ({first + 8})", f"RBM.mean_{name}", mean, 1 * on + 0 * off)
    yield compare(f"seed 1 ({first + 9})", f"RBM.mean_{name}", mean, p[:, :, 0] @ units)


def _odds_of_one_unit(rbm: RBM, layer: str, given: Any, units: Any, on: Any) -> tuple[Any, Any]:
    """p(unit = 1 | the other layer) as p(on) / (p(off) + p(on)), for each state of the units beside it."""
    ratios, expected = [], []
    for k in range(units.shape[1]):
        for rest in units:
            log_p = []
            for value in (0.0, 1.0):
                state = rest.copy()
                state[k] = value
                rows = np.tile(state, (len(given), 1))
                log_p.append(rbm.log_joint_unnormalised(*((rows, given) if layer == "v" else (given, rows))))
            ratios.append(np.exp(log_p[1]) / (np.exp(log_p[0]) + np.exp(log_p[1])))
            expected.append(on[:, k])
    return np.array(ratios), np.array(expected)


def _page(rbm: RBM, counted: Counted) -> Iterator[Check]:
    v, h = counted.v, counted.h
    odds_h, odds_v = (np.log(p / (1 - p)) for p in (counted.mean_h_from_v, counted.mean_v_from_h))
    yield compare("(3)", "RBM.logits_h", rbm.logits_h(v), odds_h)
    yield compare("(4)", "RBM.logits_v", rbm.logits_v(h), odds_v)
    yield compare("(5)", "RBM.mean_h_from_v", rbm.mean_h_from_v(v), counted.mean_h_from_v)
    yield compare("(6)", "RBM.mean_v_from_h", rbm.mean_v_from_h(h), counted.mean_v_from_h)
    pairs = np.repeat(v, len(h), axis=0), np.tile(h, (len(v), 1))
    log_h, log_v = rbm.log_p_h_from_v(pairs[1], pairs[0]), rbm.log_p_v_from_h(*pairs)
    yield compare("(7)", "RBM.log_p_h_from_v", np.exp(log_h), counted.p_h_from_v.ravel())
    yield compare("(8)", "RBM.log_p_v_from_h", np.exp(log_v), counted.p_v_from_h.ravel())
    for equation, name, found, expected in (
        ("seed 2, p(H_i = 1 given v)", "RBM.mean_h_from_v", rbm.mean_h_from_v(v), counted.mean_h_from_v),
        ("seed 2, p(V_j = 1 given h)", "RBM.mean_v_from_h", rbm.mean_v_from_h(h), counted.mean_v_from_h),
        ("seed 2, features y", "RBM.mean_h_from_v", rbm.mean_h_from_v(v), counted.p_h_from_v @ h),
    ):
        yield compare(equation, name, found, expected)
