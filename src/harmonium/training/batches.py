"""The data of a run, in shuffled mini-batches: grey levels drawn anew, missing entries filled in, rows weighted.

**Missing entries** (NaN) are latent variables. The gradient of the observed-data log-likelihood is
E[s | observed] - E[s] for the statistics s of a complete row, so a draw of the missing entries from
p(missing | observed) makes the positive phase of a complete row an unbiased estimate of it. Each row keeps its own
draw, a chain that makes one Gibbs sweep, with the observed units held, whenever the row is in a batch: what persistent
chains are to the negative phase. A row that is missing altogether is a sample of the machine: its expected gradient is
zero, as log p(nothing) = 0. A column that no row observes acts as one more hidden unit.

**Weights** say how often a row counts: the objective is sum_i w_i log p(v_i) / sum_i w_i. A batch always has the same
number of rows. Its weighted mean alone would give a batch of light rows as much say as a batch of heavy ones, so a
batch comes with its relative weight, the mean weight of its rows over the mean weight of all, by which the step's
learning rate is to be multiplied. Then each phase stays an average, and the expected step is along the gradient of the
objective, exactly so where one batch holds all rows: a weight of 2 is a duplicated row. Rows of weight zero are left
out at once.
One row that outweighs the others by orders of magnitude makes rare, long steps; lower the learning rate for it.

References
----------
Tanner, Wong, "The calculation of posterior distributions by data augmentation", JASA 82, 1987.
Younes, "Parametric inference for imperfectly observed Gibbsian fields", Probab. Theory Relat. Fields 82, 1989: chains
that go on between steps, in both phases.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.chains import gibbs
from harmonium.chains.gibbs import GibbsState
from harmonium.datasets.binarize import states_of
from harmonium.engines import Engine, Reals, States
from harmonium.engines.engine import FloatArray
from harmonium.errors import InvalidData, InvalidParameter
from harmonium.inputs import check_weights, is_binary, missing_entries, observed_totals
from harmonium.random import Key
from harmonium.training.config import Config

SWEEPS = 1  # of the missing entries of a row, each time it is in a batch


def set_aside(n_samples: int, n_held_out: int, key: Key) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Which rows are trained on and which are held out, both in order: a random part that the key of the run fixes."""
    order = key.derive("held out").permutation(n_samples) if n_held_out else np.arange(n_samples)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


class Batch(NamedTuple):
    """The rows of one step.

    Attributes
    ----------
    v : States or Reals of shape (rows, n_visible)
    weights : float32 array of shape (rows,), or None
        Weights of the rows in every average over them, to be divided by their sum; None where all are equal.
    relative_weight : float
        What to multiply the learning rate by; 1 where all rows weigh the same, and 1 on average.
    """

    v: States | Reals
    weights: FloatArray | None = None
    relative_weight: float = 1.0


# The order is where it is needed; the table of it always.
Epoch = tuple[int, Any, States | None, npt.NDArray[np.intp] | None, Any]


class Batches:
    """The batches of a run. A batch depends on the key, the step, and where missing entries were before it.

    Parameters
    ----------
    X : array of shape (n_samples, n_visible), values in [0, 1], NaN where missing
        As `harmonium.inputs.check_matrix` returns it.
    config : Config
        For ``batch_size`` and ``binarize``.
    key : Key
        That of the run.
    sample_weight : array-like of shape (n_samples,), optional
    completions : uint8 array of shape (n_samples, ceil(n_visible / 8)), optional
        Where the missing entries stand, as the property of that name gave it; drawn from the means of the columns if
        left out.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_visible)
        The data without rows of weight zero.
    sample_weight : float64 array of shape (n_samples,), or None
        None where all rows weigh the same.
    n_samples, n_batches : int
    totals : pair of float64 arrays of shape (n_visible,)
        As in `harmonium.inputs.observed_totals`, of the data as they are learnt.
    data_means : float32 array of shape (n_visible,)
        Weighted means of what is observed, as ``binarize`` makes it; 1/2 where nothing is.

    Raises
    ------
    InvalidData
        `sample_weight` breaks the input contract, or nothing is observed at all.
    InvalidParameter
        `completions` do not fit the data.
    """

    def __init__(
        self,
        X: npt.NDArray[Any],
        config: Config,
        key: Key,
        sample_weight: Any = None,
        completions: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        weights = check_weights(sample_weight, len(X))
        if weights is not None and not weights.all():
            X, weights = X[weights > 0], weights[weights > 0]
            weights = check_weights(weights, len(X))  # what is left may be equal
        self.X, self.sample_weight = X, weights
        self.n_samples, self.n_visible = X.shape
        self.n_batches = -(-self.n_samples // config.batch_size)
        self._config, self._key = config, key
        self._missing = missing_entries(X)
        if self._missing is not None and self._missing.all():
            raise InvalidData("X must hold at least one observed entry. Got only NaN. Check how it was made.")
        # What is missing is 0 here, so that the noise of all other entries is that of complete data.
        self._observed = X if self._missing is None else np.where(self._missing, 0, X)
        self._drawn_anew = config.binarize == "sample" and not is_binary(self._observed)
        self.totals = total, count = observed_totals(self.as_learnt(), self.sample_weight)
        means = np.divide(total, count, where=count > 0, out=np.full(self.n_visible, 0.5))
        self.data_means: npt.NDArray[np.float32] = means.astype(np.float32)
        self._completions = self._start(completions)
        self._epoch: Epoch | None = None

    @property
    def completions(self) -> npt.NDArray[np.uint8] | None:
        """Where the missing entries stand, for a checkpoint: rows of bits, as `numpy.packbits` makes them.

        Shape (n_samples, ceil(n_visible / 8)), zero where nothing is missing; None if that is everywhere.
        """
        return None if self._completions is None else np.packbits(self._completions, axis=1)

    def completed(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
        """Rows of `X` with their missing entries where they stand."""
        X = self._observed[rows]
        if self._missing is None or self._completions is None:
            return X
        return np.where(self._missing[rows], self._completions[rows], X)

    def at(self, engine: Engine, step: int) -> Batch:
        """The batch of a step; missing entries move on, so each step is to be asked for once, in order.

        Parameters
        ----------
        engine : Engine
            With the parameters of that step.
        step : int
            Mini-batches done before it, over all epochs.
        """
        number = step % self.n_batches
        _, data, missing, order, table = self._epoch_of(engine, step)
        size = self._config.batch_size
        part = slice(number * size, (number + 1) * size)
        v = engine.take(data, table[part])
        if order is None:
            return Batch(v)
        rows = order[part]
        if missing is not None:
            v = self._complete(engine, v, engine.take(missing, table[part]), rows, step)
        if self.sample_weight is None:
            return Batch(v)
        weights = self.sample_weight[rows]
        return Batch(v, weights.astype(np.float32), float(weights.mean() / self.sample_weight.mean()))

    def several(self, engine: Engine, step: int, most: int) -> tuple[States | Reals, Any] | None:
        """The data, and the rows of at most so many batches from `step` on, shape (batches, rows).

        None if that is less than two, or batches are more than rows: weighted, to be filled in, or short.
        """
        size, number = self._config.batch_size, step % self.n_batches
        n = min(most, self.n_samples // size - number)
        if n < 2 or self._missing is not None or self.sample_weight is not None:
            return None
        _, data, _, _, table = self._epoch_of(engine, step)
        return data, table[number * size : (number + n) * size].reshape(n, size)

    def _epoch_of(self, engine: Engine, step: int) -> Epoch:
        """The number of the epoch of a step, its data, which entries are missing, their order, and its table."""
        epoch = step // self.n_batches
        if self._epoch is None or self._epoch[0] != epoch:
            key, order = self._key.derive("order", epoch), None
            if self._missing is None and self.sample_weight is None:
                table = engine.permutation(key, self.n_samples)
            else:
                order = key.permutation(self.n_samples)
                table = engine.table(order)
            self._epoch = (epoch, *self._encoded(engine, epoch), order, table)
        return self._epoch

    def _encoded(self, engine: Engine, epoch: int) -> tuple[States | Reals, States | None]:
        """The observed entries and the mask of the missing ones as the engine holds them."""
        missing = None if self._epoch is None else self._epoch[2]
        if self._epoch is None and self._missing is not None:
            missing = engine.encode(self._missing.astype(np.uint8))
        if self._drawn_anew:
            return engine.draw(self._observed, self._key.derive("data", epoch)), missing
        if self._epoch is not None:
            return self._epoch[1], missing
        return engine.visible(states_of(self._observed, self._config.binarize, self._key)), missing

    def _complete(
        self, engine: Engine, v: States | Reals, where: States, rows: npt.NDArray[np.intp], step: int
    ) -> States | Reals:
        """The batch `v` with its missing entries one sweep further, which is kept."""
        assert self._completions is not None
        v = engine.overwrite(v, where, engine.encode(self._completions[rows]))
        key = self._key.derive("missing")
        v = gibbs.run(engine, GibbsState(v, step * SWEEPS), key, SWEEPS, free=where).v
        self._completions[rows] = engine.decode(where) * engine.to_numpy(v).astype(np.uint8)
        return v

    def as_learnt(self) -> npt.NDArray[Any]:
        """`X` as ``binarize`` makes it, and as probabilities where states are drawn from it."""
        if self._config.binarize != "threshold" or is_binary(self._observed):
            return self.X
        return states_of(self.X, "threshold")

    def _start(self, completions: npt.NDArray[np.uint8] | None) -> npt.NDArray[np.uint8] | None:
        if self._missing is None:
            if completions is not None:
                raise InvalidParameter(
                    "Completions must come with missing data. Got some, and no NaN. Resume with the data of the run."
                )
            return None
        if completions is None:
            means = np.broadcast_to(self.data_means, self.X.shape)
            states = states_of(means, "sample", self._key.derive("completions"))
        else:
            shape = (self.n_samples, -(-self.n_visible // 8))
            if completions.shape != shape or completions.dtype != np.uint8:
                raise InvalidParameter(
                    f"Completions must be bytes of shape {shape}. Got {completions.dtype} {completions.shape}. "
                    "Resume with the data of the run."
                )
            states = np.unpackbits(completions, axis=1, count=self.n_visible)
        return np.where(self._missing, states, 0).astype(np.uint8)
