"""A machine's first and second moments held against those of data: the plainest test of what it samples."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.chains.diagnostics import Float64Array, verdict_of
from harmonium.engines.arithmetic import matmul
from harmonium.enumeration.exact import is_quick
from harmonium.enumeration.pairs import exact_pair_moments, pairs_are_quick
from harmonium.inputs import check_count, check_matrix
from harmonium.progress import Progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM
from harmonium.sampling.gibbs import draw
from harmonium.sampling.moments import largest_r_hat, watched_walk

_COLUMNS = 500  # whose covariances are compared
_EVERY = 20  # sweeps from one state that counts to the next
_SAMPLES = 10_000  # exact ones


class MomentFit(NamedTuple):
    """How the moments of a machine agree with those of data.

    Attributes
    ----------
    mean_error : float
        Root mean square of the differences between E[v] and the data's means.
    covariance_slope : float or None
        Of the machine's covariances, as a line through the data's: 1 where they agree, 0 where the machine has none.
        The noise of few rows of data lowers it. None where the data have no covariances.
    covariance_correlation : float or None
        The correlation of the two, over all pairs of columns.
    r_hat : float
        Of the free energy and the two leading directions of W; 1 where states are exact.
    exact : bool
        Whether no chains were needed.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> X = [[1, 0], [1, 1], [0, 0]]
    >>> print(harmonium.moment_fit(rbm, X))
    means off by 0.11 rms, covariances with slope -0.11 (r = -1.00) (exact)
    """

    mean_error: float
    covariance_slope: float | None
    covariance_correlation: float | None
    r_hat: float
    exact: bool

    @property
    def verdict(self) -> str:
        """Whether these are the machine's moments: "ok", or "unreliable" where R-hat is above 1.1."""
        return verdict_of(self.r_hat)

    def __str__(self) -> str:
        of_pairs = ""
        if self.covariance_slope is not None and self.covariance_correlation is not None:
            slope, r = (round(x, 2) + 0 for x in (self.covariance_slope, self.covariance_correlation))  # no -0.00
            of_pairs = f", covariances with slope {slope:.2f} (r = {r:.2f})"
        how = "exact" if self.exact else f"{self.verdict}: R-hat {self.r_hat:.2f}"
        return f"means off by {self.mean_error:.2g} rms{of_pairs} ({how})"

    def as_dict(self) -> dict[str, Any]:
        """The fields and the verdict, ready for JSON; an infinite R-hat becomes None."""
        r_hat = self.r_hat if math.isfinite(self.r_hat) else None
        return self._asdict() | {"r_hat": r_hat, "verdict": self.verdict}


def moment_fit(
    rbm: RBM,
    X: Any,
    *,
    chains: int = 100,
    sweeps: int = 1000,
    burn_in: int = 1000,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> MomentFit:
    """The means and covariances of a machine's visible units beside those of data.

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_samples, n_visible), values in [0, 1]
        NaN where an entry is missing: moments are of what is observed.
    chains, sweeps, burn_in
        As in `running_moments`, of machines that cannot be enumerated in about a second; every 20th state counts.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` after every sweep. May raise, to stop.

    Returns
    -------
    MomentFit
        Covariances are those of at most 500 columns, spread evenly.

    Raises
    ------
    InvalidData, InvalidParameter

    Examples
    --------
    >>> rbm = RBM(W=[[4.0, 4.0]], b=[-2.0, -2.0], c=[-2.0])
    >>> print(moment_fit(rbm, [[1, 1], [1, 1], [0, 0], [1, 0]]))
    means off by 0.21 rms, covariances with slope 0.49 (r = 1.00) (exact)
    """
    X = check_matrix(X, n_columns=rbm.n_visible, allow_nan=True)
    counts = (chains, "chains", 2), (sweeps, "sweeps", _EVERY), (burn_in, "burn_in", 0)
    chains, sweeps, burn_in = (check_count(x, name, minimum=least) for x, name, least in counts)
    key = as_key(seed).derive("moment fit")
    columns = np.unique(np.linspace(0, rbm.n_visible - 1, _COLUMNS).astype(int))
    agreement, exact = 1.0, is_quick(rbm)
    if pairs_are_quick(rbm):
        mean, product = exact_pair_moments(rbm, engine=engine, progress=progress)
        covariance = (product - np.outer(mean, mean))[np.ix_(columns, columns)]
    else:
        if exact:
            states = draw(rbm, _SAMPLES, 0, key, engine, exact=True)[0]
        else:
            states, agreement = _visited(rbm, (chains, sweeps, burn_in), key, engine, progress)
        mean, covariance = _moments(states, columns)
    data_mean, data_covariance = _moments(X, columns)
    pairs = np.triu_indices(len(columns), 1)
    x, y = data_covariance[pairs], covariance[pairs]
    xx, yy, xy = (float((a * b).sum()) for a, b in ((x, x), (y, y), (x, y)))
    slope = xy / xx if xx > 0 else None
    correlation = xy / math.sqrt(xx * yy) if xx > 0 and yy > 0 else None
    error = math.sqrt(float(((mean - data_mean) ** 2).mean()))
    return MomentFit(error, slope, correlation, agreement, exact)


def _visited(
    rbm: RBM, settings: tuple[int, int, int], key: Key, name: str, progress: Progress | None
) -> tuple[npt.NDArray[np.uint8], float]:
    """Every 20th state of chains that start far apart, and R-hat."""
    traces, states = [], []
    for engine, v, _, features in watched_walk(rbm, settings, None, key, name, progress):
        traces.append(features)
        if len(traces) % _EVERY == 0:
            states.append(engine.decode(v))
    return np.concatenate(states), largest_r_hat(traces)


def _moments(X: npt.NDArray[Any], columns: npt.NDArray[np.intp]) -> tuple[Float64Array, Float64Array]:
    """Means of all columns, and covariances of some; of what is observed of each and of each pair."""
    observed = ~np.isnan(X)
    count = np.maximum(observed.sum(axis=0), 1)
    mean = np.where(observed, X, 0).sum(axis=0, dtype=np.float64) / count
    seen = observed[:, columns].astype(np.float32)
    centred = np.where(observed[:, columns], X[:, columns] - mean[columns], 0).astype(np.float32)
    both = np.maximum(matmul(seen.T, seen), 1) if not observed.all() else np.float32(len(X))
    return mean, np.asarray(matmul(centred.T, centred) / both, np.float64)
