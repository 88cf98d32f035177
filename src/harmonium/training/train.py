"""The one-line way to train."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from harmonium.datasets.binarize import DataWarning, describe_blank
from harmonium.errors import InvalidParameter
from harmonium.inputs import check_matrix
from harmonium.rbm import RBM
from harmonium.training.config import Config
from harmonium.training.trainer import EpochRecord, TrainingRun


@dataclass(frozen=True)
class TrainingResult:
    """What `train` returns: the machine, the history of its making, and the choices that made it."""

    rbm: RBM
    history: tuple[EpochRecord, ...]
    config: Config

    def __repr__(self) -> str:
        words = [repr(self.rbm), f"method={self.config.method!r}", f"{len(self.history)} records"]
        if self.history:
            last = self.history[-1]
            words.append(f"epoch {last.epoch}")
            for name, scores in (("train", last.train), ("valid", last.valid)):
                if scores is None:
                    continue
                kind, score = "log-likelihood", scores.log_likelihood
                if score is None:
                    kind, score = "pseudo-log-likelihood", scores.pseudo_log_likelihood
                if score is not None:
                    words.append(f"{name} {kind} {score:.2f}")
            words.append(f"alarms: {'; '.join(last.alarms) or 'none'}")
        return f"TrainingResult({', '.join(words)})"


def train(
    X: Any,
    n_hidden: int,
    *,
    valid: Any = None,
    initial: RBM | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    sample_weight: Any = None,
    **options: Any,
) -> TrainingResult:
    """Train a machine on the rows of `X`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_visible), values in [0, 1]
        NaN where an entry is missing.
    n_hidden : int
    valid : array-like of shape (any, n_visible), optional
        Held-out data; its scores are recorded, and steer only where ``patience`` asks for that.
    initial : RBM, optional
        Where to start; `RBM.initialise` if left out.
    on_epoch : callable, optional
        Called with each `EpochRecord`.
    sample_weight : array-like of shape (n_samples,), optional
        How often each row counts.
    **options
        The other fields of `Config`.

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

    Examples
    --------
    >>> import harmonium
    >>> X = harmonium.datasets.load("bars-and-stripes-3x3").train
    >>> result = harmonium.train(X, n_hidden=8, epochs=5, seed=1)
    >>> result.rbm.W.shape
    (8, 9)
    """
    known = [field.name for field in fields(Config)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InvalidParameter(
            f"Options must be fields of Config: {', '.join(known)}. Got {', '.join(unknown)}. Correct the name."
        )
    config = Config(n_hidden, **options)
    X = check_matrix(X, allow_nan=True)
    if (blank := describe_blank(X, config.binarize)) is not None:
        warnings.warn(blank, DataWarning, stacklevel=2)
    run = TrainingRun(X, config, valid=valid, initial=initial, sample_weight=sample_weight)
    history = []
    for record in run.epochs():
        history.append(record)
        if on_epoch is not None:
            on_epoch(record)
    return TrainingResult(run.rbm, tuple(history), run.config)
