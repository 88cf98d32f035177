"""Small machines that Hypothesis draws, and what is told of them in a fixed order."""

import hypothesis.strategies as st
import numpy as np
from oracles import Exact, random_parameters, row_number

from harmonium import RBM
from harmonium.rbm import all_states

SHAPES = [(0, 1), (0, 3), (1, 1), (1, 4), (4, 1), (2, 3), (3, 2), (3, 3), (5, 4), (2, 6), (6, 3)]
ROUNDING = 1e-11


@st.composite
def machines(draw, min_hidden=0):
    """Machines of up to 5 + 5 units, from next to no couplings to very strong ones, with biases that matter."""
    n_hidden, n_visible = draw(st.integers(min_hidden, 5)), draw(st.integers(1, 5))
    W, b, c = random_parameters(n_hidden, n_visible, draw(st.integers(0, 10_000)))
    couplings = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 8.0]))
    biases = draw(st.sampled_from([0.0, 0.5, 2.0, 10.0]))
    if draw(st.booleans()):  # centred: no unit is nearly always on or off, so that chains mix as slowly as they can
        return RBM(couplings * W, -couplings * W.sum(axis=0) / 2, -couplings * W.sum(axis=1) / 2)
    return RBM(couplings * W, biases * b, biases * c)


def flat(statistics):
    return np.concatenate([x.ravel() for x in statistics])


def ordered(rbm):
    """The oracle's table, and for each of our state numbers the oracle's."""
    exact = Exact(rbm.W, rbm.b, rbm.c)
    return exact, row_number(all_states(rbm.n_visible)), row_number(all_states(rbm.n_hidden))
