"""Tables of text as people have them: separators, missing fields, names of rows and columns, labels."""

import gzip
import time

import numpy as np
import pytest
from small_data import BITS, HOLES, IMAGES, RNG, table

from harmonium.datasets import load
from harmonium.errors import InvalidData, UnreadableFile


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
