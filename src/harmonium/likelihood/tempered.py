"""log Z along tempered ladders, by Bennett's acceptance ratio between neighbouring levels.

The states that neighbours offer each other to exchange say how much likelier each finds those of the other, which is
all that Bennett's ratio takes (`harmonium.likelihood.difference`), and log Z of the first level is known; so log Z is
that and the sum of the ratios on the way. Draws of a chain, and of the levels that it exchanges states with, are no
independent numbers; but ladders are, and the ratios are nearly linear in them. A ladder c shifts the ratio L of a pair
by

    (mean_t p_c - mean_t q_c) / (E[p (1 - p)] + E[q (1 - q)]),

where p = logistic(forward - L) is the probability that a state of the first level is of the second, and q =
logistic(L - reverse) that of the converse, so that the standard error is that of the mean of as many independent
numbers as there are ladders: these shifts, summed over the pairs.

What would make them wrong together is looked for: half of the ladders set out from independent units, half from states
as different as the machine knows of, and both halves, in both halves of the time, must find the same; states must have
been through all levels and back; and neighbours must overlap.

References
----------
Bennett, "Efficient estimation of free energy differences from Monte Carlo data", J. Comput. Phys. 22, 1976.
Béreux, Decelle, Furtlehner, Rosset, Seoane, "Fast training and sampling of restricted Boltzmann machines", ICLR 2025
(log Z of a trajectory).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harmonium.chains.diagnostics import Float64Array
from harmonium.chains.settle import run, settle
from harmonium.chains.starts import leading_directions, spread_out
from harmonium.chains.tempered import SwapInfo, init
from harmonium.chains.ways import levels_to
from harmonium.engines import make_engine
from harmonium.engines.arithmetic import logistic
from harmonium.likelihood.bracket import COVERAGE, acceptance_ratio, visited, width
from harmonium.likelihood.estimate import Estimate
from harmonium.progress import Counter, Progress
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.rows import Rows
from harmonium.sampling.watch import told_apart
from harmonium.special import stdtrit

_FIRST = 10  # levels to begin with
_OVERLAP = 0.03  # E[p] is at most 1/2, and that where levels are the same
_FLOOR_ROWS = 5000  # rows of data that are added up to a lower bound
_Z = 4.0  # standard errors by which halves may differ; sound ones do once in 10,000
_ROUNDING = 1e-3  # nats; the arithmetic of the engines is float32


class _Found(NamedTuple):
    """log Z, how each ladder shifts it, and the smallest overlap of neighbours."""

    log_z: float
    shifts: Float64Array
    overlap: float


class _Offers:
    """The gains of the states that neighbours have offered each other."""

    def __init__(self, n_levels: int) -> None:
        self._gains: list[list[Float64Array]] = [[] for _ in range(n_levels - 1)]

    def see(self, info: SwapInfo) -> None:
        """Keep what a step told."""
        for pair, k in enumerate(info.low.tolist()):
            self._gains[k].append(info.gains[:, pair])

    def log_z(self, base: float) -> _Found:
        """The sum along the ladder, from log Z of the first level."""
        found = [_ratio(*np.stack(gains, axis=1)) for gains in self._gains]
        return _Found(
            base + sum(x.log_z for x in found),
            np.sum([x.shifts for x in found], axis=0),
            min(x.overlap for x in found),
        )


def _ratio(up: Float64Array, down: Float64Array) -> _Found:
    """Of one pair; the gains have the shape (times, ladders)."""
    log_ratio = acceptance_ratio(up.ravel(), -down.ravel())
    p, q = logistic(up - log_ratio), logistic(log_ratio + down)
    slope = float((p * (1 - p)).mean() + (q * (1 - q)).mean())
    overlap = min(float(p.mean()), float(q.mean()))
    return _Found(log_ratio, (p - q).mean(axis=0) / max(slope, 1e-300), overlap)


def log_z_along(
    rbm: RBM,
    rows: Rows | None,
    trajectory: Sequence[RBM],
    n: int | None,
    chains: int,
    sweeps: int,
    key: Key,
    engine: str,
    progress: Progress | None,
) -> Estimate:
    """log Z by `chains` ladders of `n` levels, or of as many as swap half of the time.

    The first half of the sweeps places the levels and lets the ladders forget their starts.
    """
    machine = make_engine(rbm, engine)
    levels = levels_to(rbm, rows, trajectory, n or _FIRST, engine)
    X = None if rows is None else rows.X
    second = np.arange(chains) >= chains - chains // 2
    values = np.zeros((chains, rbm.n_visible), np.uint8)
    values[second] = spread_out(rbm, leading_directions(rbm), X, chains // 2, key.derive("spread"))
    counter = Counter(progress, sweeps)
    state = init(machine, levels, chains, key)
    state = state._replace(v=levels.put(machine, state.v, second, values))
    state, levels = settle(machine, levels, state, key, sweeps // 2, n, counter.tick)
    halves, left = [_Offers(len(levels.places)) for _ in range(2)], sweeps - counter.done
    whole = _Offers(len(levels.places))
    for part, length in zip(halves, (left // 2, left - left // 2), strict=True):

        def see(info: SwapInfo, part: _Offers = part) -> None:
            part.see(info)
            whole.see(info)

        state, _ = run(machine, levels, state, key, length, counter.tick, see)
    cold = levels.cold(machine, state.v)
    v = machine.decode(cold)
    found, parts = whole.log_z(levels.log_z_base), [part.log_z(levels.log_z_base) for part in halves]
    value, error = found.log_z, float(found.shifts.std(ddof=1)) / math.sqrt(chains)
    margin = -float(stdtrit(chains - 1.0, (1 - COVERAGE) / 2)) * error + _ROUNDING
    floor = visited(machine, v if X is None else np.concatenate([v, (X[:_FLOOR_ROWS] > 0.5).astype(np.uint8)]))
    trips = int(state.round_trips.sum())
    reasons = [
        told_apart(machine, cold, second),
        _apart(found.shifts[~second], found.shifts[second], "ladders from different starts"),
        _drift(parts),
        f"states have been through all levels and back {trips} times, on {chains} ladders"
        if 2 * trips < chains
        else "",
        f"neighbouring levels overlap by {found.overlap:.1g} only" if found.overlap < _OVERLAP else "",
        "states that were visited weigh more than the upper end" if floor > value + margin else "",
    ]
    reason = "; ".join(filter(None, reasons))
    verdict = ("unreliable", reason) if reason else width(value - margin, value + margin)
    return Estimate("log Z", value, value - margin, value + margin, "tempered", *verdict, n_chains=chains)


def _drift(parts: list[_Found]) -> str:
    """Whether the second half of the time finds another log Z than the first, ladder by ladder."""
    first, second = (part.log_z + part.shifts for part in parts)
    change = second - first
    error = float(change.std(ddof=1)) / math.sqrt(len(change))
    mean = float(change.mean())
    return f"log Z still drifts, by {mean:.2f} nats" if abs(mean) > _Z * error + _ROUNDING else ""


def _apart(x: Float64Array, y: Float64Array, who: str) -> str:
    """Whether two groups of ladders find another log Z."""
    error = math.sqrt(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))
    gap = float(y.mean() - x.mean())
    return f"{who} find log Z {abs(gap):.2f} nats apart" if abs(gap) > _Z * error + _ROUNDING else ""
