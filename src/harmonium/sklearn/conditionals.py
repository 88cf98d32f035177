"""The two directions of the machine: probabilities and samples of each layer given the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.chains.gibbs import HIDDEN, VISIBLE
from harmonium.engines import Engine, Reals
from harmonium.errors import InvalidData
from harmonium.inputs import FloatArray, check_count, check_matrix, is_binary, missing_entries
from harmonium.random import Key
from harmonium.sampling import sample
from harmonium.sampling.conditional import impute
from harmonium.sklearn.data import as_rows, check_data, dense_chunks, float_dtype
from harmonium.sklearn.fitted import Fitted, by_block, only

BoolArray = npt.NDArray[np.bool_]


class Conditionals(Fitted):
    """E[h | v], E[v | h], what is missing given what is observed, and samples.

    `mean_hidden`, `sample_hidden`, `mean_visible`, `sample_visible` and `gibbs` take rows or one vector.
    """

    missing_sweeps: int

    def mean_hidden(self, v: Any, *, method: str = "auto", chains: int = 20, sweeps: int | None = None) -> FloatArray:
        """E[h | v]: the probability of each hidden unit to be on, given what is observed in `v`.

        Parameters
        ----------
        v : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_features,)
            Values in [0, 1], NaN where missing.
        method, chains : str, int
            As in `harmonium.impute`, for rows with missing entries.
        sweeps : int, default=None
            Sweeps of each chain that are averaged over, after half as many that are not; `missing_sweeps` if None.

        Returns
        -------
        ndarray of shape (n_samples, n_components) or (n_components,)
            float32 for float32 data, else float64.
        """
        engine = self._engine()
        X, one, states = self._rows(v, engine, allow_nan=True)
        if states is None:
            return only(self._mean_hidden(engine, X, method, chains, sweeps), one)
        mean: FloatArray = engine.to_numpy(engine.mean(engine.logits_h(states)))
        return only(mean.astype(float_dtype(X), copy=False), one)

    def _mean_hidden(
        self, engine: Engine, X: Any, method: str = "auto", chains: int = 20, sweeps: int | None = None
    ) -> FloatArray:
        """`mean_hidden` of checked rows."""
        mean = np.empty((X.shape[0], engine.n_hidden), float_dtype(X))
        for rows, chunk in dense_chunks(X):
            missing = missing_entries(chunk)
            if missing is None:
                mean[rows] = engine.to_numpy(engine.mean(engine.logits_h(engine.visible(chunk))))
                continue
            holes = missing.any(axis=1)
            if not holes.all():
                seen = engine.visible(chunk[~holes])
                mean[rows][~holes] = engine.to_numpy(engine.mean(engine.logits_h(seen)))
            sweeps = self.missing_sweeps if sweeps is None else check_count(sweeps, "sweeps", minimum=2)
            mean[rows][holes] = impute(
                self.rbm_,
                chunk[holes],
                method=method,
                chains=chains,
                burn_in=sweeps // 2,
                sweeps=sweeps,
                seed=self._first_key().derive("transform", rows.start),
                engine=self._place,
            ).mean_h
        return mean

    def mean_visible(self, h: Any) -> FloatArray:
        """E[v | h]: the probability of each visible unit to be on, given hidden states or probabilities.

        Parameters
        ----------
        h : {array-like, sparse matrix} of shape (n_samples, n_components) or (n_components,)
            Values in [0, 1], such as `transform` returns.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_features,)
            float32 for float32 data, else float64.

        Raises
        ------
        InvalidData
            `h` is not within [0, 1], or not as wide as there are components.
        """
        H, one = self._hidden_rows(h)
        engine = self._engine()
        mean = np.empty((len(H), engine.n_visible), float_dtype(H))
        for rows, chunk in dense_chunks(H):
            mean[rows] = engine.to_numpy(engine.mean(self._logits_v(chunk)))
        return only(mean, one)

    def inverse_transform(self, X: Any) -> FloatArray:
        """E[v | h]: the probability of each visible unit to be on, given hidden states or probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)
            Values in [0, 1], such as `transform` returns.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            float32 for float32 data, else float64.

        Raises
        ------
        InvalidData
            `X` is not within [0, 1], or not as wide as there are components.
        """
        return self.mean_visible(X)

    def sample_hidden(self, v: Any, *, seed: int | Key | None = None) -> BoolArray:
        """Hidden states drawn from p(h | v).

        Parameters
        ----------
        v : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_features,)
            Values in [0, 1].
        seed : int or Key, default=None
            Fixes the draw. If None, successive calls differ, and are reproducible after a `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_components) or (n_components,), bool
        """
        engine = self._engine()
        X, one, states = self._rows(v, engine)
        key = self._key("sample_hidden", seed)

        def drawn(v: Any, rows: slice) -> BoolArray:
            return engine.decode(engine.sample_h(v, key.rows_from(rows.start))).view(bool)

        return only(by_block(engine, X, states, (X.shape[0], engine.n_hidden), bool, drawn), one)

    def sample_visible(self, h: Any, *, seed: int | Key | None = None) -> BoolArray:
        """Visible states drawn from p(v | h).

        Parameters
        ----------
        h : {array-like, sparse matrix} of shape (n_samples, n_components) or (n_components,)
            Values in [0, 1].
        seed : int or Key, default=None
            As in `sample_hidden`.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_features,), bool
        """
        H, one = self._hidden_rows(h)
        engine, key = self._engine(), self._key("sample_visible", seed)
        drawn = np.empty((len(H), engine.n_visible), bool)
        for rows, chunk in dense_chunks(H):
            drawn[rows] = engine.decode(engine.bernoulli(self._logits_v(chunk), key.rows_from(rows.start)))
        return only(drawn, one)

    def gibbs(self, v: Any) -> BoolArray:
        """One sweep of Gibbs sampling: h ~ p(h | v), then v ~ p(v | h).

        Successive calls draw different noise. After a `fit` the sequence of calls starts again, and is reproducible if
        `random_state` is an int.

        Parameters
        ----------
        v : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_features,)
            Values in [0, 1] to start from.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_features,), bool
        """
        engine = self._engine()
        X, one, states = self._rows(v, engine)
        key = self._key("gibbs")

        def new(v: Any, rows: slice) -> BoolArray:
            noise = key.rows_from(rows.start)
            return engine.decode(engine.sweeps(v, noise.on(HIDDEN), noise.on(VISIBLE), 1)).view(bool)

        return only(by_block(engine, X, states, X.shape, bool, new), one)

    def sample(self, n_samples: int = 1, *, sweeps: int = 1000, seed: int | Key | None = None) -> BoolArray:
        """Visible states of independent Gibbs chains, started from noise with the visible biases.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains, of which each gives one sample.
        sweeps : int, default=1000
            Gibbs sweeps of each chain. They must be enough for the chains to forget their start.
        seed : int or Key, default=None
            Fixes the samples. If None, successive calls differ, and are reproducible, as those of `gibbs`.

        Returns
        -------
        ndarray of shape (n_samples, n_features), bool
        """
        rbm = self.rbm_
        n_samples, sweeps = check_count(n_samples, "n_samples"), check_count(sweeps, "sweeps", minimum=0)
        return sample(rbm, n_samples, sweeps=sweeps, seed=self._key("sample", seed), engine=self._place).astype(bool)

    def impute(
        self,
        X: Any,
        *,
        return_std: bool = False,
        method: str = "auto",
        chains: int = 20,
        burn_in: int = 100,
        sweeps: int = 200,
    ) -> FloatArray | tuple[FloatArray, FloatArray]:
        """`X` with each missing entry replaced by its probability to be 1, given the observed entries of its row.

        Deterministic after a `fit`. Exact where the machine has at most 16 hidden units or a row at most 10 missing
        entries; else an average over Gibbs chains.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Values in [0, 1], NaN where missing.
        return_std : bool, default=False
            Whether to return standard errors too.
        method, chains, burn_in, sweeps
            As in `harmonium.impute`. One chain is the quickest, and has no standard error.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features)
            float32 for float32 data, else float64.
        std : ndarray of shape (n_samples, n_features)
            Monte Carlo standard errors, zero where the value is exact; only with ``return_std=True``.
        """
        rbm, X = self.rbm_, check_data(self, X, allow_nan=True)
        filled, std = np.empty(X.shape, float_dtype(X)), np.empty(X.shape, float_dtype(X))
        for rows, chunk in dense_chunks(X):
            found = impute(
                rbm,
                chunk,
                method=method,
                chains=chains,
                burn_in=burn_in,
                sweeps=sweeps,
                seed=self._first_key().derive("impute", rows.start),
                engine=self._place,
            )
            filled[rows], std[rows] = found.mean, found.standard_error
        return (filled, std) if return_std else filled

    def _hidden_rows(self, h: Any) -> tuple[npt.NDArray[Any], bool]:
        """Checked rows of the hidden layer, and whether it was one vector."""
        self._check_fitted()
        rows, one = as_rows(h)
        H = check_matrix(rows, name="X")
        n_components, _ = self._shape
        if H.shape[1] != n_components:
            raise InvalidData(
                f"X must have n_components = {n_components} columns. Got {H.shape[1]}. Pass what transform returns."
            )
        return H, one

    def _logits_v(self, h: npt.NDArray[Any]) -> Reals:
        """W'h + b for checked rows, which may be real."""
        if is_binary(h):
            engine = self._engine()
            return engine.logits_v(engine.encode(h))
        mirror = self._mirror()  # in which the hidden layer is the visible one
        return mirror.logits_h(mirror.visible(h))
