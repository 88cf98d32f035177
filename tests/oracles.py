"""The definition, counted out: every configuration (v, h) of a small machine, in float64.

Nothing here calls the code under test. States are listed by `itertools.product`, energies are summed as written,
and every expectation is a sum over the table of all 2**(n+m) configurations.
"""

import itertools
import math

import numpy as np


def all_states(n_units):
    """Every binary state, shape (2**n_units, n_units)."""
    return np.array(list(itertools.product((0, 1), repeat=n_units)), np.float64).reshape(2**n_units, n_units)


def row_number(states):
    """Where each state stands in `all_states`."""
    states = np.asarray(states)
    return states.astype(int) @ (1 << np.arange(states.shape[1])[::-1])


def log_sum_exp(x, axis=None):
    """log of the sum of exp, shifted by the largest term."""
    x = np.asarray(x)
    high = x.max(axis=axis, keepdims=True)
    return np.squeeze(high, axis) + np.log(np.exp(x - high).sum(axis=axis))


def logistic(x):
    """1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def logit(p):
    """log(p / (1 - p))."""
    return np.log(p) - np.log1p(-p)


class Exact:
    """Everything that is true of one small machine.

    Rows of `joint` are the visible states `v`, columns the hidden states `h`, both in the order of `all_states`.
    """

    def __init__(self, W, b, c, beta=1.0):
        W, b, c = (beta * np.asarray(x, np.float64) for x in (W, b, c))
        self.n_hidden, self.n_visible = W.shape
        self.v, self.h = all_states(self.n_visible), all_states(self.n_hidden)
        self.energy = -(np.einsum("hi,ij,vj->vh", self.h, W, self.v) + (self.v @ b)[:, None] + self.h @ c)
        low = self.energy.min()
        weights = np.exp(low - self.energy)
        self.log_z = math.log(math.fsum(weights.ravel())) - low
        self.joint = np.exp(-self.energy - self.log_z)
        self.log_p_v = log_sum_exp(-self.energy, axis=1) - self.log_z
        self.log_p_h = log_sum_exp(-self.energy, axis=0) - self.log_z
        self.p_v, self.p_h = np.exp(self.log_p_v), np.exp(self.log_p_h)
        self.log_p_h_from_v = -self.energy - self.log_z - self.log_p_v[:, None]
        self.log_p_v_from_h = -self.energy - self.log_z - self.log_p_h
        self.p_h_from_v, self.p_v_from_h = np.exp(self.log_p_h_from_v), np.exp(self.log_p_v_from_h)
        self.mean_h_from_v = self.p_h_from_v @ self.h
        self.mean_v_from_h = self.p_v_from_h.T @ self.v

    @property
    def moments(self):
        """E[h v'], E[v], E[h] under the model."""
        return self.moments_of(self.joint)

    def moments_of(self, joint):
        """E[h v'], E[v], E[h] under a table of probabilities."""
        return np.einsum("vh,hi,vj->ij", joint, self.h, self.v), joint.sum(1) @ self.v, joint.sum(0) @ self.h

    def joint_with_data(self, X):
        """The table of q(v) p(h | v), where q is the empirical distribution of the rows of `X`."""
        q = np.bincount(row_number(X), minlength=len(self.v)) / len(X)
        return q[:, None] * self.p_h_from_v

    def gradient(self, X):
        """d/d(W, b, c) of the mean log-likelihood of `X`."""
        pairs = zip(self.moments_of(self.joint_with_data(X)), self.moments, strict=True)
        return tuple(positive - negative for positive, negative in pairs)

    @property
    def sweep(self):
        """The transition matrix of one sweep v -> h -> v; row v is the distribution of the next v."""
        return self.p_h_from_v @ self.p_v_from_h.T

    def pseudo_log_likelihood(self):
        """For every v: the sum over j of log p(v_j | the other visible units)."""
        total = np.zeros(len(self.v))
        for j in range(self.n_visible):
            flipped = self.v.copy()
            flipped[:, j] = 1 - flipped[:, j]
            both = np.stack([self.log_p_v, self.log_p_v[row_number(flipped)]])
            total += self.log_p_v - log_sum_exp(both, axis=0)
        return total


def free_energy(W, b, c, v):
    """F(v) by summing over every hidden state."""
    h = all_states(len(c))
    minus_energy = np.einsum("hi,ij,rj->rh", h, W, v) + (v @ b)[:, None] + h @ c
    return -log_sum_exp(minus_energy, axis=1)


def central_differences(function, parameters, step=1e-5):
    """The gradient of a scalar function of a tuple of arrays, by central differences."""
    gradient = []
    for k, array in enumerate(parameters):
        slope = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            values = []
            for sign in (1, -1):
                moved = [x.copy() for x in parameters]
                moved[k][index] += sign * step
                values.append(function(*moved))
            slope[index] = (values[0] - values[1]) / (2 * step)
        gradient.append(slope)
    return tuple(gradient)


def random_parameters(n_hidden, n_visible, seed=0, scale=1.0):
    """W, b, c with normal entries of standard deviation `scale`, float64."""
    rng = np.random.default_rng([seed, n_hidden, n_visible])
    return tuple(scale * rng.standard_normal(shape) for shape in ((n_hidden, n_visible), n_visible, n_hidden))


def dyadic_parameters(n_hidden, n_visible, seed=0):
    """W, b, c that are multiples of 1/8 in [-2, 2]: sums of them are exact in float32, in any order."""
    rng = np.random.default_rng([seed, n_hidden, n_visible])
    return tuple(rng.integers(-16, 17, shape) / 8 for shape in ((n_hidden, n_visible), n_visible, n_hidden))


def random_states(n_rows, n_units, seed=0):
    """Fair coins, uint8."""
    return np.random.default_rng([seed, n_rows, n_units]).integers(0, 2, (n_rows, n_units), dtype=np.uint8)


def two_kinds(n_rows, n_units, seed=0, noise=0.15):
    """Rows that are 0101... or 1010..., with noise, uint8: soon learnt, and soon learnt by heart."""
    rng = np.random.default_rng([seed, n_rows, n_units])
    flipped = rng.random((n_rows, n_units)) < noise
    return (rng.integers(0, 2, (n_rows, 1)) ^ (np.arange(n_units) % 2) ^ flipped).astype(np.uint8)


def swap_matrix(states, p, low):
    """The transition matrix of swaps between the places k in `low` and k + 1, each accepted on its own.

    `states` numbers the state of each place in every joint state, shape (joint states, places); `p` are the
    probabilities, shape (len(low), joint states).
    """
    number = (states.max() + 1) ** np.arange(states.shape[1])[::-1]
    P = np.zeros((len(states), len(states)))
    for decisions in itertools.product((0, 1), repeat=len(low)):
        to, chance = states.copy(), np.ones(len(states))
        for k, swap, q in zip(low, decisions, p, strict=True):
            chance *= q if swap else 1 - q
            if swap:
                to[:, [k, k + 1]] = to[:, [k + 1, k]]
        np.add.at(P, (states @ number, to @ number), chance)
    return P
