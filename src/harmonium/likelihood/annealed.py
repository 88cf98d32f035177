"""Annealed importance sampling of log Z, written once over the verbs of any engine.

Chains go along a path from independent units (beta = 0) to the machine (beta = 1), or back, with the unnormalised
distributions f_beta of `harmonium.chains.path`. They move by full sweeps v -> h -> v, which leave f_beta invariant and
satisfy detailed balance, so that a run from 1 to 0 is the exact reversal of a run from 0 to 1: the two are tied by the
work relation on which `harmonium.likelihood.bracket` rests.

References
----------
Neal, "Annealed importance sampling", Statistics and Computing 11, 2001.
Salakhutdinov, Murray, "On the quantitative analysis of deep belief networks", ICML 2008.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from harmonium.chains import gibbs
from harmonium.chains.gibbs import START, GibbsState
from harmonium.chains.path import BiasPath, Float64Array
from harmonium.engines import States, make_engine
from harmonium.engines.arithmetic import exp, log
from harmonium.engines.generic import free_energy
from harmonium.random import Key
from harmonium.rbm import RBM

Tick = Callable[[], None]


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


class Annealer:
    """A machine and a path to it, with the engine that computes along it.

    Parameters
    ----------
    rbm : RBM
    path : BiasPath
    engine : str
    """

    def __init__(self, rbm: RBM, path: BiasPath, engine: str = "native") -> None:
        self.rbm, self.path = rbm, path
        self.engine = make_engine(rbm, engine)

    def start(self, n: int, key: Key) -> States:
        """Independent exact samples at beta = 0."""
        return self.path.start(self.engine, n, key.on(START))

    def anneal(self, v: States, betas: Float64Array, key: Key) -> Iterator[Step]:
        """Walk through `betas` from states distributed as f at the first of them; the order is the direction.

        The activations Wv + c are computed once a temperature, and serve the weight and the sample.
        """
        last = len(betas) - 2
        # The ratios must be of the f that are sampled, in single precision.
        points = (self.path.at(beta) for beta in betas.astype(np.float32))
        for k, (point, after) in enumerate(pairwise(points)):
            logits = self.engine.logits_h(v)
            yield Step(v, self.path.log_ratio(self.engine, v, logits, point, after))
            if k < last:
                v = gibbs.step(self.engine, GibbsState(v, k, logits), key, after)[0].v

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
        last, k = len(betas) - 2, 0
        while k <= last:
            if k in keep:
                kept.append(v)
            if k == last:
                log_ratios = next(self.anneal(v, betas[-2:], key)).log_ratio[None]
            else:  # as many temperatures as the engine makes at a time, and nobody looks at
                most = min(last - k, self.engine.sweeps_at_once)
                n = next((i for i in range(1, most) if k + i in keep), most)
                v, log_ratios = self._go_along(v, betas[k : k + n + 1], key.at(k))
            lengths[k : k + len(log_ratios)] = log_ratios.std(axis=1)
            for log_ratio in log_ratios:
                log_w += log_ratio
                tick()
            k += len(log_ratios)
        return Works(v, log_w, lengths, kept)

    def _go_along(self, v: States, betas: Float64Array, key: Key) -> tuple[States, Float64Array]:
        """The states after a sweep at all `betas` but the first, and the log ratios that each found."""
        betas = betas.astype(np.float32)
        points, (slopes, factors) = self.path.at(betas), self.path.slopes(self.engine, betas)
        keys = key.on(gibbs.HIDDEN), key.on(gibbs.VISIBLE)
        v, rises, dots = self.engine.anneal(v, keys, np.asarray(points.beta), points.y, points.x, slopes)
        gains = np.zeros(rises.shape)
        for segment in range(factors.shape[1]):
            gains += factors[:, segment, None] * dots[:, segment]
        return v, gains + rises

    def minus_free_energy(self, v: States) -> Float64Array:
        """-F(v) of the machine itself, in nats."""
        return -free_energy(self.engine, v, self.engine.logits_h(v))


def log_mean(log_w: Float64Array) -> float:
    """Log of the mean of exp(log_w), in nats."""
    high = log_w.max()
    return float(high + log(exp(log_w - high).mean())) if np.isfinite(high) else float(high)


def effective_size(log_w: Float64Array) -> float:
    """(sum w)^2 / sum w^2, Kish's effective sample size: from 1 to the number of chains."""
    w = exp(log_w - log_w.max())
    return float(w.sum() ** 2 / (w**2).sum())
