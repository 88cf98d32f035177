"""E[v v'] and covariances: by enumeration against brute force, by chains against enumeration."""

import numpy as np
import pytest
from oracles import Exact, random_parameters

import harmonium
from harmonium import RBM
from harmonium.enumeration import exact as exact_module
from harmonium.enumeration.pairs import pairs_are_quick
from harmonium.errors import OutOfReach


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(3, 6), (6, 3), (4, 4), (1, 1)])
@pytest.mark.parametrize("bits", [2, 12])
def test_exact_pair_moments_equal_brute_force(n_hidden, n_visible, bits, monkeypatch):
    monkeypatch.setattr(exact_module, "_BLOCK_BITS", bits)  # several blocks
    parameters = random_parameters(n_hidden, n_visible)
    exact, found = Exact(*parameters), harmonium.pair_moments(RBM(*parameters))
    product = np.einsum("s,sj,sk->jk", exact.p_v, exact.v, exact.v)
    mean = exact.p_v @ exact.v
    np.testing.assert_allclose(found.product, product, atol=1e-12)
    np.testing.assert_allclose(found.mean, mean, atol=1e-12)
    np.testing.assert_allclose(found.covariance, product - np.outer(mean, mean), atol=1e-12)
    assert found.exact
    assert found.verdict == "ok"
    assert not found.product_error.any()


def test_chains_find_them_within_their_errors():
    """500 pairs of 10 groups; by Student's t of 9 degrees one in 50 is beyond 2.8 errors, and half beyond 0.7."""
    rbm = RBM(*random_parameters(5, 32, scale=0.4))
    exact, found = harmonium.pair_moments(rbm), harmonium.pair_moments(rbm, method="gibbs", sweeps=300, burn_in=50)
    above = np.triu_indices(32, 1)
    for name in ("product", "covariance"):
        error = getattr(found, f"{name}_error")
        assert 0 < error[above].max() < 0.01
        t = (getattr(found, name) - getattr(exact, name))[above] / error[above]
        assert (np.abs(t) > 2.8).mean() < 0.06
        assert 0.3 < (np.abs(t) > 0.7).mean() < 0.7
    np.testing.assert_array_equal(np.diag(found.product), found.mean)
    assert found.r_hat < 1.05


def test_chains_that_do_not_join_their_modes_are_unreliable():
    rbm, _ = RBM.from_ising(J=np.full((4, 20), 0.5), field_v=np.zeros(20), field_h=np.zeros(4))
    found = harmonium.pair_moments(rbm, method="gibbs", sweeps=100, burn_in=20)
    assert found.verdict == "unreliable"


def test_what_is_exact_by_default_takes_seconds():
    assert pairs_are_quick(RBM(*random_parameters(14, 100)))
    assert not pairs_are_quick(RBM(*random_parameters(17, 784)))
    with pytest.raises(OutOfReach, match="at most 25 units"):
        harmonium.pair_moments(RBM(*random_parameters(26, 27)), method="exact")
