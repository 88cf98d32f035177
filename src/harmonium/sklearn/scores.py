"""How probable the machine finds data: free energies, and the pseudo-likelihood that selects among machines."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.utils.validation import _check_sample_weight

from harmonium.datasets import binarize
from harmonium.inputs import missing_entries
from harmonium.likelihood import marginal_free_energy
from harmonium.likelihood.observed import observed_pseudo_log_likelihood
from harmonium.rows import check_weights
from harmonium.sklearn.data import DataRangeWarning, check_data, dense_chunks, warn
from harmonium.sklearn.fitted import Fitted, only

Float64Array = npt.NDArray[np.float64]


class Scores(Fitted):
    """Free energy and pseudo-likelihood."""

    missing_sweeps: int

    def free_energy(self, v: Any) -> Float64Array:
        """F(v) = -b'v - sum_i softplus(c_i + W_i v), so that log p(v) = -F(v) - log Z.

        Parameters
        ----------
        v : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_features,)
            Values in [0, 1], NaN where missing.

        Returns
        -------
        ndarray of shape (n_samples,), or a number
            In nats. Where entries are missing, that of what is observed: -log of the sum of exp(-F) over them, as
            `harmonium.marginal_free_energy` finds it.
        """
        engine = self._engine()
        X, one, states = self._rows(v, engine, allow_nan=True)
        if states is not None:
            return only(engine.free_energy(states), one)
        energy = np.empty(X.shape[0])
        for rows, chunk in dense_chunks(X):
            if missing_entries(chunk) is not None:
                key = self._first_key().derive("free energy", rows.start)
                energy[rows] = marginal_free_energy(self.rbm_, chunk, seed=key, engine=self._place)
                continue
            energy[rows] = engine.free_energy(engine.visible(chunk))
        return only(energy, one)

    def score_samples(self, X: Any) -> Float64Array:
        """Exact pseudo-log-likelihood: the sum over features of log p(v_j | all other features).

        Deterministic. On binary data it is the expectation of what scikit-learn's class estimates from one random
        feature a sample. Grey levels are first thresholded at 0.5, since a grey level is not a state of the machine; a
        `DataRangeWarning` says so where that leaves every row empty. Of a row with missing entries only what is
        observed counts: the sum over its observed features of log p(v_j | the other observed features), exact where
        there are at most 16 components or 4 missing entries, else an average over draws of the rest, always the same.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Values in [0, 1], NaN where missing.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats.
        """
        self._check_fitted()
        X = check_data(self, X, allow_nan=True)
        values = X.data if issparse(X) else X
        if values.size and values.dtype.kind == "f" and 0 < np.fmax.reduce(values, axis=None) <= 0.5:
            warn(
                "X should have values above 1/2 to be scored, as grey levels are thresholded there. Got none, so all "
                "rows are scored as empty ones. Make them 0 or 1 first, for example with "
                "sklearn.preprocessing.Binarizer or CountVectorizer(binary=True).",
                DataRangeWarning,
            )
        return self._pseudo_log_likelihood(X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:  # noqa: ARG002 - scikit-learn's
        """The mean of `score_samples`, by which model selection such as `GridSearchCV` compares machines.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Values in [0, 1], NaN where missing.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; not negative.

        Returns
        -------
        float
        """
        scores = self.score_samples(X)
        if sample_weight is None:
            return float(scores.mean())
        weights = _check_sample_weight(sample_weight, scores, dtype=np.float64)
        check_weights(weights, len(scores))
        return float(np.average(scores, weights=weights))

    def _pseudo_log_likelihood(self, X: Any) -> Float64Array:
        """`score_samples` of checked rows."""
        engine = self._engine()
        scores = np.empty(X.shape[0])
        for rows, chunk in dense_chunks(X):
            states = binarize(chunk, "threshold", allow_nan=True)
            if states.dtype == np.uint8:
                scores[rows] = engine.pseudo_log_likelihood(engine.encode(states))
                continue
            key = self._first_key().derive("score", rows.start)
            sweeps = max(1, self.missing_sweeps // 2)
            scores[rows] = observed_pseudo_log_likelihood(
                self.rbm_, states, sweeps=sweeps, seed=key, engine=self._place
            )
        return scores
