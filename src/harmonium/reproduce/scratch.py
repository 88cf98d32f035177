"""The experiment without a framework: machines on an engine of our own, what they are worth, and pictures."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmonium.datasets import binarize
from harmonium.deep import Stack
from harmonium.likelihood import Evaluation, evaluate
from harmonium.random import Key
from harmonium.report import figures
from harmonium.reproduce.digits import Digits
from harmonium.reproduce.plan import Machine, Plan
from harmonium.sampling import sample
from harmonium.training import EpochRecord, TrainingResult, train
from harmonium.training.config import Config

FloatArray = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]

N_FILTERS, N_SAMPLES, N_RECONSTRUCTED = 64, 64, 20


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

    options = {name: getattr(config, name) for name in Config.__dataclass_fields__ if name != "n_hidden"}
    result = train(X, config.n_hidden, valid=X_test, initial=machine.initial(X), on_epoch=on_epoch, **options)
    history = result.history
    return Trained(
        result,
        statistics.median(record.samples_per_second for record in history),
        sum(record.seconds for record in history),
    )


def train_layers(digits: Digits, machines: tuple[Machine, ...], on_work: Progress) -> tuple[Stack, list[Trained]]:
    """Train machines one above the other, each on the means of the hidden units below."""
    X, X_test, trained = digits.X, digits.X_test, []
    for machine in machines:
        trained.append(train_machine(X, machine, X_test, on_work))
        below = Stack((trained[-1].result.rbm,))
        X, X_test = (below.transform(x, engine=machine.config.engine) for x in (X, X_test))
    return Stack(tuple(layer.result.rbm for layer in trained)), trained


def evaluate_machine(trained: Trained, digits: Digits, on_work: Progress) -> Evaluation:
    """Every score on the test images, with a likelihood between two bounds."""
    config = trained.result.config
    return evaluate(
        trained.result.rbm,
        digits.X_test,
        convention=config.binarize,
        seed=Key(config.seed).derive("evaluation"),
        engine=config.engine,
        progress=on_work,
    )


def draw(trained: Trained, digits: Digits, plan: Plan) -> dict[str, bytes]:
    """PNG files of filters, reconstructions, samples and training curves."""
    rbm, config, shape = trained.result.rbm, trained.result.config, digits.dataset.shape
    key = Key(config.seed).derive("pictures")
    v = sample(rbm, N_SAMPLES, sweeps=plan.sweeps, seed=key, engine=config.engine)
    shown = binarize(digits.X_test[:N_RECONSTRUCTED], config.binarize, key.derive("states"))
    drawn = {
        "filters": figures.filters(rbm, shape, N_FILTERS),
        "reconstructions": figures.reconstructions(rbm, shown, shape, key),
        "samples": figures.image_grid(figures.expected_v(rbm, v, key.derive("samples")), shape),
        "curves": figures.training_curves(trained.result.history),
    }
    return {name: figures.to_png(figure) for name, figure in drawn.items()}
