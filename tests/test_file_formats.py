"""Files of arrays, packed bits, text and idx: what is read, and what is refused however it is damaged."""

import gzip
import struct
from pathlib import Path

import data_places
import numpy as np
import pytest
from data_places import BITS, GREY, pack, write_idx

from harmonium.datasets import load
from harmonium.errors import HarmoniumError, InvalidData, UnreadableFile

data = data_places.data  # the fixture


# Files: what is read -------------------------------------------------------------------------------------------------


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


# Files: what is refused ----------------------------------------------------------------------------------------------


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
