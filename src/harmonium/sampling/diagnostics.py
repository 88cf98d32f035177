"""What chains tell about themselves: how long they remember, how many independent draws they are worth, if they agree.

All take an array of shape (chains, draws): one number a draw, such as the free energy, of chains that ran side by side.

References
----------
Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7, 1992 (the initial monotone sequence).
Vehtari, Gelman, Simpson, Carpenter, Bürkner, "Rank-normalization, folding, and localization: an improved R-hat",
Bayesian Analysis 16, 2021 (R-hat, and the autocorrelations of several chains).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import InvalidData
from harmonium.likelihood.equilibrium_check import normal_scores, variance_ratio

Float64Array = npt.NDArray[np.float64]

APART = 1.1  # R-hat above which chains have not forgotten their starts
_FEWEST = 4  # draws


def autocorrelation_time(x: npt.ArrayLike) -> float:
    """Integrated autocorrelation time 1 + 2 sum_t rho_t: the number of draws that are worth an independent one.

    Parameters
    ----------
    x : array-like of shape (chains, draws)

    Returns
    -------
    float
        In draws; 1 if all values are equal. With fewer than about 50 times as many draws a chain it is too uncertain
        to use. Where chains disagree it is of the order of their length, however quickly each of them moves.

    Raises
    ------
    InvalidData
        Not such an array, not finite, or fewer than 4 draws.

    Notes
    -----
    rho_t = 1 - (W - mean autocovariance at lag t) / V, with W the mean variance within the chains and V their total
    variance. Sums of two successive rho are positive and decrease for a reversible chain, as Gibbs sampling of one
    layer and sweeps of a fixed ladder are; the sum ends where the estimates no longer do ("initial monotone sequence").
    """
    x = _check(x)
    n = x.shape[1]
    within = float(x.var(axis=1, ddof=1).mean())
    total = within * (n - 1) / n + (float(x.mean(axis=1).var(ddof=1)) if len(x) > 1 else 0.0)
    if total == 0:
        return 1.0
    rho = 1 - (within - autocovariance(x).mean(axis=0)) / total
    rho[0] = 1
    pairs = rho[0 : n - n % 2 : 2] + rho[1::2]
    ends = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: ends[0] if len(ends) else len(pairs)])
    return max(2 * float(pairs.sum()) - 1, 1 / n)


def effective_sample_size(x: npt.ArrayLike) -> float:
    """The number of independent draws whose mean would be as certain as that of all of `x`: size over tau.

    Parameters, errors and caveats are those of `autocorrelation_time`.
    """
    return float(_check(x).size / autocorrelation_time(x))


def r_hat(x: npt.ArrayLike) -> float:
    """Rank-normalised split R-hat: 1 where chains agree with each other and each half with the other.

    Parameters
    ----------
    x : array-like of shape (chains, draws)
        A single chain is compared with itself, half with half.

    Returns
    -------
    float
        The larger of that of the values' normal scores and that of their distances from the median. Above 1.01 for
        long chains is a doubt, above 1.1 a fault. Infinite where every chain stands still somewhere else.

    Raises
    ------
    InvalidData
        As for `autocorrelation_time`.
    """
    x = _check(x)
    half = x.shape[1] // 2
    halves = np.concatenate([x[:, :half], x[:, -half:]])
    folded = np.abs(halves - np.median(halves))
    return max(math.sqrt((half - 1) / half + variance_ratio(list(normal_scores(y)))) for y in (halves, folded))


def autocovariance(x: Float64Array) -> Float64Array:
    """Mean of (x_s - mean)(x_(s+t) - mean) at each lag t, with the divisor n at every lag, shape (chains, draws)."""
    import scipy.fft  # slow to load

    n = x.shape[1]
    length = scipy.fft.next_fast_len(2 * n, real=True)  # room for all lags, so that none wraps around
    transform = scipy.fft.rfft(x - x.mean(axis=1, keepdims=True), length, axis=1)
    spectrum = transform.real**2 + transform.imag**2  # NumPy's abs differs in last bits between processors
    covariance: Float64Array = scipy.fft.irfft(spectrum, length, axis=1)[:, :n] / n
    return covariance


def _check(x: Any) -> Float64Array:
    x = np.asarray(x)
    if x.dtype.kind not in "buif" or x.ndim != 2 or len(x) == 0 or x.shape[1] < _FEWEST or not np.isfinite(x).all():
        raise InvalidData(
            f"Draws must be finite numbers of shape (chains, draws), with at least {_FEWEST} draws. Got {x.dtype} of "
            f"shape {x.shape}. Use x[None] for one chain, and remove what is not finite."
        )
    return x.astype(np.float64)
