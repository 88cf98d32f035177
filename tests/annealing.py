"""Paths from independent units to a machine as they are defined: biases, densities and sweeps on the way."""

import numpy as np

from harmonium import RBM
from harmonium.chains.path import BiasPath, linear_path


def softplus(x):
    return np.logaddexp(0, x)


def bent(parameters, knots=(0, 0.3, 0.6, 1)):
    """A path with dyadic biases of its own, zero at the end."""
    rng, rbm = np.random.default_rng(3), RBM(*parameters)
    x, y = (rng.integers(-8, 9, (len(knots), n)) / 4.0 for n in (rbm.n_visible, rbm.n_hidden))
    x[-1], y[-1] = 0, 0
    return BiasPath(np.array(knots, float), x, y)


def bias_paths(parameters):
    base = np.linspace(-1, 1, len(parameters[1])).astype(np.float32).astype(float)
    return [linear_path(base, len(parameters[2])), bent(parameters)]


def biases(parameters, bias_path, beta):
    """Of the visible and the hidden units on the way, as defined."""
    _, b, c = parameters
    x, y = (np.array([np.interp(beta, bias_path.betas, z) for z in knots.T]) for knots in (bias_path.x, bias_path.y))
    return beta * b + x, beta * c + y


def log_f(parameters, bias_path, beta, v):
    """The unnormalised log probability of v on the way, as defined."""
    b, c = biases(parameters, bias_path, beta)
    return v @ b + softplus(beta * v @ parameters[0].T + c).sum(axis=1)
