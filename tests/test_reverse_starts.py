"""Where reverse chains start: spread-out states, tempered chains that bring them to equilibrium, what tells if not."""

import numpy as np
import pytest
from annealing import bent, bias_paths, biases, log_f
from oracles import Exact, dyadic_parameters, logistic, random_parameters, random_states, row_number
from scipy.stats import binom

from harmonium import RBM, Key
from harmonium.chains import ladder, starts, tempered
from harmonium.chains.agreement import disagreement
from harmonium.chains.diagnostics import r_hat_of_groups
from harmonium.chains.gibbs import HIDDEN, VISIBLE
from harmonium.chains.path import linear_path
from harmonium.engines import make_engine
from harmonium.likelihood import equilibrium_check, reverse_starts
from harmonium.likelihood.annealed import Annealer

# Starts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 50])
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (4, 9), (9, 4)])
@pytest.mark.parametrize("with_data", [False, True])
def test_spread_out_states(n, shape, with_data):
    rbm = RBM(*random_parameters(*shape))
    X = random_states(5, rbm.n_visible) if with_data else None
    found = starts.spread_out(rbm, starts.leading_directions(rbm), X, n, Key(0))
    assert found.shape == (n, rbm.n_visible)
    assert set(np.unique(found)) <= {0, 1}


def test_spread_out_states_reach_both_ends_of_a_direction():
    xi = np.random.default_rng(0).choice([-1, 1], 30)
    rbm = RBM(np.outer(np.ones(5), xi) + 0.01 * random_parameters(5, 30)[0], np.zeros(30), np.zeros(5))
    found = starts.spread_out(rbm, starts.leading_directions(rbm), None, 20, Key(0))
    overlap = (2.0 * found - 1) @ xi / 30
    assert (overlap.min(), overlap.max()) == (-1, 1)


def test_what_speaks_against_equilibrium():
    rng = np.random.default_rng(0)
    same, gain, works = rng.normal(size=100), rng.normal(size=100), 0.3 * rng.normal(size=100)
    shifted, wider = same + 2 * (np.arange(100) < 50), same * np.where(np.arange(100) < 50, 1, 5)
    assert disagreement({"x": same}, 50) == ""
    assert "differ in x (R-hat" in disagreement({"x": shifted}, 50)
    assert "differ in x (R-hat" in disagreement({"x": wider}, 50)
    assert r_hat_of_groups(np.zeros(10), 5) == 1.0
    assert equilibrium_check.drifts(gain) == ""
    assert "drifts (-0.9" in equilibrium_check.drifts(gain + 1)
    stuck = np.arange(100) > 95
    assert equilibrium_check.stays(stuck, np.ones(100, int)) == ""
    assert "40% of the chains have not" in equilibrium_check.stays(np.arange(100) > 59, np.ones(100, int))
    assert "only 0.04 times" in equilibrium_check.stays(stuck, stuck.astype(int))
    heavy, light = np.append(works[:99], 9), np.append(9, works[:99])  # 100 chains, all of weight 1: e^4.6 in all
    assert "annealing from the base does not come" in equilibrium_check.unseen(stuck, heavy, works)
    assert equilibrium_check.unseen(stuck, light, works) == ""
    assert equilibrium_check.unseen(np.zeros(100, bool), heavy, works) == ""


# Tempered chains -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("first", [0, 1])
def test_a_step_on_any_path_is_its_definition(engine, number, first):
    """Swaps by the densities as defined, then a sweep at every temperature, from the noise of the key alone."""
    parameters, betas, key = dyadic_parameters(3, 5), np.array([0, 0.25, 0.5, 1]), Key(8)
    path, machine = bias_paths(parameters)[number], make_engine(RBM(*parameters), engine)
    v = random_states(4 * 50, 5)
    state = tempered.set_out(machine.encode(v), 4, sweep=first)
    found, _ = tempered.step(machine, state, key, tempered.Ladder(path, betas))
    x, key = v.reshape(4, 50, 5).astype(float), key.at(first)
    expected = np.tile(np.arange(4)[:, None], 50)
    low = list(range(first, 3, 2))
    u = key.on(tempered.SWAP).uniform(len(low), 50)
    for i, k in enumerate(low):
        here, there = (log_f(parameters, path, betas[k + d], x[k + d]) for d in (0, 1))
        swapped = [log_f(parameters, path, betas[k + d], x[k + 1 - d]) for d in (0, 1)]
        swap = np.log(u[i]) < sum(swapped) - here - there
        expected[k], expected[k + 1] = np.where(swap, [[k + 1], [k]], [[k], [k + 1]])
    np.testing.assert_array_equal(found.replica, expected)
    assert 0.1 < np.mean(expected != np.arange(4)[:, None]) < 0.95
    W, w = parameters[0], np.empty_like(x)
    u_h, u_v = (key.on(s).uniform(200, n).reshape(4, 50, n) for s, n in ((HIDDEN, 3), (VISIBLE, 5)))
    for k, chain in np.ndindex(4, 50):
        place, (b, c) = expected[k, chain], biases(parameters, path, betas[k])
        h = u_h[place, chain] < logistic(betas[k] * x[place, chain] @ W.T + c)
        w[k, chain] = u_v[k, chain] < logistic(betas[k] * h @ W + b)
    np.testing.assert_array_equal(machine.decode(found.v), w.reshape(200, 5))


def test_walkers_are_followed_between_the_ends(monkeypatch):
    """Whoever reaches beta = 1 from beta = 0 has arrived, once; who has never been in the hotter half is stuck."""
    monkeypatch.setattr(reverse_starts, "_ROWS", 53)
    parameters, betas, n = random_parameters(4, 6), np.array([0, 0.3, 0.6, 1]), 30
    path = linear_path(np.zeros(6), 4)
    annealer, steps = Annealer(RBM(*parameters), path, "numpy"), tempered.Ladder(path, betas)
    start = reverse_starts.ladders(np.tile(random_states(n, 6), (4, 1, 1)).astype(np.uint8))
    half, _ = reverse_starts.temper(annealer, betas, start, 25, Key(2))
    whole, gain = reverse_starts.temper(annealer, betas, half, 35, Key(1))
    assert (start.block, start.n_blocks, len(gain)) == (13, 3, n)
    for number in range(3):
        rows = slice(13 * number, 13 * (number + 1))
        v = annealer.engine.encode(np.concatenate(list(start.v[:, rows])))
        chains = len(v) // 4
        who = np.tile(np.arange(4)[:, None], chains)
        from_base, stuck, arrivals = np.zeros((4, chains), bool), np.ones((4, chains), bool), np.zeros(chains, int)
        for key, sweeps in ((Key(2), 25), (Key(1), 35)):
            state = tempered.set_out(v, 4)
            for _ in range(sweeps):
                before = state.replica
                state, _ = tempered.step(annealer.engine, state, key.derive("part", number), steps)
                order = (before[:, None] == state.replica[None]).argmax(axis=0)
                who = np.take_along_axis(who, order, axis=0)
                for i in range(chains):
                    from_base[who[0, i], i], stuck[who[:2, i], i] = True, False
                    arrivals[i] += from_base[who[3, i], i]
                    from_base[who[3, i], i] = False
            v = state.v
        np.testing.assert_array_equal(whole.arrivals[rows], arrivals)
        np.testing.assert_array_equal(whole.stuck[:, rows], np.take_along_axis(stuck, who, axis=0))
        np.testing.assert_array_equal(whole.v[:, rows].reshape(-1, 6), annealer.engine.decode(v))
    assert whole.arrivals.sum() > n


@pytest.mark.false_alarm(7e-9)
def test_tempering_leaves_the_machine_invariant(seed):
    """From exact samples on every rung, 60,000 ladders stay there.

    The count of one of 64 states has a binomial tail of less than 5e-11 with probability 7e-9; a law whose share of one
    state is off by 0.02 is caught with probability above 0.99.
    """
    parameters, betas, n = random_parameters(3, 6, scale=2.0), np.array([0, 0.5, 1]), 60_000
    bias_path, exact = bent(parameters), Exact(*parameters)
    annealer = Annealer(RBM(*parameters), bias_path)
    rng, v = np.random.default_rng(seed(0)), []
    for beta in betas:
        p = np.exp(log_f(parameters, bias_path, beta, exact.v))
        v.append(exact.v[rng.choice(64, n, p=p / p.sum())])
    state, _ = reverse_starts.temper(
        annealer, betas, reverse_starts.ladders(np.stack(v).astype(np.uint8)), 3, Key(seed(2))
    )
    counts = np.bincount(row_number(state.v[-1]), minlength=64)
    p = exact.p_v[np.argsort(row_number(exact.v))]
    assert np.minimum(binom.cdf(counts, n, p), binom.sf(counts - 1, n, p)).min() > 5e-11


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([0.5, 0.5, 1, 1], [0, 2 / 4, 3 / 4, 1]),
        ([0.0, 0.0, 0.0, 0.0], [0, 1]),
        ([np.inf, 1, 1, 1], [0, 1]),
        ([np.nan, 1, 1, 1], [0, 1]),
    ],
)
def test_rungs_are_a_deviation_apart(lengths, expected):
    np.testing.assert_allclose(ladder.place_by_works(np.linspace(0, 1, 5), np.array(lengths)), expected)
    assert len(ladder.place_by_works(np.array([0.0, 1.0]), np.array([1e9]))) == 60
