"""The record of samples, whichever way they were drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from harmonium.chains.diagnostics import verdict_of
from harmonium.reprs import short_repr

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Samples:
    """Samples of a machine, and what is known of the chains that they come from.

    Attributes
    ----------
    samples : uint8 array of shape (n, n_visible)
        By "gibbs" row k * chains + c is the k-th state kept of chain c; by "tempered" each row has a ladder of its own.
    method : {"exact", "gibbs", "tempered"}
    sweeps : int
        Sweeps of each chain in all, with those that measured something and were dropped; 0 where exact.
    tau : float
        Of "gibbs", the integrated autocorrelation time in sweeps, the longest of the free energy and of the two leading
        directions of W; 1 where exact, NaN where it was not measured.
    every : int
        Sweeps between two states of a chain that were kept: ceil(2 tau), at which an exponential memory has fallen to
        2 %; 1 where exact, and `sweeps` where a chain gives one state.
    r_hat : float
        Of "gibbs", the largest of the same three numbers, at most 1.1; 1 where exact, NaN where it was not measured.
    betas : float64 array of shape (T,)
        The inverse temperatures, from 0 to 1, or the places on a trajectory; 1 alone but for "tempered".
    acceptance : float64 array of shape (T - 1,)
        Mean probability of a swap between each temperature and the next, while the ladder stood still.
    round_trips : int
        Walks from beta = 0 to 1 and back in that time, of all n * T walkers. None at all: the ladder has not mixed.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> found = harmonium.sample_tempered(rbm, 50, sweeps=50)
    >>> found.samples.shape, len(found.acceptance) == len(found.betas) - 1
    ((50, 2), True)
    """

    samples: npt.NDArray[np.uint8]
    method: str
    sweeps: int
    tau: float = math.nan
    every: int = 1
    r_hat: float = math.nan
    betas: Float64Array = field(default_factory=lambda: np.ones(1))
    acceptance: Float64Array = field(default_factory=lambda: np.empty(0))
    round_trips: int = 0

    @property
    def exact(self) -> bool:
        """Whether they were drawn by enumeration."""
        return self.method == "exact"

    @property
    def verdict(self) -> str:
        """Whether to rely on them: "unreliable" by an R-hat above 1.1, or fewer round trips than half the samples."""
        if self.method == "tempered":
            return "ok" if 2 * self.round_trips >= len(self.samples) else "unreliable"
        return verdict_of(self.r_hat)

    def __repr__(self) -> str:
        return short_repr(self)
