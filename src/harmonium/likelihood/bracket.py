"""From the works of both directions to a bracket of log Z, a value within it, and a verdict.

Forward works (from the base) have E[exp(log_w)] = Z / Z_A; reverse works (from the machine) have Z_A / Z. By Jensen's
inequality the logarithm of the forward mean errs downwards, that of the reverse mean upwards: the two close on log Z
from both sides. What they must not be trusted with is said by the verdict.

References
----------
Bennett, "Efficient estimation of free energy differences from Monte Carlo data", J. Comput. Phys. 22, 1976.
Burda, Grosse, Salakhutdinov, "Accurate and conservative estimates of MRF log-likelihood using reverse annealing",
AISTATS 2015.
Grosse, Ghahramani, Adams, "Sandwiching the marginal likelihood using bidirectional Monte Carlo", arXiv 1511.02543,
2015.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from harmonium.chains.path import Float64Array
from harmonium.engines import Engine
from harmonium.engines.arithmetic import logistic
from harmonium.engines.generic import free_energy
from harmonium.likelihood.annealed import effective_size, log_mean
from harmonium.likelihood.estimate import Estimate
from harmonium.special import stdtrit

COVERAGE = 0.95  # of the bracket, given starts that are distributed as they should be
WIDE = 1.0  # nats
FEWEST = 10.0  # effective chains a direction, below which a standard error is itself a guess
_SIDE = (1 - COVERAGE) / 2
_ROUNDING = 1e-3  # nats; the arithmetic of the engines is float32


def bracket(forward: Float64Array, reverse: Float64Array, floor: float = -math.inf, doubt: str = "") -> Estimate:
    """Combine the two directions.

    Parameters
    ----------
    forward, reverse : float64 arrays
        log Z as each chain sees it: log Z_A + log w, and log Z_A - log w. Their numbers may differ.
    floor : float
        A sum over some states that is known to be a part of Z, as a logarithm: log Z cannot be less.
    doubt : str
        Why the starts of the reverse chains may be wrong; empty if they are right.

    Returns
    -------
    Estimate
        Its value is Bennett's acceptance ratio, its ends are the two sides moved apart by their margins.
    """
    if not (np.isfinite(forward).all() and np.isfinite(reverse).all()):
        return Estimate.unknown("log Z", "the weights are not finite numbers", "ais")
    low, high = log_mean(forward), -log_mean(-reverse)
    errors = margin(forward) + _ROUNDING, margin(-reverse) + _ROUNDING
    ends = (low - errors[0], low + errors[0]), (high - errors[1], high + errors[1])
    contradict = ends[0][0] > ends[1][1]
    if low <= high:
        lower, upper = ends[0][0], ends[1][1]
    else:  # by chance, or one is not the side it should be: what either says must fit in
        lower, upper = min(ends[0][0], ends[1][0]), max(ends[0][1], ends[1][1])
    lower = max(lower, floor)
    sizes = effective_size(forward), effective_size(-reverse)
    ess = len(reverse) * min(sizes[0] / len(forward), sizes[1] / len(reverse))
    value = max(acceptance_ratio(forward, reverse), floor)
    reasons = [
        (doubt, bool(doubt)),
        (f"an effective sample size of {min(sizes):.1f} is below {FEWEST:.0f}", min(sizes) < FEWEST),
        (f"the sides contradict each other: they cross by {low - high:.2f} nats, beyond both margins", contradict),
        ("states that were visited weigh more than the upper end", floor > upper + _ROUNDING),
    ]
    found = [reason for reason, holds in reasons if holds]
    lower, upper = min(lower, value), max(upper, value)
    verdict, reason = ("unreliable", "; ".join(found)) if found else width(lower, upper)
    return Estimate("log Z", value, lower, upper, "ais", verdict, reason, ess, len(reverse))


def width(lower: float, upper: float) -> tuple[str, str]:
    """The verdict on ends that cover, and the reason."""
    if upper - lower > WIDE:
        return "wide", f"its ends are {upper - lower:.1f} nats apart"
    return "ok", ""


def standard_error(log_w: Float64Array) -> float:
    """Standard error of log mean exp(log_w) by the delta method, in nats: that of the mean, relative to the mean."""
    return math.sqrt(max(len(log_w) / effective_size(log_w) - 1, 0) / max(len(log_w) - 1, 1))


def margin(log_w: Float64Array) -> float:
    """By how much log mean exp(log_w) may exceed the log of its expectation in all but (1 - COVERAGE) / 2 of the runs.

    Student's t with as many degrees of freedom as there are effective chains, less one. It never exceeds
    log(2 / (1 - COVERAGE)) = 3.7 nats: by Markov's inequality the mean of positive weights exceeds k times its
    expectation with probability at most 1 / k, whatever their distribution.
    """
    degrees = max(effective_size(log_w) - 1, 1.0)
    return float(min(-stdtrit(degrees, _SIDE) * standard_error(log_w), -math.log(_SIDE)))


def acceptance_ratio(forward: Float64Array, reverse: Float64Array) -> float:
    """Bennett's estimate: the L at which neither direction contradicts the other.

    The densities of the works are tied by p_R(x) = p_F(x) exp(x - L), so L is the offset of a logistic regression
    that tells the two directions apart; this is its maximum-likelihood value, and of all bridges the one of least
    asymptotic variance.
    """
    from scipy.optimize import brentq  # slow to load, and needed by nobody else

    shift = math.log(len(reverse) / len(forward))

    def excess(log_z: float) -> float:
        return float(logistic(forward - log_z + shift).sum() - logistic(log_z - reverse - shift).sum())

    both = np.concatenate([forward, reverse])
    low, high = both.min() - abs(shift) - 1, both.max() + abs(shift) + 1
    while excess(low) < 0:
        low -= 1 + abs(low - high)
    while excess(high) > 0:
        high += 1 + abs(high - low)
    return float(brentq(excess, low, high, xtol=1e-10))


def visited(engine: Engine, v: npt.NDArray[np.uint8]) -> float:
    """Log of the sum of exp(-F) over the distinct rows of `v`: a part of Z, and so never more than log Z."""
    _, rows = np.unique(np.packbits(v, axis=1), axis=0, return_index=True)
    states = engine.encode(v[rows])
    return log_mean(-free_energy(engine, states, engine.logits_h(states))) + math.log(len(rows))
