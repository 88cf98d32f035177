"""The scikit-learn face: side by side with scikit-learn's own class, in its machinery, and as the machine it holds."""

import inspect

import numpy as np
import pytest
import scipy.sparse
import sklearn_models
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM as Theirs
from sklearn.pipeline import make_pipeline
from sklearn_models import BINARY, COINS, GREY, model

import harmonium
from harmonium.sklearn import BernoulliRBM

fitted = sklearn_models.fitted  # the fixture


# Drop-in -------------------------------------------------------------------------------------------------------------


def test_parameters_begin_as_theirs():
    theirs = list(inspect.signature(Theirs).parameters.values())
    ours = list(inspect.signature(BernoulliRBM).parameters.values())
    assert [(p.name, p.default, p.kind) for p in ours[: len(theirs)]] == [(p.name, p.default, p.kind) for p in theirs]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in ours[1:])


def test_has_their_public_names():
    theirs, ours = (cls(n_components=3, n_iter=1).fit(COINS) for cls in (Theirs, BernoulliRBM))
    assert {name for name in dir(theirs) if not name.startswith("_")} <= set(dir(ours))
    for name in ("fit", "partial_fit", "transform", "score_samples", "gibbs"):
        expected, got = (list(inspect.signature(getattr(x, name)).parameters) for x in (theirs, ours))
        assert got == expected + ["sample_weight"] * (name in ("fit", "partial_fit"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.uint8, bool])
def test_attributes_and_results_have_their_shapes_and_dtypes(dtype):
    X = COINS.astype(dtype)
    theirs, ours = (cls(n_components=3, n_iter=1, random_state=0).fit(X) for cls in (Theirs, BernoulliRBM))
    for name in ("components_", "intercept_hidden_", "intercept_visible_", "h_samples_"):
        expected, got = getattr(theirs, name), getattr(ours, name)
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype), name
    assert ours.n_features_in_ == theirs.n_features_in_
    for name in ("transform", "score_samples", "gibbs"):
        expected, got = getattr(theirs, name)(X), getattr(ours, name)(X)
        assert (type(got), got.shape) == (type(expected), expected.shape), name
        if name != "score_samples":  # theirs is float32 for float32 data; a sum of many terms deserves float64
            assert got.dtype == expected.dtype, name


@pytest.mark.parametrize("X", [BINARY, GREY], ids=["binary", "grey"])
def test_transform_is_theirs_for_the_same_machine(fitted, X):
    theirs = clone(Theirs(n_components=8)).fit(X[:2])
    for name in ("components_", "intercept_hidden_", "intercept_visible_"):
        setattr(theirs, name, getattr(fitted, name))
    np.testing.assert_allclose(fitted.transform(X), theirs.transform(X), rtol=0, atol=1e-6)


def test_score_samples_is_the_expectation_of_theirs(fitted):
    X = BINARY[:50]
    theirs = Theirs(n_components=8).fit(X[:2])
    for name in ("components_", "intercept_hidden_", "intercept_visible_"):
        setattr(theirs, name, getattr(fitted, name))
    expected = 0
    for j in range(X.shape[1]):
        flipped = X.copy()
        flipped[:, j] = 1 - flipped[:, j]
        expected = expected - np.logaddexp(0, theirs._free_energy(X) - theirs._free_energy(flipped))
    np.testing.assert_allclose(fitted.score_samples(X), expected, rtol=1e-5)
    assert fitted.score(X) == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.parametrize("X", [BINARY, GREY], ids=["binary", "grey"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"n_components": 16, "n_iter": 5, "learning_rate": 0.05},
        {"n_components": 64, "n_iter": 3},
        {"n_components": 32, "n_iter": 10, "batch_size": 50, "learning_rate": 0.05},
    ],
    ids=str,
)
def test_learns_digits_at_least_as_well_as_theirs(X, parameters):
    score = {}
    for cls in (Theirs, BernoulliRBM):
        machines = [cls(random_state=seed, **parameters).fit(X[:1200]) for seed in range(2)]
        rbms = [harmonium.RBM(m.components_, m.intercept_visible_, m.intercept_hidden_) for m in machines]
        score[cls] = np.mean([harmonium.pseudo_log_likelihood(rbm, BINARY[1200:]).mean() for rbm in rbms])
    assert score[BernoulliRBM] >= score[Theirs]


SCRIPT = """
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import Pipeline

rbm = BernoulliRBM(random_state=0, verbose=False)
rbm.learning_rate = 0.06
rbm.n_iter = 5
rbm.n_components = 32
pipeline = Pipeline(steps=[("rbm", rbm), ("logistic", LogisticRegression(max_iter=1000))])
pipeline.fit(X[:900], y[:900])
accuracy = pipeline.score(X[1200:], y[1200:])
images = [component.reshape((8, 8)) for component in rbm.components_]
sample = X[:1]
for _ in range(3):
    sample = rbm.gibbs(sample)
"""


def test_a_script_runs_with_only_the_import_changed():
    result = {}
    for package in ("sklearn.neural_network", "harmonium.sklearn"):
        names = {"X": GREY, "y": load_digits().target}
        exec(SCRIPT.replace("from sklearn.neural_network import", f"from {package} import"), names)
        result[package] = names
    ours, theirs = result["harmonium.sklearn"], result["sklearn.neural_network"]
    assert isinstance(ours["rbm"], BernoulliRBM)
    assert ours["sample"].dtype == theirs["sample"].dtype
    assert ours["accuracy"] > theirs["accuracy"] - 0.05


# In scikit-learn's machinery -----------------------------------------------------------------------------------------


def test_grid_search_needs_no_scorer():
    search = GridSearchCV(model(n_iter=5), {"learning_rate": [1e-6, 0.05]}, cv=2).fit(BINARY)
    assert search.best_params_ == {"learning_rate": 0.05}
    pipeline = make_pipeline(model(n_iter=1), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipeline, {"bernoullirbm__n_components": [2, 16]}, cv=2)
    assert search.fit(BINARY, load_digits().target).best_params_ == {"bernoullirbm__n_components": 16}


def test_clone_is_unfitted_with_the_same_parameters(fitted):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.transform(BINARY)


def test_data_frames_in_and_out():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COINS, columns=list("abcdef"))
    fitted = model().set_output(transform="pandas").fit(frame)
    H = fitted.transform(frame)
    assert list(H.columns) == list(fitted.get_feature_names_out()) == [f"bernoullirbm{i}" for i in range(8)]
    assert list(fitted.feature_names_in_) == list("abcdef")
    assert fitted.inverse_transform(H).shape == frame.shape
    assert fitted.gibbs(frame).shape == frame.shape


@pytest.mark.parametrize("make", [scipy.sparse.csr_matrix, scipy.sparse.csr_array, scipy.sparse.coo_matrix])
@pytest.mark.parametrize("X", [BINARY, GREY.astype(np.float32)], ids=["binary", "grey"])
def test_sparse_is_dense(make, X):
    dense, sparse = model().fit(X).partial_fit(X[:50]), model().fit(make(X)).partial_fit(make(X[:50]))
    np.testing.assert_array_equal(sparse.components_, dense.components_)
    assert sparse.components_.dtype == X.dtype
    for name in ("transform", "score_samples", "gibbs"):
        np.testing.assert_array_equal(getattr(sparse, name)(make(X)), getattr(dense, name)(X))
    H = dense.transform(X)
    np.testing.assert_array_equal(sparse.inverse_transform(make(H)), dense.inverse_transform(H))


def test_sparse_values_stored_in_parts_are_added(fitted):
    parts = scipy.sparse.csr_matrix((np.full(4, 0.5), np.array([0, 0, 3, 3]), np.array([0, 4])), shape=(1, 64))
    stored = parts.data.copy()
    whole = parts.toarray()
    assert whole.max() == 1
    np.testing.assert_array_equal(fitted.transform(parts), fitted.transform(whole))
    np.testing.assert_array_equal(parts.data, stored)


def test_many_rows_are_chunked_without_a_seam(fitted):
    X = np.tile(BINARY, (3, 1))[:4100]
    for name in ("transform", "score_samples"):
        np.testing.assert_allclose(getattr(fitted, name)(X)[-5:], getattr(fitted, name)(X[-5:]), rtol=1e-5, atol=1e-7)
    v = fitted.gibbs(np.tile(BINARY[:1], (4100, 1)))
    assert not np.array_equal(v[:2000], v[2000:4000])  # chunks do not share noise


# The machine ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::harmonium.errors.TrainingAlarm")  # two passes are not enough
@pytest.mark.parametrize("method", ["pcd", "cd"])
@pytest.mark.parametrize("binarize", ["none", "threshold", "sample"])
def test_fit_is_train_of_the_core(method, binarize, engine):
    parameters = {"method": method, "sweeps": 2, "momentum": 0.5, "weight_decay": 1e-3, "binarize": binarize}
    parameters["centered"] = method == "cd"
    X = GREY[:200]
    ours = model(random_state=7, engine=engine, **parameters).fit(X)
    core = harmonium.train(
        X,
        8,
        epochs=2,
        batch_size=10,
        chains=10 if parameters["method"] == "pcd" else None,
        learning_rate=0.1,
        schedule="constant",
        seed=7,
        engine=engine,
        **parameters,
    )
    np.testing.assert_array_equal(ours.components_, core.rbm.W)
    np.testing.assert_array_equal(ours.rbm_.b, core.rbm.b)
    np.testing.assert_array_equal(ours.rbm_.c, core.rbm.c)


def test_both_directions_are_the_conditional_means(fitted):
    H = fitted.transform(GREY)
    np.testing.assert_allclose(H, fitted.rbm_.mean_h_from_v(GREY), rtol=0, atol=1e-6)
    np.testing.assert_allclose(fitted.inverse_transform(H), fitted.rbm_.mean_v_from_h(H), rtol=0, atol=1e-6)
    assert fitted.inverse_transform(H.astype(np.float32)).dtype == np.float32


def test_attributes_set_by_hand_are_the_model():
    m = model()
    m.components_ = np.full((2, 3), 60.0)
    m.intercept_visible_, m.intercept_hidden_ = np.full(3, -30.0), np.full(2, -30.0)
    v = np.array([[1, 0, 1], [0, 0, 0]])
    np.testing.assert_allclose(m.transform(v), [[1, 1], [0, 0]], atol=1e-6)
    np.testing.assert_array_equal(m.gibbs(v), [[True] * 3, [False] * 3])
    for method in ("cd", "pcd"):
        assert m.set_params(method=method, n_components=2).partial_fit(v).components_.shape == (2, 3)


@pytest.mark.false_alarm(1e-9)
def test_gibbs_is_one_sweep_of_the_core(fitted, seed):
    # Means over many chains against the exact two-step expectation; 6.3 standard errors of 4000 coins are 0.05.
    m = model(n_components=3, random_state=seed(0)).fit(COINS)
    rbm = m.rbm_
    v = np.tile(COINS[:1], (4000, 1))
    states = np.array([[i >> k & 1 for k in range(3)] for i in range(8)], float)
    p_h = np.exp(rbm.log_p_h_from_v(states, np.tile(COINS[:1], (8, 1))))
    np.testing.assert_allclose(m.gibbs(v).mean(axis=0), p_h @ rbm.mean_v_from_h(states), atol=0.05)


def test_sample_draws_from_the_machine():
    m = model()
    m.components_ = np.array([[8.0, 8.0, -8.0]])
    m.intercept_visible_, m.intercept_hidden_ = np.array([-4.0, -4.0, 4.0]), np.array([-4.0])
    samples = m.sample(500, sweeps=2000)
    assert samples.shape == (500, 3)
    assert np.mean(samples[:, 0] == samples[:, 1]) > 0.9
    assert np.mean(samples[:, 0] != samples[:, 2]) > 0.9
    assert m.sample().shape == (1, 3)
