"""The whole of MNIST, on a scale model of 6 training and 3 test images: found, downloaded once, kept."""

import errno
import os
from pathlib import Path

import data_places
import numpy as np
import pytest
import sklearn.datasets
from data_places import BITS, write_idx

from harmonium.datasets import Dataset, load, mnist
from harmonium.errors import DataUnavailable, UnreadableFile

data = data_places.data  # the fixture


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
