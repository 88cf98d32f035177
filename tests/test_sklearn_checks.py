"""scikit-learn's own checks, all of them, with two excused; and those it keeps for its own estimators."""

import ast
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from harmonium.sklearn import BernoulliRBM

# The checks feed data outside [0, 1] on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::harmonium.sklearn.DataRangeWarning")

CONFIGURATIONS = [
    BernoulliRBM(),
    BernoulliRBM(n_components=5, method="cd", sweeps=2, momentum=0.5, weight_decay=1e-3, binarize="sample", n_iter=2),
    BernoulliRBM(n_components=2, batch_size=64, binarize="threshold", learning_rate=0.01),
    BernoulliRBM(n_components=3, engine="numpy", sweeps=3, n_iter=0),
]


# They want a weight of 2 to give the bits of a repeated row, though rows are shuffled: it is so on average, and exactly
# where one batch holds all rows (tests/test_missing.py).
EQUIVALENCE = [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")]


def expected_failures(estimator):
    reason = "rows are shuffled: weights equal repetition on average, not in bits"
    return {} if estimator.n_iter == 0 else dict.fromkeys(EQUIVALENCE, reason)


@parametrize_with_checks(CONFIGURATIONS, expected_failed_checks=expected_failures)
def test_public_checks(estimator, check):
    check(estimator)


ALL_PASSED = """
import warnings
from sklearn.utils.estimator_checks import check_estimator
from harmonium.sklearn import BernoulliRBM
warnings.simplefilter("ignore")
results = check_estimator(BernoulliRBM(), on_skip=None, on_fail=None)
print(len(results), [r["check_name"] for r in results if r["status"] != "passed"])
"""


def test_no_public_check_is_skipped():
    # The check of array-API input is skipped unless SciPy was told at its import to support such arrays.
    command = [sys.executable, "-c", ALL_PASSED]
    output = subprocess.run(
        command, env=os.environ | {"SCIPY_ARRAY_API": "1"}, capture_output=True, text=True, check=True
    )
    count, not_passed = output.stdout.split(maxsplit=1)
    assert ast.literal_eval(not_passed) == EQUIVALENCE
    assert int(count) >= 46


# Run by scikit-learn on its own estimators only; the names move between versions.
SELF_CHECKS = [
    "check_param_validation",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
    "check_dataframe_column_names_consistency",
    "check_n_features_in",
    "check_estimators_partial_fit_n_features",
]


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("name", SELF_CHECKS)
@pytest.mark.parametrize("estimator", CONFIGURATIONS, ids=repr)
def test_checks_that_scikit_learn_runs_on_itself(estimator, name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip(f"this version of scikit-learn has no {name}")
    check("BernoulliRBM", estimator)


@pytest.mark.parametrize("estimator", CONFIGURATIONS, ids=repr)
def test_pickled_estimator_continues_as_the_original(estimator):
    X = np.random.default_rng(0).integers(0, 2, (30, 4))
    one = BernoulliRBM(**estimator.get_params()).set_params(random_state=0).fit(X)
    two = pickle.loads(pickle.dumps(one))
    for model in (one, two):
        model.partial_fit(X)
    np.testing.assert_array_equal(one.components_, two.components_)
    np.testing.assert_array_equal(one.gibbs(X), two.gibbs(X))
