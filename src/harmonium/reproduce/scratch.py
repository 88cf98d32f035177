"""The experiment without a framework: machines on an engine of our own, and what they are worth."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets import binarize
from harmonium.deep import Stack
from harmonium.likelihood import Estimate, Evaluation, evaluate, log_likelihood
from harmonium.progress import Progress
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.reproduce.digits import Digits
from harmonium.reproduce.plan import Machine
from harmonium.training import EpochRecord, TrainingResult, train
from harmonium.training.config import Config

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Trained:
    """A machine of an engine of our own, and the speed at which it was trained.

    Attributes
    ----------
    result : TrainingResult
    samples_per_second : float
        The median over the epochs.
    seconds : float
        Of training alone.
    """

    result: TrainingResult
    samples_per_second: float
    seconds: float


def train_machine(X: FloatArray, machine: Machine, X_test: FloatArray, on_work: Progress) -> Trained:
    """Train a machine as planned; the scores of `X_test` are recorded, and steer nothing."""
    config = machine.config

    def on_epoch(record: EpochRecord) -> None:
        on_work(record.epoch, config.n_epochs)

    initial = machine.initial(X)
    return _timed(train(X, config.n_hidden, valid=X_test, initial=initial, on_epoch=on_epoch, **_options(config)))


def train_for_likelihood(X: FloatArray, config: Config, on_work: Progress) -> Trained:
    """Train a machine that a part of `X`, which is set aside, may steer."""
    return _timed(train(X, config.n_hidden, progress=on_work, **_options(config)))


def _options(config: Config) -> dict[str, Any]:
    return {name: getattr(config, name) for name in Config.__dataclass_fields__ if name != "n_hidden"}


def _timed(result: TrainingResult) -> Trained:
    rates = [record.samples_per_second for record in result.history]
    return Trained(result, statistics.median(rates), sum(record.seconds for record in result.history))


def train_layers(digits: Digits, machines: tuple[Machine, ...], on_work: Progress) -> tuple[Stack, list[Trained]]:
    """Train machines one above the other, each on the means of the hidden units below."""
    X, X_test, trained = digits.X, digits.X_test, []
    for machine in machines:
        trained.append(train_machine(X, machine, X_test, on_work))
        below = Stack((trained[-1].result.rbm,))
        X, X_test = (below.transform(x, engine=machine.config.engine) for x in (X, X_test))
    return Stack(tuple(layer.result.rbm for layer in trained)), trained


def evaluate_machine(trained: Trained, digits: Digits, on_work: Progress) -> Evaluation:
    """Every score on the test images as the machine saw its data, with a likelihood between two bounds."""
    config = trained.result.config
    return evaluate(
        trained.result.rbm,
        digits.X_test,
        binarize=config.binarize,
        seed=Key(config.seed).derive("evaluation"),
        engine=config.engine,
        progress=on_work,
    )


def thresholded_likelihood(rbm: RBM, log_z: Estimate, digits: Digits) -> Estimate:
    """The mean log-likelihood of the thresholded test images, by which any two machines can be compared."""
    states = binarize(digits.X_test, "threshold", Key(0))
    return log_likelihood(rbm, states, log_z, binarize="threshold")
