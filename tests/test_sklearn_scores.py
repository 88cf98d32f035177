"""Scores of rows as people have them: with missing entries, weights, grey levels; and free energies."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.neural_network import BernoulliRBM as Theirs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from harmonium.sklearn import BernoulliRBM, DataRangeWarning

KEY = np.random.default_rng(0)
HALF = KEY.integers(0, 2, (300, 1))
X = np.where(KEY.random((300, 8)) < 0.1, 1 - HALF, HALF).astype(float)
HOLES = np.where(KEY.random(X.shape) < 0.3, np.nan, X)
BINARY = (load_digits().data > 8).astype(float)


def model(**parameters):
    return BernoulliRBM(**{"n_components": 4, "n_iter": 10, "random_state": 0} | parameters)


@pytest.fixture(scope="module")
def fitted():
    return model().fit(X)


def test_free_energy_is_theirs_on_the_same_machine(fitted):
    theirs = Theirs(n_components=4).fit(X[:2])
    for name in ("components_", "intercept_hidden_", "intercept_visible_"):
        setattr(theirs, name, getattr(fitted, name))
    for rows in (X, X / 3, scipy.sparse.csr_matrix(X)):
        np.testing.assert_allclose(fitted.free_energy(rows), np.ravel(theirs._free_energy(rows)), rtol=1e-5)
    assert fitted.free_energy(X[0]) == pytest.approx(theirs._free_energy(X[:1])[0], rel=1e-5)


def test_free_energy_and_score_of_rows_with_holes_are_sums_over_the_holes(fitted):
    states = np.array(list(itertools.product([0.0, 1.0], repeat=8)))
    p = np.exp(-fitted.free_energy(states))
    for row in HOLES[:10]:
        seen = ~np.isnan(row)
        agree = (states[:, seen] == row[seen]).all(axis=1)
        assert fitted.free_energy(row) == pytest.approx(-np.log(p[agree].sum()), rel=1e-4)
        expected = 0.0
        for j in np.flatnonzero(seen):
            others = seen & (np.arange(8) != j)
            rest = (states[:, others] == row[others]).all(axis=1)
            expected += np.log(p[rest & (states[:, j] == row[j])].sum() / p[rest].sum())
        assert fitted.score_samples(row[None])[0] == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert fitted.score_samples(scipy.sparse.csr_matrix(row[None]))[0] == pytest.approx(
            expected, rel=1e-4, abs=1e-5
        )


def test_scores_of_rows_with_holes_stay_the_same_and_finite():
    machine = model(n_components=20, missing_sweeps=10).fit(HOLES)  # too many components to sum over
    rows = np.where(KEY.random((20, 8)) < 0.7, np.nan, X[:20])
    first = machine.score_samples(rows)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, machine.score_samples(rows))
    assert (first[np.isnan(rows).all(axis=1)] == 0).all()


def test_cross_validation_on_holes_is_finite_and_tells_machines_apart():
    scores = cross_val_score(model(), HOLES, cv=3)
    assert np.isfinite(scores).all()
    search = GridSearchCV(model(n_iter=60), {"learning_rate": [1e-6, 0.1]}, cv=3).fit(HOLES)
    assert search.best_params_ == {"learning_rate": 0.1}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_weights_of_a_score_count_rows(fitted):
    weights = np.arange(300) % 3
    repeated = np.repeat(X, weights, axis=0)
    assert fitted.score(X, sample_weight=weights) == pytest.approx(fitted.score(repeated))
    assert fitted.score(X, sample_weight=np.ones(300)) == pytest.approx(fitted.score(X))
    with pytest.raises(ValueError, match=r"(?i)weight"):
        fitted.score(X, sample_weight=-weights)


def test_weights_are_routed():
    weights = np.where(HALF[:, 0], 0.0, 1.0)
    with config_context(enable_metadata_routing=True):
        estimator = model().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        found = cross_validate(estimator, X, params={"sample_weight": weights}, cv=2, return_estimator=True)
        for machine, score in zip(found["estimator"], found["test_score"], strict=True):
            assert machine.transform(X).shape == (300, 4)
            assert machine.intercept_visible_.max() < 0  # learnt from the zeros alone
            assert score > -4
        pipeline = make_pipeline(FunctionTransformer(), model().set_fit_request(sample_weight=True))
        pipeline.fit(X, sample_weight=weights)
        np.testing.assert_array_equal(pipeline[-1].components_, model().fit(X, sample_weight=weights).components_)
        model().set_partial_fit_request(sample_weight=True)


def test_faint_grey_rows_are_not_scored_in_silence(fitted):
    for faint in (X * 0.4, scipy.sparse.csr_matrix(X * 0.4), (X * 0.4).astype(np.float32)):
        with pytest.warns(DataRangeWarning, match="above 1/2"):
            fitted.score_samples(faint)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.score_samples(X * 0.6)
        fitted.score_samples(np.zeros((2, 8)))


def test_warnings_point_at_the_line_of_the_caller(fitted):
    def calls():
        yield lambda: fitted.score_samples(X * 0.4)
        for name in (
            "fit",
            "partial_fit",
            "fit_transform",
            "transform",
            "gibbs",
            "score",
            "free_energy",
            "mean_hidden",
        ):
            yield lambda name=name: getattr(model().fit(X), name)(X * 1.5)
        yield lambda: make_pipeline(FunctionTransformer(), model()).fit(X * 1.5)
        yield lambda: cross_val_score(model(), X * 1.5, cv=2)

    for call in calls():
        with pytest.warns(DataRangeWarning) as caught:
            call()
        assert {x.filename for x in caught} == {__file__}


def test_rounding_past_one_is_one_and_counts_get_advice(fitted):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        overshot = np.where(X == 1, np.nextafter(1, 2), X)
        np.testing.assert_array_equal(fitted.transform(overshot), fitted.transform(X))
        np.testing.assert_array_equal(fitted.gibbs((X * 1.0000001).astype(np.float32)).shape, X.shape)
        fitted.inverse_transform(np.full((1, 4), 1.0000000000000002))
    with pytest.warns(DataRangeWarning, match=r"from 0 to 3,.*binary=True.*MaxAbsScaler"):
        model().fit(scipy.sparse.csr_matrix(X * 3))


def test_masked_entries_are_missing():
    masked = np.ma.MaskedArray(X, mask=np.isnan(HOLES))
    np.testing.assert_array_equal(model().fit(masked).components_, model().fit(HOLES).components_)
    bytes_ = np.ma.MaskedArray(X.astype(np.uint8), mask=np.isnan(HOLES))
    np.testing.assert_allclose(model().fit(X).impute(bytes_), model().fit(X).impute(HOLES), rtol=1e-6)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({str(i): pandas.array(list(column), dtype="Float64") for i, column in enumerate(X.T)})
    frame = frame.mask(pandas.DataFrame(np.isnan(HOLES), columns=frame.columns), pandas.NA)
    np.testing.assert_array_equal(model().fit(frame).components_, model().fit(HOLES).components_)
