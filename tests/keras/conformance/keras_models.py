"""Small Keras models and data, the numbers in them, and noise that a test knows."""

import keras
import numpy as np
import pytest

import harmonium
import harmonium.keras as hk
from harmonium.keras import model as model_module

BACKEND = keras.backend.backend()
BARS = harmonium.datasets.load("bars-and-stripes-3x3").train.astype(np.float32)
GREY = np.random.default_rng(5).random((7, 6)).astype(np.float32)
BITS = (GREY > 0.5).astype(np.float32)


def numbers(x):
    return keras.ops.convert_to_numpy(x)


def random_rbm(n_hidden=4, n_visible=6, scale=1.0, seed=0):
    rng = np.random.default_rng([seed, n_hidden, n_visible])
    return harmonium.RBM(*(scale * rng.standard_normal(s) for s in ((n_hidden, n_visible), n_visible, n_hidden)))


def compiled(optimizer=None, **options):
    model = hk.RBM(5, **({"method": "cd", "seed": 3, "weight_decay": 0.01} | options))
    model.build((None, 9))
    model.compile(optimizer=optimizer or keras.optimizers.Adam(0.01))
    return model


@pytest.fixture
def injected(monkeypatch):
    """Replaces the noise by numbers that the test knows, in the order in which they were drawn."""
    rng, drawn = np.random.default_rng(11), []

    def uniform(shape, seed, dtype="float32"):
        drawn.append(rng.random([int(n) for n in shape]).astype(dtype))
        return keras.ops.convert_to_tensor(drawn[-1])

    monkeypatch.setattr(model_module, "uniform", uniform)
    return drawn
