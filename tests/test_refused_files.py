"""Files of data that are refused with what to do: code, pipes, bombs, lies, damage."""

import gzip
import io
import os
import struct
import subprocess
import sys
import zipfile
import zlib

import h5py
import numpy as np
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
import scipy.io
import scipy.sparse
from small_data import BITS, GREY

from harmonium.datasets import load
from harmonium.datasets.writing import write_array
from harmonium.errors import HarmoniumError, InvalidParameter, UnreadableFile


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
