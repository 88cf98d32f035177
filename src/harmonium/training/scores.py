"""How a machine scores on a few hundred rows, always the same ones.

Where most rows have holes, what is scored is what is observed: -log of the sum of exp(-F) over the missing entries
takes the place of F. Where log Z is neither enumerated nor bracketed, held-out data that steer a run need an estimate
of it all the same, as neither pseudo-likelihoods nor free energies see a machine that overfits: a short annealing from
independent units, from one side. Where that misses modes the likelihood that it gives is too high, and so it is shown
as an estimate and never as a result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.chains.path import linear_path
from harmonium.datasets import binarize
from harmonium.engines import Engine, Reals
from harmonium.engines.arithmetic import softplus
from harmonium.engines.engine import FloatArray
from harmonium.engines.generic import free_energy
from harmonium.inputs import is_binary, missing_entries
from harmonium.likelihood import Estimate, marginal_free_energy
from harmonium.likelihood.annealed import Annealer, log_mean
from harmonium.random import Key
from harmonium.rbm import RBM

ROWS = 500
# An exact pseudo-likelihood costs a row some hundred times what a step of training costs it. The noise that matters, of
# one evaluation against the next, is small on few rows too, as they are the same rows.
PSEUDO_ROWS = 100
# Rows with holes that are scored, and how they are annealed where their sums are not exact.
OBSERVED_ROWS, OBSERVED_CHAINS, OBSERVED_TEMPERATURES = 50, 10, 50
# Of the one-sided estimate of log Z.
ANNEALED_CHAINS, ANNEALED_TEMPERATURES = 100, 300


@dataclass(frozen=True)
class Scores:
    """How a machine scores on a fixed subset of data, in nats a sample.

    Attributes
    ----------
    pseudo_log_likelihood : float or None
        Mean of the exact pseudo-log-likelihood, over every fifth of 500 rows; None for grey data and rows with holes.
    free_energy : float
        Mean F(v), of what is observed; train minus held-out is the gap by which overfitting shows.
    reconstruction_error : float or None
        Mean squared error a visible unit; shown, never steering; None for rows with holes.
    free_energy_spread : float, optional
        Standard deviation of F(v) over the rows.
    log_likelihood, log_likelihood_lower, log_likelihood_upper : float, optional
        Mean log p(v) and its ends under the bracket of log Z (all three equal where that is exact); None where log Z
        was not computed or could not be relied on, and for grey data.
    log_likelihood_estimate : float, optional
        Mean log p(v) by a short annealing from one side, where held-out data steer and log Z is not exact.
    """

    pseudo_log_likelihood: float | None
    free_energy: float
    reconstruction_error: float | None
    free_energy_spread: float | None = None
    log_likelihood: float | None = None
    log_likelihood_lower: float | None = None
    log_likelihood_upper: float | None = None
    log_likelihood_estimate: float | None = None

    @property
    def best_log_likelihood(self) -> float | None:
        """The log-likelihood, or its estimate where that is all there is."""
        return self.log_likelihood_estimate if self.log_likelihood is None else self.log_likelihood


class Subset:
    """A fixed subset of a set, as states (or grey levels, where the convention is to keep them).

    Complete rows, where at least half of all are; else fewer rows, with their holes.

    Parameters
    ----------
    X : array of shape (n_samples, n_visible), values in [0, 1], or NaN where missing
        At least one entry must be observed.
    convention : {"threshold", "sample", "none"}
    rows, noise : Key
        Which rows are taken, and the noise of "sample".
    """

    def __init__(self, X: npt.NDArray[Any], convention: str, rows: Key, noise: Key) -> None:
        missing = missing_entries(X)
        complete = X if missing is None else X[~missing.any(axis=1)]
        self.is_complete = 2 * len(complete) >= len(X)
        chosen, most = (complete, ROWS) if self.is_complete else (X, OBSERVED_ROWS)
        if missing is not None and not self.is_complete:
            chosen = X[~missing.all(axis=1)]
        self.X = binarize(
            chosen[np.sort(rows.permutation(len(chosen))[:most])], convention, noise, allow_nan=not self.is_complete
        )
        self.is_binary = is_binary(self.X if self.is_complete else self.X[~np.isnan(self.X)])
        self._thin = slice(None, None, -(-len(self.X) // PSEUDO_ROWS))

    def __len__(self) -> int:
        return len(self.X)

    @property
    def n_pseudo_rows(self) -> int:
        """Rows that the pseudo-likelihood is computed of."""
        return len(self.X[self._thin]) if self.is_binary and self.is_complete else 0

    def logits(self, engine: Engine) -> Reals | None:
        """Wv + c of the rows; None where they have holes."""
        return engine.logits_h(engine.visible(self.X)) if self.is_complete else None

    def score(
        self,
        engine: Engine,
        rbm: RBM,
        logits: Reals | None,
        key: Key,
        log_z: Estimate | None,
        estimate: float | None = None,
    ) -> Scores:
        """Scores of the machine in `engine`.

        Parameters
        ----------
        engine : Engine
        rbm : RBM
            Its parameters.
        logits : Reals of shape (rows, n_hidden), or None
            As `logits` gives them.
        key : Key
            Of the noise in the reconstructions: the same each time.
        log_z : Estimate, optional
        estimate : float, optional
            Of log Z, where that is all there is.
        """
        pseudo = error = None
        if self.n_pseudo_rows:
            pseudo = float(engine.pseudo_log_likelihood(engine.encode(self.X[self._thin])).mean())
        if logits is None:
            minus_f = -marginal_free_energy(
                rbm,
                self.X,
                chains=OBSERVED_CHAINS,
                temperatures=OBSERVED_TEMPERATURES,
                seed=key.derive("holes"),
                engine=engine.name,
            )
        else:
            minus_f = -free_energy(engine, engine.visible(self.X), logits)
            mean_v = engine.to_numpy(engine.mean(engine.logits_v(engine.bernoulli(logits, key))))
            error = float(np.mean((self.X - mean_v) ** 2, dtype=np.float64))
        mean = float(minus_f.mean())
        value = lower = upper = None
        if self.is_binary and log_z is not None and log_z.verdict in ("ok", "wide"):
            value, lower, upper = (None if z is None else mean - z for z in (log_z.value, log_z.upper, log_z.lower))
        return Scores(
            pseudo_log_likelihood=pseudo,
            free_energy=-mean,
            reconstruction_error=error,
            free_energy_spread=float(minus_f.std()),
            log_likelihood=value,
            log_likelihood_lower=lower,
            log_likelihood_upper=upper,
            log_likelihood_estimate=mean - estimate if self.is_binary and estimate is not None else None,
        )

    def independent_score(self, b: FloatArray) -> float | None:
        """The log-likelihood of independent units with biases `b`, which is their pseudo-log-likelihood."""
        if not self.is_binary:
            return None
        X = self.X[self._thin].astype(np.float64)
        log_p = -softplus(np.array([[1.0], [-1.0]]) * b)  # of 0, and of 1
        return float(np.where(np.isnan(X), 0, X * (log_p[1] - log_p[0]) + log_p[0]).sum(axis=1).mean())


def annealed_log_z(rbm: RBM, base: FloatArray, key: Key, engine: str) -> float:
    """An estimate of log Z from one side: annealed importance sampling from independent units with biases `base`."""
    annealer = Annealer(rbm, linear_path(base, rbm.n_hidden), engine)
    betas = np.linspace(0, 1, ANNEALED_TEMPERATURES)
    works = annealer.run(annealer.start(ANNEALED_CHAINS, key.derive("start")), betas, key.derive("road"))
    return annealer.path.log_z_base + log_mean(works.log_w)
