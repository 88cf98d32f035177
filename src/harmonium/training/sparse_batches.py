"""The batches of a run on a sparse matrix: what `Batches` would give, with one batch dense at a time.

References
----------
As `harmonium.training.batches`, whose results these are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.chains import gibbs
from harmonium.chains.gibbs import GibbsState
from harmonium.engines import Engine
from harmonium.errors import InvalidData
from harmonium.random import Key
from harmonium.rows import check_weights
from harmonium.training.batches import SWEEPS, Batch
from harmonium.training.config import Config

IntArray = npt.NDArray[np.integer[Any]]


class SparseBatches:
    """The batches of a run, as in `Batches`.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_samples, n_visible), values in [0, 1], NaN where missing
        In canonical format; entries that are not stored are observed zeros.
    config : Config
        For ``batch_size`` and ``binarize``.
    key : Key
        That of the run.
    sample_weight : array-like of shape (n_samples,), optional
        None of them zero.
    completions : array of 0 and 1, as long as there are missing entries, optional
        Where these stand, in the order of the matrix; drawn from the means of the columns if left out.

    Attributes
    ----------
    totals : pair of float64 arrays of shape (n_visible,)
        As in `harmonium.rows.observed_totals`, of the data as they are learnt.
    sample_weight, n_samples, n_visible, n_batches, data_means
        As in `Batches`.

    Raises
    ------
    InvalidData
        Nothing is observed at all.
    """

    def __init__(
        self,
        X: Any,
        config: Config,
        key: Key,
        sample_weight: Any = None,
        completions: npt.NDArray[Any] | None = None,
    ) -> None:
        self.n_samples, self.n_visible = X.shape
        self.n_batches = -(-self.n_samples // config.batch_size)
        self.sample_weight = check_weights(sample_weight, self.n_samples)
        self._config, self._key = config, key
        self._columns, self._row_starts = X.indices, X.indptr
        missing = np.isnan(X.data) if X.dtype.kind == "f" else np.zeros(X.nnz, bool)
        self._missing = missing if missing.any() else None
        values = np.where(missing, 0, X.data) if self._missing is not None else X.data
        self._is_binary = bool(np.all((values == 0) | (values == 1)))
        if config.binarize == "threshold":
            values, self._is_binary = values > 0.5, True
        self._drawn_anew = config.binarize == "sample" and not self._is_binary
        self._grey = values  # what is drawn from, where it is drawn anew
        self._values = np.array(values, np.uint8 if self._is_binary or self._drawn_anew else np.float32)
        self.totals = total, count = self._totals(values)
        if not count.any():
            raise InvalidData("X must hold at least one observed entry. Got only NaN. Check how it was made.")
        means = np.divide(total, count, where=count > 0, out=np.full(self.n_visible, 0.5))
        self.data_means: npt.NDArray[np.float32] = means.astype(np.float32)
        if self._missing is not None:
            self._values[missing] = self._first_draws(missing) if completions is None else completions
        self._epoch = -1

    def at(self, engine: Engine, step: int) -> Batch:
        """The batch of a step; missing entries move on, so each step is to be asked for once, in order."""
        epoch, number = divmod(step, self.n_batches)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = self._key.derive("order", epoch).permutation(self.n_samples)
            if self._drawn_anew:
                self._draw(self._key.derive("data", epoch))
        size = self._config.batch_size
        rows = self._order[number * size : (number + 1) * size]
        entries, cells = self._entries(rows)
        X = np.zeros((len(rows), self.n_visible), self._values.dtype)
        X[cells] = self._values[entries]
        v = engine.encode(X, real=X.dtype != np.uint8)
        if self._missing is not None and (holes := self._missing[entries]).any():
            v = self._complete(engine, v, entries[holes], (cells[0][holes], cells[1][holes]), step)
        if self.sample_weight is None:
            return Batch(v)
        weights = self.sample_weight[rows]
        return Batch(v, weights.astype(np.float32), float(weights.mean() / self.sample_weight.mean()))

    def _entries(self, rows: IntArray) -> tuple[IntArray, tuple[IntArray, IntArray]]:
        """The numbers of the stored entries of some rows, and where they are in an array of those rows."""
        first = self._row_starts[rows]
        count = self._row_starts[rows + 1] - first
        row = np.repeat(np.arange(len(rows)), count)
        entries = np.arange(len(row)) + np.repeat(first - (np.cumsum(count) - count), count)
        return entries, (row, self._columns[entries])

    def _complete(self, engine: Engine, v: Any, entries: IntArray, cells: tuple[IntArray, IntArray], step: int) -> Any:
        """The batch `v` with its missing entries one sweep further, which is kept."""
        where = np.zeros((len(v), self.n_visible), np.uint8)
        where[cells] = 1
        free, key = engine.encode(where), self._key.derive("missing")
        v = gibbs.run(engine, GibbsState(v, step * SWEEPS), key, SWEEPS, free=free).v
        self._values[entries] = engine.to_numpy(v)[cells]
        return v

    def _draw(self, key: Key) -> None:
        """Observed grey levels become 0 or 1, with the noise of a dense array; zeros, stored or not, stay zeros."""
        drawn = self._uniform(key) < self._grey.astype(np.float32)
        self._values = drawn.astype(np.uint8) if self._missing is None else np.where(self._missing, self._values, drawn)

    def _first_draws(self, missing: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        u = self._uniform(self._key.derive("completions"), missing)
        drawn: npt.NDArray[np.bool_] = u < self.data_means[self._columns[missing]]
        return drawn

    def _uniform(self, key: Key, which: Any = slice(None)) -> npt.NDArray[np.float64]:
        """Noise at the places of stored entries."""
        rows = np.repeat(np.arange(self.n_samples), np.diff(self._row_starts))
        return key.uniform_at(rows[which], self._columns[which])

    def _totals(self, values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Sums and numbers of the observed entries of each column, weighted."""
        weights = np.ones(self.n_samples) if self.sample_weight is None else self.sample_weight
        weights = weights * max(1.0, len(weights) / weights.sum())
        each = np.repeat(weights, np.diff(self._row_starts))
        total: npt.NDArray[Any] = np.bincount(self._columns, each * values, self.n_visible)
        count = np.full(self.n_visible, float(weights.sum()))
        if self._missing is not None:
            count = count - np.bincount(self._columns, each * self._missing, self.n_visible)
        return total, count
