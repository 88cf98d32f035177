"""Affine arguments, rows, and the way to NumPy and back, on every engine."""

import numpy as np
import pytest
from conftest import TORCH
from oracles import random_parameters, random_states

from harmonium import RBM, Key
from harmonium.engines import Centring, Phase, Rates, make_engine
from harmonium.engines.generic import independent_v

ROWS, N_HIDDEN, N_VISIBLE = 12, 37, 70


@pytest.fixture(params=["native", "numpy", TORCH])
def engine(request):
    rbm = RBM(*(x.astype(np.float32) for x in random_parameters(N_HIDDEN, N_VISIBLE)))
    return make_engine(rbm, request.param)


def grouped(x, n_groups):
    """The row of a table for each row."""
    return np.repeat(np.reshape(x, (n_groups, -1)), ROWS // n_groups, axis=0)


def affine_arguments():
    """Pairs of beta and offset in every form, for hidden units."""
    rng = np.random.default_rng(3)
    for n_betas in (0, 1, 3, ROWS):
        beta = rng.random(n_betas).astype(np.float32) if n_betas else 0.7
        for n_offsets in (0, 1, 3, ROWS):
            offset = rng.standard_normal((n_offsets, N_HIDDEN)).astype(np.float32) if n_offsets else None
            yield beta, offset
    yield 1.0, rng.standard_normal(N_HIDDEN).astype(np.float32)
    yield 0.0, rng.standard_normal(N_HIDDEN).astype(np.float32)


def on_paper(logits, beta, offset):
    """A product and a sum, in float32."""
    x = grouped(np.float32(beta), max(1, np.size(beta))) * logits
    return x if offset is None else x + grouped(offset, 1 if offset.ndim == 1 else len(offset))


def test_affine_arguments_are_a_product_and_a_sum(engine):
    v = engine.encode(random_states(ROWS, N_VISIBLE, 1))
    logits = engine.logits_h(v)
    before = engine.to_numpy(logits).copy()
    for beta, offset in affine_arguments():
        there = engine.encode(on_paper(before, beta, offset), real=True)
        same = np.testing.assert_array_equal
        same(engine.to_numpy(engine.mean(logits, beta, offset)), engine.to_numpy(engine.mean(there)))
        same(engine.softplus_sum(logits, beta, offset), engine.softplus_sum(there))
        expected = engine.decode(engine.bernoulli(there, Key(5)))
        same(engine.decode(engine.bernoulli(logits, Key(5), beta, offset)), expected)
        same(engine.decode(engine.sample_h(v, Key(5), beta, offset)), expected)
        assert not np.array_equal(expected, engine.decode(engine.bernoulli(logits, Key(6), beta, offset)))
    same(engine.to_numpy(logits), before)


def test_both_layers_take_affine_arguments(engine):
    h, offset = engine.encode(random_states(ROWS, N_HIDDEN, 1)), np.linspace(-3, 3, 3 * N_VISIBLE).reshape(3, -1)
    betas = np.array([0.0, 0.5, 1.0])
    there = engine.encode(on_paper(engine.to_numpy(engine.logits_v(h)), betas, offset.astype(np.float32)), real=True)
    got = engine.decode(engine.sample_v(h, Key(2), betas, offset))
    np.testing.assert_array_equal(got, engine.decode(engine.bernoulli(there, Key(2))))


def test_independent_units_have_the_biases_of_the_machine(engine):
    b = np.float32(engine.rbm.b)
    np.testing.assert_array_equal(engine.visible_biases(), b)
    offset = np.linspace(-1, 1, N_VISIBLE).astype(np.float32)
    for beta, fields in ((1.0, b), (0.5, np.float32(0.5) * b), (0.0, 0 * b)):
        for x, added in ((fields, None), (fields + offset, offset)):
            expected = engine.bernoulli(engine.encode(np.tile(x, (ROWS, 1)), real=True), Key(4))
            got = independent_v(engine, ROWS, Key(4), beta, added)
            np.testing.assert_array_equal(engine.decode(got), engine.decode(expected))


@pytest.mark.parametrize("real", [False, True])
def test_overwriting_takes_units_or_whole_rows(engine, real):
    X, values = random_states(ROWS, N_VISIBLE, 1), random_states(ROWS, N_VISIBLE, 2)
    x = X * np.float32(0.25) if real else X
    held = engine.encode(x, real=real)
    units, rows = random_states(ROWS, N_VISIBLE, 3), np.arange(ROWS) % 3 == 0
    for where, mask in ((engine.encode(units), units > 0), (rows, np.broadcast_to(rows[:, None], X.shape))):
        got = engine.to_numpy(engine.overwrite(held, where, engine.encode(values)))
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, np.where(mask, values, x))


def test_rows_and_sums_of_reals(engine):
    x = np.random.default_rng(0).standard_normal((ROWS, N_HIDDEN)).astype(np.float32)
    rows = np.array([3, 3, 0])
    np.testing.assert_array_equal(engine.to_numpy(engine.take(engine.encode(x, real=True), rows)), x[rows])
    sums = engine.column_sums(engine.encode(x, real=True))
    assert sums.dtype == np.float64
    np.testing.assert_allclose(sums, x.astype(np.float64).sum(axis=0), rtol=1e-14)


def test_the_hidden_mean_slides(engine):
    v = engine.encode(random_states(ROWS, N_VISIBLE, 1))
    mean_h, weights = engine.mean(engine.logits_h(v)), np.arange(1.0, ROWS + 1)
    now = np.average(engine.to_numpy(mean_h).astype(np.float64), axis=0, weights=weights)
    first = engine.slide(None, Phase(v, mean_h, weights), 0.25)
    np.testing.assert_allclose(engine.to_numpy(first), now, rtol=1e-6)
    old = np.linspace(0, 1, N_HIDDEN).astype(np.float32)
    slid = engine.slide(engine.encode(old, real=True), Phase(v, mean_h, weights), 0.25)
    np.testing.assert_allclose(engine.to_numpy(slid), 0.75 * old + 0.25 * now, rtol=1e-5)


@pytest.mark.parametrize("persistent", [False, True])
def test_several_steps_are_one_after_the_other(engine, persistent):
    """In one call, and call by call; rows by a table or not."""
    X, offset = random_states(5 * ROWS, N_VISIBLE, 1), np.linspace(0.2, 0.8, N_VISIBLE).astype(np.float32)
    rows = np.arange(5 * ROWS).reshape(5, ROWS)[::-1]
    rates = [Rates(0.1 / (1 + i), 0.5, 0.01) for i in range(5)]
    keys = [Key(9, stream, 7) for stream in range(3)]
    one, two = (make_engine(engine.rbm, engine.name) for _ in range(2))
    h = one.encode(random_states(6, N_HIDDEN, 2)) if persistent else None
    table = one.table(rows.ravel()).reshape(5, ROWS)
    last = one.contrasts(one.encode(X), table, h, keys, 2, rates, Centring(offset, None, 0.1))
    h, mean_h = (two.encode(random_states(6, N_HIDDEN, 2)) if persistent else None), None
    for i, rate in enumerate(rates):
        batch = Phase(two.encode(X[rows[i]]), None)
        now = keys[0].at(7 + i), *(key.at(7 + 2 * i) for key in keys[1:])
        h, mean_h = two.contrast(batch, h, now, 2, rate, Centring(offset, mean_h, 0.1))[2:]
    for part in "Wbc":
        np.testing.assert_array_equal(getattr(one.rbm, part), getattr(two.rbm, part))
    np.testing.assert_array_equal(one.to_numpy(last.mean_h), two.to_numpy(mean_h))
    if persistent:
        np.testing.assert_array_equal(one.decode(last.h), two.decode(h))


@pytest.mark.parametrize("n", [1, 7, 8, 127, 128, 129, 300, 1000])
def test_sums_of_real_rows_are_those_of_numpy(n):
    rng = np.random.default_rng(n)
    v, x = rng.random((3, n)).astype(np.float32), rng.standard_normal(n).astype(np.float32)
    engine = make_engine(RBM(np.ones((2, n), np.float32), x, np.zeros(2, np.float32)))
    expected = np.multiply(v, x, dtype=np.float64).sum(axis=1)
    np.testing.assert_array_equal(engine.dot(v, x), expected)
    logits = engine.logits_h(v)
    np.testing.assert_array_equal(engine.free_energy(v), -expected - engine.softplus_sum(logits))


@pytest.mark.parametrize("engine_name", ["native", "numpy", TORCH])
def test_arrays_are_checked_as_their_states_are_made(engine_name):
    engine = make_engine(RBM(np.zeros((2, 3)), np.zeros(3), np.zeros(2)), engine_name)
    binary, grey = np.array([[0.0, 1, 1]]), np.array([[0.0, 0.25, 1]])
    np.testing.assert_array_equal(engine.decode(engine.visible_of_unit(binary)), binary)
    np.testing.assert_array_equal(engine.to_numpy(engine.visible_of_unit(grey)), grey)
    for wrong in (np.nan, -1e-9, 1.5, np.inf):
        assert engine.visible_of_unit(np.array([[0, 1, wrong]])) is None


def test_few_rows_have_the_scores_of_many():
    rng = np.random.default_rng(0)
    rbm = RBM(rng.normal(size=(20, 70)), rng.normal(size=70), rng.normal(size=20))
    v = (rng.random((100, 70)) < 0.5).astype(np.uint8)
    engine = make_engine(rbm)
    many = engine.pseudo_log_likelihood(engine.encode(v))
    for _ in range(2):  # with exponentials of the weights that are kept, the second time
        np.testing.assert_array_equal(engine.pseudo_log_likelihood(engine.encode(v[:5])), many[:5])
    engine.replace(RBM(-rbm.W, rbm.b, rbm.c))
    other = make_engine(RBM(-rbm.W, rbm.b, rbm.c))
    few = [e.pseudo_log_likelihood(e.encode(v[:5])) for e in (engine, other)]
    np.testing.assert_array_equal(*few)
