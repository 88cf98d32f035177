"""The Markov random field: factors over the edges, and the theorem of Hammersley and Clifford in both directions."""

import itertools

import numpy as np
import pytest
from oracles import Exact, random_parameters

from harmonium import RBM, theory
from harmonium.errors import InvalidData, InvalidParameter
from harmonium.rbm import all_states


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(1, 1), (3, 4), (4, 2)])
def test_the_potentials_of_the_edges_multiply_to_the_joint(n_hidden, n_visible):
    parameters = random_parameters(n_hidden, n_visible)
    exact, log_psi = Exact(*parameters), theory.clique_potentials(RBM(*parameters))
    assert log_psi.shape == (n_hidden, n_visible, 2, 2)
    for (row, v), (column, h) in itertools.product(enumerate(exact.v), enumerate(exact.h)):
        total = sum(log_psi[i, j, int(h[i]), int(v[j])] for i in range(n_hidden) for j in range(n_visible))
        assert total == pytest.approx(-exact.energy[row, column], abs=1e-12)


def test_the_interactions_of_a_machine_are_its_parameters_and_nothing_else():
    """Units 0 to 2 are hidden, 3 to 6 visible: single units have their biases, edges their weights, all else zero."""
    W, b, c = random_parameters(3, 4)
    states = all_states(7)
    found = theory.interactions(RBM(W, b, c).log_joint_unnormalised(states[:, 3:], states[:, :3]))
    expected = np.zeros(2**7)
    expected[1 << np.arange(3)], expected[1 << np.arange(3, 7)] = c, b
    for i, j in np.ndindex(3, 4):
        expected[(1 << i) | (1 << (3 + j))] = W[i, j]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_interactions_are_the_alternating_sums_of_the_definition():
    log_p = np.random.default_rng(3).standard_normal(2**4)
    for s, value in enumerate(theory.interactions(log_p)):
        subsets = [b for b in range(2**4) if b & ~s == 0]
        assert value == pytest.approx(sum((-1) ** (s ^ b).bit_count() * log_p[b] for b in subsets), abs=1e-12)


def test_the_margin_of_a_machine_is_no_markov_field_of_a_sparser_graph():
    """Summing the hidden units out joins all visible ones: the theorem tells a field from what is none."""
    W, b, c = random_parameters(2, 3)
    found = theory.interactions(-RBM(W, b, c).free_energy(all_states(3)))
    assert np.abs(found[[0b011, 0b101, 0b110, 0b111]]).min() > 1e-3


def test_what_has_no_factors_is_refused():
    with pytest.raises(InvalidParameter, match="at least one hidden unit"):
        theory.clique_potentials(RBM(np.zeros((0, 2)), np.zeros(2), np.zeros(0)))
    for bad, message in ((np.zeros(3), "shape"), (np.zeros((2, 2)), "shape"), ([0, -np.inf], "positive")):
        with pytest.raises(InvalidData, match=message):
            theory.interactions(bad)
