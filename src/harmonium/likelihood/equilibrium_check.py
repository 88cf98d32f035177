"""Where reverse chains start: spread-out states that are brought to equilibrium, and the check that they got there.

Nobody can prove that chains have forgotten their start, but two groups with nothing in common can fail to agree. One
group follows annealing runs, the other starts from states spread as far as the machine reaches: data where there are
any, the directions that its weights single out, and noise of every density. Both are tempered
(`harmonium.likelihood.tempered`); then

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
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from harmonium.engines.arithmetic import matmul
from harmonium.likelihood.annealed import Float64Array, log_mean
from harmonium.random import Key
from harmonium.rbm import RBM

States01 = npt.NDArray[np.uint8]

_FALSE_ALARM_Z = 3.3  # two-sided, once in a thousand
_ARRIVALS = 1  # journeys from beta = 0 that a chain must have seen on average
_MOST_STUCK = 0.3  # the share of the chains that may be left from the start
_UNSEEN = 10.0  # by how much one state may outweigh all that the forward chains have seen
PICK, PATTERN = 0, 1  # noise streams


def leading_directions(rbm: RBM) -> Float64Array:
    """The right singular vectors of W, strongest first, shape (min(n_hidden, n_visible), n_visible)."""
    vectors: Float64Array = np.linalg.svd(rbm.W.astype(np.float64), full_matrices=False)[2]
    return vectors


def spread_out(rbm: RBM, directions: Float64Array, X: npt.NDArray[Any] | None, n: int, key: Key) -> States01:
    """`n` states as different as the machine knows of; half of them rows of `X` if there are any.

    A machine's modes lie along the leading directions of W, on either side; the signs of W'z mix what hidden units
    want, for random z of one, some or all units.
    """
    m, rows = rbm.n_visible, []
    if X is not None:
        rows.append(X[key.on(PICK).permutation(len(X))[: n // 2]] > 0.5)
    left = n - sum(len(x) for x in rows)
    along = directions[: -(-left // 6)]
    rows.append(np.concatenate([along > 0, along < 0])[: left // 3])
    left = n - sum(len(x) for x in rows)
    z = key.on(PATTERN).normal(left // 2, rbm.n_hidden)
    if z.size:  # from a single hidden unit to all of them
        kept = np.linspace(0, rbm.n_hidden, len(z)).astype(int)[:, None]
        z[np.argsort(np.argsort(np.abs(z), axis=1), axis=1) < rbm.n_hidden - np.maximum(kept, 1)] = 0
    rows.append(matmul(z, rbm.W) > 0)
    left = n - sum(len(x) for x in rows)
    density = np.linspace(0, 1, left)[:, None] if left > 1 else np.full((left, 1), 0.5)
    rows.append(key.on(PATTERN).rows_from(n).uniform(left, m) < density)
    return np.concatenate(rows).astype(np.uint8)


def disagreement(features: dict[str, Float64Array], first: int) -> str:
    """Whether two groups of chains are distributed alike: what speaks against it, in words; empty if nothing does.

    Parameters
    ----------
    features : dict of float64 arrays of shape (chains,)
        What the two groups are compared by; equal groups differ in one of them once in a thousand times.
    first : int
        The number of chains of the first group; they come first.
    """
    for name, x in features.items():
        r, limit = r_hat(x, first), math.sqrt(1 + _FALSE_ALARM_Z**2 / (min(first, len(x) - first) + 1e-9))
        if r > limit:
            return f"chains from different starts differ in {name} (R-hat {r:.2f})"
    return ""


def drifts(gain: Float64Array) -> str:
    """Whether -F still changes, from what each chain gained over the second half of its sweeps; in words."""
    error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else 0.0
    if abs(gain.mean()) > _FALSE_ALARM_Z * error + 1e-3:
        return f"the free energy still drifts ({-gain.mean():+.2f} nats)"
    return ""


def stays(stuck: npt.NDArray[np.bool_], arrivals: npt.NDArray[np.intp]) -> str:
    """Whether walkers do not travel, from what `harmonium.likelihood.tempered.Ladders` counts; in words.

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


def r_hat(x: Float64Array, first: int) -> float:
    """R-hat of two groups of independent chains, the larger of that of normal scores and of folded ones."""
    return max(_r_hat(normal_scores(x), first), _r_hat(normal_scores(np.abs(x - np.median(x))), first))


def _r_hat(z: Float64Array, first: int) -> float:
    groups = z[:first], z[first:]
    return 1.0 if min(len(g) for g in groups) < 2 else math.sqrt(1 + variance_ratio(groups))


def variance_ratio(groups: Sequence[Float64Array]) -> float:
    """The variance of the means of groups over the mean of their variances; 0 where nothing varies."""
    within = float(np.mean([g.var(ddof=1) for g in groups]))
    between = float(np.var([g.mean() for g in groups], ddof=1))
    if within == 0:
        return 0.0 if between == 0 else math.inf
    return between / within


def normal_scores(x: Float64Array) -> Float64Array:
    """Ranks as quantiles of a normal distribution; equal values share their mean rank."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    scores: Float64Array = ndtri((ranks[place].reshape(np.shape(x)) - 3 / 8) / (np.size(x) + 1 / 4))
    return scores
