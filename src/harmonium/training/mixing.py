"""Persistent chains under observation: whether they move, and whether they are where the data are.

A few numbers of a few chains are kept every so many steps, and looked at together when a report is due. Free energies
alone do not do: a machine may have two modes of the same free energy, and chains that never leave theirs. So what is
kept is also where each chain stands along the two strongest directions of the weights, along which modes lie.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.chains.diagnostics import autocorrelation_time, r_hat
from harmonium.engines import Engine, Phase, Reals
from harmonium.engines.arithmetic import matmul
from harmonium.engines.generic import free_energy
from harmonium.engines.records import FloatArray
from harmonium.inputs import is_binary
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.training.health import leading_pairs

WATCHED = 16  # chains that are observed; the first ones
FEWEST = 8  # draws that are worth a number
_DIRECTIONS = 2
_LARGEST = 999.0  # what R-hat is called where it is more, or infinite as no chain moves at all: JSON has no infinity


@dataclass(frozen=True)
class ChainHealth:
    """What the persistent chains did since the last report.

    Attributes
    ----------
    n_chains : int
    n_distinct : int or None
        Different visible states among all chains, when last observed; None for ``last_statistic="mean_field"``.
    n_distinct_data : int or None
        The same of as many rows of data; None for grey data.
    free_energy, free_energy_spread : float
        Mean and standard deviation of F over the chains, when last observed. In equilibrium with a machine that fits
        its data, the mean is that of the data.
    sweeps : int
        Over which chains were watched.
    n_draws : int
        How often they were looked at.
    autocorrelation_time : float or None
        In sweeps, of what is slowest; at least as long as the time between two observations. None after
        few of them.
    ess : float or None
        Effective sample size of all watched chains together, of what is slowest.
    r_hat : float or None
        Of what is slowest; at most 999, for chains that stand still in different places.
    swap_acceptance, swap_acceptance_min : float or None
        Of parallel tempering: mean over the pairs of neighbouring temperatures, and that of the worst pair.

    Notes
    -----
    The parameters move meanwhile, which helps chains along; what all chains have in common at a time is therefore
    taken off first, and the numbers are about the differences between chains.
    """

    n_chains: int
    n_distinct: int | None
    n_distinct_data: int | None
    free_energy: float
    free_energy_spread: float
    sweeps: int = 0
    n_draws: int = 0
    autocorrelation_time: float | None = None
    ess: float | None = None
    r_hat: float | None = None
    swap_acceptance: float | None = None
    swap_acceptance_min: float | None = None


class ChainWindow:
    """The observations of chains since the last report.

    Parameters
    ----------
    stride : int
        Steps from one observation to the next.
    sweeps : int
        Of a step.
    key : Key
        Of the start of the search for directions.
    """

    MOST = 256  # observations that are kept

    def __init__(self, stride: int, sweeps: int, key: Key) -> None:
        self._stride, self._sweeps, self._key = stride, sweeps, key
        self._observations: deque[FloatArray] = deque(maxlen=self.MOST)
        self._axes: FloatArray | None = None  # of the window: changing axes would look like moving chains
        self._b: FloatArray | None = None
        self._last: tuple[Phase, Reals] | None = None
        self._swaps: npt.NDArray[Any] = np.zeros((2, 1))  # for each pair: the sum of what was accepted, and how often

    def observe(
        self, step: int, engine: Engine, negative: Phase | None, logits: Reals | None, swaps: FloatArray | None
    ) -> None:
        """Look at the chains as they are after `step`, if it is time to."""
        if swaps is not None:
            if not self._swaps.any():  # tempered chains from here on, and no longer those that were observed
                self._observations.clear()
            tried = ~np.isnan(swaps)
            if self._swaps.shape[1] not in (1, len(swaps)):  # the number of temperatures has changed
                self._swaps = np.zeros((2, 1))
            self._swaps = self._swaps + np.array([np.where(tried, swaps, 0), tried])
        if negative is None or logits is None:
            return
        looking = step % self._stride == 0
        if looking or self._last is None:
            self._last = negative, logits
        if not looking:
            return
        if self._b is None or self._axes is None:
            rbm = engine.rbm
            self._b = rbm.b.astype(np.float32)
            self._axes = leading_pairs(rbm.W, self._key)[0][:, :_DIRECTIONS].astype(np.float32)
        few = np.arange(min(WATCHED, len(logits)))
        v, logits = engine.take(negative.v, few), engine.take(logits, few)
        minus_f = -free_energy(engine, v, logits, self._b)
        observation = np.column_stack([minus_f, matmul(engine.to_numpy(logits), self._axes)]).astype(np.float32)
        if self._observations and self._observations[0].shape != observation.shape:
            self._observations.clear()
        self._observations.append(observation)

    def unobserved(self, step: int) -> int:
        """The number of steps from `step` on of which `observe` may see the last only."""
        return 1 if self._last is None else self._stride - step % self._stride

    def report(self, engine: Engine, rbm: RBM, n_distinct_data: int | None = None) -> ChainHealth | None:
        """What was seen; None without chains."""
        if self._last is None:
            return None
        (v, *_), logits = self._last
        states = engine.to_numpy(v)
        means = not is_binary(states)
        # E[v|h] is no state; but b'E[v|h] and the activations of a state that was drawn from it have the right means.
        logits = logits if means else engine.logits_h(v)
        F = free_energy(engine, v, logits, rbm.b.astype(np.float32))
        tau, ess, worst = self._mixing()
        total, times = self._swaps
        swaps = total[times > 0] / times[times > 0]
        return ChainHealth(
            n_chains=len(v),
            n_distinct=None if means else n_distinct(states.astype(np.uint8)),
            n_distinct_data=n_distinct_data,
            free_energy=float(F.mean()),
            free_energy_spread=float(F.std()),
            sweeps=len(self._observations) * self._stride * self._sweeps,
            n_draws=len(self._observations),
            autocorrelation_time=tau,
            ess=ess,
            r_hat=worst,
            swap_acceptance=float(swaps.mean()) if len(swaps) else None,
            swap_acceptance_min=float(swaps.min()) if len(swaps) else None,
        )

    def _mixing(self) -> tuple[float | None, float | None, float | None]:
        """Autocorrelation time in sweeps, effective sample size, and R-hat, of what is slowest."""
        if len(self._observations) < FEWEST or len(self._observations[0]) < 2:
            return None, None, None
        x = np.array(self._observations, np.float64)
        x -= x.mean(axis=1, keepdims=True)
        draws = [x[:, :, k].T for k in range(x.shape[2])]
        taus = [autocorrelation_time(y) for y in draws]
        tau = max(taus)
        slowest = draws[taus.index(tau)]
        return tau * self._stride * self._sweeps, slowest.size / tau, min(_LARGEST, r_hat(slowest))


def n_distinct(X: npt.NDArray[np.uint8]) -> int:
    """How many of the rows of a binary array differ."""
    return len(np.unique(np.packbits(X, axis=1), axis=0))
