"""The input contract by itself: what passes, what is refused, and what the refusal says."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harmonium.errors import InvalidData, InvalidParameter
from harmonium.inputs import check_choice, check_count, check_matrix, check_number, is_binary
from harmonium.rows import check_weights

THREE_PARTS = r"(?s)^.*must .*\. Got .*\. [A-Z][^.]*\.?.*$"


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64, object])
def test_every_numeric_type_passes(dtype):
    X = np.array([[0, 1, 1], [1, 0, 0]])
    got = check_matrix(X.astype(dtype), n_columns=3, binary=True)
    np.testing.assert_array_equal(got.astype(int), X)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_array", "lil_matrix"])
def test_sparse_matrices_become_dense(kind):
    X = np.array([[0, 0.5, 0], [1, 0, 0]])
    np.testing.assert_array_equal(check_matrix(getattr(scipy.sparse, kind)(X)), X)


def test_sound_arrays_are_neither_copied_nor_changed():
    X = np.random.default_rng(0).random((4, 3))
    assert check_matrix(X) is X
    X.flags.writeable = False
    assert check_matrix(X[:, ::2]).base is X


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.floats(0, 1)))
def test_everything_in_the_unit_interval_passes(X):
    assert check_matrix(X) is X
    assert is_binary(X) == all(x in (0, 1) for x in X.ravel())


@given(
    hnp.arrays(np.float64, (3, 2), elements=st.floats(0, 1)),
    st.integers(0, 5),
    st.floats().filter(lambda x: not -1e-6 <= x <= 1 + 1e-6),
)
def test_one_wrong_value_anywhere_is_refused(X, where, value):
    X.flat[where] = value
    with pytest.raises(InvalidData, match=THREE_PARTS):
        check_matrix(X)


@pytest.mark.parametrize(
    ("X", "must", "got"),
    [
        ([[0, 2]], "lie in [0, 1]", "from 0 to 2 (counts, categories or grey levels?)"),
        ([[0, 16]], "lie in [0, 1]", "divide by 16 (--divide-by 16)"),  # scikit-learn's digits
        ([[0, 255]], "lie in [0, 1]", "from 0 to 255 (image bytes?). Divide by 255"),
        ([[-1, 1]], "lie in [0, 1]", "from -1 to 1 (spins?). Pass (X + 1) / 2"),
        ([[-1, 2]], "lie in [0, 1]", "from -1 to 2. Rescale"),
        ([[0, 1.000001]], "lie in [0, 1]", "from 0 to 1.000001 "),
        ([[np.float32(1.00001)]], "lie in [0, 1]", "to 1.00001 "),
        ([[-1e-6, 1]], "lie in [0, 1]", "from -1e-06 to 1."),
        (scipy.sparse.csr_matrix([[3, 2], [0, 1]]), "lie in [0, 1]", "from 0 to 3 (counts?). Make them 0/1"),
        (scipy.sparse.csr_matrix([[3, 2], [2, 1]]), "lie in [0, 1]", "from 1 to 3 (counts?). Make them 0/1"),
        (scipy.sparse.csr_matrix([[np.nan, 0]]), "be finite", "NaN"),
        (np.ma.masked_equal([[0, 9]], 9), "be finite", "NaN. Remove or fill"),
        (np.array([["0", "1"]], object), "numbers in [0, 1]", "the text '0'. Encode"),
        ([[0, 1e9]], "lie in [0, 1]", "from 0 to 1e+09. Rescale"),
        ([[np.nan, 1]], "be finite", "NaN. Remove or fill"),
        ([[np.nan, np.inf]], "be finite", "NaN"),
        ([[-np.inf, 1]], "be finite", "infinity. Remove or fill"),
        ([0, 1], "be a 2-D array", "shape (2,). Use data.reshape(1, -1)"),
        (np.zeros((2, 2, 2)), "be a 2-D array", "shape (2, 2, 2)"),
        (0.5, "be a 2-D array", "shape ()"),
        (np.zeros((0, 4)), "at least one sample", "shape (0, 4)"),
        (np.zeros((4, 0)), "at least one sample", "shape (4, 0)"),
        ([], "be a 2-D array", "shape (0,)"),
        ([["a", "b"]], "numbers in [0, 1]", "dtype <U1. Encode"),
        ([[1j, 0]], "numbers in [0, 1]", "dtype complex128"),
        (np.array([["2020-01-01"]], "M8[D]"), "numbers in [0, 1]", "dtype datetime64"),
        ([[0, 1], [1]], "be a numeric 2-D array", "list that is not"),
        ([[0, None]], "be finite", "NaN"),
        ([[0, {}]], "be a numeric 2-D array", "list that is not"),
        (None, "be a 2-D array", "shape ()"),
        ({"a": 1}, "be a numeric 2-D array", "dict that is not"),
        (np.array([[object()]]), "be a numeric 2-D array", "ndarray that is not"),
    ],
)
def test_each_refusal_says_what_must_hold_what_was_got_and_what_to_do(X, must, got):
    with pytest.raises(InvalidData, match=THREE_PARTS) as caught:
        check_matrix(X, name="data")
    contract, _, rest = str(caught.value).partition(" Got ")
    assert contract.startswith("data must ")
    assert must in contract
    assert got in rest


def test_widths_and_grey_levels_are_refused_where_they_do_not_fit():
    with pytest.raises(InvalidData, match=r"X must have 4 columns.* Got 3\. Use the data"):
        check_matrix(np.zeros((2, 3)), n_columns=4)
    with pytest.raises(InvalidData, match=r"only 0 and 1\. Got values between\. Binarise"):
        check_matrix([[0, 0.5]], binary=True)


@pytest.mark.parametrize(
    ("dtype", "one", "zero"),
    [
        (np.float64, 1.0000000000000002, -2e-16),
        (np.float64, 1.0000001, -1e-7),
        (np.float32, 1.0000001, -1e-7),
        (np.float16, 1.001, -0.001),
    ],
)
def test_what_rounding_carries_past_the_ends_is_taken_as_0_and_1(dtype, one, zero):
    X = np.array([[zero, 0.5, one], [0, 1, np.nan]], dtype)
    before = X.copy()
    assert X[0, 2] > 1
    got = check_matrix(X, allow_nan=True)
    np.testing.assert_array_equal(got, [[0, 0.5, 1], [0, 1, np.nan]])
    assert got.dtype == dtype
    np.testing.assert_array_equal(X, before)
    if dtype != np.float16:
        assert check_matrix(scipy.sparse.csr_matrix(X[:1, 1:])).max() == 1


def test_rounded_ones_are_binary():
    assert is_binary(check_matrix([[1.0000001, -1e-9]], binary=True))


def test_masked_entries_are_missing():
    mask = [[True, False, False], [False, False, True]]
    for dtype in (bool, np.uint8, np.int64, np.float16, np.float32, np.float64):
        X = np.ma.array(np.array([[9, 0, 1], [1, 0, 9]]).astype(dtype), mask=mask)
        np.testing.assert_array_equal(check_matrix(X, allow_nan=True), [[np.nan, 0, 1], [1, 0, np.nan]])
    unmasked = np.ma.array([[0, 1]], mask=False)
    np.testing.assert_array_equal(check_matrix(unmasked), [[0, 1]])


NULLABLE = {"a": [0, None], "b": [True, False], "c": [0.5, None]}


@pytest.mark.parametrize("kinds", [("Int8", "boolean", "Float32"), ("object", "bool", "float64")])
def test_pandas_frames_with_missing_entries(kinds):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({k: pandas.Series(v, dtype=t) for (k, v), t in zip(NULLABLE.items(), kinds, strict=True)})
    expected = [[0, 1, 0.5], [np.nan, 0, np.nan]]
    np.testing.assert_array_equal(check_matrix(frame, allow_nan=True), expected)
    with pytest.raises(InvalidData, match="Got NaN"):
        check_matrix(frame)
    rows = [[0, True, 0.5], [pandas.NA, False, None]]
    np.testing.assert_array_equal(check_matrix(rows, allow_nan=True), expected)


def test_pandas_frames_of_other_kinds():
    pandas = pytest.importorskip("pandas")
    plain = pandas.DataFrame(np.eye(3))
    assert np.shares_memory(check_matrix(plain), plain.to_numpy())
    dummies = pandas.get_dummies(pandas.Series(list("aba")), sparse=True)
    np.testing.assert_array_equal(check_matrix(dummies), [[1, 0], [0, 1], [1, 0]])
    categories = pandas.DataFrame({"x": pandas.Categorical([0, 1, None]), "y": [0, 1, 1]})
    np.testing.assert_array_equal(check_matrix(categories, allow_nan=True), [[0, 0], [1, 1], [np.nan, 1]])
    for bad in (["a", "b", "c"], pandas.to_datetime(["2020", "2021", "2022"]), pandas.Categorical(["a", "b", "a"])):
        with pytest.raises(InvalidData, match=r"column 'bad' of X must hold numbers .* Got .*\. Encode"):
            check_matrix(plain.assign(bad=bad))


def test_polars_and_pyarrow_frames():
    polars = pytest.importorskip("polars")
    expected = [[0, 1, 0.5], [np.nan, 0, np.nan]]
    frame = polars.DataFrame(NULLABLE)
    np.testing.assert_array_equal(check_matrix(frame, allow_nan=True), expected)
    np.testing.assert_array_equal(check_matrix(polars.DataFrame({"a": [True, False]})), [[1], [0]])
    with pytest.raises(InvalidData, match="must hold numbers"):
        check_matrix(polars.DataFrame({"a": ["x"]}))
    pytest.importorskip("pyarrow")
    np.testing.assert_array_equal(check_matrix(frame.to_arrow(), allow_nan=True), expected)


def test_arrays_however_they_lie_in_memory(tmp_path):
    X = np.array([[0, 0.5, 1], [1, 0.25, 0]])
    np.save(tmp_path / "x.npy", X)
    for same in (np.asfortranarray(X), X.astype(">f8"), np.load(tmp_path / "x.npy", mmap_mode="r"), X[::-1][::-1]):
        got = check_matrix(same)
        np.testing.assert_array_equal(got, X)
        assert got.dtype.isnative


def test_a_matrix_too_large_to_be_dense_is_refused_without_making_it_so():
    counts = scipy.sparse.csr_matrix(([2.0], ([0], [0])), shape=(2_000_000, 2_000_000))
    with pytest.raises(InvalidData, match=r"from 0 to 2 \(counts"):
        check_matrix(counts)
    with pytest.raises(InvalidData, match="must have 3 columns"):
        check_matrix(counts, n_columns=3)


def test_entries_of_a_sparse_matrix_stored_in_parts_are_added_and_the_matrix_is_left_alone():
    X = scipy.sparse.csr_matrix(([0.5, 0.5], [0, 0], [0, 2]), shape=(1, 2))
    np.testing.assert_array_equal(check_matrix(X), [[1, 0]])
    assert X.nnz == 2


@pytest.mark.parametrize("scale", [1e300, 1e-310, 1e-300])
def test_extreme_weights_are_scaled(scale):
    got = check_weights(scale * np.array([1.0, 0.5, 0.0]), 3)
    np.testing.assert_allclose(got, [1, 0.5, 0], rtol=1e-9)
    with pytest.raises(InvalidData, match=r"sample_weight must have its largest .* Got values from .* Set"):
        check_weights([1, 1e-300], 2)


@pytest.mark.parametrize("value", [0, -1, 1.0, 2.5, "3", None, True, np.nan, np.array([1, 2]), [1]])
def test_what_is_no_count(value):
    with pytest.raises(InvalidParameter, match=r"^n must be an integer of at least 1\. Got .*\. Pass .*\.$"):
        check_count(value, "n")


def test_what_is_a_count():
    assert check_count(0, "n", minimum=0) == 0
    for value in (3, np.int64(3), np.uint8(3)):
        assert type(check_count(value, "n")) is int


@pytest.mark.parametrize("value", [-0.1, 1, 1.5, np.nan, np.inf, -np.inf, "0.5", None, True, 1j, [0.5], np.ones(1)])
def test_what_is_no_number_in_the_range(value):
    with pytest.raises(InvalidParameter, match=r"^x must be a finite number in \[0, 1\)\. Got .*\. Pass .*\.$"):
        check_number(value, "x", low=0, high=1, below=True)


def test_what_is_a_number_in_the_range():
    assert check_number(0, "x", low=0) == 0
    assert check_number(np.float32(0.5), "x", low=0, above=True, high=0.5) == 0.5
    assert check_number(-7, "x") == -7
    with pytest.raises(InvalidParameter, match=r"\(0, inf\)"):
        check_number(0, "x", low=0, above=True)
    with pytest.raises(InvalidParameter, match=r"\(-inf, inf\)"):
        check_number(np.nan, "x")


@pytest.mark.parametrize("value", ["c", "", None, 1, ["a"], np.array(["a", "b"]), {}])
def test_what_is_no_choice(value):
    with pytest.raises(InvalidParameter, match=r"(?s)^x must be one of a, b\. Got .*\. Pass .*\.$"):
        check_choice(value, "x", ("a", "b"))
    assert check_choice("a", "x", ("a", "b")) == "a"
