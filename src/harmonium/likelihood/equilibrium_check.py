"""Where reverse chains start: spread-out states that are brought to equilibrium, and the check that they got there.

Nobody can prove that chains have forgotten their start, but two groups with nothing in common can fail to agree. One
group follows annealing runs, the other starts from states spread as far as the machine reaches: data where there are
any, the directions that its weights single out, and noise of every density. Both are tempered
(`harmonium.likelihood.reverse_starts`); then

* free energies, the two leading directions of the weights and the reverse works must be distributed alike in both
  groups (R-hat of the ranks, plain and folded), and the free energy must have stopped drifting;
* walkers must travel from beta = 0 to beta = 1, and nearly all states must stem from the hotter half of the ladders;
* none that does not may outweigh what all forward chains together have seen: such a chain sits in a part of the
  distribution that annealing does not find, and how much there is of it is unknown.

References
----------
Vehtari, Gelman, Simpson, Carpenter, Burkner, "Rank-normalization, folding, and localization: an improved R-hat",
Bayesian Analysis 16, 2021.
Grosse, Ancha, Roy, "Measuring the reliability of MCMC inference with bidirectional Monte Carlo", NIPS 2016.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from harmonium.chains.agreement import FALSE_ALARM_Z
from harmonium.chains.diagnostics import Float64Array
from harmonium.likelihood.annealed import log_mean

_ARRIVALS = 1  # journeys from beta = 0 that a chain must have seen on average
_MOST_STUCK = 0.3  # the share of the chains that may be left from the start
_UNSEEN = 10.0  # by how much one state may outweigh all that the forward chains have seen


def drifts(gain: Float64Array) -> str:
    """Whether -F still changes, from what each chain gained over the second half of its sweeps; in words."""
    error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else 0.0
    if abs(gain.mean()) > FALSE_ALARM_Z * error + 1e-3:
        return f"the free energy still drifts ({-gain.mean():+.2f} nats)"
    return ""


def stays(stuck: npt.NDArray[np.bool_], arrivals: npt.NDArray[np.intp]) -> str:
    """Whether walkers do not travel, from what `harmonium.likelihood.reverse_starts.Ladders` counts; in words.

    Parameters
    ----------
    stuck : bool array of shape (chains,)
        At beta = 1.
    arrivals : int array of shape (chains,)
    """
    if arrivals.mean() < _ARRIVALS:
        return f"a chain is reached from beta = 0 only {arrivals.mean():.2g} times"
    if stuck.mean() > _MOST_STUCK:
        return f"{stuck.mean():.0%} of the chains have not left the colder half of the path"
    return ""


def unseen(stuck: npt.NDArray[np.bool_], reverse: Float64Array, forward: Float64Array) -> str:
    """Whether a chain that stems from its start has a weight that forward chains do not know of; in words.

    Parameters
    ----------
    stuck : bool array of shape (chains,)
    reverse, forward : float64 arrays
        log Z as each chain of either direction sees it.
    """
    excess = float(reverse[stuck].max(initial=-np.inf) - log_mean(forward) - math.log(len(forward)))
    return "a chain sits where annealing from the base does not come" if excess > math.log(_UNSEEN) else ""
