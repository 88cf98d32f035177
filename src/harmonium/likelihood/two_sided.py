"""Annealing from both sides: the procedure behind ``log_partition(rbm, "ais")``.

1. Short runs fit the base, choose the path and place the temperatures (`schedule`).
2. Forward runs go from the base to the machine.
3. Reverse runs go back from samples of the machine: exact ones where its smaller layer can be enumerated, else tempered
   chains (`reverse_starts`) whose equilibrium is checked (`equilibrium_check`), for more sweeps where the check asks
   for them.
4. Both directions make the bracket (`bracket`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.chains.agreement import disagreement
from harmonium.chains.ladder import place_by_works
from harmonium.chains.path import Float64Array
from harmonium.chains.starts import leading_directions, spread_out
from harmonium.engines import States
from harmonium.engines.arithmetic import matmul
from harmonium.enumeration.exact import exact_sample
from harmonium.likelihood.annealed import Annealer, effective_size
from harmonium.likelihood.bracket import FEWEST, bracket, visited
from harmonium.likelihood.equilibrium_check import drifts, stays, unseen
from harmonium.likelihood.estimate import Estimate
from harmonium.likelihood.reverse_starts import Ladders, ladders, temper
from harmonium.likelihood.schedule import plan
from harmonium.progress import Counter, Progress
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.rows import Rows

EXACT, CHAINS = "exact samples", "tempered chains"
_SWEEPS = 100, 150, 225, 350  # of the ladders, from one check to the next
_N_KEPT = 64  # temperatures where forward chains leave a state for the ladders
_BASE_SAMPLES = 500  # exact samples whose means become the base
_FLOOR_ROWS = 5000  # rows of data that are added up to a lower bound


class Settings(NamedTuple):
    """How `anneal_both_ways` is to go about it.

    Attributes
    ----------
    temperatures : int, str or array
        As `harmonium.likelihood.schedule.check_temperatures` returns them.
    chains : int
        In each direction.
    exact_starts : bool
        Whether reverse chains start from exact samples.
    max_units : int
        The largest smaller layer that exact samples are drawn from.
    engine : str
    """

    temperatures: int | str | Float64Array
    chains: int
    exact_starts: bool
    max_units: int
    engine: str


def anneal_both_ways(
    rbm: RBM, rows: Rows | None, settings: Settings, key: Key, progress: Progress | None = None
) -> Estimate:
    """A bracket of log Z; `rows` give the base its biases and the chains some of their starts."""

    def exact(n: int, purpose: str) -> npt.NDArray[np.uint8]:
        seed = key.derive(purpose)
        return exact_sample(rbm, n, seed=seed, max_units=settings.max_units, engine=settings.engine)[0]

    seen = [] if rows is None else [(rows.X[:_FLOOR_ROWS] > 0.5).astype(np.uint8)]
    if rows is None and settings.exact_starts:
        rows = Rows(exact(_BASE_SAMPLES, "base"))
    counter = Counter(progress)
    annealer, betas = plan(rbm, settings.temperatures, rows, key.derive("plan"), settings.engine, counter)
    run = _Runs(annealer, betas, settings.chains, key, counter)
    forward = run.forward()
    if settings.exact_starts:
        start, doubt = exact(settings.chains, "start"), ""
        reverse = run.reverse(start, 0)
    else:
        start, reverse, doubt = run.from_chains(forward, None if rows is None else rows.X)
    seen += [annealer.engine.decode(forward.kept[-1]), start]
    found = bracket(forward.log_z, reverse, visited(annealer.engine, np.concatenate(seen)), doubt)
    return replace(found, start=EXACT if settings.exact_starts else CHAINS)


class _Forward(NamedTuple):
    """What forward runs leave.

    Attributes
    ----------
    log_z : float64 array of shape (chains,)
        log Z as each chain sees it.
    lengths : float64 array of shape (temperatures - 1,)
        As in `Works`.
    at : float64 array
        Some of the temperatures, the last one but one among them.
    kept : list of States
        The chains there.
    """

    log_z: Float64Array
    lengths: Float64Array
    at: Float64Array
    kept: list[States]


class _Runs:
    """The runs along one path, each with noise of its own. Works are given as log Z, in nats."""

    def __init__(self, annealer: Annealer, betas: Float64Array, chains: int, key: Key, counter: Counter) -> None:
        self.annealer, self.betas, self.chains, self.key, self.counter = annealer, betas, chains, key, counter

    def forward(self) -> _Forward:
        """From the base to the machine."""
        key, last = self.key.derive("forward", 0), len(self.betas) - 2
        kept = np.unique(np.linspace(0, last, _N_KEPT).astype(int))
        self.counter.expect(last + 1)
        start = self.annealer.start(self.chains, key)
        works = self.annealer.run(start, self.betas, key, self.counter.tick, set(kept.tolist()))
        return _Forward(self.annealer.path.log_z_base + works.log_w, works.lengths, self.betas[kept], works.kept)

    def reverse(self, v: npt.NDArray[np.uint8], number: int) -> Float64Array:
        """log Z as each chain from `v` down to the base sees it."""
        key, states = self.key.derive("reverse", number), self.annealer.engine.encode(v)
        self.counter.expect(len(self.betas) - 1)
        return self.annealer.path.log_z_base - self.annealer.run(states, self.betas[::-1], key, self.counter.tick).log_w

    def from_chains(
        self, forward: _Forward, X: npt.NDArray[Any] | None
    ) -> tuple[npt.NDArray[np.uint8], Float64Array, str]:
        """The starts of the reverse chains, their works, and what speaks against the starts."""
        annealer, directions = self.annealer, leading_directions(self.annealer.rbm)
        first = self.chains - self.chains // 2
        steps = place_by_works(self.betas, forward.lengths)
        spread = spread_out(annealer.rbm, directions, X, self.chains - first, self.key.derive("spread"))
        state = self._set_out(steps, forward, first, spread)
        # Other starts do not help where the forward weights are too uneven for any number.
        hopeless = not effective_size(forward.log_z) >= FEWEST
        for number, sweeps in enumerate(_SWEEPS):
            self.counter.expect(sweeps * state.n_blocks)
            state, gain = temper(annealer, steps, state, sweeps, self.key.derive("temper", number), self.counter.tick)
            v, stuck, final = state.v[-1], state.stuck[-1], hopeless or number == len(_SWEEPS) - 1
            features = {"free energy": annealer.minus_free_energy(annealer.engine.encode(v))}
            features |= {f"direction {k + 1} of the weights": matmul(v, x) for k, x in enumerate(directions[:2])}
            doubt = disagreement(features, first) or drifts(gain) or stays(stuck, state.arrivals)
            if doubt and not final:
                continue
            reverse = self.reverse(v, number)
            if not (np.isfinite(forward.log_z).all() and np.isfinite(reverse).all()):
                return v, reverse, ""
            doubt = doubt or disagreement({"reverse work": reverse}, first) or unseen(stuck, reverse, forward.log_z)
            if final or not doubt:
                break
        return v, reverse, doubt

    def _set_out(self, steps: Float64Array, forward: _Forward, first: int, spread: npt.NDArray[np.uint8]) -> Ladders:
        """Ladders from where forward chains came by, one chain a ladder, and from `spread`, on all rungs the same."""
        nearest = np.abs(forward.at - steps[:, None]).argmin(axis=1)
        passing = {i: self.annealer.engine.decode(forward.kept[i])[:first] for i in set(nearest.tolist())}
        return ladders(np.stack([np.concatenate([passing[i], spread]) for i in nearest.tolist()]))
