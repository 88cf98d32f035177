"""Pseudo-likelihood, gauges, tempering and autocorrelation: (24) to (29) of the page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import erfc

from harmonium.chains.diagnostics import autocorrelation_time
from harmonium.chains.ladder import adapt
from harmonium.chains.path import linear_path
from harmonium.chains.tempered import Ladder, swap_gains, swap_probability
from harmonium.engines import make_engine
from harmonium.likelihood import pseudo_log_likelihood
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.verify.check import SINGLE, Check, compare
from harmonium.verify.counting import Array, Counted, number
from harmonium.verify.machines import machine, parameters


def checks(engines: tuple[str, ...]) -> Iterator[Check]:
    """What needs no partition function, and what moves chains between temperatures."""
    rbm, counted = machine()
    conditionals = _sum_of_conditionals(counted)
    for engine in engines:
        found = pseudo_log_likelihood(rbm, counted.v, engine=engine)
        yield compare("(24)", "pseudo_log_likelihood", found, conditionals, engine=engine, tolerance=SINGLE)
    yield from _gauges(rbm, counted)
    for engine in engines:
        yield from _swaps(rbm, engine)
    lengths = np.array([0.4, 1.0, 0.7, 0.3])
    ladder = np.array([0, 0.1, 0.5, 0.8, 1])
    even = np.interp(np.linspace(0, lengths.sum(), 5), np.concatenate([[0], np.cumsum(lengths)]), ladder)
    yield compare("(28)", "chains.ladder.adapt", adapt(ladder, erfc(lengths / 2)), even)
    yield _autocorrelation()


def _sum_of_conditionals(counted: Counted) -> Array:
    """Sum over j of log p(v_j | the others), from p(v) of the two states that differ in j."""
    total = np.zeros(len(counted.v))
    for j in range(counted.v.shape[1]):
        other = counted.v.copy()
        other[:, j] = 1 - other[:, j]
        total += np.log(counted.p_v / (counted.p_v + counted.p_v[number(other)]))
    return total


def _gauges(rbm: RBM, counted: Counted) -> Iterator[Check]:
    flipped = np.arange(rbm.n_visible) % 2 == 0
    other, shift = rbm.flip_visible(flipped)
    states = np.where(flipped, 1 - counted.v, counted.v)
    found = np.append(np.exp(other.log_likelihood(states)), shift)
    yield compare("(25)", "RBM.flip_visible", found, np.append(counted.p_v, rbm.log_z() - other.log_z()))
    mirrored = np.exp(rbm.mirror().log_likelihood(counted.h))
    yield compare("(25)", "RBM.mirror", mirrored, counted.p_h)
    order = np.roll(np.arange(rbm.n_visible), 1)
    moved = np.exp(rbm.permute(visible=order).log_likelihood(counted.v[:, order]))
    yield compare("(25)", "RBM.permute", moved, counted.p_v)


def _swaps(rbm: RBM, engine: str) -> Iterator[Check]:
    """Every pair of states at two temperatures: f_beta is the margin of beta times the energy, and base the rest."""
    W, b, c = parameters()
    betas, base = np.array([0.25, 1.0]), np.full(len(b), 0.5, np.float32)
    levels = [Counted(beta * W, beta * b + (1 - beta) * base, beta * c).p_v for beta in betas]
    v = Counted(W, b, c).v
    first, second = np.repeat(np.arange(len(v)), len(v)), np.tile(np.arange(len(v)), len(v))
    machine_ = make_engine(rbm, engine)
    states = machine_.encode(np.concatenate([v[second], v[first]]).astype(np.uint8))
    ladder, logits = Ladder(linear_path(base, len(c)), betas), machine_.logits_h(states)
    found = swap_probability(swap_gains(machine_, states, logits, ladder, np.array([0])))[0]
    low, high = levels
    before, after = low[second] * high[first], low[first] * high[second]
    metropolis = np.minimum(1, after / before)
    name = "chains.tempered.swap_gains"
    for equation in ("(26)", "(27)"):
        yield compare(equation, name, found, metropolis, engine=engine, tolerance=SINGLE)
    back = found.reshape(len(v), len(v)).T.ravel()  # the same pair, exchanged
    yield compare("(27)", f"{name}, reversible", before * found, after * back, engine=engine, tolerance=SINGLE)


def _autocorrelation() -> Check:
    """A series whose correlations are known: x_t = x_(t-1) / 2 + noise has rho_t = 2**-t, and so tau = 3."""
    noise = Key(2026).derive("verify series").normal(50, 4000)
    x = np.zeros_like(noise)
    x[:, 0] = noise[:, 0] / np.sqrt(0.75)
    for t in range(1, x.shape[1]):
        x[:, t] = x[:, t - 1] / 2 + noise[:, t]
    tau = autocorrelation_time(x)
    # Five standard deviations of the estimate for series of this length (Sokal): 2 tau sqrt(2 M / N), M of about 12.
    return compare("(29)", "chains.diagnostics.autocorrelation_time", tau, 3.0, tolerance=0.35)
