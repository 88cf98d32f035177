"""Parallel tempering: swaps against enumeration, steps replayed by hand, round trips, and where temperatures go."""

import itertools

import numpy as np
import pytest
from oracles import Exact, dyadic_parameters, logistic, random_parameters, random_states, row_number, swap_matrix
from scipy.special import erfc

from harmonium import RBM, Key, datasets
from harmonium.chains.gibbs import HIDDEN, START, VISIBLE
from harmonium.chains.ladder import adapt, n_temperatures
from harmonium.chains.path import linear_path
from harmonium.chains.tempered import SWAP, Ladder, init, step, swap_gains, swap_probability
from harmonium.engines import make_engine
from harmonium.errors import HarmoniumError, InvalidData, InvalidParameter
from harmonium.sampling import sample_tempered


def at(parameters, base, beta):
    """The machine at one temperature, counted out: W and c scaled, and b on its way from the base."""
    W, b, c = parameters
    return Exact(beta * W, beta * b + (1 - beta) * base, beta * c)


def linear(betas, base, n_hidden):
    """The ladder on the linear path."""
    return Ladder(linear_path(np.asarray(base), n_hidden), np.asarray(betas, float))


def probabilities(engine, rbm, v, betas, base, low):
    """The production function, for states of shape (T, chains, n_visible)."""
    engine, flat = make_engine(rbm, engine), v.reshape(-1, rbm.n_visible)
    states = engine.encode(flat.astype(np.uint8))
    ladder = linear(betas, base, rbm.n_hidden)
    return swap_probability(swap_gains(engine, states, engine.logits_h(states), ladder, np.array(low, int)))


SMALL = [
    # Hidden units, visible units, inverse temperatures, pairs that swap.
    (1, 2, (0.0, 1.0), [0]),
    (3, 2, (0.25, 0.5), [0]),
    (2, 2, (0.0, 0.5, 1.0), [0]),
    (2, 2, (0.0, 0.5, 1.0), [1]),
    (2, 1, (0.0, 0.125, 0.5, 1.0), [0, 2]),
    (2, 2, (0.0, 0.25, 1.0), []),
    (0, 2, (0.0, 1.0), [0]),
]


@pytest.mark.parametrize(("n_hidden", "n_visible", "betas", "low"), SMALL)
@pytest.mark.parametrize("base", [0.0, 1.5])
def test_swaps_are_in_detailed_balance(engine, n_hidden, n_visible, betas, low, base):
    """The whole transition matrix of the swaps on the product of all temperatures' states."""
    parameters, base = dyadic_parameters(n_hidden, n_visible, seed=3), base * np.linspace(-1, 1, n_visible)
    levels = [at(parameters, base, beta) for beta in betas]
    n_states = 2**n_visible
    places = np.array(list(itertools.product(range(n_states), repeat=len(betas))))  # a state for each temperature
    p = probabilities(engine, RBM(*parameters), levels[0].v[places].swapaxes(0, 1), betas, base, low)
    assert p.shape == (len(low), len(places))
    P = swap_matrix(places, p, low)
    law = np.prod([level.p_v[place] for level, place in zip(levels, places.T, strict=True)], axis=0)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-12)
    flow = law[:, None] * P
    np.testing.assert_allclose(flow, flow.T, atol=2e-7)
    np.testing.assert_allclose(law @ P, law, atol=2e-7)
    for q, k in zip(p, low, strict=True):  # and of all kernels in detailed balance it is Metropolis', which moves most
        a, b = levels[k].p_v, levels[k + 1].p_v
        x, y = places[:, k], places[:, k + 1]
        np.testing.assert_allclose(q, np.minimum(1, a[y] * b[x] / (a[x] * b[y])), rtol=2e-6)


@pytest.mark.parametrize("seed", range(5))
def test_states_without_their_hidden_units_swap_more_often(seed):
    parameters, base = random_parameters(3, 3, seed, scale=2), np.array([1.0, 0.0, -1.0])
    levels = [at(parameters, base, beta) for beta in (0.3, 0.8)]
    v = np.stack([np.repeat(levels[0].v, 8, axis=0), np.tile(levels[0].v, (8, 1))])
    p = probabilities("numpy", RBM(*parameters), v, (0.3, 0.8), base, [0])[0]
    found = p @ np.outer(levels[0].p_v, levels[1].p_v).ravel()

    def overlap(a, b):
        return np.minimum(np.outer(a, b), np.outer(b, a)).sum()

    assert found == pytest.approx(overlap(*(x.p_v for x in levels)), rel=1e-5)
    assert found > overlap(*(x.joint.ravel() for x in levels)) + 1e-3


class Rigged:
    """A key whose noise for swaps is given; all other noise is that of a real key."""

    def __init__(self, u):
        self.u = u

    def at(self, sweep):
        return self

    def on(self, stream):
        return self if stream == SWAP else Key(1).on(stream)

    def uniform(self, n_rows, n_columns):
        assert self.u.shape == (n_rows, n_columns)
        return self.u


@pytest.mark.parametrize("sweep", [0, 1])
def test_every_swap_flips_at_its_probability(engine, sweep):
    """u just below p swaps, just above does not: chain by chain, and pair by pair in both orders."""
    parameters, betas, base = random_parameters(4, 5), np.array([0, 0.2, 0.5, 0.8, 1]), np.linspace(-1, 1, 5)
    machine, low, chains = make_engine(RBM(*parameters), engine), np.arange(sweep, 4, 2), 400
    v = random_states(5 * chains, 5)
    ladder = linear(betas, base, 4)
    state = init(machine, ladder, chains, Key(0))._replace(v=machine.encode(v), sweep=sweep)
    p = probabilities(engine, RBM(*parameters), v.reshape(5, chains, 5), betas, base, low)
    assert (p < 0.999).sum() > 200
    for sign in (-1, 1):
        below = sign * np.where(np.arange(chains) % 2, 1, -1) < 0
        u = np.where(below, p - 1e-9, np.minimum(p + 1e-9, 1 - 2.0**-33))  # noise is below 1, so p = 1 always swaps
        after, info = step(machine, state, Rigged(u), ladder)
        for row, k in enumerate(low):
            swaps = below | (p[row] == 1)
            np.testing.assert_array_equal(after.replica[k], np.where(swaps, k + 1, k))
            np.testing.assert_array_equal(after.replica[k + 1], np.where(swaps, k, k + 1))
            assert info.acceptance[k] == pytest.approx(p[row].mean())
        np.testing.assert_array_equal(np.isnan(info.acceptance), ~np.isin(np.arange(4), low))


def replay(parameters, betas, base, v, key, steps):
    """Steps written out chain by chain: swap v by the free energies of an enumeration, then sweep. v is (T, chains, m).

    A row's hidden noise is that of the place where it stood before the swap.
    """
    W, b, c = parameters
    levels = [at(parameters, base, beta) for beta in betas]
    n, chains, _ = v.shape
    for sweep in range(steps):
        log_p = np.array([[level.log_p_v[row_number(x)] for x in v] for level in levels])  # temperature, place, chain
        where = np.tile(np.arange(n)[:, None], chains)
        low = range(sweep % 2, n - 1, 2)
        u = key.on(SWAP).at(sweep).uniform(len(low), chains)
        for row, k in enumerate(low):
            for chain in range(chains):
                ratio = (
                    log_p[k, k + 1, chain] + log_p[k + 1, k, chain] - log_p[k, k, chain] - log_p[k + 1, k + 1, chain]
                )
                if np.log(u[row, chain]) < ratio:
                    where[[k, k + 1], chain] = k + 1, k
        noise_h = key.on(HIDDEN).at(sweep).uniform(n * chains, len(c)).reshape(n, chains, -1)
        noise_v = key.on(VISIBLE).at(sweep).uniform(n * chains, len(b)).reshape(n, chains, -1)
        after = np.empty_like(v)
        for k, chain in np.ndindex(n, chains):
            place = where[k, chain]
            h = noise_h[place, chain] < logistic(betas[k] * (W @ v[place, chain] + c))
            mixed = betas[k] * (h @ W + b) + (1 - betas[k]) * base
            after[k, chain] = noise_v[k, chain] < logistic(mixed)
        v = after
        yield v, where


@pytest.mark.parametrize("with_base", [False, True])
def test_steps_are_the_replay(engine, with_base):
    parameters, betas, key = dyadic_parameters(5, 6), np.array([0, 0.125, 0.25, 0.5, 1]), Key(12)
    base = with_base * np.arange(-3, 3) / 4
    machine = make_engine(RBM(*parameters), engine)
    ladder = linear(betas, base, 5)
    state = init(machine, ladder, 7, key)
    v = machine.decode(state.v)
    np.testing.assert_array_equal(v, key.on(START).uniform(35, 6) < logistic(base))
    replica, visited, trips = np.tile(np.arange(5)[:, None], 7), [[[] for _ in range(7)] for _ in range(5)], 0
    moved = 0
    for expected, where in replay(parameters, betas, base, v.reshape(5, 7, 6), key, 60):
        state, _ = step(machine, state, key, ladder)
        np.testing.assert_array_equal(machine.decode(state.v), expected.reshape(35, 6))
        moved += (where != np.arange(5)[:, None]).sum()
        replica = np.take_along_axis(replica, where, axis=0)
        np.testing.assert_array_equal(state.replica, replica)
        for k, chain in np.ndindex(5, 7):
            visited[replica[k, chain]][chain].append(k)
    for walker, chain in np.ndindex(5, 7):  # ends that were met, in order, from the first visit of the lowest
        ends = [k for k in [walker, *visited[walker][chain]] if k in (0, 4)]
        path = [k for k, _ in itertools.groupby(ends)]
        trips += (len(path) - 1 - (path[0] == 4)) // 2 if path else 0
    assert state.sweep == 60
    assert state.round_trips.sum() == trips > 0
    assert moved > 500
    np.testing.assert_array_equal(machine.decode(ladder.cold(machine, state.v)), expected[-1])


@pytest.mark.parametrize("n", [2, 3, 4, 7])
def test_walkers_that_always_swap_walk_straight_through(n):
    """Where all temperatures have one distribution no swap is refused, and even and odd turns carry each walker on.

    Once on its way a walker takes n steps for either direction (one of them waiting at the end), so all walkers
    together complete one round trip every two steps.
    """
    b = np.array([0.5, -1.0, 0.0])
    engine = make_engine(RBM(np.zeros((2, 3)), b, np.zeros(2)), "numpy")
    ladder = linear(np.linspace(0, 1, n), b, 2)
    state, steps = init(engine, ladder, 3, Key(0)), 40 * n
    replica = [state.replica]
    for _ in range(steps):
        state, info = step(engine, state, Key(0), ladder)
        assert set(info.acceptance[~np.isnan(info.acceptance)]) <= {1.0}
        replica.append(state.replica)
    np.testing.assert_array_equal(replica[0], replica[2 * n])
    assert all((replica[0] != x).any() for x in replica[2 : 2 * n : 2])
    assert (np.abs(state.round_trips - steps / 2) <= n).all()
    assert (np.sort(state.replica, axis=0) == np.arange(n)[:, None]).all()


def test_a_step_uses_the_machine_as_it_is_now():
    """In training the machine changes between steps, and with it everything that a step computes."""
    key, ladder = Key(3), linear([0, 0.5, 1], np.zeros(6), 5)
    one, other = (make_engine(RBM(*dyadic_parameters(5, 6, seed)), "native") for seed in (1, 2))
    state, _ = step(one, init(one, ladder, 50, key), key, ladder)
    found, info = step(other, state, key, ladder)
    fresh = other.encode(one.decode(state.v))
    again, expected = step(other, state._replace(v=fresh), key, ladder)
    np.testing.assert_array_equal(other.decode(found.v), other.decode(again.v))
    np.testing.assert_array_equal(info.acceptance, expected.acceptance)
    assert info.acceptance[1] != step(one, state, key, ladder)[1].acceptance[1]


# Ladders -----------------------------------------------------------------------------------------------------------


def mean_acceptance(parameters, base, betas):
    """Of each pair of neighbours, by enumeration."""
    p = [at(parameters, base, beta).p_v for beta in betas]
    return np.array([np.minimum(np.outer(a, b), np.outer(b, a)).sum() for a, b in itertools.pairwise(p)])


@pytest.mark.parametrize("n", [3, 6, 12])
def test_temperatures_move_to_equal_acceptance(n):
    parameters, base, betas = random_parameters(5, 7, scale=1.5), np.linspace(-1, 1, 7), np.linspace(0, 1, n) ** 3
    first = mean_acceptance(parameters, base, betas)
    for _ in range(15):
        betas = adapt(betas, mean_acceptance(parameters, base, betas))
        assert (betas[0], betas[-1]) == (0, 1)
        assert (np.diff(betas) > 0).all()
    last = mean_acceptance(parameters, base, betas)
    assert np.ptp(first) > 0.1
    assert np.ptp(last) < 2e-3
    np.testing.assert_allclose(adapt(betas, last), betas, atol=5e-3)


@pytest.mark.parametrize("target", [0.3, 0.5, 0.8])
def test_the_number_of_temperatures_meets_the_target(target):
    """From any number; the one that is found accepts as wished, and one temperature less does not."""
    parameters, base = random_parameters(5, 6, scale=3), np.zeros(6)

    def settled(n, adaptive):
        betas = np.linspace(0, 1, n)
        for _ in range(20):
            acceptance = mean_acceptance(parameters, base, betas)
            betas = adapt(betas, acceptance, n_temperatures(acceptance, target) if adaptive else n)
        return len(betas), mean_acceptance(parameters, base, betas).mean()

    (few, found), (many, again) = settled(3, True), settled(20, True)
    assert few == many > 2
    assert found == pytest.approx(again, abs=1e-3)
    assert found > target - 0.02
    assert settled(few - 1, False)[1] < target + 0.02


def test_one_measurement_is_enough_where_log_densities_are_normal():
    """Lengths add up: with acceptance erfc(L / 2) of a known L the first answer is the last."""
    place = np.array([0, 0.5, 3, 4, 9.0])  # how far along the ladder each temperature is
    betas = place**2 / 81
    acceptance = erfc(np.diff(place) / 2)
    np.testing.assert_allclose(np.sqrt(adapt(np.sqrt(betas), acceptance)), np.sqrt(np.linspace(0, 1, 5)), atol=1e-12)
    target = erfc(0.5)
    assert n_temperatures(acceptance, target) == 10
    np.testing.assert_allclose(adapt(np.sqrt(betas), acceptance, 10), np.linspace(0, 1, 10), atol=1e-12)


@pytest.mark.parametrize("acceptance", [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1e-300, 1 - 1e-16]])
def test_hopeless_and_perfect_acceptances_leave_a_ladder(acceptance):
    betas = adapt(np.array([0, 0.5, 1]), np.array(acceptance), 5)
    assert (np.diff(betas) > 0).all()
    assert 2 <= n_temperatures(np.array(acceptance)) < 1000


# The sampler -------------------------------------------------------------------------------------------------------


def test_seeds_decide_and_nothing_else(engine):
    rbm = RBM(*random_parameters(6, 9, scale=2))
    one, again, other = (sample_tempered(rbm, 8, sweeps=60, seed=seed, engine=engine) for seed in (1, Key(1), 2))
    for name in ("samples", "acceptance", "betas", "round_trips"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert (one.samples.shape, one.samples.dtype) == ((8, 9), np.uint8)
    assert (one.samples != other.samples).mean() > 0.1
    assert one.acceptance.shape == (9,)
    assert one.betas.shape == (10,)
    assert (one.method, one.sweeps, one.exact) == ("tempered", 60, False)


def test_the_sampler_is_its_steps():
    """Too short a run for the ladder to move: linear temperatures, and the samples are the cold rows."""
    rbm, key = RBM(*random_parameters(6, 9)), Key(4).derive("sample_tempered")
    data = random_states(30, 9) * [1, 1, 1, 0, 1, 1, 1, 1, 1]
    for X, base in ((None, np.zeros(9)), (data, np.log((data.sum(0) + 0.5) / (30.5 - data.sum(0))))):
        engine, ladder = make_engine(rbm), linear(np.linspace(0, 1, 4), base, 6)
        state, seen = init(engine, ladder, 5, key), []
        for _ in range(30):
            state, info = step(engine, state, key, ladder)
            seen.append(info.acceptance)
        found = sample_tempered(rbm, 5, sweeps=30, temperatures=4, X=X, seed=4)
        np.testing.assert_array_equal(found.samples, engine.decode(ladder.cold(engine, state.v)))
        np.testing.assert_allclose(found.acceptance, np.nanmean(seen, axis=0))
        assert found.round_trips == state.round_trips.sum()
        np.testing.assert_array_equal(found.betas, ladder.betas)


def test_the_ladder_adapts_to_the_machine():
    rbm = RBM(*random_parameters(20, 30, scale=1.5))
    few = sample_tempered(rbm, 20, sweeps=400, temperatures=5)
    assert np.ptp(few.acceptance) < 0.15
    assert np.ptp(np.diff(few.betas)) > 0.05
    found = sample_tempered(rbm, 20, sweeps=400, temperatures="adaptive")
    assert len(found.betas) > 5
    np.testing.assert_allclose(found.acceptance, 0.5, atol=0.12)
    assert found.round_trips > few.round_trips


def test_data_shorten_the_ladder():
    """A base with the means of p(v) is closer to p(v) than coins are."""
    X = datasets.load("digits").train
    p = (X.mean(axis=0) + 0.01) / 1.02
    rbm = RBM(random_parameters(4, 64, scale=0.1)[0], np.log(p / (1 - p)), np.zeros(4))
    without, with_data = (sample_tempered(rbm, 20, sweeps=200, temperatures=4, X=data) for data in (None, X))
    assert with_data.acceptance.mean() > without.acceptance.mean() + 0.2


def test_progress_counts_the_sweeps():
    seen = []
    rbm = RBM(*random_parameters(3, 4))
    sample_tempered(rbm, 2, sweeps=101, temperatures="adaptive", progress=lambda *x: seen.append(x))
    assert seen == [(i, 101) for i in range(1, 102)]


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (InvalidParameter, {"n": 0}),
        (InvalidParameter, {"sweeps": 1}),
        (InvalidParameter, {"temperatures": 1}),
        (InvalidParameter, {"temperatures": 2.5}),
        (InvalidParameter, {"temperatures": "many"}),
        (InvalidParameter, {"seed": -1}),
        (InvalidParameter, {"engine": "none"}),
        (InvalidData, {"X": np.zeros((3, 5))}),
        (InvalidData, {"X": np.full((3, 4), 2)}),
    ],
)
def test_bad_input_is_refused(error, options):
    with pytest.raises(error) as caught:
        sample_tempered(RBM(*random_parameters(3, 4)), **{"n": 2, "sweeps": 4, **options})
    assert isinstance(caught.value, HarmoniumError)
    assert str(caught.value).count(". ") >= 2
