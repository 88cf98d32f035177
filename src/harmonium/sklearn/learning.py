"""Passes over data, for an engine that lives longer than the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from harmonium.datasets.binarize import as_learnt
from harmonium.engines import Engine, Velocity, find_engine, make_engine
from harmonium.initial import initial_parameters
from harmonium.inputs import rows_of
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.training import Config
from harmonium.training.batches import Batches
from harmonium.training.estimators import first_chains, make_estimator
from harmonium.training.optimizer import Optimizer
from harmonium.training.sparse_batches import SparseBatches
from harmonium.training.step import advance


class Learning:
    """A run of training without a monitor; its steps are those of `harmonium.TrainingRun` with the same choices.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_visible), values in [0, 1], NaN where missing
        A sparse one is made dense by batch.
    config : Config
        With nothing left out; its seed is not used.
    key : Key
        Of all noise; ``Key(seed)`` gives the run of that seed.
    sample_weight : array of shape (n_samples,), optional
    engine : Engine, optional
        Holds the machine to go on with; a new one if left out.
    chains : uint8 array of shape (chains, n_hidden), optional
        Where persistent chains stand; at random if left out.
    completions : array, optional
        Where missing entries stand, as the batches take them.
    averages : mapping of arrays
        What `averages` returned.
    """

    def __init__(
        self,
        X: Any,
        config: Config,
        key: Key,
        sample_weight: npt.NDArray[np.float64] | None = None,
        *,
        engine: Engine | None = None,
        chains: npt.NDArray[np.uint8] | None = None,
        completions: npt.NDArray[np.uint8] | None = None,
        averages: Any = None,
    ) -> None:
        batches: SparseBatches | Batches
        if scipy.sparse.issparse(X):
            batches = SparseBatches(X, config, key, sample_weight, completions)
        else:
            batches = Batches(as_learnt(rows_of(X, sample_weight), config.binarize), config, key, completions)
        self._batches, self._config = batches, config
        if engine is None:
            bits = find_engine(config.engine).bits
            first = RBM(*initial_parameters(batches.totals, config.n_hidden, key, bits))
            engine = make_engine(first, config.engine)
        self.engine = engine
        arrays = dict(averages or {})
        chains = first_chains(config, key, type(engine)) if chains is None else chains
        if chains is not None:
            arrays["chains"] = chains
        self._estimator = make_estimator(config, key, engine, batches.data_means, batches.n_samples, arrays)
        self._optimizer = Optimizer(config, batches.data_means, arrays)
        self._step = 0

    def one_pass(self) -> None:
        """Each row once."""
        for step in range(self._step, self._step + self._batches.n_batches):
            # Without a name for the batch, which may be large, there is none beside the next one.
            advance(
                self.engine,
                self._batches.at(self.engine, step),
                self._estimator,
                self._optimizer,
                self._config.rate,
                step,
            )
        self._step += self._batches.n_batches

    @property
    def chains(self) -> npt.NDArray[np.uint8]:
        """Where persistent chains stand, shape (chains, n_hidden); without rows where there are none."""
        nothing = np.empty((0, self._config.n_hidden), np.uint8)
        return self._estimator.arrays(self.engine).get("chains", nothing)

    @property
    def averages(self) -> Any:
        """The moving averages that a run goes on from, besides its chains."""
        return self._optimizer.arrays(self.engine)


def with_velocity(engine: Engine, velocity: Velocity | None) -> Engine:
    """The same machine with another momentum; none if it is None."""
    return make_engine(engine.rbm, engine.name, velocity)
