"""How a machine scores on a few hundred rows, always the same ones.

Where most rows have holes, what is scored is what is observed: -log of the sum of exp(-F) over the missing entries
takes the place of F. Where log Z is neither enumerated nor bracketed, held-out data that steer a run need an estimate
of it all the same, as neither pseudo-likelihoods nor free energies see a machine that overfits: a short annealing from
independent units, from one side. Where that misses modes the likelihood that it gives is too high, and so it is shown
as an estimate and never as a result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.chains.path import linear_path
from harmonium.datasets.binarize import states_of
from harmonium.engines import Engine, Reals
from harmonium.engines.arithmetic import softplus
from harmonium.engines.generic import free_energy
from harmonium.engines.records import FloatArray
from harmonium.inputs import is_binary
from harmonium.likelihood import Estimate, marginal_free_energy
from harmonium.likelihood.annealed import Annealer, effective_size, log_mean
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.rows import Rows, observed_totals

Weights = npt.NDArray[np.float64] | None  # how often each row counts; None where all count the same

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
        Where held-out data steer, and log Z is not exact: mean log p(v) by a short annealing from one side. That of
        grey levels, where these are learnt as they are, is of states that were drawn from them once.

    Examples
    --------
    >>> import harmonium
    >>> scores = harmonium.training.Scores(-20.0, -30.0, 0.1)
    >>> scores.pseudo_log_likelihood
    -20.0
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
    def told(self) -> list[tuple[str, float]]:
        """What is told of a run, the most telling first: names and values in nats.

        Grey data and rows with holes have no pseudo-log-likelihood: then an estimated log-likelihood stands in, or
        where there is not even that, the free energy.
        """
        scores = ("pseudo-log-likelihood", self.pseudo_log_likelihood), ("log-likelihood", self.log_likelihood)
        found = [(name, value) for name, value in scores if value is not None]
        if not found and self.log_likelihood_estimate is not None:
            found = [("estimated log-likelihood", self.log_likelihood_estimate)]
        return found or [("free energy", self.free_energy)]

    @property
    def best_log_likelihood(self) -> float | None:
        """The log-likelihood, or its estimate where that is all there is."""
        return self.log_likelihood_estimate if self.log_likelihood is None else self.log_likelihood


class Subset:
    """A fixed subset of a set, as states (or grey levels, where `binarize` is "none").

    Complete rows, where at least half of all are; else fewer rows, with their holes.

    Parameters
    ----------
    rows : Rows
        At least one entry must be observed.
    binarize : {"threshold", "sample", "none"}
    key, noise : Key
        Of the choice of the rows, and of the states that are drawn from grey levels.

    Attributes
    ----------
    X : array of shape (rows, n_visible)
        The rows as they are learnt; NaN where missing.
    states : array of shape (rows, n_visible)
        The rows as the likelihood is of them: those of `X`, or drawn from its grey levels.
    totals : pair of float64 arrays of shape (n_visible,)
        As `harmonium.rows.observed_totals` gives them for `X`.
    """

    def __init__(self, rows: Rows, binarize: str, key: Key, noise: Key) -> None:
        missing, weights = rows.missing, rows.weights
        usable = np.ones(len(rows), bool) if missing is None else ~missing.any(axis=1)
        self.is_complete = 2 * np.count_nonzero(usable) >= len(rows)
        if missing is not None and not self.is_complete:
            usable = ~missing.all(axis=1)
        if weights is not None:
            usable &= weights > 0
        chosen = np.flatnonzero(usable)
        chosen = chosen[np.sort(key.permutation(len(chosen))[: ROWS if self.is_complete else OBSERVED_ROWS])]
        holes = None if missing is None or self.is_complete else missing[chosen]
        self.sample_weight = None if weights is None else weights[chosen]
        self.X = states_of(rows.X[chosen], binarize, noise)
        self.totals = observed_totals(self.X, holes, self.sample_weight)
        if holes is not None:
            self.X = np.where(holes, np.float32(np.nan), self.X)
        self.is_binary = is_binary(self.X if self.is_complete else self.X[~np.isnan(self.X)])
        self.states = self.X
        if not self.is_binary:
            self.states = states_of(self.X, "sample", noise)
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
            scores = engine.pseudo_log_likelihood(engine.encode(self.X[self._thin]))
            pseudo = self._mean(scores, self._thin)
        minus_f = self._minus_free_energy(engine, rbm, self.X, logits, key)
        if logits is not None:
            mean_v = engine.to_numpy(engine.mean(engine.logits_v(engine.bernoulli(logits, key))))
            squares = (self.X - mean_v) ** 2
            error = self._mean(squares.mean(axis=1, dtype=np.float64))
        mean = self._mean(minus_f)
        estimated = None
        if estimate is not None:
            estimated = mean if self.is_binary else self._mean(self.minus_free_energies(engine, rbm, key))
            estimated -= estimate
        value = lower = upper = None
        if self.is_binary and log_z is not None and log_z.verdict in ("ok", "wide"):
            value, lower, upper = (None if z is None else mean - z for z in (log_z.value, log_z.upper, log_z.lower))
        return Scores(
            pseudo_log_likelihood=pseudo,
            free_energy=-mean,
            reconstruction_error=error,
            free_energy_spread=math.sqrt(self._mean((minus_f - mean) ** 2)),
            log_likelihood=value,
            log_likelihood_lower=lower,
            log_likelihood_upper=upper,
            log_likelihood_estimate=estimated,
        )

    def minus_free_energies(self, engine: Engine, rbm: RBM, key: Key) -> npt.NDArray[np.float64]:
        """-F of each row of `states`, or that of what is observed of it."""
        logits = engine.logits_h(engine.visible(self.states)) if self.is_complete else None
        return self._minus_free_energy(engine, rbm, self.states, logits, key)

    def _minus_free_energy(
        self, engine: Engine, rbm: RBM, X: npt.NDArray[Any], logits: Reals | None, key: Key
    ) -> npt.NDArray[np.float64]:
        if logits is not None:
            return -free_energy(engine, engine.visible(X), logits)
        return -marginal_free_energy(
            rbm,
            X,
            chains=OBSERVED_CHAINS,
            temperatures=OBSERVED_TEMPERATURES,
            seed=key.derive("holes"),
            engine=engine.name,
        )

    def _mean(self, values: npt.NDArray[np.float64], rows: slice = slice(None)) -> float:
        return float(np.average(values, weights=None if self.sample_weight is None else self.sample_weight[rows]))

    def independent_score(self, b: FloatArray) -> float | None:
        """The log-likelihood of independent units with biases `b`, which is their pseudo-log-likelihood."""
        return self._mean(self.independent_scores(b, self._thin), self._thin) if self.is_binary else None

    def independent_scores(self, b: FloatArray, rows: slice = slice(None)) -> npt.NDArray[np.float64]:
        """That of each row of `states`, or of what is observed of it."""
        X = self.states[rows].astype(np.float64)
        log_p = -softplus(np.array([[1.0], [-1.0]]) * b)  # of 0, and of 1
        scores: npt.NDArray[np.float64] = np.where(np.isnan(X), 0, X * (log_p[1] - log_p[0]) + log_p[0]).sum(axis=1)
        return scores


def annealed_log_z(
    rbm: RBM, base: FloatArray, key: Key, engine: str, temperatures: int = ANNEALED_TEMPERATURES
) -> tuple[float, float]:
    """An estimate of log Z from one side, and its standard error in first order.

    By annealed importance sampling from independent units with biases `base`.
    """
    annealer = Annealer(rbm, linear_path(base, rbm.n_hidden), engine)
    betas = np.linspace(0, 1, temperatures)
    works = annealer.run(annealer.start(ANNEALED_CHAINS, key.derive("start")), betas, key.derive("road"))
    error = math.sqrt(max(0.0, 1 / effective_size(works.log_w) - 1 / ANNEALED_CHAINS))
    return annealer.path.log_z_base + log_mean(works.log_w), error
