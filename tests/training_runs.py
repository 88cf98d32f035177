"""Runs of training to their end, machines told apart, and an engine whose decisions are made for it."""

import hashlib

import numpy as np
from oracles import logistic

from harmonium import Config, TrainingRun
from harmonium.engines import NumpyEngine


def digest(rbm):
    """SHA-256 of the parameters."""
    return hashlib.sha256(b"".join(x.tobytes() for x in (rbm.W, rbm.b, rbm.c))).hexdigest()


def finished(X, **options):
    """The machine at the end of a run, without the monitor's work."""
    run = TrainingRun(X, Config(**options))
    for _ in run.steps():
        pass
    return run


class Forced(NumpyEngine):
    """Takes every decision from a script, and keeps the probability of having taken them all."""

    def follow(self, script):
        self.script, self.probability = list(script), 1.0

    def bernoulli(self, logits, key, beta=1.0, offset=None):
        p = logistic(logits.astype(np.float64))
        states = np.array([self.script.pop(0) for _ in range(p.size)], np.float32).reshape(p.shape)
        self.probability *= np.prod(np.where(states == 1, p, 1 - p))
        return states
