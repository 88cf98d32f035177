"""Keyed noise: published vectors, an independent implementation, addressing, and the distributions made of it."""

import csv
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonium import Key, random
from harmonium.errors import InvalidParameter
from harmonium.random import as_key, as_seed, philox4x32

VECTORS = Path(__file__).parent / "vectors" / "key_bits.csv"
WORD = 2**32


def plain_philox(counter, key):
    """Philox4x32-10 of the paper in Python's integers: one block, no arrays."""
    (x0, x1, x2, x3), (k0, k1) = counter, key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * x0, WORD)
        high1, low1 = divmod(0xCD9E8D57 * x2, WORD)
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % WORD, (k1 + 0xBB67AE85) % WORD
    return x0, x1, x2, x3


def plain_bits(seed, stream, step, row, column):
    """The 32 bits that belong to one address, by the published layout."""
    return plain_philox((column // 4, row, step, stream), (seed % WORD, seed // WORD))[column % 4]


# Philox --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_vectors_of_random123(counter, key, expected):
    counter, key, expected = ([int(word, 16) for word in words.split()] for words in (counter, key, expected))
    seed = key[0] + WORD * key[1]
    assert philox4x32(np.array(counter, np.uint32), seed).tolist() == expected
    assert list(plain_philox(counter, key)) == expected


def test_our_published_vectors():
    with VECTORS.open() as file:
        rows = [{name: int(value, 0) for name, value in row.items()} for row in csv.DictReader(file)]
    assert len(rows) >= 100
    for row in rows:
        bits = row.pop("bits")
        assert plain_bits(**row) == bits
        key = Key(row["seed"], row["stream"], row["step"], row["row"])
        assert key.bits(1, row["column"] + 1)[0, -1] == bits


@given(
    seed=st.integers(0, 2**64 - 1),
    stream=st.integers(0, WORD - 1),
    step=st.integers(0, WORD - 1),
    row=st.integers(0, WORD - 4),
    n_columns=st.integers(1, 9),
)
def test_bits_follow_the_published_layout(seed, stream, step, row, n_columns):
    bits = Key(seed, stream, step, row).bits(3, n_columns)
    expected = [[plain_bits(seed, stream, step, row + r, j) for j in range(n_columns)] for r in range(3)]
    assert bits.tolist() == expected


# Addressing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_columns", [1, 3, 4, 5, 31, 64, 130])
def test_chunks_of_rows_draw_what_the_whole_draws(n_columns):
    key, whole = Key(7, 3, 9), Key(7, 3, 9).bits(23, n_columns)
    for size in (1, 2, 7, 22):
        chunks = [key.rows_from(r).bits(min(size, 23 - r), n_columns) for r in range(0, 23, size)]
        np.testing.assert_array_equal(np.concatenate(chunks), whole)
    np.testing.assert_array_equal(key.rows_from(3).rows_from(4).bits(2, n_columns), whole[7:9])


def test_fewer_columns_are_a_part_of_more():
    whole = Key(1).bits(3, 50)
    for n_columns in range(51):
        np.testing.assert_array_equal(Key(1).bits(3, n_columns), whole[:, :n_columns])


def test_every_part_of_the_address_matters():
    keys = [
        *(Key(seed) for seed in (0, 1, 2**32, 2**63, 2**64 - 1)),
        *(Key().at(step) for step in (1, 2, WORD - 1)),
        *(Key().on(stream) for stream in (1, 2, WORD - 1)),
        *(Key().at(1).on(2), Key().at(2).on(1)),
        *(Key().rows_from(row) for row in (100, 1000)),
        *(Key().derive(*labels) for labels in (("a",), ("b",), ("a", 1), ("a", "1"), (1, "a"), ())),
    ]
    blocks = [key.bits(4, 8) for key in keys]
    for one, other in itertools.combinations(blocks, 2):
        assert (one != other).all()
    numbers = np.concatenate([block.ravel() for block in blocks])
    assert len(np.unique(numbers)) == len(numbers)


def test_no_two_addresses_have_one_counter(monkeypatch):
    """(seed, stream, step, row, column) can be read off the counter words, the seed and the word's place."""
    seen = []
    monkeypatch.setattr(random, "philox4x32", lambda counter, seed: seen.append((counter, seed)) or counter)
    corners = [0, 1, WORD - 9]
    for seed, stream, step, row in itertools.product([0, WORD, 2**64 - 1], corners, corners, corners):
        seen.clear()
        Key(seed, stream, step, row).bits(9, 10)
        ((counter, used),) = seen
        block, rows, steps, streams = (counter[..., i] for i in range(4))
        assert used == seed
        assert np.unique(steps) == step
        assert np.unique(streams) == stream
        np.testing.assert_array_equal(rows, np.broadcast_to(row + np.arange(9)[:, None], (9, 3)))
        np.testing.assert_array_equal(block, np.broadcast_to(np.arange(3), (9, 3)))  # column = 4 block + place


def test_rows_that_would_begin_again_are_refused():
    assert Key(row=WORD - 3).bits(3, 2).shape == (3, 2)
    with pytest.raises(InvalidParameter, match=r"^Rows of noise must end before 2\*\*32\. Got 4 from \d+ on\. Use"):
        Key(row=WORD - 3).bits(4, 2)


def test_a_derived_key_depends_on_all_of_its_parent():
    parents = [Key(a, b, c, d) for a, b, c, d in itertools.product((0, 1, 7), repeat=4)]
    labels = [(), (1,), ("1",), (1, 1), ("1, 1",), (0, 1, 7, 1), ("x",)]
    seeds = [parent.derive(*x).seed for parent in parents for x in labels]
    assert len(set(seeds)) == len(seeds)
    for parent in parents:
        whole = parent.derive_for_rows("x")
        assert whole.rows_from(3) == parent.rows_from(3).derive_for_rows("x")
        assert whole.seed == Key(parent.seed, parent.stream, parent.step).derive("x").seed


def test_a_seed_stands_for_a_whole_key():
    assert as_seed(5) == as_seed(Key(5)) == 5
    keys = [Key(5), Key(5).at(1), Key(5).on(1), Key(5).rows_from(1), Key(6)]
    assert len({as_seed(key) for key in keys}) == len(keys)


def test_keys_are_values():
    key = Key(5, 1, 2, 3)
    assert key.at(9) == Key(5, 1, 9, 3)
    assert key.on(9) == Key(5, 9, 2, 3)
    assert key.rows_from(9) == Key(5, 1, 2, 12)
    assert key.derive("x").seed != key.seed
    assert key == Key(5, 1, 2, 3)
    assert as_key(key) is key
    assert as_key(5) == Key(5)
    with pytest.raises(AttributeError):
        key.seed = 6


def test_derived_seeds_never_change():
    """Part of the file format: resumed runs and published splits rest on it."""
    assert Key(0).derive("order", 3).seed == 16488431461137102602
    assert Key(2**64 - 1).derive("positive").seed == 18009190275147214269


@pytest.mark.parametrize("integer", [np.int64, np.int32, np.int8, np.uint8, np.uint32, np.uint64])
def test_numpy_integers_are_the_same_seed(integer):
    np.testing.assert_array_equal(Key(integer(7)).bits(2, 5), Key(7).bits(2, 5))
    assert Key(integer(7)).derive("x", integer(3)) == Key(7).derive("x", 3)
    np.testing.assert_array_equal(as_key(integer(7)).bits(2, 5), Key(7).bits(2, 5))
    np.testing.assert_array_equal(Key(7).at(integer(2)).on(integer(3)).bits(2, 5), Key(7).at(2).on(3).bits(2, 5))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "1", None, True, np.nan])
def test_unsound_seeds_are_refused(seed):
    for make in (Key, as_key):
        with pytest.raises(InvalidParameter, match=r"^seed must be .*\. Got .*\. [A-Z].*\.$"):
            make(seed)


@pytest.mark.parametrize("address", [{"step": -1}, {"step": WORD}, {"stream": -1}, {"stream": WORD}, {"row": -1}])
def test_addresses_out_of_range_are_refused(address):
    with pytest.raises(InvalidParameter, match=r"must be .*\. Got .*\. [A-Z].*\.$"):
        Key(0, **address)


# Distributions -------------------------------------------------------------------------------------------------------


def test_uniform_is_the_stated_function_of_the_bits():
    key = Key(3)
    u = key.uniform(50, 40)
    np.testing.assert_array_equal(u * WORD - 0.5, key.bits(50, 40))


def dkw(n, false_alarm):
    """Dvoretzky-Kiefer-Wolfowitz: how far an empirical distribution function strays from the true one."""
    return math.sqrt(math.log(2 / false_alarm) / (2 * n))


@pytest.mark.parametrize("order", ["columns", "rows", "steps", "streams", "seeds"])
@pytest.mark.false_alarm(1e-9)
def test_noise_is_uniform_in_the_orders_in_which_it_is_used(order, seed):
    """False-alarm rate 1e-9 each; sees any distribution function that is off by more than 2 x 0.0103."""
    n = 100_000
    if order in ("columns", "rows"):
        u = Key(seed(1)).uniform(*((1, n) if order == "columns" else (n, 1)))
    else:
        move = {"steps": Key(seed(1)).at, "streams": Key(seed(1)).on, "seeds": lambda i: Key(seed(1000) + i)}
        u = np.concatenate([move[order](i).uniform(1, 1000) for i in range(100)])
    ordered = np.sort(u.ravel())
    assert np.abs(ordered - (np.arange(n) + 0.5) / n).max() < dkw(n, 1e-9)


@pytest.mark.parametrize("lag", [(0, 1), (0, 4), (1, 0), (1, 1)])
@pytest.mark.false_alarm(2e-9)
def test_neighbours_are_uncorrelated(lag, seed):
    """False-alarm rate 2e-9 each (6 standard errors); sees correlations above 0.02 in size."""
    u = Key(seed(2)).uniform(500, 400) - 0.5
    rows, columns = lag
    products = u[rows:, columns:] * u[: 500 - rows, : 400 - columns] * 12
    assert abs(products.mean()) < 6 / math.sqrt(products.size)


@pytest.mark.false_alarm(8e-9)
def test_normal_is_normal(seed):
    """False-alarm rate 4 x 2e-9 (6 standard errors); sees a mean off by 0.03 or a variance off by 0.04."""
    z = Key(seed(4)).normal(400, 250)
    moments, variances = (0, 1, 0, 3), (1, 2, 15, 96)  # of z^k, and of the estimates
    for k, (moment, variance) in enumerate(zip(moments, variances, strict=True), start=1):
        assert abs((z**k).mean() - moment) < 6 * math.sqrt(variance / z.size)
    assert np.isfinite(z).all()


@given(n=st.integers(0, 300), seed=st.integers(0, 2**64 - 1))
def test_a_permutation_is_a_bijection(n, seed):
    assert sorted(Key(seed).permutation(n)) == list(range(n))


def test_a_permutation_ranks_by_both_words():
    """Among so many some first words are equal (about five pairs), and the second ones decide."""
    n, key = 200_000, Key(8)
    first, second = key.bits(2, n)
    order = key.permutation(n)
    np.testing.assert_array_equal(order, np.lexsort((second, first)))
    assert (order != np.argsort(first, kind="stable")).any()


@pytest.mark.false_alarm(1e-9)
def test_permutations_are_uniform(seed):
    """Bretagnolle-Huber-Carol bound, false-alarm rate 1e-9; sees a total variation distance above 0.13 of 24 orders."""
    draws = 5000
    index = {order: k for k, order in enumerate(itertools.permutations(range(4)))}
    counts = np.zeros(24)
    for i in range(draws):
        counts[index[tuple(Key(seed(6)).at(i).permutation(4))]] += 1
    distance = np.abs(counts / draws - 1 / 24).sum()
    assert distance < math.sqrt(2 * (24 * math.log(2) + math.log(1e9)) / draws)
