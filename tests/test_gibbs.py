"""Gibbs sampling: the exact transition matrix, chains replayed by hand, clamps, temperatures and chunks."""

import itertools

import numpy as np
import pytest
from oracles import Exact, dyadic_parameters, logistic, random_parameters, random_states

from harmonium import RBM, Clamp, Key, gibbs_chain, sample
from harmonium.chains.gibbs import HIDDEN, START, VISIBLE


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(0, 2), (1, 1), (2, 4), (5, 5), (6, 3)])
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_sweep_of_the_conditionals_leaves_the_model_invariant(n_hidden, n_visible, scale):
    """pi T = pi, and detailed balance, with T made of the machine's own conditionals."""
    parameters = random_parameters(n_hidden, n_visible, scale=scale)
    rbm, exact = RBM(*parameters), Exact(*parameters)
    v, h = np.repeat(exact.v, len(exact.h), axis=0), np.tile(exact.h, (len(exact.v), 1))
    table = (len(exact.v), len(exact.h))
    h_from_v = np.exp(rbm.log_p_h_from_v(h, v)).reshape(table)
    v_from_h = np.exp(rbm.log_p_v_from_h(v, h)).reshape(table).T
    T = h_from_v @ v_from_h
    np.testing.assert_allclose(T.sum(axis=1), 1, atol=1e-13)
    np.testing.assert_allclose(T, exact.sweep, atol=1e-12)
    np.testing.assert_allclose(exact.p_v @ T, exact.p_v, atol=1e-14)
    flow = exact.p_v[:, None] * T
    np.testing.assert_allclose(flow, flow.T, atol=1e-14)


def replay(parameters, v, key, sweeps, beta=1.0, clamp=None):
    """The chain written out by hand: hidden stream 0, visible stream 1, the sweep's number as the step."""
    W, b, c = parameters
    beta = np.reshape(beta, (-1, 1))
    if clamp is not None:
        v = np.where(clamp.where, clamp.values, v)
    states = []
    for sweep in range(sweeps):
        h = key.on(HIDDEN).at(sweep).uniform(len(v), len(c)) < logistic(beta * (v @ W.T + c))
        v = key.on(VISIBLE).at(sweep).uniform(len(v), len(b)) < logistic(beta * (h @ W + b))
        if clamp is not None:
            v = np.where(clamp.where, clamp.values, v)
        states.append(v.astype(np.uint8))
    return states


CLAMPS = {
    "none": None,
    "one row": Clamp(np.arange(13) < 5, np.arange(13) % 2),
    "a row a chain": Clamp(random_states(9, 13, 5), random_states(9, 13, 6)),
    "one pattern, other values": Clamp(np.arange(13) < 5, random_states(9, 13, 6)),
    "NaN where free": Clamp(np.arange(13) < 5, np.where(np.arange(13) < 5, 1, np.nan)),
    "everything": Clamp(np.ones(13), np.zeros(13)),
    "nothing": Clamp(np.zeros(13), np.ones(13)),
}


@pytest.mark.parametrize("clamp", CLAMPS.values(), ids=CLAMPS)
@pytest.mark.parametrize("beta", [1.0, 0.25, np.float32(0.5), 0, np.linspace(0, 2, 9)], ids=str)
def test_chains_are_the_replay(engine, clamp, beta):
    parameters, start, key = dyadic_parameters(21, 13), random_states(9, 13), Key(77)
    rbm = RBM(*parameters)
    expected = replay(parameters, start, key.derive("gibbs_chain"), 6, beta, clamp)
    chain = gibbs_chain(rbm, start, seed=key, beta=beta, clamp=clamp, engine=engine)
    for got, states in zip(itertools.islice(chain, 6), expected, strict=True):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, states)
    expected = replay(parameters, start, key.derive("sample"), 6, beta, clamp)
    for sweeps in (1, 2, 6):
        got = sample(rbm, start=start, sweeps=sweeps, seed=77, beta=beta, clamp=clamp, engine=engine)
        np.testing.assert_array_equal(got, expected[sweeps - 1])


def test_no_sweeps_return_the_start_with_its_clamp(engine):
    rbm, start, clamp = RBM(*dyadic_parameters(3, 13)), random_states(9, 13), CLAMPS["one row"]
    np.testing.assert_array_equal(sample(rbm, start=start, sweeps=0, engine=engine), start)
    got = sample(rbm, 9, start=start, sweeps=0, clamp=clamp, engine=engine)
    np.testing.assert_array_equal(got, np.where(clamp.where, clamp.values, start))


def test_without_a_start_chains_begin_at_the_visible_biases_and_at_fair_coins(engine):
    """In turn: chains that all start alike may all miss the same mode."""
    W, b, c = dyadic_parameters(3, 13)
    expected = Key(5).derive("sample").on(START).uniform(40, 13) < np.where(
        np.arange(40)[:, None] % 2, 0.5, logistic(b)
    )
    np.testing.assert_array_equal(sample(RBM(W, b, c), 40, sweeps=0, seed=5, engine=engine), expected)


def test_chains_do_not_depend_on_their_company(engine):
    rbm, start = RBM(*random_parameters(7, 10)), random_states(20, 10)
    whole = sample(rbm, start=start, sweeps=9, seed=3, engine=engine)
    for size in (1, 6, 19):
        parts = [
            sample(rbm, start=start[r : r + size], sweeps=9, seed=Key(3).rows_from(r), engine=engine)
            for r in range(0, 20, size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_seeds_decide_and_nothing_else(engine):
    rbm = RBM(*random_parameters(7, 10))
    one, again, other = (sample(rbm, 30, sweeps=5, seed=seed, engine=engine) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).mean() > 0.2


def test_a_single_sweep_at_beta_zero_forgets_everything(engine):
    """Fair coins from the noise alone, whatever the weights."""
    key, start = Key(4), random_states(50, 10)
    got = sample(RBM(*random_parameters(7, 10, scale=50)), start=start, sweeps=1, seed=key, beta=0, engine=engine)
    np.testing.assert_array_equal(got, key.derive("sample").on(VISIBLE).uniform(50, 10) < 0.5)


def test_the_start_is_left_as_it_was(engine):
    start = random_states(4, 6)
    before = start.copy()
    sample(RBM(*random_parameters(3, 6)), start=start, sweeps=3, clamp=Clamp(np.ones(6), np.ones(6)), engine=engine)
    np.testing.assert_array_equal(start, before)


def test_machines_without_hidden_units_sample_coins(engine):
    rbm = RBM(np.zeros((0, 2)), [30.0, -30.0], [])
    np.testing.assert_array_equal(sample(rbm, 3, sweeps=2, engine=engine), [[1, 0]] * 3)
