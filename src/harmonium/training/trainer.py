"""A training run: a fold of one step over shuffled mini-batches, whose state is complete at every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.engines import Engine, Phase, Velocity, make_engine
from harmonium.errors import InvalidData, InvalidParameter
from harmonium.inputs import check_matrix, check_weights, is_binary
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.training.batches import Batches, set_aside
from harmonium.training.config import Config
from harmonium.training.estimators import PERSISTENT, first_chains, make_estimator
from harmonium.training.monitors import Monitor, Report
from harmonium.training.optimizer import Optimizer
from harmonium.training.steering import Steering
from harmonium.training.step import advance


@dataclass(frozen=True)
class TrainingState:
    """Everything that the rest of a run depends on, besides its data, its `Config` and its history.

    Attributes
    ----------
    rbm : RBM
    velocity : Velocity
    chains : uint8 array of shape (chains, n_hidden), or None
        Hidden states of the persistent chains of "pcd" and "fpcd".
    step : int
        Mini-batches done, over all epochs.
    extras : mapping of arrays
        What else the method, the optimiser, missing data and early stopping go on from, by name.
    """

    rbm: RBM
    velocity: Velocity
    chains: npt.NDArray[np.uint8] | None
    step: int
    extras: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochRecord(Report):
    """One line of a run's history: a `Report`, and what led to it.

    Attributes
    ----------
    epoch : int
        Epochs done.
    step : int
        Mini-batches done.
    learning_rate : float
        At the end of the epoch.
    weight_decay : float
        What it was up to here; where held-out data steer, it may be raised next.
    best_epoch : int or None
        The epoch whose machine has the best held-out score so far, 0 for the first machine; None where nothing steers.
    seconds : float
        Time spent in training since the last record, without monitoring.
    samples_per_second : float
    """

    epoch: int = 0
    step: int = 0
    learning_rate: float = 0.0
    weight_decay: float | None = None
    best_epoch: int | None = None
    seconds: float = 0.0
    samples_per_second: float = 0.0


class TrainingRun:
    """A run that can be advanced step by step or epoch by epoch, stopped anywhere, and continued bit for bit.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_visible), values in [0, 1]
        NaN where an entry is missing.
    config : Config
    valid : array-like of shape (any, n_visible), optional
        Held-out data for the monitor; they steer where ``config.patience`` says so.
    initial : RBM, optional
        The machine of a fresh start; `RBM.initialise` of the data if left out.
    state : TrainingState, optional
        Where to continue; a fresh start if left out.
    sample_weight : array-like of shape (n_samples,), optional
        How often each row counts.
    history : iterable of records
        The records of a run that continues, which alarms look back on.

    Attributes
    ----------
    config : Config
        With what was left out chosen.
    held_out_rows : int array
        The rows of `X` that were set aside, in order; empty if none were.

    Raises
    ------
    InvalidData
        `X`, `valid`, `sample_weight` or `initial` breaks the input contract.
    InvalidParameter
        `state` does not fit the data or `config`; or held-out data are set aside beside `valid`, or are none, or are
        grey, where there is to be patience.
    """

    def __init__(
        self,
        X: Any,
        config: Config,
        *,
        valid: Any = None,
        initial: RBM | None = None,
        state: TrainingState | None = None,
        sample_weight: Any = None,
        history: Iterable[Any] = (),
    ) -> None:
        self._key = Key(config.seed)
        config, X, sample_weight, valid = self._set_aside(config, X, sample_weight, valid)
        completions = None if state is None else state.extras.get("completions")
        batches = self._batches = Batches(X, config, self._key, sample_weight, completions)
        if config.data_moments and batches.completions is not None:
            raise InvalidParameter(
                "data_moments must be off for data with missing entries. Got NaN in X. Leave it out."
            )
        self.config = config
        self.n_batches = batches.n_batches
        self.n_steps = self.n_batches * config.n_epochs
        fresh = state is None
        if state is None:
            state = self._fresh_state(initial)
        self._check(state)
        self.engine: Engine = make_engine(state.rbm, config.engine, state.velocity)
        arrays = dict(state.extras) if state.chains is None else {**state.extras, "chains": state.chains}
        self._estimator = make_estimator(config, self._key, self.engine, batches.data_means, batches.n_samples, arrays)
        self._optimizer = Optimizer(config, batches.data_means, arrays)
        self._step = state.step
        self._steering = None if fresh or not config.patience else Steering.resume(config, arrays)
        start = 0 if self._steering is None else self._steering.start
        self._monitor = Monitor(batches.X, valid, config, self._key.derive("monitor"), history, start)
        if fresh and config.patience:
            self._steering = Steering.begin(config, self.rbm, *self._monitor.score(self.engine))
        if self._steering is not None:
            self._optimizer.weight_decay = self._steering.decay

    def _set_aside(
        self, config: Config, X: Any, sample_weight: Any, valid: Any
    ) -> tuple[Config, npt.NDArray[Any], npt.NDArray[np.float64] | None, Any]:
        """The choices for these data; what is trained on, and what is held out."""
        X = check_matrix(X, allow_nan=True)
        weights = check_weights(sample_weight, len(X))
        grey = config.binarize == "none" and not is_binary(X[~np.isnan(X)] if X.dtype.kind == "f" else X)
        if weights is not None and config.held_out is None:
            config = replace(config, held_out=0)
        if grey and config.patience is None:
            config = replace(config, patience=0)
        config = config.for_data(len(X), X.shape[1], valid=valid is not None)
        if config.patience and (grey or (valid is None and not config.held_out)):
            got = "grey levels as they are" if grey else f"patience {config.patience} and no held-out rows"
            raise InvalidParameter(
                f"patience must come with held-out data whose likelihood can be told. Got {got}. "
                "Pass valid data, binarise, or set patience to 0."
            )
        if config.held_out and (valid is not None or config.held_out >= len(X)):
            got = "held-out data as well" if valid is not None else f"{config.held_out} of {len(X)}"
            raise InvalidParameter(
                "held_out must be less than the rows of the data, and 0 where held-out data come with them. "
                f"Got {got}. Set fewer aside."
            )
        train, self.held_out_rows = set_aside(len(X), config.held_out or 0, self._key)
        if len(self.held_out_rows):
            valid, X = X[self.held_out_rows], X[train]
            weights = None if weights is None else check_weights(weights[train], len(X))
        return config, X, weights, valid

    def _fresh_state(self, initial: RBM | None) -> TrainingState:
        config, n_visible = self.config, self._batches.n_visible
        rbm = initial
        if rbm is None:
            batches = self._batches
            X = batches.as_learnt()
            rbm = RBM.initialise(X, config.n_hidden, self._key, sample_weight=batches.sample_weight)
        zero = Velocity(*(np.zeros(x.shape, np.float32) for x in (rbm.W, rbm.b, rbm.c)))
        if rbm.n_visible != n_visible:
            raise InvalidData(
                f"initial must have {n_visible} visible units. Got {rbm.n_visible}. Pass a fitting machine."
            )
        return TrainingState(rbm, zero, first_chains(config, self._key), 0)

    def _check(self, state: TrainingState) -> None:
        config, n_visible = self.config, self._batches.n_visible
        if state.rbm.n_visible != n_visible or state.rbm.n_hidden != config.n_hidden:
            raise InvalidParameter(
                f"The machine must have {n_visible} visible and {config.n_hidden} hidden units. "
                f"Got {state.rbm.n_visible} and {state.rbm.n_hidden}. Resume with the data and n_hidden of the run."
            )
        if (state.chains is None) == (config.method in PERSISTENT):
            got = "no chains" if state.chains is None else "chains"
            raise InvalidParameter(
                f"The state must hold chains for methods {' and '.join(PERSISTENT)}, and none for others. Got {got} "
                f"and method {config.method}. Resume with the method of the run."
            )

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
    def finished(self) -> bool:
        """Whether all steps are done, or early stopping has ended the run."""
        return self._step >= self.n_steps or (self._steering is not None and self._steering.stopped)

    @property
    def due(self) -> bool:
        """Whether the present step ends an epoch that is recorded."""
        epoch, rest = divmod(self._step, self.n_batches)
        return rest == 0 and (epoch >= self.config.n_epochs or self._monitor.due(epoch))

    @property
    def state(self) -> TrainingState:
        """A copy of the complete state, from which another run continues exactly as this one would."""
        extras = {**self._estimator.arrays(self.engine), **self._optimizer.arrays(self.engine)}
        chains = extras.pop("chains", None)
        if self._batches.completions is not None:
            extras["completions"] = self._batches.completions
        if self._steering is not None:
            extras |= self._steering.arrays()
        return TrainingState(self.engine.rbm, self.engine.velocity, chains, self._step, extras)

    def steps(self) -> Iterator[int]:
        """Advance by mini-batches, yielding the number of steps done after each, until the run's end."""
        while not self.finished:
            self._advance()
            yield self._step

    def epochs(self, on_step: Callable[[int], None] | None = None) -> Iterator[EpochRecord]:
        """Advance to the run's end, yielding a record after each epoch that is recorded (`due`).

        Where epochs are so short that looking at the machine would take longer than training it, some are passed over;
        the first and the last never are. `on_step` is called with the number of steps done after each; what it raises
        stops the run there, with its `state` complete.
        """
        while not self.finished:
            first, start = self._step, time.perf_counter()
            while self._step == first or not (self.due or self.finished):
                self._advance()
                if on_step is not None:
                    on_step(self._step)
            yield self._record(first, time.perf_counter() - start)

    def _record(self, first: int, seconds: float) -> EpochRecord:
        report = self._monitor.report(self.engine, self._step, self.epoch)
        decay = self._optimizer.weight_decay
        if self._steering is not None:
            self._steer(self._steering, report)
        return EpochRecord(
            train=report.train,
            valid=report.valid,
            weights=report.weights,
            chains=report.chains,
            alarms=report.alarms,
            epoch=self.epoch,
            step=self._step,
            learning_rate=self._learning_rate(self._step - 1),
            weight_decay=decay,
            best_epoch=None if self._steering is None else self._steering.epoch,
            seconds=seconds,
            samples_per_second=(self._n_samples_before(self._step) - self._n_samples_before(first)) / seconds,
        )

    def _steer(self, steering: Steering, report: Report) -> None:
        """Keep the best machine; go back to it where the run overfits, and in the end."""
        if steering.see(self.rbm, report.train, report.valid, self.epoch):
            self._optimizer.weight_decay = steering.decay
            self._monitor.start_over(self.epoch)
            self.engine.replace(steering.best)
        if self.finished:
            self.engine.replace(steering.best)

    def _n_samples_before(self, step: int) -> int:
        epoch, batch = divmod(step, self.n_batches)
        return epoch * self._batches.n_samples + batch * self.config.batch_size

    def _learning_rate(self, step: int) -> float:
        return self.config.learning_rate_at(step / self.n_steps)

    def _advance(self) -> None:
        """One step: the statistics of a batch, those of the model, and one move along the difference."""
        engine, step = self.engine, self._step
        batch = self._batches.at(engine, step)
        negative = advance(engine, batch, self._estimator, self._optimizer, self._learning_rate(step), step)
        self._step += 1
        side = negative.side if isinstance(negative.side, Phase) else None
        self._monitor.observe(self._step, engine, side, negative.logits, negative.swaps)
