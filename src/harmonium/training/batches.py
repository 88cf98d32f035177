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
from harmonium.engines.records import FloatArray
from harmonium.errors import InvalidData, InvalidParameter
from harmonium.random import Key
from harmonium.rows import Rows
from harmonium.training.config import Config

_ROWS = 1000  # that come to the host at a time
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


class Epoch(NamedTuple):
    """The data of an epoch, as the engine holds them.

    Attributes
    ----------
    number : int
    v : States or Reals of shape (n_samples, n_visible)
        What is missing is where it stands.
    missing : States of that shape, or None
    order : int array of shape (n_samples,), or None
        The rows in the order of the batches, where it is needed beside the table of it.
    table
        That order, as `harmonium.engines.Engine.table` gives it.
    """

    number: int
    v: States | Reals
    missing: States | None
    order: npt.NDArray[np.intp] | None
    table: Any


class Batches:
    """The batches of a run. A batch depends on the key, the step, and where missing entries were before it.

    Parameters
    ----------
    rows : Rows
        As `harmonium.datasets.binarize.as_learnt` gives them; each with a weight above zero, if they have weights.
    config : Config
        For ``batch_size`` and ``binarize``.
    key : Key
        That of the run.
    completions : uint8 array of shape (n_samples, ceil(n_visible / 8)), optional
        Where the missing entries stand, as the method of that name gave it; drawn from the means of the columns if
        left out.

    Attributes
    ----------
    rows : Rows
    n_samples, n_visible, n_batches : int
    totals : pair of float64 arrays of shape (n_visible,)
        Those of the rows.
    data_means : float32 array of shape (n_visible,)
        Weighted means of what is observed; 1/2 where nothing is.

    Raises
    ------
    InvalidData
        Nothing is observed at all.
    InvalidParameter
        `completions` do not fit the data.
    """

    def __init__(self, rows: Rows, config: Config, key: Key, completions: npt.NDArray[np.uint8] | None = None) -> None:
        self.rows = rows
        self.n_samples, self.n_visible = rows.X.shape
        self.n_batches = -(-self.n_samples // config.batch_size)
        self._batch_size, self._key = config.batch_size, key
        if rows.missing is not None and rows.missing.all():
            raise InvalidData("X must hold at least one observed entry. Got only NaN. Check how it was made.")
        self._drawn_anew = config.binarize == "sample" and not rows.is_binary
        self.totals = total, count = rows.totals
        means = np.divide(total, count, where=count > 0, out=np.full(self.n_visible, 0.5))
        self.data_means: npt.NDArray[np.float32] = means.astype(np.float32)
        self._start = self._started(completions)
        self._epoch: Epoch | None = None

    def completions(self, engine: Engine) -> npt.NDArray[np.uint8] | None:
        """Where the missing entries stand, for a checkpoint: rows of bits, as `numpy.packbits` makes them.

        Shape (n_samples, ceil(n_visible / 8)), zero where nothing is missing; None if that is everywhere.
        """
        if self.rows.missing is None:
            return None
        if self._epoch is None:
            return self._start
        packed = np.empty((self.n_samples, -(-self.n_visible // 8)), np.uint8)
        for start in range(0, self.n_samples, _ROWS):
            rows = np.arange(start, min(start + _ROWS, self.n_samples))
            now = engine.to_numpy(engine.take(self._epoch.v, rows))
            packed[rows] = np.packbits((now > 0) & self.rows.missing[rows], axis=1)
        return packed

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
        epoch, part = self._epoch_of(engine, step), slice(number * self._batch_size, (number + 1) * self._batch_size)
        rows = epoch.table[part]
        v = engine.take(epoch.v, rows)
        if epoch.missing is not None:  # which go one sweep further, and stay there
            state, free = GibbsState(v, step * SWEEPS), engine.take(epoch.missing, rows)
            v = gibbs.run(engine, state, self._key.derive("missing"), SWEEPS, free=free).v
            engine.put(epoch.v, rows, v)
        if epoch.order is None or self.rows.weights is None:
            return Batch(v)
        weights = self.rows.weights[epoch.order[part]]
        return Batch(v, weights.astype(np.float32), float(weights.mean() / self.rows.weights.mean()))

    def several(self, engine: Engine, step: int, most: int) -> tuple[States | Reals, Any] | None:
        """The data, and the rows of at most so many batches from `step` on, shape (batches, rows).

        None if that is less than two, or batches are more than rows: weighted, to be filled in, or short.
        """
        size, number = self._batch_size, step % self.n_batches
        n = min(most, self.n_samples // size - number)
        if n < 2 or self.rows.missing is not None or self.rows.weights is not None:
            return None
        epoch = self._epoch_of(engine, step)
        return epoch.v, epoch.table[number * size : (number + n) * size].reshape(n, size)

    def _epoch_of(self, engine: Engine, step: int) -> Epoch:
        number, last = step // self.n_batches, self._epoch
        if last is None or last.number != number:
            key, order = self._key.derive("order", number), None
            if self.rows.weights is None:
                table = engine.permutation(key, self.n_samples)
            else:
                order = key.permutation(self.n_samples)
                table = engine.table(order)
            self._epoch = last = Epoch(number, *self._encoded(engine, number, last), order, table)
        return last

    def _encoded(self, engine: Engine, number: int, last: Epoch | None) -> tuple[States | Reals, States | None]:
        """The entries and the mask of the missing ones as the engine holds them."""
        if last is not None and not self._drawn_anew:
            return last.v, last.missing
        X = self.rows.X
        if self._drawn_anew:
            v = engine.draw(X, self._key.derive("data", number))
        else:
            v = engine.encode(X.astype(np.uint8, copy=False)) if self.rows.is_binary else engine.encode(X, real=True)
        if self.rows.missing is None:
            return v, None
        if last is not None:
            return engine.overwrite(v, last.missing, last.v), last.missing
        assert self._start is not None
        missing = engine.encode(self.rows.missing.astype(np.uint8))
        start = np.unpackbits(self._start, axis=1, count=self.n_visible)
        self._start = None
        return engine.overwrite(v, missing, engine.encode(start)), missing

    def _started(self, completions: npt.NDArray[np.uint8] | None) -> npt.NDArray[np.uint8] | None:
        if self.rows.missing is None:
            if completions is not None:
                raise InvalidParameter(
                    "Completions must come with missing data. Got some, and no NaN. Resume with the data of the run."
                )
            return None
        if completions is None:
            means = np.broadcast_to(self.data_means, self.rows.X.shape)
            states = states_of(means, "sample", self._key.derive("completions"))
        else:
            shape = (self.n_samples, -(-self.n_visible // 8))
            if completions.shape != shape or completions.dtype != np.uint8:
                raise InvalidParameter(
                    f"Completions must be bytes of shape {shape}. Got {completions.dtype} {completions.shape}. "
                    "Resume with the data of the run."
                )
            states = np.unpackbits(completions, axis=1, count=self.n_visible)
        return np.packbits(np.where(self.rows.missing, states, 0).astype(np.uint8), axis=1)
