"""Entropies and free-energy differences: exact where they can be, within their ends where they are estimated."""

import math
import sys

import numpy as np
import pytest
from oracles import Exact, random_parameters

import harmonium
from harmonium import RBM, Estimate
from harmonium.errors import InvalidParameter
from harmonium.likelihood import difference

entropy_module = sys.modules[harmonium.entropy.__module__]
LAYERS = "visible", "hidden", "joint"


def entropies(parameters):
    """By the definition, over all configurations."""
    exact = Exact(*parameters)
    return {
        layer: -float((p * np.log(p)).sum())
        for layer, p in zip(LAYERS, (exact.p_v, exact.p_h, exact.joint), strict=True)
    }


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(3, 5), (5, 3), (4, 4)])
def test_entropies_equal_brute_force(n_hidden, n_visible):
    parameters = random_parameters(n_hidden, n_visible)
    for layer, expected in entropies(parameters).items():
        found = harmonium.entropy(RBM(*parameters), layer)
        assert found.value == pytest.approx(expected, abs=1e-6)
        assert (found.method, found.verdict) == ("exact", "ok")


def test_the_larger_layer_has_its_entropy_by_the_chain_rule(monkeypatch):
    """95 % intervals of 10,000 samples; once in 500,000 the truth is two intervals away."""
    monkeypatch.setattr(entropy_module, "_UNITS", 4)
    parameters = random_parameters(4, 9)
    for machine, layer in ((RBM(*parameters), "visible"), (RBM(*parameters).mirror(), "hidden")):
        found, expected = harmonium.entropy(machine, layer), entropies(parameters)["visible"]
        assert found.method == "samples"
        assert abs(found.value - expected) < found.upper - found.lower < 0.05


@pytest.mark.parametrize("layer", LAYERS)
def test_chains_find_entropies_within_their_ends(layer, monkeypatch):
    monkeypatch.setattr(entropy_module, "is_quick", lambda _: False)
    parameters = random_parameters(5, 8, scale=0.5)
    rbm, expected = RBM(*parameters), entropies(parameters)[layer]
    found = harmonium.entropy(rbm, layer, chains=40, sweeps=200, burn_in=20)
    assert found.method == "chains"
    assert found.verdict == "ok"
    assert abs(found.value - expected) < found.upper - found.lower < 0.2
    shifted = Estimate("log Z", 0.0, -0.1, 0.2, verdict="unreliable", reason="a test says so")
    doubted = harmonium.entropy(rbm, layer, log_z=shifted, chains=40, sweeps=200, burn_in=20)
    assert doubted.value == pytest.approx(found.value - rbm.log_z(), abs=1e-5)
    assert (doubted.verdict, doubted.reason) == ("unreliable", "a test says so")


def test_an_entropy_over_chains_that_stay_apart_is_unreliable(monkeypatch):
    monkeypatch.setattr(entropy_module, "is_quick", lambda _: False)
    rbm, _ = RBM.from_ising(J=np.full((4, 12), 0.8), field_v=np.full(12, 0.02), field_h=np.zeros(4))
    found = harmonium.entropy(rbm, chains=20, sweeps=50, burn_in=10)
    assert found.verdict == "unreliable"
    assert "R-hat" in found.reason


def test_what_is_no_log_z_is_refused():
    with pytest.raises(InvalidParameter, match=r"log_z must be an estimate of log Z\. Got 3\.0"):
        harmonium.log_likelihood(RBM([[1.0]], [0.0], [0.0]), [[1]], 3.0)
    with pytest.raises(InvalidParameter, match="log_z must be an estimate of log Z"):
        harmonium.entropy(RBM([[1.0]], [0.0], [0.0]), log_z=Estimate.exact("entropy of both layers", 1.0))


def moved(rbm, by):
    return RBM(rbm.W * (1 + by), rbm.b + by, rbm.c - by)


@pytest.mark.parametrize("by", [0.05, 1.0])
def test_free_energy_differences_lie_within_their_ends(by):
    """50 pairs of machines; intervals of 95 % miss more than 9 of them once in 6,000 times."""
    missed = 0
    for seed in range(50):
        rbm = RBM(*random_parameters(4, 6, seed=seed))
        other = moved(rbm, by)
        found = harmonium.free_energy_difference(rbm, other, samples=400, seed=seed)
        truth = rbm.log_z() - other.log_z()
        assert found.verdict == "ok"
        missed += not found.lower <= truth <= found.upper
    assert missed <= 9


def test_machines_far_apart_are_joined_by_others():
    rbm = RBM(*random_parameters(6, 10))
    other = RBM(3 * rbm.W, -rbm.b - 4, rbm.c + 2)
    truth = rbm.log_z() - other.log_z()
    found = harmonium.free_energy_difference(rbm, other)
    assert found.verdict == "ok"
    assert abs(found.value - truth) < found.upper - found.lower < 1


def test_machines_that_do_not_overlap_and_cannot_be_joined_are_unreliable():
    rbm, other = RBM(np.zeros((1, 30)), np.full(30, 4.0), [0.0]), RBM(np.zeros((2, 30)), np.full(30, -4.0), [0.0, 0.0])
    found = harmonium.free_energy_difference(rbm, other)
    assert found.verdict == "unreliable"
    assert "overlap" in found.reason
    with pytest.raises(InvalidParameter, match=r"30 visible units\. Got 1"):
        harmonium.free_energy_difference(rbm, RBM([[1.0]], [0.0], [0.0]))


def test_equal_machines_do_not_differ():
    rbm = RBM(*random_parameters(4, 6))
    found = harmonium.free_energy_difference(rbm, rbm)
    assert (found.value, found.lower, found.upper) == (0, 0, 0)


def test_the_variance_of_the_ratio_is_that_of_many():
    """Of 300 estimates; their variance is within 25 % of what each says with three deviations' room."""
    rbm = RBM(*random_parameters(3, 5))
    other = moved(rbm, 0.4)
    found = [harmonium.free_energy_difference(rbm, other, samples=200, seed=k) for k in range(300)]
    stated = np.mean([((x.upper - x.lower) / 2 / 1.96) ** 2 for x in found])
    assert np.var([x.value for x in found], ddof=1) == pytest.approx(stated, rel=0.25)
    truth = rbm.log_z() - other.log_z()
    assert np.mean([x.value for x in found]) == pytest.approx(truth, abs=4 * math.sqrt(stated / 300))


def test_chains_that_stay_apart_make_a_difference_unreliable(monkeypatch):
    monkeypatch.setattr(difference, "is_quick", lambda _: False)
    rbm, _ = RBM.from_ising(J=np.full((4, 12), 0.8), field_v=np.full(12, 0.05), field_h=np.zeros(4))
    found = harmonium.free_energy_difference(rbm, moved(rbm, 0.01), samples=100, sweeps=20)
    assert found.verdict == "unreliable"
    assert "different starts" in found.reason
