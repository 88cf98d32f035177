"""Data as people have it, in arrays of many formats: each is read as it is meant, and what is written is read."""

import functools
import sys

import h5py
import numpy as np
import pandas
import polars
import pytest
import scipy.io
import scipy.sparse
from small_data import BITS, GREY, HOLES, IMAGES, table

import harmonium
from harmonium.datasets import load
from harmonium.datasets.writing import OUTPUTS, write_array
from harmonium.errors import InvalidData, MissingExtra, UnreadableFile

# Arrays --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.float16, np.float32, np.float64, ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_type(tmp_path, dtype, order):
    np.save(tmp_path / "x.npy", np.array(BITS, dtype, order=order))
    np.testing.assert_array_equal(load(tmp_path / "x.npy").train, BITS)


def kept(folder):
    np.save(folder / "x.npy", BITS)
    return np.load(folder / "x.npy", mmap_mode="r")


@pytest.mark.parametrize(
    "form",
    [
        lambda X: X.astype(bool),
        lambda X: X.astype(np.int8),
        lambda X: X.astype(np.float16),
        lambda X: X.astype(">f4"),
        lambda X: np.asfortranarray(X, np.float64),
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X.tolist(),
        scipy.sparse.csr_matrix,
        scipy.sparse.csc_array,
        pandas.DataFrame,
        lambda X: pandas.DataFrame(X).astype("boolean"),
        lambda X: polars.DataFrame(X),
        lambda X: np.ma.array(X, mask=False),
        lambda X: X * np.float32(1.0000001),
    ],
)
def test_the_same_machine_is_learnt_from_the_same_data(form):
    train = functools.partial(harmonium.train, n_hidden=2, epochs=2, batch_size=4)
    np.testing.assert_array_equal(train(form(BITS)).rbm.W, train(BITS).rbm.W)


def test_a_read_only_file_is_learnt_from(tmp_path):
    rbm = harmonium.train(kept(tmp_path), 2, epochs=2, batch_size=4).rbm
    np.testing.assert_array_equal(rbm.W, harmonium.train(BITS, 2, epochs=2, batch_size=4).rbm.W)


def test_digits_as_keras_ships_them(tmp_path):
    labels = np.arange(6, dtype=np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=IMAGES, y_train=labels, x_test=IMAGES[:2], y_test=labels[:2])
    dataset = load(tmp_path / "mnist.npz")
    np.testing.assert_allclose(dataset.train, IMAGES.reshape(6, 12) / 255, rtol=1e-6)
    np.testing.assert_allclose(dataset.test, IMAGES[:2].reshape(2, 12) / 255, rtol=1e-6)
    np.testing.assert_array_equal(dataset.y_test, [0, 1])
    assert dataset.shape == (4, 3)
    assert "mnist.npz[train]: images of shape (4, 3) became rows of 12 columns, bytes divided by 255" in dataset.notes


@pytest.mark.parametrize("shape", [(6, 4, 3), (6, 4, 3, 1), (6, 2, 2, 3)])
def test_images_are_flattened_with_a_note(tmp_path, shape):
    np.save(tmp_path / "x.npy", (IMAGES / 255).reshape(shape))
    dataset = load(tmp_path / "x.npy")
    np.testing.assert_allclose(dataset.train, IMAGES.reshape(6, 12) / 255, rtol=1e-6)
    assert dataset.shape == ((4, 3) if shape[1] == 4 else None)
    assert "became rows of 12 columns" in dataset.notes[0]


@pytest.mark.parametrize("form", ["{}", "x_{}", "X_{}", "{}_data", "{}_images"])
def test_splits_by_any_name(tmp_path, form):
    names = {form.format("train"): GREY, form.format("val"): GREY[:3], form.format("test"): GREY[3:]}
    np.savez(tmp_path / "x.npz", **names)
    dataset = load(tmp_path / "x.npz")
    for split, X in (("train", GREY), ("valid", GREY[:3]), ("test", GREY[3:])):
        np.testing.assert_array_equal(dataset.split(split)[0], X)


def test_a_set_without_a_train_split(tmp_path):
    np.savez(tmp_path / "x.npz", x_test=GREY, y_test=np.arange(7))
    dataset = load(tmp_path / "x.npz")
    assert (dataset.train, dataset.splits, dataset.n_columns) == (None, ("test",), 5)
    assert repr(dataset) == "<Dataset x.npz: test 7; 5 columns, float32>"


def test_one_array_of_any_name_or_the_one_that_is_asked_for(tmp_path):
    np.savez(tmp_path / "one.npz", anything=GREY)
    np.testing.assert_array_equal(load(tmp_path / "one.npz").train, GREY)
    np.savez(tmp_path / "two.npz", left=GREY, right=BITS)
    with pytest.raises(UnreadableFile, match=r"Got left \(7, 5\), right \(7, 5\)\. Say which is meant \(--array NAME"):
        load(tmp_path / "two.npz")
    np.testing.assert_array_equal(load(tmp_path / "two.npz", array="right").train, BITS)
    with pytest.raises(UnreadableFile, match=r"must hold the array 'centre'\. Got left"):
        load(tmp_path / "two.npz", array="centre")


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_matrix", "bsr_array"])
@pytest.mark.parametrize("X", [BITS.astype(np.int64), np.where(GREY > 0.5, GREY, 0)])
def test_sparse_matrices(tmp_path, kind, X):
    scipy.sparse.save_npz(tmp_path / "x.npz", getattr(scipy.sparse, kind)(X))
    np.testing.assert_array_equal(load(tmp_path / "x.npz").train, X)


def test_a_sparse_matrix_that_points_outside_itself(tmp_path):
    parts = {"indices": [0, 9], "indptr": [0, 2], "data": [1, 1], "shape": [1, 5], "format": np.array(b"csr")}
    np.savez(tmp_path / "x.npz", **parts)
    with pytest.raises(UnreadableFile, match="sound sparse matrix"):
        load(tmp_path / "x.npz")


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab(tmp_path, compressed):
    content = {"train_data": GREY, "val_data": GREY[:2], "train_labels": np.arange(7)[:, None], "name": "silhouettes"}
    scipy.io.savemat(tmp_path / "x.mat", content, do_compression=compressed)
    dataset = load(tmp_path / "x.mat")
    np.testing.assert_array_equal(dataset.train, GREY)
    np.testing.assert_array_equal(dataset.valid, GREY[:2])
    np.testing.assert_array_equal(dataset.y_train, np.arange(7))
    scipy.io.savemat(tmp_path / "s.mat", {"X": scipy.sparse.csc_matrix(BITS.astype(float))})
    np.testing.assert_array_equal(load(tmp_path / "s.mat").train, BITS)


def test_hdf5(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["train"], file["group/other"], file["notes"] = GREY, BITS, "text"
    np.testing.assert_array_equal(load(tmp_path / "x.h5").train, GREY)
    np.testing.assert_array_equal(load(tmp_path / "x.h5", array="group/other").train, BITS)
    with h5py.File(tmp_path / "v73.mat", "w", userblock_size=512) as file:
        file["X"] = GREY.T
    with open(tmp_path / "v73.mat", "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    np.testing.assert_array_equal(load(tmp_path / "v73.mat").train, GREY)


def test_an_hdf5_file_cannot_make_us_read_another(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(8))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("X", (2, 4), "u1", external=[(str(tmp_path / "secret"), 0, 8)])
    with pytest.raises(UnreadableFile, match="must hold its arrays itself"):
        load(tmp_path / "x.h5")


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_parquet_and_feather(tmp_path, ending):
    frame = pandas.DataFrame(HOLES, columns=list("abcde")).astype({"a": "Int8", "b": "boolean"})
    frame["kind"] = list("xyxyxyx")
    path = tmp_path / f"x.{ending}"
    getattr(frame, f"to_{ending}")(path)
    dataset = load(path, label_column="kind", allow_nan=True)
    np.testing.assert_array_equal(dataset.train, HOLES)
    np.testing.assert_array_equal(dataset.y_train, [0, 1, 0, 1, 0, 1, 0])
    with pytest.raises(InvalidData, match=r"Got .*string in column 'kind'\. Encode"):
        load(path, allow_nan=True)


def test_a_named_index_of_pandas_in_parquet(tmp_path):
    pandas.DataFrame(BITS, index=list("abcdefg"), columns=list("abcde")).to_parquet(tmp_path / "x.parquet")
    np.testing.assert_array_equal(load(tmp_path / "x.parquet").train, BITS)


@pytest.mark.parametrize(("package", "name"), [("h5py", "x.h5"), ("pyarrow", "x.parquet"), ("pyarrow", "x.feather")])
def test_a_package_that_is_not_there_is_named(tmp_path, monkeypatch, package, name):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(MissingExtra, match=rf"{package} must be installed.*pip install {package}"):
        load(tmp_path / name)
    with pytest.raises(MissingExtra, match=rf"{package} must be installed"):
        write_array(tmp_path / name, BITS)


# Scales --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32])
def test_spins(tmp_path, dtype):
    np.save(tmp_path / "x.npy", 2 * BITS.astype(dtype) - 1)
    with pytest.raises(InvalidData, match=r"spins\?.*--spins"):
        load(tmp_path / "x.npy")
    np.testing.assert_array_equal(load(tmp_path / "x.npy", spins=True).train, BITS)
    np.save(tmp_path / "x.npy", BITS)
    with pytest.raises(InvalidData, match=r"only -1 and \+1"):
        load(tmp_path / "x.npy", spins=True)


def test_spins_with_missing_entries(tmp_path):
    (tmp_path / "x.csv").write_text(table(2 * HOLES - 1, _nan="NA"))
    np.testing.assert_array_equal(load(tmp_path / "x.csv", spins=True, allow_nan=True).train, HOLES)


def test_bytes_of_images_are_divided_once(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    np.testing.assert_allclose(load(tmp_path / "x.npy", divide_by=510).train, IMAGES.reshape(6, 12) / 510, rtol=1e-6)


# Writing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", OUTPUTS)
@pytest.mark.parametrize("X", [BITS, GREY, HOLES.astype(np.float32)], ids=["bits", "grey", "holes"])
def test_what_is_written_is_read(tmp_path, ending, X):
    path = tmp_path / f"x{ending}"
    write_array(path, X)
    np.testing.assert_array_equal(load(path, allow_nan=True).train, X)
