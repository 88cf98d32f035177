"""Data as people have it: each kind of file is read as it is meant, or refused with what to do."""

import functools
import gzip
import io
import os
import struct
import subprocess
import sys
import time
import zipfile
import zlib

import h5py
import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
import scipy.io
import scipy.sparse

import harmonium
from harmonium.datasets import load
from harmonium.datasets.writing import OUTPUTS, write_array
from harmonium.errors import HarmoniumError, InvalidData, InvalidParameter, MissingExtra, UnreadableFile

RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (7, 5), dtype=np.uint8)
GREY = RNG.random((7, 5)).astype(np.float32)
IMAGES = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)
HOLES = np.where(RNG.random((7, 5)) < 0.3, np.nan, BITS)


def table(rows, delimiter=",", end="\n", **words):
    text = [[words.get(f"_{x:g}", f"{x:g}") for x in row] for row in rows]
    return "".join(delimiter.join(row) + end for row in text)


# Text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tabs.tsv", table(BITS, "\t")),
        ("trailing.amat", table(BITS, " ", " \n")),
        ("blanks.txt", table(BITS, "   ")),
        ("leading.txt", "  " + table(BITS, " ", "\n  ").rstrip(" ")),
        ("semicolons.csv", table(BITS, ";")),
        ("trailing.csv", table(BITS, ",", ",\n")),
        ("spaced.csv", table(BITS, ", ")),
        ("crlf.csv", table(BITS, end="\r\n")),
        ("mac.csv", table(BITS, end="\r")),
        ("bom.csv", "\ufeff" + table(BITS)),
        ("last.csv", table(BITS).rstrip("\n")),
        ("quoted.csv", table(BITS, '","', '"\n"').join(('"', ""))[:-1]),
        ("words.csv", table(BITS, _0="FALSE", _1="TRUE")),
        ("words.data", table(BITS, " ", _0="false", _1="True")),
        ("floats.dat", table(BITS, " ", _0="0.0", _1="1.0000001")),
        ("header.csv", "a,b,c,d,e\n" + table(BITS)),
        ("numbers.csv", "0,1,2,3,4\n" + table(BITS)),
        ("from_one.csv", "1,2,3,4,5\n" + table(BITS)),
        ("comment.csv", "# made by me\n" + table(BITS)),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_text_tables(tmp_path, name, text, zipped):
    path = tmp_path / (name + ".gz" * zipped)
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    X = load(path).train
    np.testing.assert_array_equal(X, BITS)
    assert X.dtype == np.uint8


@pytest.mark.parametrize("word", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", " "])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_missing_fields(tmp_path, word, delimiter):
    (tmp_path / "x.csv").write_text(table(HOLES, delimiter, _nan=word))
    np.testing.assert_array_equal(load(tmp_path / "x.csv", allow_nan=True).train, HOLES)
    with pytest.raises(InvalidData, match="Got NaN"):
        load(tmp_path / "x.csv")


@pytest.mark.parametrize(
    "text",
    [
        # pandas.DataFrame.to_csv, with names and with numbers; R's write.csv and write.table
        ",a,b,c,d,e\n" + table(np.column_stack([np.arange(7), BITS])),
        ",0,1,2,3,4\n" + table(np.column_stack([np.arange(7), BITS])),
        "Unnamed: 0,a,b,c,d,e\n" + table(np.column_stack([np.arange(7), BITS])),
        '"","a","b","c","d","e"\n' + "".join(f'"{i}",{table([row])}' for i, row in enumerate(BITS, 1)),
        '"a" "b" "c" "d" "e"\n' + "".join(f'"row {i}" {table([row], " ")}' for i, row in enumerate(BITS)),
        ",a,b,c,d,e\n" + "".join(f"patient {i},{table([row])}" for i, row in enumerate(BITS)),
        table(np.column_stack([np.arange(1, 8), BITS])),
    ],
)
def test_index_columns_are_left_out_with_a_note(tmp_path, text):
    (tmp_path / "x.csv").write_text(text)
    dataset = load(tmp_path / "x.csv")
    np.testing.assert_array_equal(dataset.train, BITS)
    assert "left out" in dataset.notes[0]


@pytest.mark.parametrize("column", ["id", 2, "2", -4])
def test_an_index_column_anywhere(tmp_path, column):
    rows = [f"{a},{b},x{i},{c},{d},{e}\n" for i, (a, b, c, d, e) in enumerate(BITS)]
    (tmp_path / "x.csv").write_text("a,b,id,c,d,e\n" + "".join(rows))
    np.testing.assert_array_equal(load(tmp_path / "x.csv", index_column=column).train, BITS)
    with pytest.raises(UnreadableFile, match="'x0' in line 2, column 3, is no number"):
        load(tmp_path / "x.csv")


@pytest.mark.parametrize("column", ["digit", 0, -6])
def test_label_columns(tmp_path, column):
    labels = np.arange(7) + 20_000_000  # beyond single precision
    (tmp_path / "x.csv").write_text(
        "digit,a,b,c,d,e\n" + "".join(f"{y},{table([x])}" for x, y in zip(BITS, labels, strict=True))
    )
    dataset = load(tmp_path / "x.csv", label_column=column)
    np.testing.assert_array_equal(dataset.train, BITS)
    np.testing.assert_array_equal(dataset.y_train, labels)


def test_labels_that_are_words_are_numbered(tmp_path):
    words = ["dog", "cat", "dog", "ape", "ape", "cat", "cat"]
    (tmp_path / "x.csv").write_text("".join(f"{table([x], end=',')}{y}\n" for x, y in zip(BITS, words, strict=True)))
    dataset = load(tmp_path / "x.csv", label_column=-1)
    np.testing.assert_array_equal(dataset.train, BITS)
    np.testing.assert_array_equal(dataset.y_train, [2, 1, 2, 0, 0, 1, 1])
    assert "ape 0, cat 1, dog 2" in dataset.notes[0]


def test_labels_and_bytes_as_in_a_table_of_digits(tmp_path):
    """The order of refusals leads to what is right: the labels first, then the range."""
    X = IMAGES.reshape(6, 12)
    header = "label," + ",".join(f"pixel{j}" for j in range(12)) + "\n"
    path = tmp_path / "train.csv"
    path.write_text(header + table(np.column_stack([np.arange(4, 10), X])))
    with pytest.raises(InvalidData, match=r"labels\?.* --label-column label"):
        load(path)
    with pytest.raises(InvalidData, match=r"image bytes\?.*\(--divide-by 255\)"):
        load(path, label_column="label")
    dataset = load(path, label_column="label", divide_by=255)
    np.testing.assert_allclose(dataset.train, X / 255, rtol=1e-6)
    np.testing.assert_array_equal(dataset.y_train, np.arange(4, 10))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1\n0\n", "1 fields in line 2, and 2 in the first"),
        ("0,1\n\n1,1,1\n", "3 fields in line 3, and 2 in the first"),
        ("0,x\n1,1\n", r"'x' in line 1, column 2, is no number \(--index-column 1 leaves a column out"),
        ("a,b,c\ns1,EUR,1\n", r"'s1' in line 2, column 1, .*--index-column 0 leaves .*--label-column 1 takes"),
        ("a,b\n0,1\n1,yes\n", "'yes' in line 3, column 2, is no number"),
        ("0,5;1\n1;1\n", "'0,5' in line 1, column 1, is no number"),
        ("a,b,c\n", "no rows of numbers"),
        ("a,b,c,d\n0,1\n", "4 column names, and 2 fields in line 2"),
        ("", "no rows of numbers"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(UnreadableFile, match=rf"rows of comma-separated numbers.*Got: {message}"):
        load(tmp_path / "x.csv")


def test_a_large_table_takes_seconds(tmp_path):
    """60,000 x 784 in seconds is 2,000 such rows in tenths of one; ten times that is allowed for a busy machine."""
    X = RNG.integers(0, 256, (2000, 784))
    np.savetxt(tmp_path / "x.csv", X, "%d", delimiter=",")
    start = time.process_time()
    load(tmp_path / "x.csv", divide_by=255)
    assert time.process_time() - start < 3


@pytest.mark.parametrize("name", ["x.bin", "x", "x.data.old"])
def test_a_format_can_be_named(tmp_path, name):
    (tmp_path / name).write_text(table(BITS, " "))
    with pytest.raises(UnreadableFile, match=r"must end in .* \(--format\)"):
        load(tmp_path / name)
    np.testing.assert_array_equal(load(tmp_path / name, format="csv").train, BITS)


@pytest.mark.parametrize("last", ["", "nan"])
def test_a_last_column_of_missing_entries_is_kept(tmp_path, last):
    (tmp_path / "x.csv").write_text(f"0,,{last}\n1,1,{last}\n")
    np.testing.assert_array_equal(load(tmp_path / "x.csv", allow_nan=True).train, [[0, np.nan, np.nan], [1, 1, np.nan]])


# Arrays


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


# Scales


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


# Refusals


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "x.pkl", "x.PICKLE", "x.joblib"])
def test_code_is_never_read(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(UnreadableFile, match="may run code when it is read"):
        load(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
def test_pipes_are_refused_and_links_are_followed(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UnreadableFile, match="Got a pipe or device"):
        load(tmp_path / "pipe.csv")
    np.save(tmp_path / "x.npy", BITS)
    (tmp_path / "link.npy").symlink_to(tmp_path / "x.npy")
    np.testing.assert_array_equal(load(tmp_path / "link.npy").train, BITS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "xls"}, "format must be one of npy"),
        ({"label_column": 0}, "label_column must be used with csv, parquet, feather"),
        ({"divide_by": 0}, "divide_by must be"),
        ({"max_gigabytes": -1}, "max_gigabytes must be"),
        ({"max_columns": 0}, "max_columns must be"),
        ({"spins": True, "divide_by": 2}, "without divide_by"),
        ({"colour": 1}, "Options of a file must be format"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, message):
    np.save(tmp_path / "x.npy", BITS)
    with pytest.raises(InvalidParameter, match=message):
        load(tmp_path / "x.npy", **options)


def test_options_of_files_are_not_ignored_for_named_sets():
    with pytest.raises(HarmoniumError, match="spins must be used with a file"):
        load("digits", spins=True)


def declared(shape, dtype):
    """The beginning of an .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def zip_bomb(path):
    """10 GB of zeros by its header; its end would be missed too late."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", declared((1_250_000, 1000), "<f8") + bytes(10**7))


def lying_npy(path):
    path.write_bytes(declared((70_000_000, 50_000), "|u1") + bytes(100))


def wide_npy(path):
    np.lib.format.open_memmap(path, "w+", np.uint8, (1, 1_000_000))


def wide_csv(path):
    path.write_text("0," * 999_999 + "1\n")


def long_csv(path):
    path.write_bytes(gzip.compress(b"0" * 50_000_000))


def many_rows(path):
    path.write_bytes(gzip.compress((b"0," * 49_999 + b"1\n") * 400))


def lying_idx(path):
    path.write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 28, 28) + bytes(100))


def wide_sparse(path):
    scipy.sparse.save_npz(path, scipy.sparse.csr_matrix((50_000, 50_000)))


def many_sparse_rows(path):
    """An entry of a thousand million rows, in the format that does not list them."""
    parts = {"row": [0], "col": [1], "data": [1], "shape": [10**9, 5], "format": np.array(b"coo")}
    np.savez(path, **parts)


def padded_csv(path):
    path.write_bytes(gzip.compress((b"0," + b" " * 3_000_000 + b"1\n") * 40, 1))


def wordy_csv(path):
    path.write_bytes(gzip.compress(b"".join(b"0,1,%d" % k + b"x" * 3_000_000 + b"\n" for k in range(15)), 1))


def matlab_bomb(path):
    scipy.io.savemat(path, {"X": np.zeros((2000, 10_000))}, do_compression=True)


def matlab_lie(path):
    """An element of 40 MB of zeros that claims to be smaller than it is."""
    element = zlib.compress(struct.pack("<II", 14, 100) + bytes(40_000_000))
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49)[:2] + b"IM")
    with open(path, "ab") as file:
        file.write(struct.pack("<II", 15, len(element)) + element)


def hdf5_bomb(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("X", (1_250_000, 1000), "f8", chunks=(1000, 1000), compression="gzip")


def parquet_bomb(path):
    pyarrow.parquet.write_table(pyarrow.table({"a": np.zeros(10**7, np.uint8)}), path)


def wordy_parquet(path):
    """One long word ten thousand times, which is in the file once."""
    words = pyarrow.DictionaryArray.from_arrays(np.zeros(10_000, np.int32), pyarrow.array(["x" * 100_000]))
    pyarrow.parquet.write_table(pyarrow.table({"a": np.zeros(10_000, np.uint8), "y": words}), path)


def listing_parquet(path):
    lists = pyarrow.LargeListArray.from_arrays(np.array([0, 2 * 10**7]), np.zeros(2 * 10**7, np.int8))
    pyarrow.parquet.write_table(pyarrow.table({"a": [1], "y": lists}), path)


def feather_bomb(path):
    pyarrow.feather.write_feather(
        pyarrow.table({"a": np.zeros(12 * 10**7, np.uint8)}), path, "zstd", chunksize=12 * 10**7
    )


def wordy_feather(path):
    words = ["x" * 10**8, "a"]
    pyarrow.feather.write_feather(pyarrow.table({"a": np.zeros(2, np.uint8), "y": words}), path, "lz4")


def feather_lie(path):
    """A packed buffer that says that it unpacks to 10 GB."""
    pyarrow.feather.write_feather(pyarrow.table({"a": np.zeros(12_345, np.uint8)}), path, "zstd")
    content = path.read_bytes()
    assert content.count(struct.pack("<q", 12_345) + b"\x28\xb5\x2f\xfd") == 1
    path.write_bytes(
        content.replace(
            struct.pack("<q", 12_345) + b"\x28\xb5\x2f\xfd", struct.pack("<q", 10**10) + b"\x28\xb5\x2f\xfd"
        )
    )


BOMBS = [
    ("x.npz", zip_bomb, {}, "max-gigabytes 10"),
    ("x.npy", lying_npy, {}, "max-gigabytes 3500"),
    ("x.npy", wide_npy, {}, "max-columns 1000000"),
    ("x.csv", wide_csv, {}, "max-columns 1000000"),
    ("x.csv.gz", long_csv, {}, "more than 100,000 columns need"),
    ("x.csv.gz", many_rows, {"max_gigabytes": 0.001}, "max-gigabytes"),
    ("x.idx", lying_idx, {}, "max-gigabytes"),
    ("x.npz", wide_sparse, {"max_gigabytes": 1}, "max-gigabytes 10"),
    ("x.npz", many_sparse_rows, {"max_gigabytes": 6}, "max-gigabytes 8"),
    ("x.csv.gz", padded_csv, {"max_gigabytes": 0.01}, "train 40"),
    ("x.csv.gz", wordy_csv, {"max_gigabytes": 0.01, "label_column": 2}, "max-gigabytes"),
    ("x.mat", matlab_bomb, {"max_gigabytes": 0.05}, "max-gigabytes"),
    ("x.mat", matlab_lie, {"max_gigabytes": 0.01}, "max-gigabytes"),
    ("x.h5", hdf5_bomb, {}, "max-gigabytes 10"),
    ("x.parquet", parquet_bomb, {"max_gigabytes": 0.01}, "max-gigabytes"),
    ("x.parquet", wordy_parquet, {"max_gigabytes": 0.1, "label_column": "y"}, "train 10000"),
    ("x.parquet", listing_parquet, {"max_gigabytes": 0.1, "index_column": "y"}, "large_list"),
    ("x.feather", feather_bomb, {"max_gigabytes": 0.1}, "max-gigabytes"),
    ("x.feather", wordy_feather, {"max_gigabytes": 0.05, "label_column": "y"}, "max-gigabytes"),
    ("x.feather", feather_lie, {}, "max-gigabytes 10"),
]


def test_bombs_and_lies_are_refused_before_memory_is_taken(tmp_path):
    places = {}
    for name, make, options, _ in BOMBS:
        (tmp_path / make.__name__).mkdir()
        make(tmp_path / make.__name__ / name)
        places[str(tmp_path / make.__name__ / name)] = options
    code = (
        "import resource, harmonium; from harmonium.errors import HarmoniumError\n"
        "import h5py, pyarrow.feather, pyarrow.parquet, scipy.io\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        f"for path, options in {places!r}.items():\n"
        "    try: said = harmonium.datasets.load(path, **options)\n"
        "    except HarmoniumError as error: said = error\n"
        "    print((peak() - before) // 1024, said)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for (_, make, _, limit), line in zip(BOMBS, done.stdout.splitlines(), strict=True):
        assert limit in line, (make.__name__, line)
        assert int(line.split()[0]) < 100, line  # MB


def test_limits_can_be_raised(tmp_path):
    wide_npy(tmp_path / "x.npy")
    assert load(tmp_path / "x.npy", max_columns=1_000_000).n_columns == 1_000_000


@pytest.mark.parametrize("name", ["x.mat", "x.h5", "x.parquet", "x.feather", "x.csv.gz", "x.tsv", "sparse.npz"])
def test_a_damaged_file_never_escapes_as_another_error(tmp_path, name):
    path = tmp_path / name
    if name == "sparse.npz":
        scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(BITS))
    else:
        write_array(path, GREY)
    whole = path.read_bytes()
    cut = [whole[:length] for length in range(0, len(whole), 1 + len(whole) // 20)]
    flipped = [
        whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :] for i in range(0, len(whole), 1 + len(whole) // 40)
    ]
    messages = []
    for content in cut + flipped:
        path.write_bytes(content)
        try:
            load(path, allow_nan=True)
        except HarmoniumError as error:
            messages.append(str(error))
    assert len(messages) > 5
    assert all(name in message for message in messages)


def test_words_that_are_no_text_are_refused(tmp_path):
    """Parquet itself does not look whether strings are UTF-8."""
    offsets, letters = np.array([0, 1, 3], np.int32), b"\xff\xfe\xcf"
    labels = pyarrow.StringArray.from_buffers(2, pyarrow.py_buffer(offsets), pyarrow.py_buffer(letters))
    pyarrow.parquet.write_table(pyarrow.table({"a": [0.0, 1.0], "label": labels}), tmp_path / "x.parquet")
    with pytest.raises(UnreadableFile, match="must be a sound Parquet file"):
        load(tmp_path / "x.parquet", label_column="label")


# Writing


@pytest.mark.parametrize("ending", OUTPUTS)
@pytest.mark.parametrize("X", [BITS, GREY, HOLES.astype(np.float32)], ids=["bits", "grey", "holes"])
def test_what_is_written_is_read(tmp_path, ending, X):
    path = tmp_path / f"x{ending}"
    write_array(path, X)
    np.testing.assert_array_equal(load(path, allow_nan=True).train, X)
