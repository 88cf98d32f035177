"""Trajectory tempering: the joint chain of a ladder of machines by enumeration, steps by hand, and what it is for."""

import itertools
from functools import reduce

import numpy as np
import pytest
from oracles import Exact, dyadic_parameters, logistic, random_parameters, random_states, row_number, swap_matrix

from harmonium import RBM, Key, log_partition
from harmonium.chains import tempered
from harmonium.chains.gibbs import HIDDEN, START, VISIBLE
from harmonium.chains.path import linear_path
from harmonium.chains.rungs import MOVED, Rungs
from harmonium.chains.tempered import SWAP, Ladder, swap_probability
from harmonium.engines import make_engine
from harmonium.errors import InvalidParameter
from harmonium.sampling import sample_tempered


def independent(b, n_hidden):
    return RBM(np.zeros((n_hidden, len(b))), b, np.zeros(n_hidden))


def ladder(seed, n_hidden, n_visible, n_levels):
    """Machines that have little to do with each other, as milestones that all are levels, with their tables."""
    b = np.linspace(-1, 1, n_visible)
    machines = [independent(b, n_hidden)]
    machines += [RBM(*dyadic_parameters(n_hidden, n_visible, seed=seed + k)) for k in range(1, n_levels)]
    tables = [Exact(*(x.astype(float) for x in (m.W, m.b, m.c))) for m in machines]
    return machines, tables, np.linspace(0, 1, n_levels)


SMALL = [(1, 2, 2, [0]), (2, 2, 3, [0]), (2, 2, 3, [1]), (2, 1, 4, [0, 2]), (3, 2, 3, []), (0, 2, 2, [0])]


@pytest.mark.parametrize(("n_hidden", "n_visible", "n_levels", "low"), SMALL)
def test_the_joint_chain_of_all_rungs_keeps_the_product_of_their_distributions(
    engine, n_hidden, n_visible, n_levels, low
):
    """Swaps are in detailed balance; with a sweep of every rung they leave the product as it is, and nothing else."""
    machines, tables, places = ladder(3, n_hidden, n_visible, n_levels)
    rungs, top = Rungs(machines, places, engine), make_engine(machines[-1], engine)
    states = np.array(list(itertools.product(range(2**n_visible), repeat=n_levels)))  # one for each rung
    v = tuple(top.encode(tables[0].v[states[:, k]].astype(np.uint8)) for k in range(n_levels))
    p = swap_probability(rungs.compare(top, v, np.array(low, int))[1])
    swaps, law = swap_matrix(states, p, low), reduce(np.kron, [x.p_v for x in tables])
    np.testing.assert_allclose(law[:, None] * swaps, (law[:, None] * swaps).T, atol=2e-7)
    for q, k in zip(p, low, strict=True):  # of all kernels in detailed balance it is Metropolis', which moves most
        (a, b), (x, y) = (tables[k].p_v, tables[k + 1].p_v), (states[:, k], states[:, k + 1])
        np.testing.assert_allclose(q, np.minimum(1, a[y] * b[x] / (a[x] * b[y])), rtol=4e-6)
    step = swaps @ reduce(np.kron, [x.sweep for x in tables])
    np.testing.assert_allclose(law @ step, law, atol=2e-7)
    assert np.sum(np.abs(np.linalg.eigvals(step)) > 1 - 1e-6) == 1


def replay(machines, tables, v, key, steps):
    """Steps chain by chain: swap by the enumerated log p, then sweep. Noise is that of where a state arrives."""
    n, chains, _ = v.shape
    for sweep in range(steps):
        log_p = np.array([[table.log_p_v[row_number(x)] for x in v] for table in tables])  # machine, place, chain
        low, where = range(sweep % 2, n - 1, 2), np.tile(np.arange(n)[:, None], chains)
        u = key.on(SWAP).at(sweep).uniform(len(low), chains)
        for (row, k), c in itertools.product(enumerate(low), range(chains)):
            ratio = log_p[k, k + 1, c] + log_p[k + 1, k, c] - log_p[k, k, c] - log_p[k + 1, k + 1, c]
            if np.log(u[row, c]) < ratio:
                where[[k, k + 1], c] = k + 1, k
        units = {HIDDEN: machines[0].n_hidden, MOVED: machines[0].n_hidden, VISIBLE: machines[0].n_visible}
        noise = {x: key.on(x).at(sweep).uniform(n * chains, m).reshape(n, chains, m) for x, m in units.items()}
        after = np.empty_like(v)
        for k, chain in np.ndindex(n, chains):
            W, b, c = machines[k].W, machines[k].b, machines[k].c
            stream = HIDDEN if where[k, chain] == k else MOVED
            h = noise[stream][k, chain] < logistic(W @ v[where[k, chain], chain] + c)
            after[k, chain] = noise[VISIBLE][k, chain] < logistic(h @ W + b)
        v = after
        yield v, where


def test_steps_are_the_replay(engine):
    machines, tables, places = ladder(7, 4, 5, 4)
    rungs, top, key = Rungs(machines, places, engine), make_engine(machines[-1], engine), Key(5)
    state, moved = tempered.init(top, rungs, 6, key), 0
    v = np.stack([top.decode(x) for x in state.v])
    expected = key.on(START).uniform(24, 5) < logistic(machines[0].b.astype(float))
    np.testing.assert_array_equal(v.reshape(24, 5), expected)
    for after, where in replay(machines, tables, v, key, 40):
        state, _ = tempered.step(top, state, key, rungs)
        np.testing.assert_array_equal(np.stack([top.decode(x) for x in state.v]), after)
        moved += (where != np.arange(4)[:, None]).sum()
    assert moved > 40
    np.testing.assert_array_equal(top.decode(rungs.cold(top, state.v)), after[-1])


def test_between_independent_units_and_a_machine_rungs_are_its_temperatures(engine):
    """The gains of a swap are those of the linear path, which computes them from one machine."""
    parameters, base, places = random_parameters(6, 9, scale=2), np.linspace(-1, 1, 9), np.array([0, 0.2, 0.7, 1])
    rbm, low = RBM(*parameters), np.array([0, 2])
    top, rungs = make_engine(rbm, engine), Rungs((independent(base, 6), rbm), places, engine)
    temperatures = Ladder(linear_path(base, 6), places)
    v = random_states(4 * 50, 9).astype(np.uint8)
    _, expected = temperatures.compare(top, top.encode(v), low)
    _, found = rungs.compare(top, tuple(top.encode(x) for x in v.reshape(4, 50, 9)), low)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert rungs.log_z_base == pytest.approx(temperatures.log_z_base, rel=1e-6)


def test_milestones_are_passed_at_equal_distances():
    machines, _, _ = ladder(1, 3, 4, 3)
    rungs = Rungs(machines, np.linspace(0, 1, 5))
    for k, place in ((0, 0.0), (1, 0.5), (2, 1.0)):
        np.testing.assert_array_equal(rungs.machine(place).W, machines[k].W)
    np.testing.assert_allclose(rungs.machine(0.75).W, (machines[1].W + machines[2].W) / 2, atol=1e-6)
    assert len(rungs.below) == 4


# What it is for ----------------------------------------------------------------------------------------------------

M = 60  # visible units


def switch(w):
    """Two modes of equal weight, fair coins and units that are on with probability logistic(w)."""
    return RBM(np.full((1, M), w), np.zeros(M), [M * (np.log(2) - np.log1p(np.exp(w)))])


TRAJECTORY, LAST = [switch(w) for w in (0.75, 1.5, 3.0)], switch(6.0)


def test_a_trajectory_joins_modes_that_no_temperature_does():
    """At any lower temperature the narrow mode has next to no weight; on the way through the machines it has half.

    400 ladders: 6 standard deviations of fair coins (false alarms 2e-9) are 0.15.
    """
    odds = [M * np.log1p(np.exp(beta * 6)) + beta * LAST.c[0] - M * np.log(2) for beta in (0.2, 0.5, 0.8)]
    assert max(odds) < -7
    options = {"sweeps": 200, "seed": 1, "temperatures": "adaptive"}
    stuck = sample_tempered(LAST, 400, **options)
    assert (stuck.samples.mean(axis=1) > 0.9).mean() < 0.05
    assert stuck.verdict == "ok"  # which is the trouble
    found = sample_tempered(LAST, 400, trajectory=TRAJECTORY, **options)
    assert abs((found.samples.mean(axis=1) > 0.9).mean() - 0.5) < 0.15
    assert found.verdict == "ok"


def test_log_z_along_a_trajectory_is_right_where_temperatures_are_doubted():
    truth = log_partition(LAST, "exact").value
    found = log_partition(LAST, "tempered", trajectory=TRAJECTORY, sweeps=300, seed=2)
    assert found.verdict == "ok"
    assert found.lower < truth < found.upper
    doubted = log_partition(LAST, "tempered", sweeps=300, seed=2)
    assert doubted.verdict == "unreliable"
    assert "different starts" in doubted.reason


@pytest.mark.parametrize(
    "other", [RBM(np.zeros((2, M)), np.zeros(M), np.zeros(2)), RBM([[0.0]], [0.0], [0.0]), "runs/a"]
)
def test_other_machines_are_refused(other):
    for call in (
        lambda: sample_tempered(LAST, 2, trajectory=[other]),
        lambda: log_partition(LAST, "tempered", trajectory=[other]),
    ):
        with pytest.raises(InvalidParameter, match="60 visible and 1 hidden"):
            call()
