"""A training run: a fold of one step over shuffled mini-batches, whose state is complete at every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets.binarize import as_learnt, describe_blank
from harmonium.engines import Engine, Phase, Velocity, find_engine, make_engine
from harmonium.errors import InvalidData, InvalidParameter
from harmonium.initial import bias_of_means, initial_parameters
from harmonium.inputs import check_rows
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.rows import Rows
from harmonium.training.alarms import unmixed
from harmonium.training.batches import Batches, set_aside
from harmonium.training.config import Config
from harmonium.training.estimators import PERSISTENT, first_chains, make_estimator
from harmonium.training.gain import Gain, independent_units
from harmonium.training.monitors import Monitor, Report
from harmonium.training.optimizer import Optimizer
from harmonium.training.steering import Steering
from harmonium.training.step import advance, advance_several

_NOT_TOLD = (
    "held-out rows are likelier by {} nats under the best machine than under independent units, which may be chance: "
    "the run ends with independent units; more rows would tell, and patience 0 keeps what is learnt"
)


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

    Examples
    --------
    >>> import harmonium
    >>> X = [[1, 0], [1, 1], [0, 0]] * 10
    >>> run = harmonium.TrainingRun(X, harmonium.Config(1, epochs=1))
    >>> run.state.step, run.state.rbm.W.shape
    (0, (1, 2))
    """

    rbm: RBM
    velocity: Velocity
    chains: npt.NDArray[np.uint8] | None
    step: int
    extras: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"TrainingState({self.rbm!r}, step={self.step})"


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
    gain : Gain or None
        In the last record of a run that held-out data steer: how much likelier these are under the best machine than
        under independent units. Where that may be chance (``not gain.is_told``), the run ends with independent units.
    independent : bool
        Whether it did.
    seconds : float
        Time spent in training since the last record, without monitoring.
    samples_per_second : float

    Examples
    --------
    >>> import harmonium
    >>> X = [[1, 0], [1, 1], [0, 0]] * 10
    >>> result = harmonium.train(X, 1, epochs=3)
    >>> result.history[-1].epoch
    3
    """

    epoch: int = 0
    step: int = 0
    learning_rate: float = 0.0
    weight_decay: float | None = None
    best_epoch: int | None = None
    gain: Gain | None = None
    independent: bool = False
    seconds: float = 0.0
    samples_per_second: float = 0.0

    def __repr__(self) -> str:
        words = [f"epoch {self.epoch}", f"step {self.step}", *self.scores_in_words()]
        return f"EpochRecord({', '.join(words)}, alarms: {'; '.join(self.alarms) or 'none'})"


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
    blank : str or None
        Why nothing can be learnt from `X`.

    Raises
    ------
    InvalidData
        `X`, `valid`, `sample_weight` or `initial` breaks the input contract.
    InvalidParameter
        `state` does not fit the data or `config`; or held-out data are set aside beside `valid`, or are none
        where there is to be patience.

    Examples
    --------
    >>> import harmonium
    >>> X = [[1, 0], [1, 1], [0, 0]] * 10
    >>> run = harmonium.TrainingRun(X, harmonium.Config(1, epochs=3))
    >>> for record in run.epochs():
    ...     epoch = record.epoch
    >>> epoch, run.finished, run.rbm
    (3, True, RBM(n_hidden=1, n_visible=2, float32))
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
        config, train, held_out = self._choose(config, X, sample_weight, valid)
        completions = None if state is None else state.extras.get("completions")
        batches = self._batches = Batches(train, config, self._key, completions)
        if config.data_moments and train.missing is not None:
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
        self._step, self._leg = state.step, state.extras.get("leg")  # of `harmonium.training.longer`
        self._first = 0 if self._leg is None else int(self._leg[0])
        of_data, steps = (batches.data_means, batches.n_samples), range(self._first, self.n_steps)
        self._estimator = make_estimator(config, self._key, self.engine, *of_data, arrays, steps)
        self._optimizer = Optimizer(config, batches.data_means, arrays)
        self._steering = None if fresh or not config.patience else Steering.resume(config, arrays)
        start = self._first // self.n_batches if self._steering is None else self._steering.start
        self._monitor = Monitor(train, held_out, config, self._key.derive("monitor"), history, start)
        if fresh and config.patience:
            self._steering = Steering.begin(config, self.rbm, *self._monitor.score(self.engine))
        if self._steering is not None:
            self._optimizer.weight_decay = self._steering.decay

    def _choose(self, config: Config, X: Any, sample_weight: Any, valid: Any) -> tuple[Config, Rows, Rows | None]:
        """The choices for these data; what is trained on, and what is held out, as they are learnt."""
        rows = check_rows(X, sample_weight=sample_weight)
        n_samples, n_visible = rows.X.shape
        given = None if valid is None else check_rows(valid, n_columns=n_visible, name="valid")
        rows = as_learnt(rows, config.binarize)
        if rows.weights is not None and config.held_out is None:
            config = replace(config, held_out=0)
        config = config.for_data(n_samples, n_visible, valid=valid is not None)
        if config.patience and valid is None and not config.held_out:
            raise InvalidParameter(
                f"patience must come with held-out data. Got patience {config.patience} and no held-out rows. "
                "Pass valid data, set rows aside with held_out, or set patience to 0."
            )
        if config.held_out and (valid is not None or config.held_out >= n_samples):
            got = "held-out data as well" if valid is not None else f"{config.held_out} of {n_samples}"
            raise InvalidParameter(
                "held_out must be less than the rows of the data, and 0 where held-out data come with them. "
                f"Got {got}. Set fewer aside."
            )
        learnt, self.held_out_rows = set_aside(n_samples, config.held_out or 0, self._key)
        if rows.weights is not None:
            learnt = learnt[rows.weights[learnt] > 0]
        train = rows if len(learnt) == n_samples else rows.take(learnt)
        held_out = rows.take(self.held_out_rows) if len(self.held_out_rows) else given
        self._totals, totals = train.totals, rows.totals
        self.blank = describe_blank(rows, config.binarize)
        self._independent = independent_units(totals, config.n_hidden) if config.patience else None
        return config, train, held_out

    def _fresh_state(self, initial: RBM | None) -> TrainingState:
        config, n_visible = self.config, self._batches.n_visible
        rbm, engine = initial, find_engine(config.engine)
        if rbm is None:
            rbm = RBM(*initial_parameters(self._totals, config.n_hidden, self._key, engine.bits))
        zero = Velocity(*(np.zeros(x.shape, np.float32) for x in (rbm.W, rbm.b, rbm.c)))
        if rbm.n_visible != n_visible:
            raise InvalidData(
                f"initial must have {n_visible} visible units. Got {rbm.n_visible}. Pass a fitting machine."
            )
        return TrainingState(rbm, zero, first_chains(config, self._key, engine), 0)

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
        if (completions := self._batches.completions(self.engine)) is not None:
            extras["completions"] = completions
        if self._steering is not None:
            extras |= self._steering.arrays()
        if self._leg is not None:
            extras["leg"] = self._leg
        return TrainingState(self.engine.rbm, self.engine.velocity, chains, self._step, extras)

    def steps(self) -> Iterator[int]:
        """Advance by mini-batches, yielding the number of steps done after each, until the run's end."""
        while not self.finished:
            self._advance()
            yield self._step

    def epochs(self, on_step: Callable[[int], None] | None = None, every: int = 1) -> Iterator[EpochRecord]:
        """Advance to the run's end, yielding a record after each epoch that is recorded (`due`).

        Where epochs are so short that looking at the machine would take longer than training it, some are passed over;
        the first and the last never are. `on_step` is called with the number of steps done after each, or after at most
        `every` of them, which an engine may make in one go; what it raises stops the run there, with its `state`
        complete.
        """
        while not self.finished:
            first, start = self._step, time.perf_counter()
            while self._step == first or not (self.due or self.finished):
                self._advance(self.n_steps if on_step is None else every)
                if on_step is not None:
                    on_step(self._step)
            yield self._record(first, time.perf_counter() - start)

    def _record(self, first: int, seconds: float) -> EpochRecord:
        report = self._monitor.report(self.engine, self._step, self.epoch)
        decay, gain = self._optimizer.weight_decay, None
        if self._steering is not None:
            gain = self._steer(self._steering, report)
        by_chance = gain is not None and not gain.is_told
        last = _NOT_TOLD.format(gain) if by_chance else unmixed(report) if self.finished else None
        return EpochRecord(
            train=report.train,
            valid=report.valid,
            weights=report.weights,
            chains=report.chains,
            alarms=report.alarms if last is None else (*report.alarms, last),
            epoch=self.epoch,
            step=self._step,
            learning_rate=self._learning_rate(self._step - 1),
            weight_decay=decay,
            best_epoch=None if self._steering is None else self._steering.epoch,
            gain=gain,
            independent=by_chance,
            seconds=seconds,
            samples_per_second=(self._n_samples_before(self._step) - self._n_samples_before(first)) / seconds,
        )

    def _steer(self, steering: Steering, report: Report) -> Gain | None:
        """Keep the best machine; go back to it where the run overfits, and in the end, if it is told from nothing."""
        if steering.see(self.rbm, report.train, report.valid, self.epoch):
            self._optimizer.weight_decay = steering.decay
            self._monitor.start_over(self.epoch)
            self.engine.replace(steering.best)
        if not self.finished:
            return None
        self.engine.replace(steering.best)
        gain = self._monitor.gain(self.engine, bias_of_means(*self._totals))
        if gain is not None and not gain.is_told and self._independent is not None:
            self.engine.replace(self._independent)
        return gain

    def _n_samples_before(self, step: int) -> int:
        epoch, batch = divmod(step, self.n_batches)
        return epoch * self._batches.n_samples + batch * self.config.batch_size

    def _learning_rate(self, step: int) -> float:
        return self.config.learning_rate_at((step - self._first) / (self.n_steps - self._first))

    def _advance(self, most: int = 1) -> None:
        """One step, or several that nobody looks at but the last."""
        engine, step = self.engine, self._step
        most = min(most, self._monitor.unobserved(step), self._estimator.most(step))
        several = self._batches.several(engine, step, most) if most > 1 else None
        negative, n = None, 1
        if several is not None:
            n = len(several[1])
            learning_rates = [self._learning_rate(step + i) for i in range(n)]
            negative = advance_several(engine, *several, self._estimator, self._optimizer, learning_rates, step)
        if negative is None:
            batch, n = self._batches.at(engine, step), 1
            negative = advance(engine, batch, self._estimator, self._optimizer, self._learning_rate(step), step)
        self._step += n
        side = negative.side if isinstance(negative.side, Phase) else None
        self._monitor.observe(self._step, engine, side, negative.logits, negative.swaps)
