"""A likelihood that errs downwards: the reverse annealed bound of Burda, Grosse and Salakhutdinov ("RAISE").

Annealing from the base without weights is itself a model of v: x_0 ~ f_0 / Z_0, then a sweep at each temperature from
the second to the last but one. Its probability q(v) is a sum over all ways to arrive at v, of which a chain from v back
to the base, by sweeps that are in detailed balance, draws one. Its importance weight is

    w(v) = exp(-F(v)) / Z_0 * prod_k f_(k-1)(x_(k-1)) / f_k(x_(k-1)),

which is exp(-F(v)) over Z as a reverse chain from v sees it. So E[w(v)] = q(v), and by Jensen's inequality
E[log w(v)] <= log q(v): unlike log p(v) with an estimate of log Z, which is too good where annealing misses a part of
Z, the bound falls short where annealing does not find v. On average over the machine's own states log q is at most
log p (Gibbs' inequality), and it tends to log p with the number of temperatures.

References
----------
Burda, Grosse, Salakhutdinov, "Accurate and conservative estimates of MRF log-likelihood using reverse annealing",
AISTATS 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.inputs import check_count, check_matrix, check_rows
from harmonium.likelihood.schedule import ADAPTIVE, Temperatures, check_temperatures, plan
from harmonium.progress import Counter, Progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM

# Of "adaptive". A bracket has two sides whose errors nearly cancel, and gains more from further chains; this bound has
# one, which falls short by half of the variance that too few temperatures leave.
_MOST = 12_000


@dataclass(frozen=True)
class ConservativeLogLikelihood:
    """The mean over some samples of a lower bound of log p(v), in nats.

    Attributes
    ----------
    mean : float
    standard_error : float
        Of `mean`, as an estimate of the expected bound over all samples: from the differences between the rows, each of
        which has a chain of its own; infinite for a single row.
    n_samples : int
        Rows that were annealed.
    n_temperatures : int
    per_sample : float64 array of shape (n_samples,)
        log w of each of those rows.
    rows : int array of shape (n_samples,)
        Which they are.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> found = harmonium.evaluate(rbm, [[0, 0], [1, 0]], conservative=True).conservative
    >>> found.n_samples, found.mean < 0
    (2, True)
    """

    mean: float
    standard_error: float
    n_samples: int
    n_temperatures: int
    per_sample: npt.NDArray[np.float64] = field(compare=False, repr=False)
    rows: npt.NDArray[np.intp] = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """The fields ready for JSON, less the single samples."""
        return {
            "mean": self.mean,
            "standard_error": self.standard_error,
            "n_samples": self.n_samples,
            "n_temperatures": self.n_temperatures,
        }


def conservative_log_likelihood(
    rbm: RBM,
    X: Any,
    *,
    n_samples: int = 500,
    X_train: Any = None,
    temperatures: Temperatures = ADAPTIVE,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> ConservativeLogLikelihood:
    """The reverse annealed lower bound of the mean log-likelihood of `X`; log Z is not needed.

    Parameters
    ----------
    rbm : RBM
    X : array-like of 0 and 1, shape (n_rows, n_visible)
    n_samples : int
        At most so many rows, drawn without replacement; at least 2.
    X_train : array-like of shape (any, n_visible), values in [0, 1], NaN where missing, optional
        Samples of what the machine has learnt: `X` of `log_partition`.
    temperatures, progress
        As in `log_partition`; more temperatures close the gap, and "adaptive" takes up to 12,000.
    seed : int or Key
    engine : {"native", "numpy", "torch"}

    Returns
    -------
    ConservativeLogLikelihood

    Raises
    ------
    InvalidData, InvalidParameter

    References
    ----------
    See `harmonium.likelihood.conservative`.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> found = harmonium.likelihood.conservative_log_likelihood(rbm, [[0, 0], [1, 0]], n_samples=50)
    >>> found.mean < 0 < found.standard_error
    True
    """
    X = check_matrix(X, n_columns=rbm.n_visible, binary=True)
    learnt = None if X_train is None else check_rows(X_train, n_columns=rbm.n_visible, name="X_train")
    n_samples, temperatures = check_count(n_samples, "n_samples", minimum=2), check_temperatures(temperatures)
    key, counter = as_key(seed).derive("conservative"), Counter(progress)
    rows = np.sort(key.derive("rows").permutation(len(X))[:n_samples])
    annealer, betas = plan(rbm, temperatures, learnt, key.derive("plan"), engine, counter, _MOST)
    v = annealer.engine.encode(X[rows].astype(np.uint8))
    counter.expect(len(betas) - 1)
    works = annealer.run(v, betas[::-1], key.derive("reverse"), counter.tick)
    log_w = annealer.minus_free_energy(v) + works.log_w - annealer.path.log_z_base
    error = float(log_w.std(ddof=1)) / math.sqrt(len(rows)) if len(rows) > 1 else math.inf
    return ConservativeLogLikelihood(float(log_w.mean()), error, len(rows), len(betas), log_w, rows)
