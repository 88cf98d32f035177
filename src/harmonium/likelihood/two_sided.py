"""Annealing from both sides: the procedure behind ``log_partition(rbm, "ais")``.

1. Short runs fit the base and place the temperatures (`schedule`).
2. Forward runs go from the base to the machine.
3. Reverse runs go back from samples of the machine: exact ones where its smaller layer can be enumerated, else chains
   whose equilibrium is checked (`starts`), with more forward runs and more sweeps where the check asks for them.
4. Both directions make the bracket (`bracket`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.likelihood.annealed import Float64Array, Path, Works, effective_size, log_mean
from harmonium.likelihood.bracket import FEWEST, Bracket, bracket
from harmonium.likelihood.exact import exact_sample
from harmonium.likelihood.schedule import n_planning_steps, plan
from harmonium.likelihood.starts import disagreement, leading_directions, pick, refresh, spread_out
from harmonium.random import Key
from harmonium.rbm import RBM

Progress = Callable[[int, int], None]

EXACT, CHAINS = "exact samples", "tempered chains"
_ROUNDS = 4
_SWEEPS = 100  # at beta = 1 in the first round; twice as many in each round after it
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
    rbm: RBM, X: npt.NDArray[Any] | None, settings: Settings, key: Key, progress: Progress | None = None
) -> Bracket:
    """A bracket of log Z; `X` gives the base its biases and the chains some of their starts."""

    def exact(n: int, purpose: str) -> npt.NDArray[np.uint8]:
        seed = key.derive(purpose)
        return exact_sample(rbm, n, seed=seed, max_units=settings.max_units, engine=settings.engine)[0]

    visited = [] if X is None else [(X[:_FLOOR_ROWS] > 0.5).astype(np.uint8)]
    if X is None and settings.exact_starts:
        X = exact(_BASE_SAMPLES, "base")
    meter = _Meter(progress, n_planning_steps(settings.temperatures, X is not None))
    path, betas = plan(rbm, settings.temperatures, X, key.derive("plan"), settings.engine, meter.tick)
    run = _Runs(path, betas, settings.chains, key, meter)
    meter.expect(2 * (len(betas) - 1))
    if settings.exact_starts:
        forward, ends = run.forward(0)
        start = exact(settings.chains, "start")
        reverse, doubt = run.reverse(start, 0), ""
        visited += [ends, start]
    else:
        forward, reverse, doubt, more = run.from_chains(X)
        visited += more
    return bracket(forward, reverse, _floor(path, np.concatenate(visited)), doubt)


class _Runs:
    """The runs along one path, numbered so that each has noise of its own. Works are given as log Z, in nats."""

    def __init__(self, path: Path, betas: Float64Array, chains: int, key: Key, meter: _Meter) -> None:
        self.path, self.betas, self.chains, self.key, self.meter = path, betas, chains, key, meter

    def forward(self, number: int) -> tuple[Float64Array, npt.NDArray[np.uint8]]:
        """log Z as each chain from the base sees it, and where the chains end."""
        key = self.key.derive("forward", number)
        works: Works = self.path.run(self.path.start(self.chains, key), self.betas, key, self.meter.tick)
        return self.path.log_z_base + works.log_w, self.path.engine.decode(works.v)

    def reverse(self, v: npt.NDArray[np.uint8], number: int) -> Float64Array:
        """log Z as each chain from `v` down to the base sees it."""
        key, states = self.key.derive("reverse", number), self.path.engine.encode(v)
        return self.path.log_z_base - self.path.run(states, self.betas[::-1], key, self.meter.tick).log_w

    def from_chains(
        self, X: npt.NDArray[Any] | None
    ) -> tuple[Float64Array, Float64Array, str, list[npt.NDArray[np.uint8]]]:
        """All forward works, the last reverse works, what speaks against their starts, and states that were visited."""
        path, engine, n, key = self.path, self.path.engine, self.chains, self.key
        directions = leading_directions(path.rbm)
        forward, ends = self.forward(0)
        first = n - n // 2
        # The ends are a sample of the machine once they are drawn by their weights.
        annealed = ends[pick(np.nan_to_num(forward, nan=-np.inf), first, key.derive("pick"))]
        v = np.concatenate([annealed, spread_out(path.rbm, directions, X, n - first, key.derive("spread"))])
        visited = [ends]
        for number in range(_ROUNDS):
            v, drift = self._settle(v, _SWEEPS * 2**number, key.derive("settle", number))
            reverse = self.reverse(v, number)
            visited.append(v)
            if not (np.isfinite(forward).all() and np.isfinite(reverse).all()):
                return forward, reverse, "", visited
            features = {"free energy": path.minus_free_energy(engine.encode(v)), "reverse work": reverse}
            features |= {f"direction {k + 1} of the weights": v @ x for k, x in enumerate(directions[:2])}
            doubt = disagreement(features, first, drift, reverse, forward)
            # Other starts do not help where the weights themselves are too uneven for any number.
            hopeless = max(effective_size(forward), effective_size(-reverse)) < FEWEST
            if not doubt or hopeless or number == _ROUNDS - 1:
                break
            self.meter.expect(2 * (len(self.betas) - 1))
            new, ends = self.forward(number + 1)
            chosen = refresh(reverse, new, key.derive("refresh", number))
            v = np.where((chosen >= 0)[:, None], ends[chosen], v)
            forward = np.concatenate([forward, new])
            visited.append(ends)
        return forward, reverse, doubt, visited

    def _settle(self, v: npt.NDArray[np.uint8], sweeps: int, key: Key) -> tuple[npt.NDArray[np.uint8], Float64Array]:
        """The chains after some sweeps at beta = 1, and what -F(v) gained over the second half."""
        states, middle = self.path.engine.encode(v), np.zeros(len(v))
        self.meter.expect(sweeps)
        for sweep in range(sweeps):
            if sweep == sweeps // 2:
                middle = self.path.minus_free_energy(states)
            states = self.path.sweep(states, 1.0, key.at(sweep))
            self.meter.tick()
        return self.path.engine.decode(states), self.path.minus_free_energy(states) - middle


def _floor(path: Path, v: npt.NDArray[np.uint8]) -> float:
    """Log of the sum of exp(-F) over the distinct rows of `v`: a part of Z, and so never more than log Z."""
    _, rows = np.unique(np.packbits(v, axis=1), axis=0, return_index=True)
    minus_f = path.minus_free_energy(path.engine.encode(v[rows]))
    return log_mean(minus_f) + float(np.log(len(rows)))


class _Meter:
    """Counts temperatures and sweeps, for a progress bar whose end moves when there turns out to be more to do."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def expect(self, steps: int) -> None:
        self._total += steps

    def tick(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)
