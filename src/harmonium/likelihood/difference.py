"""Free-energy differences between machines of the same visible units, by Bennett's acceptance ratio.

Of samples of two machines a and b each one says by how much more often the other would draw it: f_b / f_a averages to
Z_b / Z_a over samples of a, and f_a / f_b to its inverse over samples of b, with f = exp(-F(v)). Bennett's ratio is the
number with which neither side contradicts the other (annealing from both ends with no step between), with
the variance

    Var_a[p] / (n_a E_a[p]^2) + Var_b[q] / (n_b E_b[q]^2),

where p is the probability that a sample of a is of b, by a regression that tells the two apart, and q that of the
converse. It needs samples that each could have come from the other machine. Machines further apart are joined by others
on the straight line between their parameters, as many as make neighbours overlap.

References
----------
Bennett, "Efficient estimation of free energy differences from Monte Carlo data", J. Comput. Phys. 22, 1976.
Shirts, Bair, Hooker, Pande, "Equilibrium free energies from nonequilibrium measurements using maximum-likelihood
methods", Phys. Rev. Lett. 91, 2003 (as a regression, with its variance).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.chains.diagnostics import Float64Array
from harmonium.chains.rungs import between
from harmonium.engines.arithmetic import logistic
from harmonium.enumeration.exact import is_quick
from harmonium.errors import InvalidParameter
from harmonium.inputs import check_count
from harmonium.likelihood.bracket import COVERAGE, FEWEST, acceptance_ratio, width
from harmonium.likelihood.estimate import Estimate
from harmonium.likelihood.marginal import free_energy
from harmonium.progress import Counter, Progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM
from harmonium.sampling.gibbs import draw
from harmonium.special import ndtri

_QUANTITY = "free-energy difference"
_OVERLAP = 0.03  # E[p] of equal numbers of samples is at most 1/2, and that where machines are the same
_MOST = 64  # machines between; a power of two


class _Drawn(NamedTuple):
    """Samples of a machine on the line, and what speaks against them."""

    rbm: RBM
    v: npt.NDArray[np.uint8]
    doubt: str


class _Step(NamedTuple):
    """log Z of the second machine less that of the first, its variance, the overlap and the effective samples."""

    log_ratio: float
    variance: float
    overlap: float
    size: float


def free_energy_difference(
    rbm: RBM,
    other: RBM,
    *,
    samples: int = 1000,
    sweeps: int = 1000,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> Estimate:
    """log Z of `rbm` less log Z of `other`: the free energy -log Z that the second has above the first.

    Parameters
    ----------
    rbm, other : RBM
        Of the same visible units; a machine at inverse temperature beta is ``RBM(beta * W, beta * b, beta * c)``.
    samples : int
        Of each machine; at least 20. Exact ones where that takes about a second, else the ends of independent chains.
    sweeps : int
        Of each chain.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` with machines sampled; the total can grow. May raise, to stop.

    Returns
    -------
    Estimate
        In nats, that is in units of the temperature; exactly zero for equal machines. Its ends are a 95 % interval.
        "unreliable" where neighbours do not overlap, or chains tell where they started (`sample`).

    Raises
    ------
    InvalidParameter
        The machines have other numbers of visible units, or a count is out of range.

    References
    ----------
    See `harmonium.likelihood.difference`.

    Examples
    --------
    >>> rbm = RBM(W=[[1.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> found = free_energy_difference(rbm, RBM(rbm.W, rbm.b + 0.1, rbm.c))
    >>> truth = rbm.log_z() - RBM(rbm.W, rbm.b + 0.1, rbm.c).log_z()
    >>> found.lower < truth < found.upper, found.upper - found.lower < 0.02
    (True, True)
    """
    if rbm.n_visible != other.n_visible:
        raise InvalidParameter(
            f"other must have {rbm.n_visible} visible units. Got {other.n_visible}. Compare machines of the same data."
        )
    samples, sweeps = check_count(samples, "samples", minimum=20), check_count(sweeps, "sweeps")
    key, counter = as_key(seed).derive("free energy difference"), Counter(progress)

    def drawn(place: float) -> _Drawn:
        machine = between(rbm, other, place)
        counter.expect(1)
        found = _Drawn(
            machine, *draw(machine, samples, sweeps, key.derive(round(place * _MOST)), engine, exact=is_quick(machine))
        )
        counter.tick()
        return found

    line, steps = {0.0: drawn(0.0), 1.0: drawn(1.0)}, list[_Step]()
    while True:
        places = sorted(line)
        steps = [_step(line[a], line[b], engine) for a, b in pairwise(places)]
        far = [(a + b) / 2 for (a, b), x in zip(pairwise(places), steps, strict=True) if x.overlap < _OVERLAP]
        if not far or rbm.n_hidden != other.n_hidden or len(line) + len(far) > _MOST + 2:
            break
        line |= {place: drawn(place) for place in far}
    value, error = -sum(x.log_ratio for x in steps), math.sqrt(sum(x.variance for x in steps))
    margin = -float(ndtri((1 - COVERAGE) / 2)) * error
    doubts = [x.doubt for x in line.values() if x.doubt][:1]
    doubts += [f"samples of neighbours overlap by {min(x.overlap for x in steps):.1g} only"] if far else []
    size = min(x.size for x in steps)
    doubts += [f"an effective sample size of {size:.1f} is below {FEWEST:.0f}"] if size < FEWEST else []
    verdict = ("unreliable", "; ".join(doubts)) if doubts else width(value - margin, value + margin)
    return Estimate(_QUANTITY, value, value - margin, value + margin, "samples", *verdict, ess=size, n_chains=samples)


def _step(a: _Drawn, b: _Drawn, engine: str) -> _Step:
    forward, reverse = (free_energy(a.rbm, v, engine=engine) - free_energy(b.rbm, v, engine=engine) for v in (a.v, b.v))
    log_ratio = acceptance_ratio(forward, reverse)
    sides = logistic(forward - log_ratio), logistic(log_ratio - reverse)
    variance = sum(float(p.var(ddof=1) / (len(p) * p.mean() ** 2)) for p in sides)
    return _Step(log_ratio, variance, min(float(p.mean()) for p in sides), min(map(_size, sides)))


def _size(p: Float64Array) -> float:
    """How many samples carry the mean."""
    return float(p.sum() ** 2 / (p**2).sum())
