"""What is watched while a machine is trained: scores, weights, hidden units and chains, at a small price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from harmonium.engines import Engine, Phase
from harmonium.engines.engine import FloatArray
from harmonium.inputs import check_matrix
from harmonium.likelihood import LogPartition, log_partition
from harmonium.random import Key
from harmonium.rbm import RBM, bias_of_means
from harmonium.training.alarms import alarms
from harmonium.training.config import Config
from harmonium.training.health import weight_health
from harmonium.training.mixing import ChainWindow, n_distinct
from harmonium.training.pace import BRACKET_CHAINS, BRACKET_TEMPERATURES, pace_of
from harmonium.training.reports import Report, read_reports
from harmonium.training.scores import Scores, Subset, complete_rows

__all__ = ["Monitor", "Report", "Scores"]


class Monitor:
    """Watches one run.

    Scores are of the same few hundred rows every time, and of complete ones only. Nothing depends on the clock, so
    that a resumed run gives the same scores, weights and brackets at the same step. What is said of the chains, alarms
    about them included, covers the steps since the last report or since the run was resumed, whichever is later: it is
    the same for a run that is resumed where a report was made.

    Parameters
    ----------
    X : array of shape (n_samples, n_visible), values in [0, 1], or NaN where missing
    valid : array-like of shape (any, n_visible), optional
    config : Config
    key : Key
    history : iterable of records
        The earlier records of a resumed run: objects, or dictionaries as ``history.jsonl`` holds them, with the fields
        of `Report`; what one lacks is unknown.
    """

    def __init__(self, X: Any, valid: Any, config: Config, key: Key, history: Iterable[Any] = ()) -> None:
        X = check_matrix(X, allow_nan=True)
        n_samples, n_visible = X.shape
        self._config, self._key = config, key
        self._train = _subset(X, config, key, "train")
        self._valid = None
        if valid is not None:
            checked = check_matrix(valid, n_columns=n_visible, name="valid", allow_nan=True)
            self._valid = _subset(checked, config, key, "valid")
        sets = [x for x in (self._train, self._valid) if x is not None]
        rows, pseudo_rows = sum(len(x) for x in sets), sum(x.n_pseudo_rows for x in sets)
        self._pace = pace_of(config, n_samples, n_visible, rows, pseudo_rows)
        self._window = self._new_window()
        self._history = read_reports(history)
        self._independent = self._distinct = None
        if self._train is not None:
            shown = self._train.X
            b = bias_of_means(shown.sum(axis=0, dtype=float), len(shown))
            self._independent = self._train.independent_score(b)
            if self._train.is_binary:
                self._distinct = n_distinct(shown[: config.n_chains].astype("uint8"))

    def due(self, epoch: int) -> bool:
        """Whether a report is to be made after so many epochs: the first, the last, and as many as are cheap enough."""
        every, left = self._pace.report, self._config.n_epochs - epoch
        return epoch <= 1 or left <= 0 or (epoch % every == 0 and left >= every // 2)

    def observe(
        self,
        step: int,
        engine: Engine,
        negative: Phase | None,
        logits: FloatArray | None,
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
        logits : float array of shape (chains, n_hidden), or None
            Wv + c of its states; None without persistent chains.
        swaps : float array of shape (temperatures - 1,), or None
            Acceptance between neighbouring temperatures.
        """
        self._window.observe(step, engine, negative, logits, swaps)

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
        log_z = self._log_z(rbm, step, epoch)
        train, logits = self._look(self._train, engine, rbm, log_z)
        valid, _ = self._look(self._valid, engine, rbm, log_z)
        weights = weight_health(rbm, velocity, logits, self._key.derive("spectrum"))
        found = Report(train, valid, weights, chains)
        found = replace(found, alarms=alarms([*self._history, found], self._independent))
        self._history.append(found)
        return found

    def _new_window(self) -> ChainWindow:
        return ChainWindow(self._pace.look, self._config.sweeps, self._key.derive("directions"))

    def _look(
        self, subset: Subset | None, engine: Engine, rbm: RBM, log_z: LogPartition | None
    ) -> tuple[Scores | None, FloatArray | None]:
        """Scores on a subset, and the rows' Wv + c."""
        if subset is None:
            return None, None
        states = engine.visible(subset.X)
        logits = engine.logits_h(states)
        return subset.score(engine, rbm, states, logits, self._key.derive("reconstruction"), log_z), logits

    def _log_z(self, rbm: RBM, step: int, epoch: int) -> LogPartition | None:
        pace, engine = self._pace, self._config.engine
        if pace.exact:
            return log_partition(rbm, engine=engine)
        if pace.bracket == 0 or (epoch % pace.bracket and epoch < self._config.n_epochs) or self._train is None:
            return None
        key = self._key.derive("log z", step)
        return log_partition(
            rbm,
            "ais",
            data=self._train.X,
            chains=BRACKET_CHAINS,
            temperatures=BRACKET_TEMPERATURES,
            seed=key,
            engine=engine,
        )


def _subset(X: npt.NDArray[Any], config: Config, key: Key, name: str) -> Subset | None:
    """What is scored of a set; None if no row of it is complete."""
    rows = complete_rows(X)
    return Subset(rows, config.binarize, key, key.derive(name)) if len(rows) else None
