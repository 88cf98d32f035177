"""The scikit-learn face with missing entries and weights."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn_models import COINS, model

import harmonium
from harmonium.sampling.conditional import impute

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
