"""In scikit-learn's machinery: processes, streams, frames, weights; one vector; public names of private helpers."""

import importlib
import importlib.util
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from scipy.special import expit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from harmonium.errors import InvalidData
from harmonium.sklearn import BernoulliRBM

KEY = np.random.default_rng(0)
X = KEY.integers(0, 2, (200, 6)).astype(float)
SKEWED = (KEY.random((30, 5)) < [0.9, 0.7, 0.5, 0.3, 0.1]).astype(float)


def model(**parameters):
    return BernoulliRBM(**{"n_components": 5, "n_iter": 2, "random_state": 0} | parameters)


@pytest.fixture(scope="module")
def fitted():
    return model().fit(X)


# One vector, and the names --------------------------------------------------------------------------------------------


def test_one_vector_is_one_row(fitted):
    two = pickle.loads(pickle.dumps(fitted))
    one = pickle.loads(pickle.dumps(fitted))
    v = one.gibbs(X[0])
    assert v.shape == (6,)
    assert v.dtype == bool
    np.testing.assert_array_equal(v, two.gibbs(X[:1])[0])
    assert one.mean_hidden(X[0]).shape == one.sample_hidden(X[0]).shape == (5,)
    assert one.mean_visible(np.ones(5)).shape == one.sample_visible(np.ones(5)).shape == (6,)
    with pytest.raises(ValueError, match="4 features"):
        one.gibbs(X[0, :4])


def test_a_vector_may_come_in_any_container(fitted):
    containers = [list, tuple, np.ma.masked_array, lambda v: scipy.sparse.csr_array(v[None])[0]]
    for library in ("pandas", "polars", "torch"):
        if importlib.util.find_spec(library):
            module = importlib.import_module(library)
            containers.append(module.tensor if library == "torch" else module.Series)
    for contain in containers:
        v, h = contain(X[0]), contain(np.full(5, 0.5))
        np.testing.assert_array_equal(fitted.free_energy(v), fitted.free_energy(X[0]))
        assert fitted.gibbs(v).shape == fitted.mean_visible(h).shape == (6,)
        np.testing.assert_array_equal(fitted.mean_visible(h), fitted.mean_visible(np.full(5, 0.5)))


def test_the_labels_of_a_vector_are_compared_as_those_of_a_frame():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    named = model().fit(frame)
    for row in (frame.iloc[0], frame.astype("Int64").iloc[0], frame.astype(object).iloc[0]):
        assert named.free_energy(row) == named.free_energy(X[0])
        with pytest.raises(ValueError, match="feature names should match"):
            named.free_energy(row[::-1])
    assert named.gibbs(pandas.Series(X[0])).shape == (6,)  # without labels, as what gibbs returns


def test_helpers_are_the_conditionals(fitted):
    mean_h = expit(X @ fitted.components_.T + fitted.intercept_hidden_)
    np.testing.assert_allclose(fitted.mean_hidden(X), mean_h, atol=1e-6)
    np.testing.assert_allclose(fitted.mean_hidden(X), fitted.transform(X))
    np.testing.assert_allclose(
        fitted.mean_visible(mean_h), expit(mean_h @ fitted.components_ + fitted.intercept_visible_), atol=1e-6
    )
    # Means of 4000 coins lie within 5 standard errors, 0.04, of their probabilities.
    many = np.tile(X[:1], (4000, 1))
    np.testing.assert_allclose(fitted.sample_hidden(many, seed=1).mean(axis=0), mean_h[0], atol=0.04)
    for h in (np.tile([[1.0, 0, 1, 0, 0]], (4000, 1)), np.full((4000, 5), 0.5)):
        drawn = fitted.sample_visible(h, seed=1).mean(axis=0)
        np.testing.assert_allclose(drawn, fitted.mean_visible(h[0]), atol=0.04)


@pytest.mark.parametrize(
    "draw",
    [
        lambda m, **seed: m.sample_hidden(X, **seed),
        lambda m, **seed: m.sample_visible(np.full((200, 5), 0.5), **seed),
        lambda m, **seed: m.sample(50, sweeps=2, **seed),
    ],
)
def test_a_seed_fixes_a_draw_and_without_one_calls_differ(fitted, draw):
    np.testing.assert_array_equal(draw(fitted, seed=3), draw(fitted, seed=3))
    assert not np.array_equal(draw(fitted, seed=3), draw(fitted, seed=4))
    assert not np.array_equal(draw(fitted), draw(fitted))


def test_messages_speak_of_n_components(fitted):
    with pytest.raises(InvalidData, match="n_components = 5"):
        fitted.inverse_transform(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="n_components must stay 5"):
        model().fit(X).set_params(n_components=6).partial_fit(X)
    changed = model().fit(X)
    changed.components_ = np.zeros((4, 6))
    for call in (lambda: changed.transform(X), lambda: changed.rbm_):
        with pytest.raises(ValueError, match=r"\(n_components, n_features\).*Got \(4, 6\), \(6,\) and \(5,\)"):
            call()


def test_sampling_from_rows_with_holes_is_answered_with_impute(fitted):
    """Scikit-learn's words would say that the class takes no NaN at all."""
    holes = np.where(X == 1, np.nan, X)
    for draw in (fitted.gibbs, fitted.sample_hidden):
        with pytest.raises(InvalidData, match=r"no missing entries.*impute\(X\)"):
            draw(holes)


def test_fewer_sweeps_are_quicker_for_rows_with_many_holes():
    machine = model(n_components=20).fit(X[:, :5].repeat(6, axis=1))
    rows = np.full((2, 30), np.nan)
    rows[:, :6] = 1
    counts = []
    for sweeps in (4, 200):
        machine.set_params(missing_sweeps=sweeps)
        n_calls = 0

        def count(frame, event, argument):
            nonlocal n_calls
            n_calls += event == "call" and frame.f_code.co_name == "bernoulli"

        sys.setprofile(count)
        H = machine.transform(rows)
        sys.setprofile(None)
        counts.append(n_calls)
        assert np.isfinite(H).all()
    assert counts[0] < counts[1] / 20
    np.testing.assert_allclose(
        machine.mean_hidden(rows, sweeps=4), machine.set_params(missing_sweeps=4).transform(rows)
    )


def test_one_chain_is_enough_to_impute():
    machine = model(n_components=20).fit(X[:, :5].repeat(6, axis=1))
    rows = np.full((2, 30), np.nan)
    rows[:, :6] = 1
    filled = machine.impute(rows, chains=1, burn_in=5, sweeps=10)
    assert np.isfinite(filled).all()
    assert ((filled >= 0) & (filled <= 1)).all()
    _, std = machine.impute(rows, chains=1, burn_in=5, sweeps=10, return_std=True)
    assert np.isnan(std[:, 6:]).all()  # one chain says nothing about its error
    assert not std[:, :6].any()


# Frames and processes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_in_and_out(kind):
    library = pytest.importorskip(kind, reason=f"{kind} is not installed")
    frame = library.DataFrame(dict(zip("abcdef", X.T, strict=True)))
    machine = model().set_output(transform=kind).fit(frame)
    H = machine.transform(frame)
    assert type(H) is library.DataFrame
    assert list(H.columns) == list(machine.get_feature_names_out()) == [f"bernoullirbm{i}" for i in range(5)]
    np.testing.assert_allclose(H.to_numpy(), model().fit(X).transform(X))
    assert list(machine.feature_names_in_) == list("abcdef")


def test_what_gibbs_returns_needs_no_names():
    """As in scikit-learn's class; a warning in each sweep would be an error here."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(dict(zip("abcdef", X.T, strict=True)))
    machine = model().fit(frame)
    assert machine.gibbs(machine.gibbs(frame)).shape == X.shape
    assert machine.sample_hidden(frame.iloc[0]).shape == (5,)
    assert machine.free_energy(X[:3]).shape == (3,)
    with pytest.warns(UserWarning, match="valid feature names"):
        machine.transform(X)
    with pytest.raises(ValueError, match="same order"):
        machine.gibbs(frame[list("bacdef")])


@pytest.mark.parametrize("column", [["yes", "no"], "categories", "times"])
def test_a_column_that_holds_no_numbers_is_named(column):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    made = {"categories": pandas.Categorical(["u", "v"]), "times": pandas.to_datetime(["2020-01-01", "2020-01-02"])}
    frame = pandas.DataFrame({"a": [0.0, 1.0], "b": made[column] if isinstance(column, str) else column})
    with pytest.raises(InvalidData, match=r"column 'b' of X must hold numbers.*Encode categories"):
        model().fit(frame)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_grid_search_in_processes_and_threads(backend):
    # In a process of its own with a limit of time, as what once went wrong here was waiting for ever.
    code = f"""
import joblib, numpy as np
from sklearn.model_selection import GridSearchCV
from harmonium.sklearn import BernoulliRBM
if __name__ == "__main__":
    X = np.random.default_rng(0).integers(0, 2, (400, 20)).astype(float)
    model = BernoulliRBM(n_components=50, n_iter=1, random_state=0).fit(X)  # threads are running before the fork
    search = GridSearchCV(model, {{"learning_rate": [1e-6, 0.1]}}, cv=2, n_jobs=2)
    with joblib.parallel_backend("{backend}", n_jobs=2):
        found = search.fit(X).cv_results_["mean_test_score"]
    print(*found)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert found.returncode == 0, found.stderr
    assert np.isfinite([float(x) for x in found.stdout.split()]).all()


def test_threads_share_an_estimator(fitted):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: fitted.transform(X[i : i + 1]), range(100)))
    np.testing.assert_allclose(np.concatenate(results), fitted.transform(X[:100]))


def test_a_stream_of_batches_of_differing_size():
    sizes = [1, 7, 40, 2, 100, 50]
    one, two = model(batch_size=8), model(batch_size=8)
    start = 0
    for size in sizes:
        one.partial_fit(X[start : start + size])
        two = pickle.loads(pickle.dumps(two.partial_fit(X[start : start + size])))
        start += size
    np.testing.assert_array_equal(one.components_, two.components_)
    assert one.h_samples_.shape == (8, 5)
    assert np.isfinite(one.score(X))


def test_search_clones_what_it_is_given(fitted):
    search = GridSearchCV(fitted, {"n_components": [2, 3]}, cv=2).fit(X)
    assert search.best_estimator_.components_.shape[0] in (2, 3)
    assert fitted.components_.shape == (5, 6)
    assert clone(fitted).get_params() == fitted.get_params()


# Weights --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["batches", "one batch"])
def test_a_weight_of_two_is_a_row_twice_on_average(kind):
    """What is learnt from weights and from repeated rows is the same distribution.

    Means of parameters over 40 seeds; their difference has a standard error of at most 0.02 for biases (checked below),
    so five of them, which chance exceeds in one of 10^6 comparisons, are 0.1. Ignoring the weights moves biases by 0.3.
    """
    weights = np.arange(30) % 3
    repeated = np.repeat(SKEWED, weights, axis=0)
    batch_size = 10 if kind == "batches" else 30
    learnt = []
    for seed in range(40):
        parameters = {"n_components": 2, "n_iter": 30, "random_state": seed, "learning_rate": 0.05}
        weighted = BernoulliRBM(batch_size=batch_size, **parameters).fit(SKEWED, sample_weight=weights)
        doubled = BernoulliRBM(batch_size=batch_size, **parameters).fit(repeated)
        learnt.append([weighted.intercept_visible_, doubled.intercept_visible_])
    learnt = np.array(learnt)
    error = np.sqrt(learnt.var(axis=0, ddof=1).sum(axis=0) / len(learnt))
    assert error.max() < 0.02
    assert np.abs(learnt[:, 0].mean(axis=0) - learnt[:, 1].mean(axis=0)).max() < 5 * error.max()
