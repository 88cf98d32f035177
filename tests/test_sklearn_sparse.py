"""Wide sparse data: learnt from by batch, and the same as dense data."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

from harmonium.inputs import rows_of
from harmonium.sklearn import BernoulliRBM
from harmonium.training import Config
from harmonium.training.batches import Batches
from harmonium.training.sparse_batches import SparseBatches

KEY = np.random.default_rng(0)
BINARY = (KEY.random((80, 30)) < 0.2).astype(float)
GREY = BINARY * KEY.integers(1, 17, BINARY.shape) / 16
HOLES = np.where(KEY.random(GREY.shape) < 0.1, np.nan, GREY)
DATA = {"binary": BINARY, "grey": GREY, "holes": HOLES}


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("binarize", ["none", "threshold", "sample"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_is_dense_whatever_the_choices(data, binarize, weighted, engine):
    X, weights = DATA[data], np.arange(80) % 3 if weighted else None
    parameters = {"n_components": 6, "n_iter": 2, "random_state": 0, "binarize": binarize, "engine": engine}
    dense, sparse = (BernoulliRBM(**parameters).fit(x, sample_weight=weights) for x in (X, scipy.sparse.csr_array(X)))
    for name in ("components_", "intercept_visible_", "intercept_hidden_", "h_samples_"):
        np.testing.assert_allclose(getattr(sparse, name), getattr(dense, name), rtol=1e-5, atol=1e-6)
    dense.partial_fit(X[:25])
    sparse.partial_fit(scipy.sparse.csr_array(X[:25]))
    np.testing.assert_allclose(sparse.components_, dense.components_, rtol=1e-4, atol=1e-5)


def test_the_batches_of_a_sparse_matrix_hold_the_draws_of_a_dense_one():
    from harmonium.engines import make_engine
    from harmonium.random import Key
    from harmonium.rbm import RBM

    config, key = Config(4, batch_size=7, binarize="sample"), Key(5)
    for step in (0, 3, 12, 20):  # in two epochs
        drawn = []
        for make, X in ((Batches, rows_of(GREY)), (SparseBatches, scipy.sparse.csr_matrix(GREY))):
            engine = make_engine(RBM(np.zeros((4, 30)), np.zeros(30), np.zeros(4)), "numpy")
            drawn.append(engine.decode(make(X, config, key).at(engine, step).v))
        np.testing.assert_array_equal(*drawn)


def test_a_sparse_matrix_of_nan_is_refused():
    with pytest.raises(ValueError, match="Got only NaN"):
        BernoulliRBM().fit(scipy.sparse.csr_matrix(np.full((3, 4), np.nan)))


MEMORY = """
import resource
import numpy as np
import scipy.sparse
from harmonium.inputs import rows_of
from harmonium.sklearn import BernoulliRBM

rng = np.random.default_rng(0)
columns = rng.integers(0, 60_000, 500_000)
X = scipy.sparse.csr_matrix((rng.random(500_000) / 9, columns, np.arange(0, 500_001, 100)), (5000, 60_000))
X.sum_duplicates()
model = BernoulliRBM(n_components=5, n_iter=1, batch_size=100, random_state=0)
model.fit(X[:100]).transform(X[:2])  # loads what is imported, and the machine itself, with weights of 60,000 columns
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model.fit(X[:1000]).partial_fit(X[:500]).transform(X)
model.free_energy(X)
model.score_samples(X[:10] > 0)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_the_whole_matrix_is_never_dense():
    # What is transformed would be 300 MB as bytes; what is learnt from, 60 MB as bytes and 240 MB as numbers.
    output = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout
    assert float(output) < 50
