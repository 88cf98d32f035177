"""Where the temperatures of parallel tempering stand: at equal rejection, and as many as a target acceptance asks for.

Two neighbours whose log densities differ by a normal variable exchange states with mean probability erfc(L / 2), where
L is the deviation of that difference up to a factor, and these lengths add up along the ladder. So an acceptance that
was measured is a length, 2 erfcinv(acceptance), and inner temperatures are moved to equal lengths. For close neighbours
L is their rejection times sqrt(pi), and the sum of the rejections is the communication barrier of Syed et al., which no
spacing changes. Where the normal form is wrong the steps are not exact; equal acceptances remain the only fixed point.

References
----------
Predescu, Predescu, Ciobanu, "The incomplete beta function law for parallel tempering sampling of classical canonical
systems", J. Chem. Phys. 120, 2004 (the normal form).
Syed, Bouchard-Côté, Deligiannidis, Doucet, "Non-reversible parallel tempering: a scalable highly parallel MCMC scheme",
J. R. Stat. Soc. B 84, 2022 (equal rejection; half of the swaps rejected is the best use of work).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from harmonium.special import erfcinv

Float64Array = npt.NDArray[np.float64]

TARGET = 0.5  # acceptance
_MOST_BY_WORKS = 60  # temperatures
# Means of few swaps can be 0 or 1. A mean of probabilities is informative far below the chance of seeing a swap.
_LEAST, _MOST = 1e-100, 0.99


def adapt(ladder: npt.NDArray[np.floating], acceptance: Float64Array, n: int | None = None) -> Float64Array:
    """The ladder with its inner temperatures moved to where all neighbours should swap equally often.

    Parameters
    ----------
    ladder : array of shape (T,)
        Inverse temperatures rising from 0 to 1.
    acceptance : array of shape (T - 1,)
        Mean probability of a swap, measured between each temperature and the next.
    n : int, optional
        How many temperatures the result has; T if left out.

    Returns
    -------
    float64 array of shape (n,)
        Rising from exactly 0 to exactly 1. A function of the arguments alone: repeat it on fresh measurements until
        they are equal, and leave the ladder as it is while samples count.
    """
    return place(np.asarray(ladder, np.float64), _lengths(acceptance), n or len(ladder))


def place(betas: Float64Array, lengths: Float64Array, n: int) -> Float64Array:
    """`n` inverse temperatures at equal distances, from exactly 0 to exactly 1.

    Parameters
    ----------
    betas : float64 array of shape (k,)
        Rising from 0 to 1.
    lengths : float64 array of shape (k - 1,)
        The distance from each of `betas` to the next.
    n : int
        At least 2.
    """
    distance = np.concatenate([[0.0], np.cumsum(lengths)])
    found = np.interp(np.linspace(0, distance[-1], n), distance, betas)
    found[0], found[-1] = 0, 1
    return found


def n_temperatures(acceptance: Float64Array, target: float = TARGET) -> int:
    """How many temperatures, equally far apart, would swap with probability `target` (at least 2).

    Where neighbours hardly ever swap their distance is known roughly: measure again with as many.
    """
    steps = _lengths(acceptance).sum() / (2 * erfcinv(target))
    return 1 + max(1, math.ceil(steps - 1e-9))


def place_by_works(betas: Float64Array, lengths: Float64Array) -> Float64Array:
    """A ladder, from 0 to 1, whose neighbours exchange about every second time, at most 60 temperatures.

    Parameters
    ----------
    betas : float64 array of shape (k,)
        Inverse temperatures of an annealing run.
    lengths : float64 array of shape (k - 1,)
        Standard deviations of its log ratios. Two normal distributions whose log ratio has the deviation 1 exchange
        with probability erfc(1/2) = 0.48.
    """
    total = float(np.sum(lengths))
    if not math.isfinite(total):
        return np.array([0.0, 1.0])
    return place(betas, lengths, max(2, min(_MOST_BY_WORKS, math.ceil(total) + 1)))


def _lengths(acceptance: Float64Array) -> Float64Array:
    lengths: Float64Array = 2 * erfcinv(np.clip(acceptance, _LEAST, _MOST))
    return lengths
