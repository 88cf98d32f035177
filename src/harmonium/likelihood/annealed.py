"""Annealed importance sampling of log Z, written once over the verbs of any engine.

Between a machine of independent visible units with biases b_A (beta = 0) and the machine itself (beta = 1) lie

    f_beta(v) = exp((1 - beta) b_A'v + beta b'v + sum_i softplus(beta (c_i + W_i v))),

unnormalised distributions of v with the hidden units summed out. The chains move by full sweeps v -> h -> v, which
leave f_beta invariant and satisfy detailed balance, so that a run from 1 to 0 is the exact reversal of a run from 0 to
1: the two are tied by the work relation on which `harmonium.likelihood.bracket` rests.

References
----------
Neal, "Annealed importance sampling", Statistics and Computing 11, 2001.
Salakhutdinov, Murray, "On the quantitative analysis of deep belief networks", ICML 2008.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.engines import States, make_engine
from harmonium.random import Key
from harmonium.rbm import RBM, softplus

Float64Array = npt.NDArray[np.float64]
Tick = Callable[[], None]

HIDDEN, VISIBLE, START = 0, 1, 2  # noise streams


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
    """

    v: States
    log_w: Float64Array


class Path:
    """The road from independent units to a machine, and the engine that walks it.

    Parameters
    ----------
    rbm : RBM
    base : array of shape (n_visible,)
        b_A, the biases at beta = 0.
    engine : str

    Attributes
    ----------
    log_z_base : float
        log Z at beta = 0, exactly: sum_j softplus(b_A_j) + n_hidden log 2.
    """

    def __init__(self, rbm: RBM, base: npt.NDArray[Any], engine: str = "native") -> None:
        self.rbm = rbm
        self.engine = make_engine(rbm, engine)
        self.base = np.asarray(base, np.float32)
        self.log_z_base = float(softplus(self.base.astype(np.float64)).sum() + rbm.n_hidden * np.log(2))
        # (b - b_A)'v as the one hidden unit of a second machine: the engine's product is its fastest sum over v.
        tilt = (rbm.b - self.base.astype(np.float64)).astype(np.float32)[None]
        self._tilt = make_engine(RBM(tilt, np.zeros_like(self.base), np.zeros(1, np.float32)), engine)

    def start(self, n: int, key: Key) -> States:
        """Independent exact samples at beta = 0."""
        return self.engine.bernoulli(np.tile(self.base, (n, 1)), key.on(START))

    def sweep(self, v: States, beta: float, key: Key, logits: npt.NDArray[Any] | None = None) -> States:
        """v -> h -> v at one temperature; `logits` are those of h given `v` at beta = 1, where they are known."""
        logits = self.engine.logits_h(v) if logits is None else logits
        h = self.engine.bernoulli(logits, key.on(HIDDEN), beta)
        mixed = np.float32(beta) * self.engine.logits_v(h)
        mixed += np.float32(1 - beta) * self.base
        return self.engine.bernoulli(mixed, key.on(VISIBLE))

    def anneal(self, v: States, betas: Float64Array, key: Key) -> Iterator[Step]:
        """Walk through `betas` from states distributed as f at the first of them; the order is the direction.

        The activations Wv + c are computed once a temperature, and serve the weight and the sample.
        """
        betas = betas.astype(np.float32).astype(np.float64)  # the ratios must be of the f that are sampled
        last = len(betas) - 2
        for k, (beta, after) in enumerate(pairwise(betas.tolist())):
            logits = self.engine.logits_h(v)
            log_ratio = (after - beta) * self._tilt.logits_h(v)[:, 0].astype(np.float64)
            log_ratio += self.engine.softplus_sum(np.float32(after) * logits)
            log_ratio -= self.engine.softplus_sum(np.float32(beta) * logits)
            yield Step(v, log_ratio)
            if k < last:
                v = self.sweep(v, after, key.at(k), logits)

    def run(self, v: States, betas: Float64Array, key: Key, tick: Tick = lambda: None) -> Works:
        """The works of all chains along `betas`, in either direction; `tick` is called after every temperature."""
        log_w = np.zeros(len(v))
        for step in self.anneal(v, betas, key):
            v = step.v
            log_w += step.log_ratio
            tick()
        return Works(v, log_w)

    def minus_free_energy(self, v: States) -> Float64Array:
        """-F(v) of the machine itself, in nats."""
        tilt = self._tilt.logits_h(v)[:, 0].astype(np.float64)
        return self.engine.dot(v, self.base) + tilt + self.engine.softplus_sum(self.engine.logits_h(v))


def log_mean(log_w: Float64Array) -> float:
    """Log of the mean of exp(log_w), in nats."""
    high = log_w.max()
    return float(high + np.log(np.exp(log_w - high).mean())) if np.isfinite(high) else float(high)


def effective_size(log_w: Float64Array) -> float:
    """(sum w)^2 / sum w^2, Kish's effective sample size: from 1 to the number of chains."""
    w = np.exp(log_w - log_w.max())
    return float(w.sum() ** 2 / (w**2).sum())
