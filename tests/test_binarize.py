"""From grey levels to states."""

import numpy as np
import pytest

import harmonium
from harmonium.datasets import BINARIZATIONS, binarize
from harmonium.datasets.binarize import as_learnt, describe_blank
from harmonium.errors import DataWarning, InvalidData, InvalidParameter
from harmonium.inputs import check_rows
from harmonium.random import Key

GREY = np.array([[0.0, 0.25, 0.5, 0.75, 1.0]])


def test_threshold_is_strictly_above_one_half():
    states = binarize([[0.0, 0.4, 0.5, np.nextafter(0.5, 1), 1.0]], "threshold")
    np.testing.assert_array_equal(states, [[0, 0, 0, 1, 1]])
    assert states.dtype == np.uint8


def test_sample_is_on_exactly_where_the_noise_is_below_the_value():
    key = Key(3, stream=2, step=5)
    u = key.derive_for_rows("binarize").uniform(4, 7)
    tiny = 2.0**-40
    np.testing.assert_array_equal(binarize(u + tiny, "sample", key), np.ones((4, 7)))
    np.testing.assert_array_equal(binarize(u, "sample", key), np.zeros((4, 7)))
    np.testing.assert_array_equal(binarize(u - tiny, "sample", key), np.zeros((4, 7)))


def test_sample_in_blocks_is_the_sample_of_the_whole(monkeypatch):
    import importlib

    module = importlib.import_module("harmonium.datasets.binarize")
    X = np.random.default_rng(0).random((23, 6)).astype(np.float32)
    key = Key(1, row=4)
    expected = key.derive_for_rows("binarize").uniform(23, 6) < X
    for block in (1, 6, 13, 60, 10**6):
        monkeypatch.setattr(module, "_BLOCK", block)
        np.testing.assert_array_equal(binarize(X, "sample", key), expected)
    np.testing.assert_array_equal(binarize(X[10:], "sample", key.rows_from(10)), expected[10:])


def test_sample_keeps_certain_values():
    X = np.full((50, 40), 0.5)
    X[:, ::4], X[:, 1::4] = 0, 1
    states = binarize(X, "sample", Key(7))
    assert not states[:, ::4].any()
    assert states[:, 1::4].all()
    assert 0 < states[:, 2::4].mean() < 1


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("how", ["threshold", "sample"])
def test_states_stay_states(how, dtype):
    X = np.array([[0, 1, 1], [1, 0, 0]], dtype)
    states = binarize(X, how, Key(0))
    np.testing.assert_array_equal(states, X)
    assert states.dtype == np.uint8


@pytest.mark.false_alarm(5e-9)
def test_sample_frequencies(seed):
    # Standard error of each mean 0.5/sqrt(20000) = 0.0035; 6.1 of them for each of five columns.
    means = binarize(np.repeat(GREY, 20_000, axis=0), "sample", seed(11)).mean(axis=0)
    np.testing.assert_allclose(means, GREY[0], atol=0.0216)


def test_a_key_is_an_address_and_an_int_is_a_seed():
    X = np.full((30, 30), 0.5)
    np.testing.assert_array_equal(binarize(X, "sample", 5), binarize(X, "sample", Key(5)))
    assert (binarize(X, "sample", Key(5)) != binarize(X, "sample", Key(5).at(1))).any()


def test_none_returns_the_very_array():
    assert binarize(GREY, "none") is GREY


def test_the_data_are_not_changed():
    X = GREY.copy()
    for how in BINARIZATIONS:
        binarize(X, how, Key(0))
    np.testing.assert_array_equal(X, GREY)


@pytest.mark.parametrize("how", ["Threshold", "", None, 0.5])
def test_unknown_names(how):
    with pytest.raises(InvalidParameter, match="binarize must be one of threshold, sample, none"):
        binarize(GREY, how, Key(0))


def test_sample_needs_a_key():
    with pytest.raises(InvalidParameter, match="must come with a key"):
        binarize(GREY, "sample")


@pytest.mark.parametrize("how", BINARIZATIONS)
@pytest.mark.parametrize("bad", [[[0.5, 2.0]], [[-0.1]], [[np.nan]], [[np.inf]], [0.5], [[]], [["a"]]])
def test_bad_values(how, bad):
    with pytest.raises(InvalidData):
        binarize(bad, how, Key(0))


SHADES = np.random.default_rng(5).random((20, 4))


@pytest.mark.parametrize(
    ("X", "how", "word"),
    [
        (SHADES / 255, "threshold", "divided by 255 twice"),
        (SHADES / 255, "sample", "divided by 255 twice"),
        (SHADES / 255, "none", "divided by 255 twice"),
        (SHADES / 2, "threshold", "thresholded at 0.5"),
        (np.where(SHADES > 0.3, np.nan, SHADES), "threshold", "thresholded at 0.5"),
        (np.zeros((3, 2)), "threshold", "one value only"),
        (np.tile([0.0, 1.0, np.nan], (3, 1)), "none", "one value only"),
        (np.tile([0.6, 0.1], (3, 1)), "threshold", "one value only"),
        (0.5 + SHADES / 2.1, "threshold", "one value only"),
        (SHADES, "threshold", None),
        (SHADES / 2, "sample", None),
        (np.tile([0.6, 0.1], (3, 1)), "sample", None),
        (np.ones((1, 4)), "threshold", None),
        (np.array([[0, 1], [1, 1]], np.uint8), "threshold", None),
    ],
)
def test_blank_data_are_noticed(X, how, word):
    found = describe_blank(as_learnt(check_rows(X), how), how)
    assert found is None if word is None else word in found


def test_training_on_blank_images_warns_and_points_at_the_caller():
    with pytest.warns(DataWarning, match="divided by 255 twice") as caught:
        harmonium.train(SHADES / 255, 2, epochs=1)
    assert caught[0].filename == __file__
