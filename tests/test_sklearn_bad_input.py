"""Bad data and parameters at the scikit-learn face: refused, or clipped with a warning."""

import numpy as np
import pytest
import scipy.sparse
import sklearn_models
from sklearn.exceptions import NotFittedError
from sklearn_models import COINS, GREY, model

from harmonium.errors import InvalidData, InvalidParameter
from harmonium.sklearn import DataRangeWarning

fitted = sklearn_models.fitted  # the fixture
METHODS_ON_V = ["fit", "partial_fit", "transform", "score_samples", "score", "gibbs"]
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
