"""Ladders of machines, and log Z along a ladder; (44) and (45) of the page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harmonium.chains.rungs import Rungs
from harmonium.chains.tempered import swap_probability
from harmonium.engines import make_engine
from harmonium.likelihood import log_partition
from harmonium.rbm import RBM
from harmonium.verify.check import SINGLE, Check, compare
from harmonium.verify.counting import Array, Counted
from harmonium.verify.machines import machine, parameters


def checks(engines: tuple[str, ...]) -> Iterator[Check]:
    """Every pair of states at two machines, and log Z through a third, for noise that is fixed."""
    rbm, counted = machine()
    W, b, c = parameters()
    other = W / 2, b + 0.25, c - 0.5
    for engine in engines:
        yield from _swaps(rbm, counted, other, engine)
        for name, trajectory in (("temperatures", []), ("machines", [RBM(*other)])):
            found = log_partition(rbm, "tempered", trajectory=trajectory, chains=20, sweeps=100, engine=engine)
            outside = np.inf
            if found.verdict == "ok" and found.lower is not None and found.upper is not None:
                truth = np.log(counted.z)
                outside = max(0.0, found.lower - truth, truth - found.upper)
            yield Check("(45)", f"log_partition, along {name}", engine, float(outside), SINGLE)


def _swaps(rbm: RBM, counted: Counted, other: tuple[Array, ...], engine: str) -> Iterator[Check]:
    low, high, v = Counted(*other).p_v, counted.p_v, counted.v
    first, second = np.repeat(np.arange(len(v)), len(v)), np.tile(np.arange(len(v)), len(v))
    top = make_engine(rbm, engine)
    states = tuple(top.encode(v[x].astype(np.uint8)) for x in (second, first))
    rungs = Rungs((RBM(*other), rbm), np.array([0.0, 1.0]), engine)
    found = swap_probability(rungs.compare(top, states, np.array([0]))[1])[0]
    before, after = low[second] * high[first], low[first] * high[second]
    name = "chains.rungs.Rungs.compare"
    yield compare("(44)", name, found, np.minimum(1, after / before), engine=engine, tolerance=SINGLE)
    back = found.reshape(len(v), len(v)).T.ravel()
    yield compare("(44)", f"{name}, reversible", before * found, after * back, engine=engine, tolerance=SINGLE)
