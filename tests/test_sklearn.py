"""The scikit-learn face: side by side with scikit-learn's own class, and the defects of that class as regressions."""

import inspect

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM as Theirs
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

import harmonium
from harmonium.errors import InvalidData, InvalidParameter
from harmonium.sampling.conditional import impute
from harmonium.sklearn import BernoulliRBM, DataRangeWarning

GREY = load_digits().data / 16
BINARY = (GREY > 0.5).astype(float)
COINS = np.random.default_rng(0).integers(0, 2, (1000, 6))
METHODS_ON_V = ["fit", "partial_fit", "transform", "score_samples", "score", "gibbs"]


def model(**parameters):
    return BernoulliRBM(**{"n_components": 8, "n_iter": 2, "random_state": 0} | parameters)


@pytest.fixture(scope="module")
def fitted():
    return model().fit(BINARY)


# Drop-in ----------------------------------------------------------------------------------------------------------


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


# In scikit-learn's machinery --------------------------------------------------------------------------------------


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


# Bad input --------------------------------------------------------------------------------------------------------

BAD = {
    "nan": (np.full((3, 6), np.nan), "contains NaN"),
    "infinity": (np.full((3, 6), np.inf), "contains infinity"),
    "1-D": (np.zeros(6), "Expected 2D array"),
    "3-D": (np.zeros((2, 3, 6)), "dim 3"),
    "empty": (np.zeros((0, 6)), "0 sample"),
    "no columns": (np.zeros((3, 0)), "0 feature"),
    "strings": (np.full((3, 6), "a"), "convert|string|numeric"),
    "complex": (np.zeros((3, 6), complex), "Complex data not supported"),
    "sparse nan": (scipy.sparse.csr_matrix(np.full((3, 6), np.nan)), "contains NaN"),
}


TAKE_NAN = {
    "fit": "Got only NaN",
    "partial_fit": "Got only NaN",
    "transform": None,
    "score_samples": None,
    "score": None,
    "gibbs": "no missing entries",
}


@pytest.mark.parametrize("name", METHODS_ON_V)
@pytest.mark.parametrize("case", BAD)
def test_bad_data_are_refused_everywhere(name, case):
    X, message = BAD[case]
    message = TAKE_NAN.get(name, message) if "nan" in case else message
    if message is None or (case == "1-D" and name == "gibbs"):  # one vector is one row
        return
    with pytest.raises(ValueError, match=message):
        getattr(model().fit(COINS), name)(X)


@pytest.mark.parametrize("name", [name for name in METHODS_ON_V if name != "fit"])
def test_wrong_width_is_refused(name):
    with pytest.raises(ValueError, match="X has 4 features, but BernoulliRBM is expecting 6 features"):
        getattr(model().fit(COINS), name)(COINS[:, :4])


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.transform(COINS),
        lambda m: m.inverse_transform(np.zeros((1, 8))),
        lambda m: m.score_samples(COINS),
        lambda m: m.score(COINS),
        lambda m: m.gibbs(COINS),
        lambda m: m.sample(2),
        lambda m: m.rbm_,
    ],
)
def test_an_unfitted_model_says_so(call):
    with pytest.raises(NotFittedError, match="not fitted"):
        call(model())


@pytest.mark.parametrize("name", METHODS_ON_V)
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csr_array])
def test_values_outside_the_unit_interval_are_clipped_with_a_warning(name, make):
    X = np.round(np.random.default_rng(0).normal(0.5, 1, (20, 6)), 2)
    one, two = model().fit(COINS), model().fit(COINS)
    given = make(X)
    with pytest.warns(DataRangeWarning, match=r"X should lie in \[0, 1\]. Got values from -.* to .*Scale them first"):
        a = getattr(one, name)(given)
    b = getattr(two, name)(np.clip(X, 0, 1))
    if name in ("fit", "partial_fit"):
        a, b = a.components_, b.components_
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(given.toarray() if scipy.sparse.issparse(given) else given, X)


def test_image_bytes_are_warned_about():
    with pytest.warns(DataRangeWarning, match="from 0 to 255"):
        model(n_iter=1).fit((GREY * 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("H", "message"), [(np.zeros((2, 7)), "n_components = 8"), (np.full((2, 8), 2.0), r"\[0, 1\]")]
)
def test_inverse_transform_is_strict(fitted, H, message):
    with pytest.raises(InvalidData, match=message):
        fitted.inverse_transform(H)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"n_components": 0}, "n_components"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"method": "pt"}, "method"),
        ({"momentum": 1.0}, "momentum"),
        ({"binarize": "maybe"}, "binarize"),
        ({"engine": "abacus"}, "engine"),
        ({"sweeps": 0}, "sweeps"),
        ({"weight_decay": -0.1}, "weight_decay"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_parameters_are_refused(parameters, name, method):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of BernoulliRBM must be"):
        getattr(model(**parameters), method)(COINS)


@pytest.mark.parametrize("arguments", [{"n_samples": 0}, {"n_samples": 1.5}, {"sweeps": -1}])
def test_bad_sample_counts_are_refused(fitted, arguments):
    with pytest.raises(InvalidParameter):
        fitted.sample(**arguments)


# The machine ------------------------------------------------------------------------------------------------------


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
    samples = m.sample(500, sweeps=200)
    assert samples.shape == (500, 3)
    assert np.mean(samples[:, 0] == samples[:, 1]) > 0.9
    assert np.mean(samples[:, 0] != samples[:, 2]) > 0.9
    assert m.sample().shape == (1, 3)


# Missing entries and weights --------------------------------------------------------------------------------------

HOLES = np.where(np.random.default_rng(3).random(COINS.shape) < 0.3, np.nan, COINS)


def test_missing_entries_are_a_declared_ability():
    assert get_tags(model()).input_tags.allow_nan


@pytest.mark.parametrize("method", ["pcd", "cd"])
def test_fit_with_holes_and_weights_is_train_of_the_core(method, engine):
    weights = 1 + np.arange(200) % 3
    ours = model(method=method, engine=engine).fit(HOLES[:200], sample_weight=weights)
    options = {
        "epochs": 2,
        "batch_size": 10,
        "chains": 10 if method == "pcd" else None,
        "learning_rate": 0.1,
        "schedule": "constant",
        "momentum": 0.0,
        "centered": False,
    }
    config = harmonium.Config(8, method=method, engine=engine, weight_decay=0.0, binarize="sample", **options)
    run = harmonium.TrainingRun(HOLES[:200], config, sample_weight=weights)
    for _ in run.steps():
        pass
    for got, expected in zip(
        (ours.components_, ours.rbm_.b, ours.rbm_.c), (run.rbm.W, run.rbm.b, run.rbm.c), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transform_and_impute_are_expectations_given_what_is_observed(make, dtype):
    m = model(n_components=3).fit(HOLES)
    X = HOLES[:40].astype(dtype)
    found = impute(m.rbm_, X)
    filled, std = m.impute(make(X), return_std=True)
    assert filled.dtype == std.dtype == m.transform(X).dtype == dtype
    np.testing.assert_allclose(filled, found.mean, rtol=1e-6)
    np.testing.assert_array_equal(filled, m.impute(X))
    assert not std.any()
    np.testing.assert_allclose(m.transform(make(X)), found.mean_h, rtol=1e-5)
    complete = ~np.isnan(X).any(axis=1)
    assert 0 < complete.sum() < 40
    np.testing.assert_array_equal(m.transform(X)[complete], m.transform(X[complete]))


def test_imputation_by_chains_is_reproducible_and_has_errors():
    m = model(n_components=3).fit(COINS)
    settings = {"method": "gibbs", "chains": 4, "burn_in": 2, "sweeps": 5}
    filled, std = m.impute(HOLES[:30], return_std=True, **settings)
    np.testing.assert_array_equal(filled, m.impute(HOLES[:30], **settings))
    np.testing.assert_array_equal(std > 0, np.isnan(HOLES[:30]))


def test_a_pipeline_learns_from_holes():
    """Three features tell the class, each missing in 30 % of the rows: 97.3 % of the rows show one of them."""
    key = np.random.default_rng(5)
    y = key.integers(0, 2, 1000)
    X = np.where(key.random((1000, 4)) < 0.3, np.nan, np.stack([y, y, 1 - y, key.integers(0, 2, 1000)], axis=1))
    pipeline = make_pipeline(model(n_iter=20), LogisticRegression())
    assert pipeline.fit(X[:700], y[:700]).score(X[700:], y[700:]) > 0.9


@pytest.mark.parametrize("method", ["pcd", "cd"])
def test_partial_fit_goes_on_with_holes(method):
    weights = np.arange(1000) % 3
    one, two = (model(method=method, verbose=1).fit(HOLES) for _ in range(2))
    one.partial_fit(HOLES, sample_weight=weights)
    two.partial_fit(HOLES[weights > 0], sample_weight=weights[weights > 0])
    np.testing.assert_array_equal(one.components_, two.components_)
    assert not np.array_equal(one.components_, model(method=method).fit(HOLES).components_)


def test_a_fresh_partial_fit_takes_holes_and_columns_without_values():
    X = HOLES.copy()
    X[:, 2] = np.nan
    m = model().partial_fit(X[:20]).partial_fit(X[20:40])
    assert np.isfinite(m.components_).all()


def test_weights_act_as_duplicates_where_one_batch_holds_all():
    weights = np.array([2, 1, 1, 3, 0])
    parameters = {"batch_size": 20, "n_iter": 5}
    weighted = model(**parameters).fit(COINS[:5], sample_weight=weights)
    repeated = model(**parameters).fit(np.repeat(COINS[:5], weights, axis=0))
    np.testing.assert_allclose(weighted.components_, repeated.components_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(weighted.intercept_visible_, repeated.intercept_visible_, rtol=1e-4)
    assert np.abs(weighted.intercept_visible_ - model(**parameters).fit(COINS[:5]).intercept_visible_).max() > 0.1
    np.testing.assert_array_equal(model().fit(COINS, sample_weight=3).components_, model().fit(COINS).components_)


@pytest.mark.parametrize("weights", [np.zeros(1000), np.ones(999), -np.ones(1000), np.ones((1000, 2)), [np.nan] * 1000])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_weights_are_refused(method, weights):
    with pytest.raises(ValueError, match=r"(?i)weight"):
        getattr(model(), method)(COINS, sample_weight=weights)


# Randomness -------------------------------------------------------------------------------------------------------


def test_an_int_fixes_everything_and_successive_draws_differ():
    one, two, other = model().fit(COINS), model().fit(COINS), model(random_state=1).fit(COINS)
    np.testing.assert_array_equal(one.components_, two.components_)
    assert not np.array_equal(one.components_, other.components_)
    first, second = one.gibbs(COINS), one.gibbs(COINS)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, two.gibbs(COINS))
    np.testing.assert_array_equal(second, two.gibbs(COINS))
    np.testing.assert_array_equal(one.sample(5, sweeps=3), two.sample(5, sweeps=3))
    assert not np.array_equal(one.sample(50, sweeps=3), one.sample(50, sweeps=3))
    np.testing.assert_array_equal(one.fit(COINS).gibbs(COINS), first)  # a fit starts the sequence again


def test_random_state_instances_and_none_follow_scikit_learn():
    def weights(random_state):
        return model(random_state=random_state, n_iter=0).fit(COINS).components_

    state = np.random.RandomState(3)
    first, second = weights(state), weights(state)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, weights(np.random.RandomState(3)))
    assert not np.array_equal(weights(None), weights(None))


def test_looking_at_samples_does_not_disturb_the_training():
    looked, trained = model().fit(COINS), model().fit(COINS)
    looked.gibbs(COINS)
    looked.sample(2, sweeps=1)
    np.testing.assert_array_equal(looked.partial_fit(COINS).components_, trained.partial_fit(COINS).components_)


# Bug museum: what goes wrong in theirs ----------------------------------------------------------------------------


def test_partial_fit_returns_self():
    m = model()
    assert m.partial_fit(COINS) is m
    assert m.partial_fit(COINS) is m


def test_partial_fit_with_more_rows_than_a_batch_stays_balanced():
    # Theirs, 200 calls: visible biases near +10, every p(h|v) at 1.000.
    m = model(batch_size=10)
    for _ in range(20):
        m.partial_fit(COINS)
    assert np.abs(m.intercept_visible_).max() < 2
    H = m.transform(COINS)
    assert H.mean(axis=0).min() > 0.02
    assert H.mean(axis=0).max() < 0.98


def test_partial_fit_learns_as_fit_does():
    m = model(n_components=16)
    for _ in range(5):
        m.partial_fit(BINARY)
    assert m.score(BINARY) == pytest.approx(model(n_components=16, n_iter=5).fit(BINARY).score(BINARY), abs=1.0)


@pytest.mark.parametrize("n_rows", [1, 3, 13])
def test_a_short_batch_counts_as_a_batch(n_rows):
    # Both phases are means, so no step moves a bias by more than the learning rate; theirs sums over 10 chains.
    m = model(batch_size=10, learning_rate=0.1).fit(COINS)
    b, c = m.intercept_visible_, m.intercept_hidden_
    m.partial_fit(COINS[:n_rows])
    steps = -(-n_rows // 10)
    assert np.abs(m.intercept_visible_ - b).max() <= 0.1 * steps + 1e-6
    assert np.abs(m.intercept_hidden_ - c).max() <= 0.1 * steps + 1e-6


def test_a_short_last_batch_does_not_bias_a_fit():
    m = model(batch_size=10, n_iter=100).fit(COINS[:101])
    assert np.abs(m.intercept_visible_).max() < 2
    assert m.transform(COINS).mean(axis=0).max() < 0.98


def test_score_samples_is_deterministic(fitted):
    for X in (BINARY, GREY):
        np.testing.assert_array_equal(fitted.score_samples(X), fitted.score_samples(X))
    fitted_without_seed = model(random_state=None).fit(BINARY)
    np.testing.assert_array_equal(fitted_without_seed.score_samples(GREY), fitted_without_seed.score_samples(BINARY))


def test_fit_shuffles():
    # In a fixed order, batches of one class each would come in turn; here the order of rows decides nothing but noise.
    X = np.repeat([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], 500, axis=0)
    m = model(n_components=4, n_iter=20).fit(X)
    scores = m.score_samples(X)
    assert abs(scores[0] - scores[-1]) < 1
    assert scores.mean() > -1


# Continuing -------------------------------------------------------------------------------------------------------


def test_partial_fit_goes_on_from_fit():
    m = model(momentum=0.9).fit(BINARY)
    before = m.score(BINARY)
    for _ in range(3):
        m.partial_fit(BINARY)
    assert m.score(BINARY) > before - 0.5
    assert m.components_.shape == (8, 64)


def test_partial_fit_follows_changed_parameters():
    m = model(learning_rate=0.1).partial_fit(COINS)
    W = m.components_
    m.set_params(learning_rate=1e-12).partial_fit(COINS)
    np.testing.assert_allclose(m.components_, W, atol=1e-6)
    m.set_params(method="cd").partial_fit(COINS)
    assert m.h_samples_.shape == (0, 8)
    m.set_params(method="pcd").partial_fit(COINS)
    assert m.h_samples_.shape == (10, 8)
    m.set_params(batch_size=100).partial_fit(COINS)
    assert m.h_samples_.shape == (10, 8)
    with pytest.raises(InvalidParameter, match="n_components must stay 8"):
        m.set_params(n_components=9).partial_fit(COINS)


def test_partial_fit_keeps_the_dtype_it_began_with():
    m = model().partial_fit(COINS.astype(np.float32)).partial_fit(COINS.astype(np.float64))
    assert m.components_.dtype == m.h_samples_.dtype == np.float32


def test_chains_move_and_persist():
    m = model().partial_fit(COINS)
    chains = m.h_samples_
    assert set(np.unique(chains)) <= {0, 1}
    assert not np.array_equal(m.partial_fit(COINS).h_samples_, chains)


def test_momentum_goes_on_from_call_to_call():
    m = model(momentum=0.9).fit(BINARY)
    W = m.components_
    m.set_params(learning_rate=1e-12).partial_fit(BINARY)
    assert np.abs(m.components_ - W).max() > 1e-3


def test_calls_of_partial_fit_share_no_noise():
    m = model(learning_rate=1e-12).fit(COINS)
    chains = []
    for _ in range(2):
        m.h_samples_ = np.zeros((10, 8))
        chains.append(m.partial_fit(COINS[:10]).h_samples_)
    assert not np.array_equal(*chains)


def test_no_iterations_leave_a_fresh_machine():
    m = model(n_iter=0).fit(BINARY)
    assert np.abs(m.components_).max() < 0.1
    assert np.isfinite(m.score(BINARY))


def test_an_interrupted_fit_keeps_the_last_whole_pass(monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    m = model(verbose=1, n_iter=3)
    monkeypatch.setattr("builtins.print", interrupt)
    with pytest.raises(KeyboardInterrupt):
        m.fit(BINARY)
    monkeypatch.undo()
    np.testing.assert_array_equal(m.components_, model(n_iter=1).fit(BINARY).components_)


def test_a_training_that_diverges_says_so():
    with np.errstate(all="ignore"), pytest.raises(InvalidParameter, match="Lower the learning rate"):
        model(learning_rate=1e39).fit(COINS)


def test_verbose_prints_a_line_each_pass(capsys):
    m = model(verbose=1, n_iter=2).fit(GREY)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["[BernoulliRBM] Iteration 1", "[BernoulliRBM] Iteration 2"]
    score = float(lines[-1].split("pseudo-likelihood = ")[1].split(",")[0])
    assert score == pytest.approx(m.score(GREY), abs=1.0)  # the line is computed on 500 rows
    model().fit(COINS)
    assert capsys.readouterr().out == ""
