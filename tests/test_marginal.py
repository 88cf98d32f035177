"""Free energies of what is observed: against sums over all completions."""

import numpy as np
import pytest
from oracles import Exact, all_states, free_energy, log_sum_exp, random_parameters

import harmonium
from harmonium import RBM, marginal_free_energy
from harmonium.enumeration import missing
from harmonium.errors import InvalidData, InvalidParameter
from harmonium.likelihood import marginal

NAN = np.nan
PARAMETERS = random_parameters(5, 7, seed=4, scale=1.5)
MACHINE = RBM(*PARAMETERS)
HOLES = np.array(
    [
        [1, NAN, 0, NAN, NAN, 1, NAN],
        [NAN] * 7,
        [0, 1, 1, 0, 1, 0, 0],
        [0.3, NAN, 0.9, 0.0, NAN, NAN, NAN],
        [1, 1, 1, 1, 1, 1, NAN],
    ]
)


def brute_force(parameters, X):
    found = []
    for row in X:
        free = np.isnan(row)
        ways = np.repeat(row[None], 2 ** free.sum(), axis=0)
        ways[:, free] = all_states(free.sum())
        found.append(-log_sum_exp(-free_energy(*parameters, ways)))
    return np.array(found)


@pytest.mark.parametrize("limits", [(16, 10), (16, -1), (-1, 10)], ids=["both", "hidden states", "missing units"])
def test_enumeration_equals_brute_force(monkeypatch, engine, limits):
    monkeypatch.setitem(missing.LIMITS, "auto", limits)
    monkeypatch.setattr(missing, "_STATES", 3)
    monkeypatch.setattr(marginal, "ROWS", 2)
    found = marginal.marginals(MACHINE, HOLES, engine=engine)
    np.testing.assert_allclose(found.free_energy, brute_force(PARAMETERS, HOLES), rtol=1e-6)
    assert found.exact.all()
    assert not found.standard_error.any()
    assert found.free_energy[1] == pytest.approx(-Exact(*PARAMETERS).log_z)


def test_complete_rows_are_free_energies(engine):
    X = np.random.default_rng(0).random((6, 7)).round(1)
    found = marginal_free_energy(MACHINE, X, engine=engine)
    np.testing.assert_array_equal(found, harmonium.free_energy(MACHINE, X, engine=engine))


@pytest.mark.false_alarm(1e-8)
def test_annealed_weights_are_unbiased(monkeypatch, engine, seed):
    """The mean of 4,000 weights a row with few temperatures, within 7 standard errors for 4 rows, as the weights are
    skew; the errors are below 0.07, so that a bias of half a nat in a weight would be seen."""
    monkeypatch.setitem(missing.LIMITS, "auto", (-1, -1))
    X = HOLES[[0, 1, 3, 4]]
    found = marginal.marginals(MACHINE, X, chains=4000, temperatures=4, seed=seed(1), engine=engine)
    assert not found.exact.any()
    assert found.standard_error.max() < 0.07
    error = np.exp(brute_force(PARAMETERS, X) - found.free_energy) - 1
    assert np.abs(error / found.standard_error).max() < 7


@pytest.mark.false_alarm(1e-8)
def test_more_temperatures_close_in(monkeypatch, seed):
    """From 3 to 30 and on to 300 temperatures the mean error falls by a factor of 3.1, known to 6 %."""
    monkeypatch.setitem(missing.LIMITS, "auto", (-1, -1))
    X, errors = np.repeat(HOLES[:2], 250, axis=0), []
    for temperatures in (3, 30, 300):
        found = marginal_free_energy(MACHINE, X, chains=5, temperatures=temperatures, seed=seed(0))
        errors.append(np.abs(found - np.repeat(brute_force(PARAMETERS, HOLES[:2]), 250)).mean())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


@pytest.mark.false_alarm(1e-8)
def test_standard_errors_are_as_large_as_the_errors(monkeypatch, seed):
    """The mean square of 2,000 values of t with 19 degrees is 1.1 with a deviation of 0.04; the logarithm bends it."""
    monkeypatch.setitem(missing.LIMITS, "auto", (-1, -1))
    X = np.repeat(HOLES[:2], 1000, axis=0)
    found = marginal.marginals(MACHINE, X, chains=20, temperatures=50, seed=seed(3))
    t = (found.free_energy - np.repeat(brute_force(PARAMETERS, HOLES[:2]), 1000)) / found.standard_error
    assert 0.8 < np.mean(t**2) < 1.5


def test_blocks_of_rows_do_not_show(monkeypatch, engine):
    monkeypatch.setitem(missing.LIMITS, "auto", (-1, -1))
    whole = marginal_free_energy(MACHINE, HOLES, chains=4, temperatures=5, engine=engine)
    monkeypatch.setattr(marginal, "_CELLS", 30)
    np.testing.assert_allclose(marginal_free_energy(MACHINE, HOLES, chains=4, temperatures=5, engine=engine), whole)


@pytest.mark.parametrize("wrong", [{"chains": 1}, {"temperatures": 1}, {"engine": "x"}, {"seed": -1}])
def test_bad_settings_are_refused(wrong):
    with pytest.raises(InvalidParameter):
        marginal_free_energy(MACHINE, HOLES, **wrong)


def test_bad_data_are_refused():
    with pytest.raises(InvalidData):
        marginal_free_energy(MACHINE, HOLES[:, :5])
