"""Annealed importance sampling of log Z, written once over the verbs of any engine.

Between independent units (beta = 0) and the machine (beta = 1) lie unnormalised distributions of v with the hidden
units summed out,

    f_beta(v) = exp((beta b + x(beta))'v + sum_i softplus(beta (c_i + W_i v) + y_i(beta))),

where x and y are what the biases have on the way beside their share of the machine's: piecewise linear in beta, and
zero at beta = 1 (`BiasPath`). The chains move by full sweeps v -> h -> v, which leave f_beta invariant and satisfy
detailed balance, so that a run from 1 to 0 is the exact reversal of a run from 0 to 1: the two are tied by the work
relation on which `harmonium.likelihood.bracket` rests.

References
----------
Neal, "Annealed importance sampling", Statistics and Computing 11, 2001.
Salakhutdinov, Murray, "On the quantitative analysis of deep belief networks", ICML 2008.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.engines import Reals, States, make_engine
from harmonium.engines.arithmetic import exp, log
from harmonium.engines.generic import independent_v
from harmonium.random import Key
from harmonium.rbm import RBM, softplus

Float64Array = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
Beta = float | Float64Array  # a number, or one for each group of as many consecutive rows, as at the verbs of engines
Fields = tuple[Float32Array, Float32Array | None]  # the parts of an affine argument
Tick = Callable[[], None]

HIDDEN, VISIBLE, START = 0, 1, 2  # noise streams


class BiasPath(NamedTuple):
    """The biases between independent units and a machine.

    Attributes
    ----------
    betas : float64 array of shape (knots,)
        From 0 to 1.
    x : array of shape (knots, n_visible)
        Visible biases beside beta b; linear between the knots, zero at the last.
    y : array of shape (knots, n_hidden)
        Hidden biases beside beta c, likewise.
    """

    betas: Float64Array
    x: npt.NDArray[Any]
    y: npt.NDArray[Any]


def linear_path(rbm: RBM, base: npt.NDArray[Any]) -> BiasPath:
    """The linear path of Salakhutdinov and Murray: biases (1 - beta) base + beta b, and beta c."""
    base = np.asarray(base, np.float64)
    x, y = np.stack([base, np.zeros_like(base)]), np.zeros((2, rbm.n_hidden))
    return BiasPath(np.array([0.0, 1.0]), x, y)


class Products(NamedTuple):
    """The products with v on which f_beta depends, for every beta at once.

    Attributes
    ----------
    logits : Reals of shape (rows, n_hidden)
        Wv + c.
    visible_terms : float64 array of shape (rows, knots)
        (beta b + x(beta) - x(0))'v at the knots.
    """

    logits: Reals
    visible_terms: Float64Array


class Step(NamedTuple):
    """What one temperature of a run adds.

    Attributes
    ----------
    v : States
        The chains as the temperature found them.
    log_ratio : float64 array of shape (chains,)
        log f at the next temperature minus log f at this one, at `v`, in nats.
    """

    v: States
    log_ratio: Float64Array


class Works(NamedTuple):
    """The result of a run.

    Attributes
    ----------
    v : States
        The chains after the last sweep; with the weights exp(log_w), a sample of the run's last temperature.
    log_w : float64 array of shape (chains,)
        Sum of the log ratios of each chain. The mean of exp(log_w) is an unbiased estimate of Z_last / Z_first
        for any schedule and any number of sweeps, if the start was distributed as f at the first temperature.
    lengths : float64 array of shape (temperatures - 1,)
        Standard deviation of each temperature's log ratios over the chains.
    kept : list of States
        The chains at the temperatures that were asked for, in the order of the run.
    """

    v: States
    log_w: Float64Array
    lengths: Float64Array
    kept: list[States]


class Path:
    """The path from independent units to a machine, with the engine that computes along it.

    Parameters
    ----------
    rbm : RBM
    bias_path : BiasPath
    engine : str

    Attributes
    ----------
    log_z_base : float
        log Z at beta = 0, exactly: sum_j softplus(x_j(0)) + sum_i softplus(y_i(0)).
    """

    def __init__(self, rbm: RBM, bias_path: BiasPath, engine: str = "native") -> None:
        self.rbm, self.bias_path = rbm, bias_path
        self.engine = make_engine(rbm, engine)
        self._x, self._y = np.asarray(bias_path.x, np.float32), np.asarray(bias_path.y, np.float32)
        self._bends = bool(self._y.any())
        self.log_z_base = float(sum(softplus(z[0].astype(np.float64)).sum() for z in (self._x, self._y)))
        # Sums over v as the hidden units of a second machine: the engine's product is its fastest.
        x = self._x.astype(np.float64)
        visible_weights = (bias_path.betas[:, None] * rbm.b + x - x[0]).astype(np.float32)
        no_biases = np.zeros_like(self._x[0]), np.zeros(len(visible_weights), np.float32)
        self._visible_terms = make_engine(RBM(visible_weights, *no_biases), engine)

    def start(self, n: int, key: Key) -> States:
        """Independent exact samples at beta = 0."""
        return independent_v(self.engine, n, key.on(START), 0.0, self._x[0])

    def products(self, v: States) -> Products:
        """The products with `v` from which f at any temperature follows."""
        visible_terms = self._visible_terms.to_numpy(self._visible_terms.logits_h(v)).astype(np.float64)
        return Products(self.engine.logits_h(v), visible_terms)

    def fields_h(self, beta: Beta) -> Fields:
        """What the log-odds of h at `beta` are, given those at beta = 1: the factor of these, and what is added."""
        return np.asarray(beta, np.float32), self._between(self._y, beta) if self._bends else None

    def fields_v(self, beta: Beta) -> Fields:
        """The same of v."""
        return np.asarray(beta, np.float32), self._between(self._x, beta)

    def log_f(self, products: Products, beta: Beta) -> Float64Array:
        """log f_beta(v) - x(0)'v, shape (rows,)."""
        terms = products.visible_terms
        low, far = self._place(beta if np.ndim(beta) == 0 else np.repeat(beta, len(terms) // np.size(beta)))
        rows = np.arange(len(terms))
        visible_term: Float64Array = (1 - far) * terms[rows, low] + far * terms[rows, low + 1]
        return visible_term + self.engine.softplus_sum(products.logits, *self.fields_h(beta))

    def sweep(self, logits: Reals, beta: Beta, key: Key) -> States:
        """v -> h -> v at `beta`, from Wv + c."""
        h = self.engine.bernoulli(logits, key.on(HIDDEN), *self.fields_h(beta))
        return self.engine.sample_v(h, key.on(VISIBLE), *self.fields_v(beta))

    def anneal(self, v: States, betas: Float64Array, key: Key) -> Iterator[Step]:
        """Walk through `betas` from states distributed as f at the first of them; the order is the direction.

        The products with v are computed once a temperature, and serve the weight and the sample.
        """
        betas = betas.astype(np.float32).astype(np.float64)  # the ratios must be of the f that are sampled
        last = len(betas) - 2
        for k, (beta, after) in enumerate(pairwise(betas.tolist())):
            products = self.products(v)
            yield Step(v, self.log_f(products, after) - self.log_f(products, beta))
            if k < last:
                v = self.sweep(products.logits, after, key.at(k))

    def run(
        self,
        v: States,
        betas: Float64Array,
        key: Key,
        tick: Tick = lambda: None,
        keep: Container[int] = (),
    ) -> Works:
        """The works of all chains along `betas`, in either direction.

        `tick` is called after every temperature; at those numbered in `keep` (the last has no number) the states of
        the chains are kept.
        """
        log_w, lengths, kept = np.zeros(len(v)), np.zeros(len(betas) - 1), []
        for k, step in enumerate(self.anneal(v, betas, key)):
            v = step.v
            log_w += step.log_ratio
            lengths[k] = step.log_ratio.std()
            if k in keep:
                kept.append(v)
            tick()
        return Works(v, log_w, lengths, kept)

    def minus_free_energy(self, v: States) -> Float64Array:
        """-F(v) of the machine itself, in nats."""
        return self.engine.dot(v, self._x[0]) + self.log_f(self.products(v), 1.0)

    def _between(self, knots: Float32Array, beta: Beta) -> Float32Array:
        """The row of `knots` at `beta`, or one for each of its groups."""
        low, far = self._place(beta)
        part: Float32Array = far.astype(np.float32)[..., None]
        return (1 - part) * knots[low] + part * knots[low + 1]

    def _place(self, beta: Beta) -> tuple[npt.NDArray[np.intp], Float64Array]:
        """The knot before each `beta`, and how far on the way to the next it is."""
        knots, beta = self.bias_path.betas, np.asarray(beta, np.float64)
        low = np.clip(np.searchsorted(knots, beta, side="right") - 1, 0, len(knots) - 2)
        return low, (beta - knots[low]) / (knots[low + 1] - knots[low])


def log_mean(log_w: Float64Array) -> float:
    """Log of the mean of exp(log_w), in nats."""
    high = log_w.max()
    return float(high + log(exp(log_w - high).mean())) if np.isfinite(high) else float(high)


def effective_size(log_w: Float64Array) -> float:
    """(sum w)^2 / sum w^2, Kish's effective sample size: from 1 to the number of chains."""
    w = exp(log_w - log_w.max())
    return float(w.sum() ** 2 / (w**2).sum())
