"""How a machine scores on a few hundred rows, always the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets import binarize
from harmonium.engines import Engine, States
from harmonium.engines.arithmetic import matmul, softplus
from harmonium.engines.engine import FloatArray
from harmonium.inputs import is_binary, missing_entries
from harmonium.likelihood import LogPartition
from harmonium.random import Key
from harmonium.rbm import RBM

ROWS = 500
# An exact pseudo-likelihood costs a row some hundred times what a step of training costs it. The noise that matters, of
# one evaluation against the next, is small on few rows too, as they are the same rows.
PSEUDO_ROWS = 100


@dataclass(frozen=True)
class Scores:
    """How a machine scores on a fixed subset of data, in nats a sample.

    Attributes
    ----------
    pseudo_log_likelihood : float or None
        Mean of the exact pseudo-log-likelihood, over every fifth of 500 rows; None for grey data.
    free_energy : float
        Mean F(v); train minus held-out is the gap by which overfitting shows.
    reconstruction_error : float
        Mean squared error a visible unit; shown, never steering.
    free_energy_spread : float, optional
        Standard deviation of F(v) over the rows.
    log_likelihood, log_likelihood_lower, log_likelihood_upper : float, optional
        Mean log p(v) and its ends under the bracket of log Z (all three equal where that is exact); None where log Z
        was not computed or could not be relied on, and for grey data.
    """

    pseudo_log_likelihood: float | None
    free_energy: float
    reconstruction_error: float
    free_energy_spread: float | None = None
    log_likelihood: float | None = None
    log_likelihood_lower: float | None = None
    log_likelihood_upper: float | None = None


class Subset:
    """A fixed subset of a set's complete rows, as states (or grey levels, where the policy is to keep them).

    Parameters
    ----------
    X : array of shape (n_samples, n_visible), values in [0, 1], or NaN where missing
        At least one row must be complete; see `complete_rows`.
    policy : {"threshold", "sample", "none"}
    rows, noise : Key
        Which rows are taken, and the noise of "sample".
    """

    def __init__(self, X: npt.NDArray[Any], policy: str, rows: Key, noise: Key) -> None:
        self.X = binarize(X[np.sort(rows.permutation(len(X))[:ROWS])], policy, noise)
        self.is_binary = is_binary(self.X)
        self._thin = slice(None, None, -(-len(self.X) // PSEUDO_ROWS))

    def __len__(self) -> int:
        return len(self.X)

    @property
    def n_pseudo_rows(self) -> int:
        """Rows that the pseudo-likelihood is computed of."""
        return len(self.X[self._thin]) if self.is_binary else 0

    def score(
        self, engine: Engine, rbm: RBM, states: States, logits: FloatArray, key: Key, log_z: LogPartition | None
    ) -> Scores:
        """Scores of the machine in `engine`.

        Parameters
        ----------
        engine : Engine
        rbm : RBM
            Its parameters.
        states, logits
            The rows as ``engine.visible`` gives them, and their Wv + c.
        key : Key
            Of the noise in the reconstructions: the same each time.
        log_z : LogPartition, optional
        """
        pseudo = engine.pseudo_log_likelihood(engine.encode(self.X[self._thin])).mean() if self.is_binary else None
        minus_f = engine.dot(states, rbm.b.astype(np.float32)) + engine.softplus_sum(logits)
        mean_v = engine.mean(engine.logits_v(engine.bernoulli(logits, key)))
        mean = float(minus_f.mean())
        value = lower = upper = None
        if self.is_binary and log_z is not None and log_z.verdict in ("ok", "wide"):
            value, lower, upper = (None if z is None else mean - z for z in (log_z.value, log_z.upper, log_z.lower))
        return Scores(
            pseudo_log_likelihood=None if pseudo is None else float(pseudo),
            free_energy=-mean,
            reconstruction_error=float(np.mean((self.X - mean_v) ** 2, dtype=np.float64)),
            free_energy_spread=float(minus_f.std()),
            log_likelihood=value,
            log_likelihood_lower=lower,
            log_likelihood_upper=upper,
        )

    def independent_score(self, b: FloatArray) -> float | None:
        """The pseudo-log-likelihood (which is the log-likelihood) of independent units with biases `b`."""
        if not self.is_binary:
            return None
        X, log_p = self.X[self._thin].astype(np.float64), -softplus(np.array([[1.0], [-1.0]]) * b)
        return float((matmul(X, log_p[1] - log_p[0]) + log_p[0].sum()).mean())


def complete_rows(X: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The rows of `X` in which nothing is missing."""
    missing = missing_entries(X)
    return X if missing is None else X[~missing.any(axis=1)]
