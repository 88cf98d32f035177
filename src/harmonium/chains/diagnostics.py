"""What chains tell about themselves: how long they remember, how many independent draws they are worth, if they agree.

Draws are an array of shape (chains, draws): one number a draw, such as the free energy, of chains that run together.

References
----------
Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7, 1992 (the initial monotone sequence).
Vehtari, Gelman, Simpson, Carpenter, Bürkner, "Rank-normalization, folding, and localization: an improved R-hat",
Bayesian Analysis 16, 2021 (R-hat, and the autocorrelations of several chains).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import InvalidData
from harmonium.special import ndtri

Float64Array = npt.NDArray[np.float64]

APART = 1.1  # R-hat above which chains have not forgotten their starts
_FEWEST = 4  # draws


def verdict_of(r_hat: float) -> str:
    """Whether to rely on chains with this R-hat: "ok", or "unreliable" where it is above 1.1 or unknown."""
    return "ok" if r_hat <= APART else "unreliable"


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

    Examples
    --------
    >>> import harmonium
    >>> x = harmonium.Key(0).normal(10, 1000)
    >>> 1.0 <= harmonium.sampling.autocorrelation_time(x) < 1.2
    True
    """
    rho = autocorrelation(x)
    n = len(rho)
    pairs = rho[0 : n - n % 2 : 2] + rho[1::2]
    ends = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: ends[0] if len(ends) else len(pairs)])
    return max(2 * float(pairs.sum()) - 1, 1 / n)


def autocorrelation(x: npt.ArrayLike) -> Float64Array:
    """The correlation of draws at each lag, over all chains: rho of `autocorrelation_time`.

    Parameters
    ----------
    x : array-like of shape (chains, draws)

    Returns
    -------
    float64 array of shape (draws,)
        1 at lag 0; zero at all others where all values are equal.

    Raises
    ------
    InvalidData
        As for `autocorrelation_time`.
    """
    x = _check(x)
    n = x.shape[1]
    still = (x == x[:, :1]).all(axis=1)  # the computed mean of equal values may differ from them in the last bit
    within = float(np.where(still, 0, x.var(axis=1, ddof=1)).mean())
    means = np.where(still, x[:, 0], x.mean(axis=1))
    total = within * (n - 1) / n + (_mean_and_variance(means)[1] if len(x) > 1 else 0.0)
    if total == 0:
        return np.eye(1, n)[0]
    rho = 1 - (within - autocovariance(x).mean(axis=0)) / total
    rho[0] = 1
    return rho


def effective_sample_size(x: npt.ArrayLike) -> float:
    """The number of independent draws whose mean would be as certain as that of all of `x`: size over tau.

    Parameters, errors and caveats are those of `autocorrelation_time`.

    Examples
    --------
    >>> import harmonium
    >>> x = harmonium.Key(0).normal(10, 1000)
    >>> 8000 < harmonium.sampling.effective_sample_size(x) <= 10000
    True
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

    Examples
    --------
    >>> import harmonium
    >>> x = harmonium.Key(0).normal(10, 1000)
    >>> round(harmonium.sampling.r_hat(x), 2)
    1.0
    """
    x = _check(x)
    half = x.shape[1] // 2
    halves = np.concatenate([x[:, :half], x[:, -half:]])
    return _of_ranks(halves, list, half)


def r_hat_of_groups(x: Float64Array, first: int) -> float:
    """R-hat of two groups of independent chains, of which each has drawn once; as `r_hat` otherwise.

    Parameters
    ----------
    x : float64 array of shape (chains,)
    first : int
        The number of chains of the first group; they come first.
    """
    if min(first, len(x) - first) < 2:
        return 1.0
    return _of_ranks(x, lambda scores: (scores[:first], scores[first:]), None)


def scale_reduction(ratio: Any, n_draws: int | None = None) -> Any:
    """R-hat from the variance of the means of chains over the mean of their variances, from `n_draws` of each chain.

    From infinitely many, if left out.
    """
    return np.sqrt((1 if n_draws is None else (n_draws - 1) / n_draws) + ratio)


def variance_ratio(groups: Sequence[Float64Array]) -> float:
    """The variance of the means of groups over the mean of their variances; 0 where nothing varies."""
    means, variances = zip(*map(_mean_and_variance, groups), strict=True)
    within, between = float(np.mean(variances)), _mean_and_variance(np.array(means))[1]
    if within == 0:
        return 0.0 if between == 0 else math.inf
    return between / within


def _mean_and_variance(x: Float64Array) -> tuple[float, float]:
    """Of all values, and exactly where they are equal."""
    if (x == x.flat[0]).all():
        return float(x.flat[0]), 0.0
    return float(x.mean()), float(x.var(ddof=1))


def normal_scores(x: Float64Array) -> Float64Array:
    """Ranks as quantiles of a normal distribution; equal values share their mean rank."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    scores: Float64Array = ndtri((ranks[place].reshape(np.shape(x)) - 3 / 8) / (np.size(x) + 1 / 4))
    return scores


def _of_ranks(x: Float64Array, split: Callable[[Float64Array], Sequence[Float64Array]], n_draws: int | None) -> float:
    """The larger R-hat of two: of normal scores, and of those of the distances from the median."""
    folded = np.abs(x - np.median(x))
    return max(float(scale_reduction(variance_ratio(split(normal_scores(y))), n_draws)) for y in (x, folded))


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
