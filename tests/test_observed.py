"""Pseudo-likelihood of what is observed, against sums over all that is not."""

import itertools

import numpy as np
import pytest

from harmonium import RBM, pseudo_log_likelihood
from harmonium.likelihood import observed
from harmonium.likelihood.observed import observed_pseudo_log_likelihood

KEY = np.random.default_rng(0)
MACHINE = RBM(KEY.normal(size=(3, 6)) * 1.5, KEY.normal(size=6), KEY.normal(size=3))
ROWS = np.where(KEY.random((12, 6)) < 0.3, np.nan, KEY.integers(0, 2, (12, 6)))


def by_definition(rbm, row):
    """Sum over observed j of log p(v_j | other observed), from the table of all states."""
    states = np.array(list(itertools.product([0.0, 1.0], repeat=rbm.n_visible)))
    p = np.exp(-rbm.free_energy(states))
    seen = ~np.isnan(row)
    total = 0.0
    for j in np.flatnonzero(seen):
        others = seen & (np.arange(len(row)) != j)
        agree = (states[:, others] == row[others]).all(axis=1)
        total += np.log(p[agree & (states[:, j] == row[j])].sum() / p[agree].sum())
    return total


EXPECTED = np.array([by_definition(MACHINE, row) for row in ROWS])


@pytest.mark.parametrize(("most_hidden", "most_missing"), [(16, 4), (-1, 6)])
def test_sums_are_exact(monkeypatch, most_hidden, most_missing, engine):
    monkeypatch.setattr(observed, "_MOST_HIDDEN", most_hidden)
    monkeypatch.setattr(observed, "_MOST_MISSING", most_missing)
    found = observed_pseudo_log_likelihood(MACHINE, ROWS, engine=engine)
    np.testing.assert_allclose(found, EXPECTED, rtol=1e-5)


def test_complete_rows_have_the_pseudo_likelihood():
    X = KEY.integers(0, 2, (5, 6))
    np.testing.assert_array_equal(observed_pseudo_log_likelihood(MACHINE, X), pseudo_log_likelihood(MACHINE, X))


def test_draws_come_to_the_sums(monkeypatch):
    # The largest odds of these rows have a standard deviation of about 4, so 4000 draws leave 0.1 of a nat at most:
    # the seed is fixed, and a factor of 2 in the odds would show as 0.4 and more.
    monkeypatch.setattr(observed, "_MOST_HIDDEN", -1)
    monkeypatch.setattr(observed, "_MOST_MISSING", -1)
    found = observed_pseudo_log_likelihood(MACHINE, ROWS, draws=4000, sweeps=30)
    np.testing.assert_allclose(found, EXPECTED, atol=0.15)


def test_steep_machines_and_empty_rows_stay_finite():
    steep = RBM(np.full((2, 3), 700.0), np.zeros(3), np.zeros(2))
    found = observed_pseudo_log_likelihood(steep, [[1, 0, np.nan], [np.nan] * 3])
    assert np.isfinite(found).all()
    assert found[0] < -400
    assert found[1] == 0
