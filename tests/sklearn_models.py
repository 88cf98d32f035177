"""Small models of the scikit-learn face, and digits and coins to fit them to."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from harmonium.sklearn import BernoulliRBM

GREY = load_digits().data / 16
BINARY = (GREY > 0.5).astype(float)
COINS = np.random.default_rng(0).integers(0, 2, (1000, 6))


def model(**parameters):
    return BernoulliRBM(**{"n_components": 8, "n_iter": 2, "random_state": 0} | parameters)


@pytest.fixture(scope="module")
def fitted():
    return model().fit(BINARY)
