"""What is missing given what is observed: against sums over all configurations."""

import itertools
import math

import numpy as np
import pytest
from oracles import Exact, all_states, free_energy, random_parameters

from harmonium import RBM, Estimate
from harmonium.enumeration import missing as missing_sums
from harmonium.errors import InvalidData, InvalidParameter, OutOfReach, Unreliable
from harmonium.likelihood import log_partition
from harmonium.likelihood.conditional import clamped, log_conditional_probability
from harmonium.sampling import conditional
from harmonium.sampling.conditional import complete, impute

NAN = np.nan
PARAMETERS = random_parameters(4, 5, seed=3, scale=1.5)
MACHINE = RBM(*PARAMETERS)
EXACT = Exact(*PARAMETERS)
HOLES = np.array(
    [[1, NAN, 0, NAN, NAN], [NAN] * 5, [0, 1, 1, 0, 1], [NAN, 1, 0, 1, 1], [0.3, NAN, 0.9, 0.0, NAN], [1, 1, 1, 1, NAN]]
)


def posterior(parameters, row):
    """All ways to complete a row, and their probabilities given what is observed."""
    missing = np.isnan(row)
    ways = np.repeat(row[None], 2 ** missing.sum(), axis=0)
    ways[:, missing] = all_states(missing.sum())
    log_p = -free_energy(*parameters, ways)
    p = np.exp(log_p - log_p.max())
    return ways, p / p.sum()


def expected(parameters, X):
    """E[v | observed] and E[h | observed] by summing over all completions and all hidden states."""
    W, _, c = parameters
    pairs = [posterior(parameters, row) for row in X]
    means_h = [p @ (1 / (1 + np.exp(-(v @ W.T + c)))) for v, p in pairs]
    return np.array([p @ v for v, p in pairs]), np.array(means_h)


# Imputation -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [(16, 10), (16, -1), (-1, 10)], ids=["both", "hidden states", "missing units"])
@pytest.mark.parametrize("block", [3, 2048])
def test_imputation_by_enumeration_equals_brute_force(monkeypatch, limits, block):
    monkeypatch.setitem(missing_sums.LIMITS, "auto", limits)
    monkeypatch.setattr(missing_sums, "_STATES", block)
    monkeypatch.setattr(conditional, "ROWS", 2)
    found = impute(MACHINE, HOLES)
    mean, mean_h = expected(PARAMETERS, HOLES)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.mean_h, mean_h, rtol=1e-12)
    assert found.exact.all()
    assert not found.standard_error.any()
    assert found.n_doubtful == 0
    np.testing.assert_array_equal(found.mean[~np.isnan(HOLES)], HOLES[~np.isnan(HOLES)])


def test_extreme_machines_are_enumerated_without_overflow():
    rbm = RBM([[1800.0, 1800.0], [0.0, 0.0]], [-900.0, -900.0], [-1300.0, 3000.0])
    for X, expected_v in ([[1.0, NAN]], [[1.0, 1.0]]), ([[0.0, NAN]], [[0.0, 0.0]]):
        np.testing.assert_allclose(impute(rbm, X).mean, expected_v, atol=1e-12)


def test_a_larger_machine_may_be_enumerated_either_way(monkeypatch):
    rbm = RBM(*random_parameters(11, 9, seed=1))
    X = np.where(np.random.default_rng(0).random((6, 9)) < 0.4, NAN, 1.0)
    both = []
    for limits in ((16, -1), (-1, 16)):
        monkeypatch.setitem(missing_sums.LIMITS, "exact", limits)
        both.append(impute(rbm, X, method="exact"))
    np.testing.assert_allclose(both[0].mean, both[1].mean, rtol=1e-10)
    np.testing.assert_allclose(both[0].mean_h, both[1].mean_h, rtol=1e-10)


@pytest.mark.false_alarm(2e-8)
def test_chains_agree_with_brute_force_within_their_errors(engine, seed):
    """Student's t of 39 degrees for 14 entries: all within 8; the errors average 0.003, so that a bias of 0.03 would be
    seen."""
    found = impute(MACHINE, HOLES, method="gibbs", chains=40, sweeps=400, seed=seed(5), engine=engine)
    mean, mean_h = expected(PARAMETERS, HOLES)
    missing = np.isnan(HOLES)
    assert (found.standard_error[missing] > 0).all()
    assert found.standard_error[missing].mean() < 0.004
    assert np.abs((found.mean - mean)[missing] / found.standard_error[missing]).max() < 8
    np.testing.assert_allclose(found.mean_h, mean_h, atol=0.02)
    np.testing.assert_array_equal(found.exact, ~missing.any(axis=1))
    np.testing.assert_array_equal(found.mean[~missing], HOLES[~missing])
    assert not found.standard_error[~missing].any()
    assert found.n_doubtful == 0


@pytest.mark.false_alarm(1e-8)
def test_standard_errors_are_as_large_as_the_errors(seed):
    """1,000 runs of each of 9 entries: the mean square of t with 19 degrees is 1.118, and that of 9,000 (9 dependent)
    of them has a standard deviation of at most 0.06; a factor of 1.3 in the errors is seen."""
    X = np.repeat(HOLES[:2], 1000, axis=0)
    found = impute(MACHINE, X, method="gibbs", chains=20, burn_in=50, sweeps=50, seed=seed(2))
    mean, _ = expected(PARAMETERS, HOLES[:2])
    missing = np.isnan(X)
    t = (found.mean - np.repeat(mean, 1000, axis=0))[missing] / found.standard_error[missing]
    assert 0.7 < np.mean(t**2) < 1.6


def test_blocks_of_rows_do_not_change_what_chains_say(monkeypatch, engine):
    X = np.nan_to_num(np.round(HOLES)) if engine == "native" else HOLES
    X = np.where(np.isnan(HOLES), NAN, X)
    whole = impute(MACHINE, X, method="gibbs", chains=3, burn_in=2, sweeps=5, engine=engine)
    monkeypatch.setattr(conditional, "_CELLS", 15)
    parts = impute(MACHINE, X, method="gibbs", chains=3, burn_in=2, sweeps=5, engine=engine)
    for name in ("mean", "standard_error", "mean_h", "r_hat"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-5)


def test_chains_that_stay_apart_are_doubtful():
    """Two copies of a state, all on or all off, that no sweep of a hundred leads from one to the other."""
    rbm = RBM(np.full((1, 6), 12.0), np.full(6, -6.0), [-36.0])
    X = [[NAN] * 6, [1, 1, 1, NAN, NAN, NAN]]
    found = impute(rbm, X, method="gibbs", chains=8, burn_in=20, sweeps=50)
    assert found.r_hat[0] > 1.1
    assert found.r_hat[1] == 1
    assert found.n_doubtful == 1


def test_enumeration_that_would_take_too_long_is_refused():
    rbm = RBM(np.zeros((21, 17)), np.zeros(17), np.zeros(21))
    with pytest.raises(OutOfReach, match=r"must have at most 20 hidden .* Got 21 and 17\. Use"):
        impute(rbm, np.full((1, 17), NAN), method="exact")
    assert impute(rbm, np.full((1, 17), NAN), burn_in=0, sweeps=2).mean == pytest.approx(0.5)


@pytest.mark.parametrize(
    "wrong", [{"method": "ais"}, {"chains": 0}, {"sweeps": 1}, {"burn_in": -1}, {"engine": "x"}, {"seed": -1}]
)
def test_bad_settings_are_refused(wrong):
    with pytest.raises(InvalidParameter):
        impute(MACHINE, HOLES, **wrong)


@pytest.mark.parametrize("function", [impute, complete])
@pytest.mark.parametrize("bad", [[[NAN, 1]], [[NAN, np.inf, 0, 0, 0]], [[NAN, 2, 0, 0, 0]], [["a"] * 5], []])
def test_bad_data_are_refused(function, bad):
    with pytest.raises(InvalidData, match=r"^X must .* Got .*\. "):
        function(MACHINE, bad)


# Draws ----------------------------------------------------------------------------------------------------------------


@pytest.mark.false_alarm(3e-9)
@pytest.mark.parametrize("limits", [(16, -1), (-1, 10), (-1, -1)], ids=["hidden states", "missing units", "chains"])
def test_completions_are_drawn_from_the_posterior(monkeypatch, engine, limits, seed):
    """4000 draws for each of two rows: frequencies of 8 and 4 completions within 6.3 standard deviations of at
    most 0.0079; a shift of 0.1 of any probability is seen."""
    monkeypatch.setitem(missing_sums.LIMITS, "auto", limits)
    monkeypatch.setattr(missing_sums, "_STATES", 3)
    for row in (HOLES[0], HOLES[4]):
        ways, p = posterior(PARAMETERS, row)
        drawn = complete(MACHINE, np.repeat(row[None], 4000, axis=0), sweeps=60, seed=seed(1), engine=engine)
        counts = (drawn[:, None] == ways.astype(np.float32)).all(axis=2).sum(axis=0)
        assert counts.sum() == 4000
        assert np.abs(counts / 4000 - p).max() < 0.05


@pytest.mark.parametrize("method", ["auto", "gibbs"])
def test_completions_keep_what_is_observed(monkeypatch, engine, method):
    drawn = complete(MACHINE, HOLES, method=method, sweeps=2, engine=engine)
    observed = ~np.isnan(HOLES)
    np.testing.assert_array_equal(drawn[observed], HOLES[observed].astype(np.float32))
    assert np.isin(drawn[~observed], (0, 1)).all()
    monkeypatch.setattr(conditional, "ROWS", 2)
    np.testing.assert_array_equal(complete(MACHINE, HOLES, method=method, sweeps=2, engine=engine), drawn)


@pytest.mark.false_alarm(1e-9)
def test_completions_weigh_modes_that_chains_do_not_join(seed):
    """Two modes, all on or all off, equally probable: every chain stays where it started; exact draws take both."""
    rbm = RBM(np.full((1, 30), 12.0), np.full(30, -6.4), [-168.0])
    for X in (np.full((400, 30), NAN), np.array([[1.0] + [NAN] * 29])):
        p = impute(rbm, X[:1]).mean[0, -1]
        drawn = complete(rbm, np.repeat(X[:1], 400, axis=0), seed=seed(0))[:, -1].mean()
        assert abs(drawn - p) < 6.5 * math.sqrt(p * (1 - p) / 400) + 1e-9


# Conditional probabilities --------------------------------------------------------------------------------------------


def brute_force(A, B):
    p_b = np.where(np.isnan(B), True, EXACT.v == B).all(axis=1)
    p_ab = p_b & np.where(np.isnan(A), True, EXACT.v == A).all(axis=1)
    return math.log(EXACT.p_v[p_ab].sum() / EXACT.p_v[p_b].sum())


ASSIGNMENTS = [np.array(x, float) for x in itertools.product((0, 1, NAN), repeat=5)][::7]


def test_conditional_probabilities_equal_brute_force(engine):
    checked = 0
    for A, B in itertools.product(ASSIGNMENTS, ASSIGNMENTS):
        both = ~np.isnan(A) & ~np.isnan(B)
        if (A[both] != B[both]).any():
            assert float(log_conditional_probability(MACHINE, A, B)) == -math.inf
        else:
            found = log_conditional_probability(MACHINE, A, B, engine=engine)
            assert found.value == pytest.approx(brute_force(A, B), abs=1e-10)
            assert (found.lower, found.upper, found.method, found.verdict) == (found.value, found.value, "exact", "ok")
            checked += 1
    assert checked > 100
    for A in ASSIGNMENTS:
        assert float(log_conditional_probability(MACHINE, A)) == pytest.approx(
            brute_force(A, np.full(5, NAN)), abs=1e-10
        )


def test_the_clamped_machine_has_the_conditional_distribution():
    held, values = np.array([True, False, False, True, False]), np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    machine, shift = clamped(MACHINE, held, values)
    agree = (EXACT.v[:, held] == values[held]).all(axis=1)
    joint = EXACT.joint[agree] / EXACT.joint[agree].sum()
    reduced = Exact(machine.W, machine.b, machine.c)
    np.testing.assert_allclose(reduced.joint, joint, rtol=1e-12)
    assert shift + reduced.log_z == pytest.approx(EXACT.log_z + math.log(EXACT.joint[agree].sum()), abs=1e-12)
    nothing, total = clamped(MACHINE, np.ones(5, bool), values)
    assert nothing is None
    assert total == pytest.approx(-MACHINE.free_energy(values[None])[0], abs=1e-12)


def test_single_units_agree_with_imputation():
    mean = impute(MACHINE, HOLES[:2]).mean
    for row, j in ((0, 1), (0, 4), (1, 2)):
        A = np.full(5, NAN)
        A[j] = 1
        assert math.exp(log_conditional_probability(MACHINE, A, HOLES[row]).value) == pytest.approx(
            mean[row, j], rel=1e-9
        )


@pytest.mark.false_alarm(2e-9)
def test_annealed_sides_cover_the_truth(seed):
    """Each of two brackets misses in at most 2 % of runs (``test_bracket.py``): more than 9 misses of 20 have a
    probability of 2e-9. If 7 of 10 miss, at most 9 do with a probability of 2 %."""
    rbm = RBM(*random_parameters(8, 9, seed=1))
    A, B = np.full(9, NAN), np.full(9, NAN)
    A[:3], B[3:5] = 1, 0
    truth = log_conditional_probability(rbm, A, B).value
    misses = 0
    for number in range(20):
        found = log_conditional_probability(rbm, A, B, method="ais", temperatures=20, chains=20, seed=seed(number))
        assert found.method == "ais"
        assert found.lower <= found.value <= found.upper <= 0
        misses += not found.lower <= truth <= found.upper
        assert found.verdict == ("wide" if found.upper - found.lower > 1 else "ok")
    assert misses <= 9


def test_an_unreliable_sum_makes_an_unreliable_probability():
    rbm = RBM(*(6 * x for x in random_parameters(30, 40, seed=2)))
    A = np.full(40, NAN)
    A[0] = 1
    found = log_conditional_probability(rbm, A, method="ais", temperatures=3, chains=5)
    assert found.verdict == "unreliable"
    assert found.reason
    with pytest.raises(Unreliable, match=r"must be reliable .* Got .*\. Take"):
        float(found)
    assert found.number(accept_unreliable=True) == found.value
    with pytest.raises(Unreliable, match="Got none"):
        Estimate.unknown("log-probability", "why", "ais").number(accept_unreliable=True)


def test_exactness_beyond_reach_is_refused_but_held_units_bring_it_back():
    rbm = RBM(*random_parameters(30, 30))
    A, B = np.full(30, NAN), np.full(30, NAN)
    A[0], B[1:12] = 1, 0
    with pytest.raises(OutOfReach):
        log_conditional_probability(rbm, A, method="exact")
    found = log_conditional_probability(rbm, A, B, method="exact")  # 18 and 19 free units
    one, two = (clamped(rbm, ~np.isnan(x), np.nan_to_num(x)) for x in (np.where(np.isnan(A), B, A), B))
    expected = one[1] + float(log_partition(one[0])) - two[1] - float(log_partition(two[0]))
    assert found.value == pytest.approx(expected, abs=1e-9)
    A[0] = 0
    other = log_conditional_probability(rbm, A, B, method="exact")
    assert math.exp(found.value) + math.exp(other.value) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    "bad", [[1, 0], [[1, 0, 1, 0, 1]], [0.5, NAN, NAN, NAN, NAN], [2, 0, 0, 0, 0], ["a"] * 5, None]
)
def test_bad_assignments_are_refused(bad):
    with pytest.raises(InvalidData, match=r"^A must .* Got .*\. [A-Z]"):
        log_conditional_probability(MACHINE, bad)
    if bad is not None:
        with pytest.raises(InvalidData, match=r"^given must .* Got .*\. [A-Z]"):
            log_conditional_probability(MACHINE, HOLES[0], bad)
