"""What is watched while a machine is trained: scores, weights, hidden units and chains, at a small price."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from harmonium.engines import Engine, Phase, Reals
from harmonium.engines.records import FloatArray
from harmonium.initial import bias_of_means
from harmonium.likelihood import Estimate, log_partition
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.rows import Rows
from harmonium.training.alarms import alarms
from harmonium.training.config import Config
from harmonium.training.gain import Gain
from harmonium.training.health import weight_health
from harmonium.training.mixing import ChainWindow, n_distinct
from harmonium.training.monitoring_schedule import BRACKET_CHAINS, BRACKET_TEMPERATURES, monitoring_schedule
from harmonium.training.reports import Report, read_reports
from harmonium.training.scores import Scores, Subset, annealed_log_z

__all__ = ["Monitor", "Report", "Scores"]

GAIN_TEMPERATURES = 1000  # of log Z in the end
_UNSETTLED = 0.05  # of a run: its first steps, whose scores are no fault of its choices


class Monitor:
    """Watches one run.

    Scores are of the same few hundred rows every time. Nothing depends on the clock, so
    that a resumed run gives the same scores, weights and brackets at the same step. What is said of the chains, alarms
    about them included, covers the steps since the last report or since the run was resumed, whichever is later: it is
    the same for a run that is resumed where a report was made.

    Parameters
    ----------
    train : Rows
    valid : Rows, optional
    config : Config
    key : Key
    history : iterable of records
        The earlier records of a resumed run: objects, or dictionaries as ``history.jsonl`` holds them, with the fields
        of `Report`; what one lacks is unknown.
    start : int
        The epoch that the run went back to its best machine after; 0 if it never did.
    """

    def __init__(
        self,
        train: Rows,
        valid: Rows | None,
        config: Config,
        key: Key,
        history: Iterable[Any] = (),
        start: int = 0,
    ) -> None:
        n_samples, n_visible = train.X.shape
        self._config, self._key = config, key
        self._train = _subset(train, config, key, "train")
        self._valid = None if valid is None else _subset(valid, config, key, "valid")
        sets = [x for x in (self._train, self._valid) if x is not None]
        rows, pseudo_rows = sum(len(x) for x in sets), sum(x.n_pseudo_rows for x in sets)
        holed_rows = sum(len(x) for x in sets if not x.is_complete)
        self._schedule = monitoring_schedule(config, n_samples, n_visible, rows, pseudo_rows, holed_rows)
        self._window = self._new_window()
        self._start, self._history = start, list[Report]()
        self._independent = self._distinct = None
        if self._train is not None:
            self._base = bias_of_means(*self._train.totals)
            self._independent = self._train.independent_score(self._base)
            if self._train.is_binary and self._train.is_complete and config.chains is not None:
                self._distinct = n_distinct(self._train.X[: config.chains].astype("uint8"))
        past = list(history)
        self._history = [r for x, r in zip(past, read_reports(past), strict=True) if self._settled(_epoch_of(x))]

    def due(self, epoch: int) -> bool:
        """Whether a report is to be made after so many epochs: the first, the last, and as many as are cheap enough."""
        every, left = self._schedule.report, self._config.n_epochs - epoch
        return epoch <= 1 or left <= 0 or (self._schedule.due(epoch - self._start) and left >= every // 2)

    def start_over(self, epoch: int) -> None:
        """The run goes on from another machine: reports come closer again, and none before says what is wrong now."""
        self._start, self._history = epoch, []

    def _settled(self, epoch: float) -> bool:
        """Whether a run is so far that its scores say something about its choices: not in a schedule's first steps."""
        left = self._config.n_epochs - epoch
        return epoch > self._start and (left <= 0 or epoch - self._start >= _UNSETTLED * self._config.n_epochs)

    def observe(
        self,
        step: int,
        engine: Engine,
        negative: Phase | None,
        logits: Reals | None,
        swaps: FloatArray | None = None,
    ) -> None:
        """Look at the chains after a step of training; to be called after each.

        Parameters
        ----------
        step : int
            Steps done.
        engine : Engine
        negative : Phase or None
            The negative side of the step's gradient; None if it has no states.
        logits : Reals of shape (chains, n_hidden), or None
            Wv + c of its states; None without persistent chains.
        swaps : float array of shape (temperatures - 1,), or None
            Acceptance between neighbouring temperatures.
        """
        self._window.observe(step, engine, negative, logits, swaps)

    def unobserved(self, step: int) -> int:
        """The number of steps from `step` on of which `observe` may see the last only."""
        return sys.maxsize if self._config.method == "cd" else self._window.unobserved(step)

    def report(self, engine: Engine, step: int, epoch: int) -> Report:
        """The state of the run; the chains are watched anew from here on.

        Parameters
        ----------
        engine : Engine
            Holds the machine as it is.
        step, epoch : int
            Steps and epochs done.

        Raises
        ------
        InvalidParameter
            The parameters are no longer finite: the learning rate is too high.
        """
        rbm, velocity = engine.rbm, engine.velocity
        chains = self._window.report(engine, rbm, self._distinct)
        self._window = self._new_window()
        train, valid, logits = self._scores(engine, rbm, step, epoch)
        seen = None if logits is None else engine.to_numpy(logits)
        weights = weight_health(rbm, velocity, seen, self._key.derive("spectrum"))
        found = Report(train, valid, weights, chains)
        if not self._settled(epoch):
            return replace(found, alarms=alarms([found]))
        heeded = bool(self._config.patience)
        found = replace(found, alarms=alarms([*self._history, found], self._independent, heeded=heeded))
        self._history.append(found)
        return found

    def score(self, engine: Engine) -> tuple[Scores | None, Scores | None]:
        """Scores of training and of held-out data before the first step."""
        return self._scores(engine, engine.rbm, 0, 0)[:2]

    def gain(self, engine: Engine, b: FloatArray) -> Gain | None:
        """How much likelier held-out rows are under the machine in `engine` than under independent units.

        Parameters
        ----------
        engine : Engine
        b : float array of shape (n_visible,)
            Biases of the independent units.

        Returns
        -------
        Gain or None
            None where nothing is held out. Log Z is estimated anew, so that the estimates by which the machine was
            chosen have no say.
        """
        if self._valid is None:
            return None
        rbm, key = engine.rbm, self._key.derive("gain")
        if self._schedule.exact:
            log_z, error = float(log_partition(rbm, engine=engine.name)), 0.0
        else:
            log_z, error = annealed_log_z(rbm, b, key, engine.name, GAIN_TEMPERATURES)
        minus_f = self._valid.minus_free_energies(engine, rbm, self._key.derive("reconstruction"))
        return Gain.of(minus_f - log_z - self._valid.independent_scores(b), self._valid.sample_weight, error)

    def _new_window(self) -> ChainWindow:
        return ChainWindow(self._schedule.observation, self._config.n_sweeps, self._key.derive("directions"))

    def _scores(
        self, engine: Engine, rbm: RBM, step: int, epoch: int
    ) -> tuple[Scores | None, Scores | None, Reals | None]:
        """Scores on training and held-out data, and Wv + c of the training rows."""
        log_z = self._log_z(rbm, step, epoch)
        estimate = self._estimate_of_log_z(rbm, log_z, step) if self._config.patience else None
        key, found = self._key.derive("reconstruction"), list[Scores | None]()
        logits = None
        for subset in (self._valid, self._train):
            logits = None if subset is None else subset.logits(engine)
            found.append(None if subset is None else subset.score(engine, rbm, logits, key, log_z, estimate))
        valid, train = found
        return train, valid, logits

    def _estimate_of_log_z(self, rbm: RBM, log_z: Estimate | None, step: int) -> float | None:
        """By what held-out data steer: None where log Z is exact, and the states are the rows."""
        if self._train is None:
            return None
        if not self._schedule.exact:
            return annealed_log_z(rbm, self._base, self._key.derive("estimate", step), engine=self._config.engine)[0]
        return None if log_z is None or self._train.is_binary else log_z.value

    def _log_z(self, rbm: RBM, step: int, epoch: int) -> Estimate | None:
        schedule, engine = self._schedule, self._config.engine
        if schedule.exact:
            return log_partition(rbm, engine=engine)
        if schedule.bracket == 0 or self._train is None or not self._train.is_complete:
            return None
        if (epoch - self._start) % schedule.bracket and epoch < self._config.n_epochs:
            return None
        key = self._key.derive("log z", step)
        return log_partition(
            rbm,
            "ais",
            X=self._train.X,
            chains=BRACKET_CHAINS,
            temperatures=BRACKET_TEMPERATURES,
            seed=key,
            engine=engine,
        )


def _subset(rows: Rows, config: Config, key: Key, name: str) -> Subset | None:
    """What is scored of a set; None if nothing of it is observed."""
    if rows.missing is not None and rows.missing.all():
        return None
    return Subset(rows, config.binarize, key.derive(name, "rows"), key.derive(name))


def _epoch_of(record: Any) -> float:
    epoch: float = record.get("epoch", math.inf) if isinstance(record, Mapping) else getattr(record, "epoch", math.inf)
    return epoch
