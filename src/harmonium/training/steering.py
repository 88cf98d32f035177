"""What held-out data decide: which machine is kept, when weights are held tighter, and when it is enough.

A run overfits when held-out data score worse than at their best while training data score better than then; where both
fall, it is the noise of learning, which the falling rate takes out. The best machine, the one before the first step
among them, is kept throughout, so that what a run ends with is never worse by its held-out data than where it began.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harmonium.rbm import RBM
from harmonium.training.config import Config
from harmonium.training.negative import Arrays
from harmonium.training.scores import Scores

_FACTOR = 3.0  # by which the weight decay rises
_LEAST, _FRACTION_OF_GAIN = 0.1, 0.05  # nats, and fraction of what was gained since the start, that a fall has at least
_LEAST_DECAY = 1e-4  # that no decay at all is raised to


@dataclass
class Steering:
    """What a run knows of its held-out scores; no more than a checkpoint holds.

    Attributes
    ----------
    patience : int
    most_decay : float
        The weight decay that is not raised any more.
    decay : float
        The present one.
    best : RBM
        The machine with the best held-out score.
    first, valid, train : float
        The held-out score of the first machine; that of the best, and that of training data then.
    epoch : int
        Epochs that had been done when `best` was kept.
    start : int
        Epochs that had been done when the run last went back to its best machine.
    overfits : int
        Records in a row that overfit.
    stopped : bool
    """

    patience: int
    most_decay: float
    decay: float
    best: RBM
    first: float
    valid: float
    train: float
    epoch: int = 0
    start: int = 0
    overfits: int = 0
    stopped: bool = False

    @classmethod
    def begin(cls, config: Config, rbm: RBM, train: Scores | None, valid: Scores | None) -> Steering:
        """Of a fresh run, whose first machine has these scores."""
        score = _score(valid)
        return cls(config.patience or 0, config.most_decay, config.decay, rbm, score, score, _score(train))

    @classmethod
    def resume(cls, config: Config, arrays: Arrays) -> Steering:
        """Of a run that goes on, from what `arrays` returned at the checkpoint."""
        best = RBM(*(arrays[f"best.{name}"] for name in "Wbc"))
        decay, first, valid, train = arrays["steering.scores"].tolist()
        epoch, start, overfits, stopped = arrays["steering.counts"].tolist()
        patience, most = config.patience or 0, config.most_decay
        return cls(patience, most, decay, best, first, valid, train, epoch, start, overfits, bool(stopped))

    def arrays(self) -> Arrays:
        """What a checkpoint must keep, by name."""
        return {f"best.{name}": getattr(self.best, name) for name in "Wbc"} | {
            "steering.scores": np.array([self.decay, self.first, self.valid, self.train]),
            "steering.counts": np.array([self.epoch, self.start, self.overfits, self.stopped], np.int64),
        }

    def see(self, rbm: RBM, train: Scores | None, valid: Scores | None, epoch: int) -> bool:
        """Look at the scores of a record; whether the run is to go on from `best`, with the new `decay`."""
        score, fit = _score(valid), _score(train)
        if score > self.valid:
            self.best, self.valid, self.train, self.epoch = rbm, score, fit, epoch
        fall = max(_LEAST, _FRACTION_OF_GAIN * (self.valid - self.first))
        self.overfits = self.overfits + 1 if score < self.valid - fall and fit > self.train else 0
        if self.overfits < self.patience:
            return False
        self.overfits, self.stopped = 0, self.decay >= self.most_decay
        if self.stopped:
            return False
        raised = float(f"{max(_FACTOR * self.decay, _LEAST_DECAY):.2g}")  # a number that one can give again
        self.decay, self.start = min(self.most_decay, raised), epoch
        return True


def _score(scores: Scores | None) -> float:
    """The score that steers: of the worst kind where there is none."""
    if scores is None or scores.best_log_likelihood is None:
        return -float(np.finfo(np.float64).max)  # infinity is no number, and files hold numbers only
    return scores.best_log_likelihood
