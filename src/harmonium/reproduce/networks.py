"""The experiment in Keras: machines trained by `fit`, softmax regressions on features, and a stack fine-tuned."""

from __future__ import annotations

import importlib
import statistics
import time
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

import harmonium.keras
from harmonium.progress import Progress
from harmonium.reproduce.digits import Digits
from harmonium.reproduce.plan import FineTuning, Machine, Softmax
from harmonium.reproduce.scores import Score
from harmonium.training.config import STATISTIC

FloatArray = npt.NDArray[np.float32]

_ROWS = 1000  # at a time, where nothing is learnt
_STEPS = 10  # in one call of the framework: what Python does between two calls takes as long as a small step


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells of progress, and keeps the seconds of each epoch."""

    def __init__(self, on_work: Progress) -> None:
        super().__init__()
        self._on_work, self._start = on_work, 0.0
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 (Keras' signature)
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 (Keras' signature)
        self.seconds.append(time.perf_counter() - self._start)
        self._on_work(epoch + 1, self.params["epochs"])


def backend() -> tuple[str, str]:
    """The framework under Keras, and its version."""
    name = keras.backend.backend()
    return name, str(importlib.import_module(name).__version__)


def start(seed: int) -> None:
    """Fix what Keras draws outside of the machines: orders of samples, first weights of the softmax, dropout."""
    keras.utils.set_random_seed(seed % 2**32)


def train_machine(X: FloatArray, machine: Machine, on_work: Progress) -> tuple[harmonium.keras.RBM, float]:
    """Train a machine as planned with Keras' `fit`; also return how many samples a second it took, once compiled."""
    config = machine.config
    model = harmonium.keras.RBM.from_rbm(
        machine.initial(X),
        method=config.method,
        sweeps=config.n_sweeps,
        last_statistic=config.last_statistic or STATISTIC,
        weight_decay=config.weight_decay,
        binarize=config.binarize,
        centered=config.centered,
        monitors=False,
        seed=config.seed,
    )
    rate = _falling(config.rate, len(X), config.batch_size, config.n_epochs)
    model.compile(keras.optimizers.SGD(rate, momentum=config.sgd_momentum), steps_per_execution=_STEPS)
    watch = _Watch(on_work)
    model.fit(X, batch_size=config.batch_size, epochs=config.n_epochs, verbose=0, callbacks=[watch])
    # The first epoch compiles; where it is the only one, it has to do.
    return model, len(X) / statistics.median(watch.seconds[1:] or watch.seconds)


def transform(model: keras.Model, X: FloatArray) -> FloatArray:
    """E[h | v] of each row."""
    return _outputs(model, X)


def score_softmax(F: FloatArray, F_test: FloatArray, digits: Digits, settings: Softmax, on_work: Progress) -> Score:
    """Train a softmax regression on features, and score it."""
    decay = keras.regularizers.L2(settings.weight_decay)
    head = keras.layers.Dense(digits.n_classes, activation="softmax", kernel_regularizer=decay)
    model = keras.Sequential([keras.Input(F.shape[1:]), head])
    return _fit_and_score(model, F, F_test, digits, settings, on_work)


def score_fine_tuned(
    rbms: list[harmonium.keras.RBM], digits: Digits, settings: FineTuning, seed: int, on_work: Progress
) -> tuple[Score, int]:
    """Train a pre-trained stack with a softmax by backpropagation; its score, and the parameters of its machines."""
    model = harmonium.keras.classifier(rbms, digits.n_classes, fine_tuned=True, seed=seed)
    rates = [settings.drop_visible] + [settings.drop_hidden] * len(rbms)
    pairs = zip(rates, model.layers, strict=True)
    layers = [x for rate, layer in pairs for x in (keras.layers.Dropout(rate), layer)]
    dropping = keras.Sequential([keras.Input(digits.X.shape[1:]), *layers])
    score = _fit_and_score(dropping, digits.X, digits.X_test, digits, settings, on_work)
    return score, harmonium.keras.count_rbm_parameters(model)


def _fit_and_score(
    model: keras.Model,
    F: FloatArray,
    F_test: FloatArray,
    digits: Digits,
    settings: Softmax | FineTuning,
    on_work: Progress,
) -> Score:
    rate = _falling(settings.learning_rate, len(F), settings.batch_size, settings.epochs)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", steps_per_execution=_STEPS)
    options = {"batch_size": settings.batch_size, "epochs": settings.epochs, "verbose": 0}
    model.fit(F, digits.y, callbacks=[_Watch(on_work)], **options)
    predicted, predicted_test = (_outputs(model, x).argmax(axis=1) for x in (F, F_test))
    return Score.of(digits.y, predicted, digits.y_test, predicted_test, digits.n_classes)


def _outputs(model: keras.Model, X: FloatArray) -> FloatArray:
    """What comes out for each row; not by `predict`, which would compile each of a dozen models for a moment's work."""
    chunks = (X[i : i + _ROWS] for i in range(0, len(X), _ROWS))
    return np.concatenate([keras.ops.convert_to_numpy(model(chunk)) for chunk in chunks])


def _falling(rate: float, n_samples: int, batch_size: int, epochs: int) -> Any:
    """A learning rate that falls linearly to zero over a run."""
    n_steps = -(-n_samples // batch_size) * epochs
    return keras.optimizers.schedules.PolynomialDecay(rate, n_steps, end_learning_rate=0.0)
