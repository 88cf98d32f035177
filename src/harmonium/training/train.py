"""The one-line way to train."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from harmonium.engines import on_device
from harmonium.errors import DataWarning, TrainingAlarm
from harmonium.progress import Progress, check_progress
from harmonium.random import Key, as_seed
from harmonium.rbm import RBM
from harmonium.training.alarms import kind_of, last_alarms
from harmonium.training.config import Config
from harmonium.training.reports import kept_record
from harmonium.training.trainer import EpochRecord, TrainingRun


@dataclass(frozen=True)
class TrainingResult:
    """What `train` returns: the machine, the history of its making, and the choices that made it.

    Attributes
    ----------
    rbm : RBM
        Where held-out data steer, that of the last record's ``best_epoch``, or independent units (W = 0, c = 0, b of
        all rows) where that is told from them by no more than chance (``independent``).
    history : tuple of EpochRecord
    config : Config
        With what was left out chosen.
    held_out_rows : int array
        The rows of the data that were set aside to steer, in order; empty if none were.

    Examples
    --------
    >>> import harmonium
    >>> X = [[1, 0], [1, 1], [0, 0]] * 10
    >>> result = harmonium.train(X, 1, epochs=3)
    >>> result.rbm.W.shape, len(result.history)
    ((1, 2), 3)
    """

    rbm: RBM
    history: tuple[EpochRecord, ...]
    config: Config
    held_out_rows: npt.NDArray[np.intp]

    def __repr__(self) -> str:
        words = [repr(self.rbm), f"method={self.config.method!r}", f"{len(self.history)} records"]
        if self.history:
            last, kept = self.history[-1], kept_record(self.history)
            kept_epoch = "independent units after" if last.independent else f"epoch {last.best_epoch} of"
            words.append(f"epoch {last.epoch}" if last.best_epoch is None else f"{kept_epoch} {last.epoch}")
            words += [] if kept is None else kept.scores_in_words()
            words.append(f"alarms: {'; '.join(last_alarms(self.history)) or 'none'}")
        return f"TrainingResult({', '.join(words)})"

    if not TYPE_CHECKING:  # a type checker knows what there is

        def __getattr__(self, name: str) -> NoReturn:
            """Say where the machine is to those who took the result for it."""
            there = (
                f" Its machine has: use .rbm.{name}" if hasattr(RBM, name) or name in RBM.__dataclass_fields__ else ""
            )
            raise AttributeError(f"TrainingResult must be asked for what it has. Got {name!r}.{there}")

    def _repr_html_(self) -> str:
        return f"<div><code>{escape(repr(self))}</code>{self.rbm._repr_html_()}</div>"


def train(
    X: Any,
    n_hidden: int,
    *,
    valid: Any = None,
    initial: RBM | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    sample_weight: Any = None,
    progress: Progress | None = None,
    method: str | None = None,
    sweeps: int | None = None,
    chains: int | None = None,
    restarts: float | None = None,
    temperatures: int | str | None = None,
    last_statistic: str | None = None,
    tempered_share: float | None = None,
    epochs: int | None = None,
    batch_size: int = 100,
    learning_rate: float | None = None,
    schedule: str = "linear",
    optimizer: str = "sgd",
    momentum: float | None = None,
    centered: bool = True,
    data_moments: bool = False,
    weight_decay: float | None = None,
    max_weight_decay: float | None = None,
    l1: float = 0.0,
    max_norm: float = 0.0,
    sparsity_target: float | None = None,
    sparsity_cost: float = 0.0,
    clip: float = 0.0,
    binarize: str = "threshold",
    monitor: str = "pseudo",
    patience: int | None = None,
    held_out: int | None = None,
    engine: str = "native",
    device: str | None = None,
    seed: int | Key = 0,
) -> TrainingResult:
    """Train a machine on the rows of `X`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_visible), values in [0, 1]
        NaN where an entry is missing.
    n_hidden : int
    valid : array-like of shape (any, n_visible), optional
        Held-out data; they steer the run (see ``patience`` of `Config`). Where they are left out, a part of a small set
        is set aside for that.
    initial : RBM, optional
        Where to start; `RBM.initialise` if left out.
    on_epoch : callable, optional
        Called with each `EpochRecord`.
    sample_weight : array-like of shape (n_samples,), optional
        How often each row counts.
    progress : callable, optional
        Called as ``progress(done, total)`` after every step. May raise, to stop.
    device : {"cpu", "cuda", "mps"}, optional
        Where ``engine="torch"`` computes; "cuda" if left out and there is one, else "cpu".
    method, sweeps, ..., seed
        The other fields of `Config`, where they are described.

    Returns
    -------
    TrainingResult

    Raises
    ------
    InvalidData, InvalidParameter

    Warns
    -----
    DataWarning
        Nothing can be learnt from `X`: it is blank once it is binarised.
    TrainingAlarm
        The alarms of the records, each kind once.

    Examples
    --------
    >>> import harmonium
    >>> X = harmonium.datasets.load("bars-and-stripes-3x3").train
    >>> result = harmonium.train(X, n_hidden=8, epochs=5, seed=1)
    >>> result.rbm.W.shape
    (8, 9)
    """
    config = Config(
        n_hidden,
        method=method,
        sweeps=sweeps,
        chains=chains,
        restarts=restarts,
        temperatures=temperatures,
        last_statistic=last_statistic,
        tempered_share=tempered_share,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        optimizer=optimizer,
        momentum=momentum,
        centered=centered,
        data_moments=data_moments,
        weight_decay=weight_decay,
        max_weight_decay=max_weight_decay,
        l1=l1,
        max_norm=max_norm,
        sparsity_target=sparsity_target,
        sparsity_cost=sparsity_cost,
        clip=clip,
        binarize=binarize,
        monitor=monitor,
        patience=patience,
        held_out=held_out,
        engine=on_device(engine, device),
        seed=as_seed(seed),
    )
    check_progress(progress)
    run = TrainingRun(X, config, valid=valid, initial=initial, sample_weight=sample_weight)
    if run.blank is not None:
        warnings.warn(run.blank, DataWarning, stacklevel=2)
    history, told = [], set[str]()
    on_step = None if progress is None else functools.partial(_tell, progress, run.n_steps)
    for record in run.epochs(on_step):
        history.append(record)
        for alarm in record.alarms:
            if kind_of(alarm) not in told:
                told.add(kind_of(alarm))
                warnings.warn(f"epoch {record.epoch}: {alarm}", TrainingAlarm, stacklevel=2)
        if on_epoch is not None:
            on_epoch(record)
    return TrainingResult(run.rbm, tuple(history), run.config, run.held_out_rows)


def _tell(progress: Progress, total: int, done: int) -> None:
    progress(done, total)
