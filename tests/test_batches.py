"""The batches of a run: the noise of complete data, weights, and missing entries that move on."""

import numpy as np
import pytest
from oracles import random_parameters

from harmonium import RBM, Config, Key
from harmonium.datasets import binarize
from harmonium.datasets.binarize import as_learnt
from harmonium.engines import make_engine
from harmonium.errors import InvalidData, InvalidParameter
from harmonium.inputs import check_rows
from harmonium.training import TrainingRun
from harmonium.training.batches import Batches

NAN = np.nan
GREY = np.random.default_rng(0).random((23, 6)).astype(np.float32)
STATES = (GREY > 0.5).astype(np.uint8)
HOLES = np.where(np.random.default_rng(1).random(GREY.shape) < 0.3, np.float32(NAN), GREY)
WEIGHTS = np.random.default_rng(2).integers(0, 4, 23).astype(float)
KEY = Key(5)
BINARIZATIONS = ["threshold", "sample", "none"]


def config(**options):
    return Config(**{"n_hidden": 3, "batch_size": 7} | options)


def batches_of(X, config, key, weights=None, completions=None):
    return Batches(as_learnt(check_rows(X, sample_weight=weights), config.binarize), config, key, completions)


def batches_of_run(X, weights, how):
    """As a run makes them, which leaves rows out that do not count."""
    return TrainingRun(X, config(binarize=how, seed=KEY.seed, epochs=1), sample_weight=weights)._batches


def machine(engine, scale=1.0):
    return make_engine(RBM(*random_parameters(3, 6, scale=scale)), engine)


def arrays(batches, engine, steps):
    """The rows of some steps as arrays."""
    return [engine.to_numpy(batches.at(engine, step).v) for step in steps]


# Complete data --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", BINARIZATIONS)
@pytest.mark.parametrize("X", [STATES, GREY], ids=["binary", "grey"])
def test_order_and_noise_are_those_of_the_keys(X, how, engine):
    """Published runs rest on these very draws."""
    batches, engine_ = batches_of(X, config(binarize=how), KEY), machine(engine)
    assert (batches.n_samples, batches.n_batches, batches.completions(machine("native"))) == (23, 4, None)
    for epoch in range(3):
        order = KEY.derive("order", epoch).permutation(23)
        expected = X
        if how == "threshold":
            expected = X > 0.5
        elif how == "sample":
            expected = KEY.derive("data", epoch).uniform(23, 6) < X
        for number, got in enumerate(arrays(batches, engine_, range(4 * epoch, 4 * epoch + 4))):
            np.testing.assert_array_equal(got, expected[order[7 * number : 7 * number + 7]].astype(np.float32))
            assert len(got) == (7 if number < 3 else 2)


def test_batches_without_weights_have_none():
    for weights in (None, np.ones(23), np.full(23, 2.5), [3] * 23):
        batch = batches_of(STATES, config(), KEY, weights).at(machine("numpy"), 0)
        assert (batch.weights, batch.relative_weight) == (None, 1.0)


# Weights --------------------------------------------------------------------------------------------------------------


def test_every_row_counts_by_its_weight_over_an_epoch():
    """What multiplies a row's statistics in the steps of an epoch, with batches of equal size."""
    X, weights = np.eye(21)[:, :20], np.random.default_rng(3).gamma(0.5, size=21)
    batches, engine = batches_of(X, config(), KEY, weights), make_engine(RBM(*random_parameters(3, 20)), "numpy")
    total, shares = np.zeros(20), []
    for step in range(3):
        batch = batches.at(engine, step)
        total += batch.relative_weight * (batch.weights / batch.weights.sum()) @ batch.v
        shares.append(batch.relative_weight)
    np.testing.assert_allclose(total / 3, weights[:20] / weights.sum(), rtol=1e-5)
    assert np.mean(shares) == pytest.approx(1)
    assert np.ptp(shares) > 0.1


def test_a_batch_of_all_rows_has_the_very_weights():
    batches = batches_of(STATES[:3], config(), KEY, [2, 1, 1])
    batch = batches.at(machine("numpy"), 0)
    order = KEY.derive("order", 0).permutation(3)
    np.testing.assert_array_equal(batch.weights, np.array([2, 1, 1])[order])
    assert batch.weights.dtype == np.float32
    assert batch.relative_weight == 1


@pytest.mark.parametrize("how", BINARIZATIONS)
@pytest.mark.parametrize("X", [GREY, HOLES], ids=["complete", "holes"])
def test_rows_of_no_weight_are_removed(X, how, engine):
    kept = WEIGHTS > 0
    one, two = batches_of_run(X, WEIGHTS, how), batches_of_run(X[kept], WEIGHTS[kept], how)
    assert one.n_samples == kept.sum() < 23
    np.testing.assert_array_equal(one.data_means, two.data_means)
    for step in range(5):
        a, b = (x.at(machine(engine), step) for x in (one, two))
        np.testing.assert_array_equal(machine(engine).to_numpy(a.v), machine(engine).to_numpy(b.v))
        np.testing.assert_array_equal(a.weights, b.weights)
        assert a.relative_weight == b.relative_weight


def test_weights_that_are_equal_once_zeros_are_gone():
    batches = batches_of_run(STATES, WEIGHTS > 0, "threshold")
    assert batches.rows.weights is None
    np.testing.assert_array_equal(batches.rows.X, STATES[WEIGHTS > 0])


@pytest.mark.parametrize("X", [STATES, GREY, HOLES], ids=["binary", "grey", "holes"])
def test_totals_and_means_count_rows_by_their_weights(X):
    repeated = np.repeat(X, WEIGHTS.astype(int), axis=0)
    for got, expected in zip(check_rows(X, sample_weight=WEIGHTS).totals, check_rows(repeated).totals, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    for how in BINARIZATIONS:
        one, two = (
            batches_of(*x) for x in ((X, config(binarize=how), KEY, WEIGHTS), (repeated, config(binarize=how), KEY))
        )
        states = binarize(repeated, "threshold", allow_nan=True) if how == "threshold" else repeated
        np.testing.assert_allclose(one.data_means, np.nanmean(states, axis=0, dtype=np.float64), rtol=1e-6)
        np.testing.assert_allclose(one.data_means, two.data_means, rtol=1e-6)


@pytest.mark.parametrize(
    "weights", [[1, 2], np.ones((23, 2)), ["a"] * 23, [NAN] * 23, [np.inf] * 23, [-1] + [1] * 22, np.zeros(23), 1.0]
)
def test_bad_weights_are_refused(weights):
    with pytest.raises(InvalidData, match=r"^sample_weight must .* Got .*\. [A-Z].*\.$"):
        batches_of(STATES, config(), KEY, weights)


# Missing entries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", BINARIZATIONS)
def test_observed_entries_have_the_noise_of_complete_data(how, engine):
    complete = batches_of(np.where(np.isnan(HOLES), np.float32(0.4), HOLES), config(binarize=how), KEY)
    holes = batches_of(HOLES, config(binarize=how), KEY)
    for step in range(9):
        rows = KEY.derive("order", step // 4).permutation(23)[step % 4 * 7 :][:7]
        a, b = (arrays(x, machine(engine), [step])[0] for x in (complete, holes))
        observed = ~np.isnan(HOLES[rows])
        np.testing.assert_array_equal(a[observed], b[observed])
        assert np.isin(b[~observed], (0, 1)).all()


@pytest.mark.parametrize("how", BINARIZATIONS)
def test_missing_entries_make_one_clamped_sweep_and_are_kept(how):
    """With logits of plus and minus infinity, in effect, a sweep has one outcome."""
    W = np.array([[80.0, 80, 0, 0, 0, 0], [-80, 0, 0, 0, 0, 80]])
    engine = make_engine(RBM(W, [-40, -40, 40, -40, -40, -40], [-40.0, 40]), "numpy")
    X = np.array([[1, NAN, NAN, 0, NAN, NAN], [0, NAN, 0, 1, 1, NAN]])
    batches = batches_of(X, config(binarize=how), KEY, completions=np.zeros((2, 1), np.uint8))
    (v,) = arrays(batches, engine, [0])
    order = KEY.derive("order", 0).permutation(2)
    expected = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    np.testing.assert_array_equal(v, expected[order])
    np.testing.assert_array_equal(np.unpackbits(batches.completions(engine), axis=1)[:, :6], np.isnan(X) * expected)


@pytest.mark.parametrize("how", BINARIZATIONS)
@pytest.mark.parametrize("step", [1, 4, 6])
def test_stored_completions_continue_bit_for_bit(how, step, engine):
    whole = batches_of(HOLES, config(binarize=how), KEY, 1 + WEIGHTS)
    arrays(whole, machine(engine), range(step))
    resumed = batches_of(HOLES, config(binarize=how), KEY, 1 + WEIGHTS, whole.completions(machine(engine)))
    for now in range(step, 9):
        a, b = (x.at(machine(engine), now) for x in (whole, resumed))
        np.testing.assert_array_equal(machine(engine).to_numpy(a.v), machine(engine).to_numpy(b.v))
        np.testing.assert_array_equal(a.weights, b.weights)
    np.testing.assert_array_equal(*(x.completions(machine(engine)) for x in (whole, resumed)))


def test_engines_complete_alike():
    one, two = batches_of(HOLES, config(), KEY), batches_of(HOLES, config(), KEY)
    for step in range(8):
        a, b = (arrays(x, machine(name), [step])[0] for x, name in ((one, "numpy"), (two, "native")))
        np.testing.assert_array_equal(a, b)


@pytest.mark.false_alarm(6e-9)
def test_completions_start_at_the_means_of_the_columns(seed):
    """2000 coins for each column: 6.1 standard deviations are 0.068."""
    X = np.full((2006, 6), NAN, np.float32)
    X[:6] = np.tril(np.ones((6, 6)))
    batches = batches_of(X, config(), Key(seed(5)))
    np.testing.assert_allclose(batches.data_means, np.arange(6, 0, -1) / 6, rtol=1e-6)
    start = np.unpackbits(batches.completions(machine("native")), axis=1)[:, :6]
    np.testing.assert_allclose(start[6:].mean(axis=0), batches.data_means, atol=0.0682)
    assert not start[:6].any()


def test_a_column_without_observations_starts_at_one_half():
    X = np.where(np.arange(6) == 2, np.float32(NAN), GREY)
    batches = batches_of(X, config(binarize="none"), KEY)
    assert batches.data_means[2] == 0.5
    np.testing.assert_allclose(np.delete(batches.data_means, 2), np.delete(GREY.mean(axis=0), 2), rtol=1e-6)


def test_the_data_are_not_changed():
    X, kept = HOLES.copy(), WEIGHTS.copy()
    batches = batches_of(X, config(), KEY, kept)
    arrays(batches, machine("native"), range(8))
    np.testing.assert_array_equal(X, HOLES)
    np.testing.assert_array_equal(kept, WEIGHTS)


@pytest.mark.parametrize("completions", [np.zeros((23, 6), np.uint8), np.zeros((22, 1), np.uint8), np.zeros((23, 1))])
def test_completions_that_do_not_fit_are_refused(completions):
    with pytest.raises(InvalidParameter, match=r"^Completions must .* Got .*\. Resume"):
        batches_of(HOLES, config(), KEY, completions=completions)
    with pytest.raises(InvalidParameter, match=r"^Completions must come with missing data"):
        batches_of(GREY, config(), KEY, completions=completions)


@pytest.mark.parametrize("bad", [np.full((3, 6), NAN), np.where(np.isnan(HOLES), np.inf, HOLES), HOLES * 2, HOLES[0]])
def test_bad_data_are_refused(bad):
    with pytest.raises(InvalidData, match=r"^X must .* Got .*\. [A-Z]"):
        TrainingRun(bad, config())
