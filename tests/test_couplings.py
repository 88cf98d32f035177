"""Fields and couplings between visible units: coefficients of log p(v), by sums over all states."""

import numpy as np
import pytest
from oracles import all_states, random_parameters

from harmonium import RBM, theory
from harmonium.errors import InvalidParameter, OutOfReach


def coefficients(rbm, units):
    """Fields and couplings of -F(v), from its values at all states: products of spins are orthogonal."""
    v = all_states(rbm.n_visible)
    minus_f = -rbm.free_energy(v)
    if units == "bits":
        order = v.astype(int) @ (1 << np.arange(rbm.n_visible))
        phi = theory.interactions(minus_f[np.argsort(order)])
        unit = 1 << np.arange(rbm.n_visible)
        return phi[unit], phi[unit[:, None] | unit] * (1 - np.eye(rbm.n_visible))
    s = 2 * v - 1
    return minus_f @ s / len(s), (s.T * minus_f) @ s / len(s) * (1 - np.eye(rbm.n_visible))


@pytest.mark.parametrize("units", ["spins", "bits"])
@pytest.mark.parametrize("scale", [0.1, 1.0, 6.0, 600.0])
def test_effective_couplings_are_the_coefficients_of_log_p(units, scale):
    rbm = RBM(*random_parameters(4, 7, scale=scale))
    field, J = coefficients(rbm, units)
    found = theory.effective_couplings(rbm, units)
    np.testing.assert_allclose(found.field, field, atol=2e-13 * max(1, np.abs(field).max()))
    np.testing.assert_allclose(found.J, J, atol=2e-13 * max(1, np.abs(J).max()))


def test_the_midpoint_rule_holds_where_states_are_too_many_to_be_counted():
    """Equal weights make 200 visible units one binomial number."""
    m, w, c = 200, 0.3, -20.0
    rbm = RBM(np.full((1, m), w), np.zeros(m), [c])
    k = np.arange(m - 1)  # other units that are on, of 198
    log_choose = np.concatenate([[0], np.cumsum(np.log((m - 2 - k[:-1]) / (k[:-1] + 1)))])
    p = np.exp(log_choose - (m - 2) * np.log(2))
    second = np.logaddexp(0, c + w * (k + 2)) - 2 * np.logaddexp(0, c + w * (k + 1)) + np.logaddexp(0, c + w * k)
    first = np.logaddexp(0, c + w * (k + 2)) - np.logaddexp(0, c + w * k)  # a sum of the two of one unit
    found = theory.effective_couplings(rbm)
    assert found.J[3, 8] == pytest.approx(p @ second / 4, rel=1e-10)
    assert found.field[3] == pytest.approx(p @ first / 4, rel=1e-10)


def test_an_ising_model_of_one_hidden_spin_comes_back():
    """A hidden spin between two visible ones makes J = log(cosh(2a)) / 2, and nothing else."""
    rbm, _ = RBM.from_ising(J=[[0.7, -0.7]], field_v=[0.2, 0.0], field_h=[0.0])
    found = theory.effective_couplings(rbm)
    np.testing.assert_allclose(found.J, np.log(np.cosh(1.4)) / 2 * np.array([[0, -1], [-1, 0]]), atol=1e-14)
    np.testing.assert_allclose(found.field, [0.2, 0.0], atol=1e-14)


def test_other_units_are_refused():
    with pytest.raises(InvalidParameter, match="units must be one of spins, bits"):
        theory.effective_couplings(RBM([[1.0]], [0.0], [0.0]), "potts")


def test_weights_beyond_reach_are_refused_and_large_ones_take_bounded_memory(monkeypatch):
    rbm = RBM(*random_parameters(4, 7, scale=200.0))
    whole = theory.effective_couplings(rbm)
    monkeypatch.setattr("harmonium.theory.couplings._CELLS", 700)  # blocks of 100 points
    for part, of_whole in zip(theory.effective_couplings(rbm), whole, strict=True):
        np.testing.assert_allclose(part, of_whole, rtol=1e-12, atol=1e-10)
    for scale in (1e6, 1e30):
        with pytest.raises(OutOfReach, match="input must be within 100,000 in all states"):
            theory.effective_couplings(RBM([[scale, -scale]], [0.0, 0.0], [0.0]))
    assert np.isfinite(theory.effective_couplings(RBM([[1e30, -1e30]], [0.0, 0.0], [0.0]), "bits").J).all()
