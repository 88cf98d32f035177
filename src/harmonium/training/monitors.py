"""Cheap, deterministic scores on a fixed subset, computed after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harmonium.datasets import binarize
from harmonium.inputs import check_matrix, is_binary
from harmonium.likelihood import free_energy, pseudo_log_likelihood, reconstruction_error
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.training.config import Config

_ROWS = 500


@dataclass(frozen=True)
class Scores:
    """How a machine scores on a fixed subset of data.

    Attributes
    ----------
    pseudo_log_likelihood : float or None
        Mean of the exact pseudo-log-likelihood, nats a sample; None for grey data.
    free_energy : float
        Mean F(v); train minus held-out is the gap by which overfitting shows.
    reconstruction_error : float
        Mean squared error a visible unit; shown, never steering.
    """

    pseudo_log_likelihood: float | None
    free_energy: float
    reconstruction_error: float


class Monitor:
    """Scores machines on the same few hundred rows of training and held-out data every time."""

    def __init__(self, X: Any, valid: Any, config: Config, key: Key) -> None:
        self._key = key
        self._engine = config.engine
        rows = key.permutation(len(X))[:_ROWS]
        self._train = binarize(X[np.sort(rows)], config.binarize, key.derive("train"))
        self._valid = None
        if valid is not None:
            valid = check_matrix(valid, n_columns=X.shape[1], name="valid")
            rows = key.permutation(len(valid))[:_ROWS]
            self._valid = binarize(valid[np.sort(rows)], config.binarize, key.derive("valid"))

    def score(self, rbm: RBM) -> tuple[Scores, Scores | None]:
        """Scores on the training and on the held-out subset (None without one)."""
        return self._scores(rbm, self._train), None if self._valid is None else self._scores(rbm, self._valid)

    def _scores(self, rbm: RBM, X: Any) -> Scores:
        pseudo = pseudo_log_likelihood(rbm, X, engine=self._engine).mean() if is_binary(X) else None
        return Scores(
            pseudo_log_likelihood=None if pseudo is None else float(pseudo),
            free_energy=float(free_energy(rbm, X, engine=self._engine).mean()),
            reconstruction_error=reconstruction_error(rbm, X, seed=self._key, engine=self._engine),
        )
