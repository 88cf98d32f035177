"""A training run: a fold of one step over shuffled mini-batches, whose state is complete at every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets import binarize
from harmonium.engines import Engine, Phase, States, Velocity, make_engine
from harmonium.errors import InvalidData, InvalidParameter
from harmonium.inputs import check_matrix, is_binary
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.training.config import Config
from harmonium.training.monitors import Monitor, Scores
from harmonium.training.negative import HIDDEN, run_negative


@dataclass(frozen=True)
class TrainingState:
    """Everything that the rest of a run depends on, besides its data and its `Config`.

    Attributes
    ----------
    rbm : RBM
    velocity : Velocity
    chains : uint8 array of shape (chains, n_hidden), or None
        Hidden states of the persistent chains.
    step : int
        Mini-batches done, over all epochs.
    """

    rbm: RBM
    velocity: Velocity
    chains: npt.NDArray[np.uint8] | None
    step: int


@dataclass(frozen=True)
class EpochRecord:
    """One line of a run's history.

    Attributes
    ----------
    epoch : int
        Epochs done.
    step : int
        Mini-batches done.
    learning_rate : float
        At the end of the epoch.
    seconds : float
        Time spent in training this epoch, without monitoring.
    samples_per_second : float
    train, valid : Scores or None
    """

    epoch: int
    step: int
    learning_rate: float
    seconds: float
    samples_per_second: float
    train: Scores
    valid: Scores | None


class TrainingRun:
    """A run that can be advanced step by step or epoch by epoch, stopped anywhere, and continued bit for bit.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_visible), values in [0, 1]
    config : Config
    valid : array-like of shape (any, n_visible), optional
        Held-out data for the monitor; it never influences the training.
    initial : RBM, optional
        The machine of a fresh start; `RBM.initialise` of the data if left out.
    state : TrainingState, optional
        Where to continue; a fresh start if left out.

    Raises
    ------
    InvalidData
        `X`, `valid` or `initial` breaks the input contract.
    InvalidParameter
        `state` does not fit the data or `config`.
    """

    def __init__(
        self,
        X: Any,
        config: Config,
        *,
        valid: Any = None,
        initial: RBM | None = None,
        state: TrainingState | None = None,
    ) -> None:
        self.config = config
        self._X = check_matrix(X)
        self._X_is_binary = is_binary(self._X)
        self._key = Key(config.seed)
        self._positive_key, self._negative_key, self._chains_key = (
            self._key.derive(name) for name in ("positive", "negative", "chains")
        )
        self.n_batches = -(-len(self._X) // config.batch_size)
        self.n_steps = self.n_batches * config.epochs
        if state is None:
            state = self._fresh_state(initial)
        if state.rbm.n_visible != self._X.shape[1] or state.rbm.n_hidden != config.n_hidden:
            raise InvalidParameter(
                f"The machine must have {self._X.shape[1]} visible and {config.n_hidden} hidden units. "
                f"Got {state.rbm.n_visible} and {state.rbm.n_hidden}. Resume with the data and n_hidden of the run."
            )
        if (state.chains is None) != (config.method == "cd"):
            got = "no chains" if state.chains is None else "chains"
            raise InvalidParameter(
                f"The state must hold chains for method pcd, and none for cd. Got {got} and method {config.method}. "
                "Resume with the method of the run."
            )
        self.engine: Engine = make_engine(state.rbm, config.engine, state.velocity)
        self._chains: States | None = None if state.chains is None else self.engine.encode(state.chains)
        self._step = state.step
        self._epoch_data: tuple[int, Any, npt.NDArray[np.intp]] | None = None
        self._monitor = Monitor(self._X, valid, config, self._key.derive("monitor"))

    def _fresh_state(self, initial: RBM | None) -> TrainingState:
        config, n_visible = self.config, self._X.shape[1]
        rbm = RBM.initialise(self._X, config.n_hidden, self._key) if initial is None else initial
        zero = Velocity(*(np.zeros(x.shape, np.float32) for x in (rbm.W, rbm.b, rbm.c)))
        chains = None
        if config.method == "pcd":
            shape = (config.chains, config.n_hidden)
            chains = (self._key.derive("first chains").uniform(*shape) < 0.5).astype(np.uint8)
        if rbm.n_visible != n_visible:
            raise InvalidData(
                f"initial must have {n_visible} visible units. Got {rbm.n_visible}. Pass a fitting machine."
            )
        return TrainingState(rbm, zero, chains, 0)

    @property
    def rbm(self) -> RBM:
        """The machine as it is now."""
        return self.engine.rbm

    @property
    def step(self) -> int:
        """Mini-batches done."""
        return self._step

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self._step // self.n_batches

    @property
    def state(self) -> TrainingState:
        """A copy of the complete state, from which another run continues exactly as this one would."""
        chains = None if self._chains is None else self.engine.decode(self._chains)
        return TrainingState(self.engine.rbm, self.engine.velocity, chains, self._step)

    def steps(self) -> Iterator[int]:
        """Advance by mini-batches, yielding the number of steps done after each, until the run's end."""
        while self._step < self.n_steps:
            self._advance()
            yield self._step

    def epochs(self, on_step: Callable[[int], None] | None = None) -> Iterator[EpochRecord]:
        """Advance by epochs, yielding a record of scores after each, until the run's end.

        `on_step` is called with the number of steps done after each; what it raises stops the run there, with its
        `state` complete.
        """
        while self._step < self.n_steps:
            first, start = self._step, time.perf_counter()
            for _ in range(self.n_batches - self._step % self.n_batches):
                self._advance()
                if on_step is not None:
                    on_step(self._step)
            seconds = time.perf_counter() - start
            yield self._record(seconds, len(self._X) - first % self.n_batches * self.config.batch_size)

    def _record(self, seconds: float, n_samples: int) -> EpochRecord:
        train, valid = self._monitor.score(self.rbm)
        return EpochRecord(
            epoch=self.epoch,
            step=self._step,
            learning_rate=self._learning_rate(self._step - 1),
            seconds=seconds,
            samples_per_second=n_samples / seconds,
            train=train,
            valid=valid,
        )

    def _learning_rate(self, step: int) -> float:
        return self.config.learning_rate_at(step / self.n_steps)

    def _advance(self) -> None:
        """One step: the positive statistics of a batch, the negative chains, and one move along the difference."""
        engine, config, step = self.engine, self.config, self._step
        v = self._batch(step)
        logits = engine.logits_h(v)
        start = self._chains
        if start is None:
            start = engine.bernoulli(logits, self._positive_key.on(HIDDEN).at(step))
        negative, last_logits = run_negative(
            engine,
            start,
            self._negative_key,
            sweeps=config.sweeps,
            step=step,
            mean_field=config.last_statistic == "mean_field",
        )
        if self._chains is not None:
            self._chains = engine.bernoulli(last_logits, self._chains_key.on(HIDDEN).at(step))
        positive = Phase(v, engine.mean(logits))
        engine.ascend(positive, negative, self._learning_rate(step), config.momentum, config.weight_decay)
        self._step += 1

    def _batch(self, step: int) -> States:
        epoch, number = divmod(step, self.n_batches)
        if self._epoch_data is None or self._epoch_data[0] != epoch:
            order = self._key.derive("order", epoch).permutation(len(self._X))
            self._epoch_data = (epoch, self._encoded(epoch), order)
        _, data, order = self._epoch_data
        size = self.config.batch_size
        return self.engine.take(data, order[number * size : (number + 1) * size])

    def _encoded(self, epoch: int) -> States:
        """The data as the engine holds it; drawn anew each epoch under the "sample" policy."""
        policy = self.config.binarize
        if policy == "sample" and not self._X_is_binary:
            return self.engine.draw(self._X, self._key.derive("data", epoch))
        if self._epoch_data is not None:
            return self._epoch_data[1]
        return self.engine.visible(binarize(self._X, policy, self._key))
