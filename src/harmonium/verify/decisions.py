"""Decisions: a unit is on exactly where its noise lies below its probability, just above and just below.

Sampling is deterministic given its noise, so it is probed and not tested by statistics: the logit of each unit is put a
hair above and a hair below the point where its noise number turns the decision. A hair is a few units in the last place
of single precision, in which logits are given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from harmonium.engines import make_engine
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.verify.check import EXACT, Check

_ROWS, _UNITS = 9, 67  # no multiples of a vector, or of a word of 64 bits


def checks(engines: tuple[str, ...]) -> Iterator[Check]:
    """All verbs that draw."""
    key = Key(2026, stream=3, step=5).rows_from(11)
    u = key.uniform(_ROWS, _UNITS)
    turning = np.log(u) - np.log1p(-u)  # sigmoid(turning) = u
    hair = 1e-6 + 1e-6 * np.abs(turning)
    for name in engines:
        for verb in ("bernoulli", "bernoulli, at beta", "draw", "sample_h", "sample_v"):
            wrong = []
            for sign, expected in ((1, 1), (-1, 0)):
                drawn = _draw(name, verb, turning + sign * hair, u, sign, key)
                wrong.append(drawn != expected)
            yield Check("decisions", f"engines.Engine.{verb}", name, float(np.mean(wrong)), EXACT)


def _draw(name: str, verb: str, logits: Any, u: Any, sign: int, key: Key) -> Any:
    """The decisions of one verb, shape (rows, units), for given logits, or for probabilities beside `u`."""
    if verb in ("sample_h", "sample_v"):
        return np.concatenate([_draw_row(name, verb, row, logits[row], key) for row in range(_ROWS)])
    engine = make_engine(RBM(np.zeros((1, 1)), np.zeros(1), np.zeros(1)), name)
    if verb == "draw":
        away = np.float32(2) if sign > 0 else np.float32(-1)
        return engine.decode(engine.draw(np.nextafter(u.astype(np.float32), away), key))
    beta = np.linspace(0.5, 2, _ROWS, dtype=np.float32) if verb == "bernoulli, at beta" else np.ones(_ROWS, np.float32)
    return engine.decode(engine.bernoulli((logits / beta[:, None]).astype(np.float32), key, beta))


def _draw_row(name: str, verb: str, row: int, logits: Any, key: Key) -> Any:
    """One row, whose logits are the biases of a machine without weights."""
    biases, none = logits.astype(np.float32), np.zeros(1, np.float32)
    W = np.zeros((_UNITS, 1) if verb == "sample_h" else (1, _UNITS), np.float32)
    rbm = RBM(W, none, biases) if verb == "sample_h" else RBM(W, biases, none)
    engine = make_engine(rbm, name)
    other = engine.encode(np.zeros((1, 1), np.uint8))
    draw = engine.sample_h if verb == "sample_h" else engine.sample_v
    return engine.decode(draw(other, key.rows_from(row)))
