"""The negative phase: where its chains start, and how far they run.

An estimator is asked once a step for the model's side of the gradient. CD, PCD and their relatives differ only in
where their chains start; how these move is `run_gibbs` for all of them. Tempered chains (`tempered`) and enumeration
(`enumerated`) answer the same question in other ways.

References
----------
Hinton, Neural Computation 14, 2002 (CD); Tieleman, ICML 2008 (PCD); Tieleman, Hinton, ICML 2009 (fast weights).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from harmonium.chains.gibbs import HIDDEN, VISIBLE, run_from_h
from harmonium.engines import Contrast, Engine, Offsets, Phase, Reals, States
from harmonium.engines.records import FloatArray
from harmonium.random import Key
from harmonium.statistics import Statistics
from harmonium.training.config import Config

RESTART = 2  # noise stream, beside those of Gibbs sampling

Arrays = Mapping[str, npt.NDArray[Any]]


class Positive(NamedTuple):
    """The data's side of one gradient.

    Attributes
    ----------
    phase : Phase
        The rows of the batch, and E[h | v].
    logits : Reals of shape (rows, n_hidden)
        Their Wv + c.
    offsets : Offsets, optional
        What is taken off the states, if they are centred.
    relative_weight : float
        What the batch weighs beside the others; 1 where all weigh the same.
    """

    phase: Phase
    logits: Reals
    offsets: Offsets | None = None
    relative_weight: float = 1.0


class Negative(NamedTuple):
    """The model's side of one gradient.

    Attributes
    ----------
    side : Phase or Statistics
        The last states of the chains, or averages that are known without chains.
    logits : Reals of shape (chains, n_hidden), optional
        Wv + c for the last sample of v of each chain, if there are chains that persist.
    swaps : float array of shape (temperatures - 1,), optional
        Share of the swaps that were accepted between neighbouring temperatures.
    """

    side: Phase | Statistics
    logits: Reals | None = None
    swaps: FloatArray | None = None


class Plain(NamedTuple):
    """The chains of a step of plain CD or PCD, as `harmonium.engines.Engine.contrast` takes them."""

    h: States | None
    keys: tuple[Key, Key, Key]
    n_sweeps: int


class Estimator(Protocol):
    """Where the negative side of a gradient comes from."""

    def estimate(self, engine: Engine, positive: Positive, step: int) -> Negative:
        """The model's side of a step, given the data's; to be asked for once a step, in order."""

    def plain(self, step: int) -> Plain | None:
        """What `Engine.contrast` has to know of a step of plain CD or PCD; None for any other."""
        return None

    def most(self, step: int) -> int:
        """How many steps from this one on `plain` speaks for, if it says anything."""
        return sys.maxsize

    def keep(self, done: Contrast) -> Negative:
        """Go on from a step, or several, that the engine has made of what `plain` said; the model's side of it."""
        return Negative(done.negative)

    def arrays(self, engine: Engine) -> Arrays:
        """What a checkpoint must keep, by name."""


def run_gibbs(
    engine: Engine, h: States, key: Key, *, sweeps: int, step: int, mean_field: bool = False
) -> tuple[Phase, Reals]:
    """Run chains from hidden states and return their statistics.

    Both layers are sampled on the way; only the last hidden statistic is an expectation, which lowers the noise of the
    gradient without biasing it.

    Parameters
    ----------
    engine : Engine
    h : States of shape (chains, n_hidden)
    key : Key
    sweeps : int
        How often v is drawn from h.
    step : int
        The number of this step of training; it separates its noise from that of the others.
    mean_field : bool
        Use E[v | h] in place of the last v.

    Returns
    -------
    phase : Phase
        The last v (or its mean given h), and E[h | v].
    logits : Reals of shape (chains, n_hidden)
        Wv + c for the last sample of v.
    """
    h = run_from_h(engine, h, key, step * sweeps, sweeps - 1)
    last = key.on(VISIBLE).at((step + 1) * sweeps - 1)
    if mean_field:
        logits_v = engine.logits_v(h)
        mean_v = engine.mean(logits_v)
        # A persistent chain goes on from a sample: going on from the mean would not be Gibbs sampling.
        logits = engine.logits_h(engine.bernoulli(logits_v, last))
        return Phase(mean_v, engine.mean(engine.logits_h(mean_v))), logits
    v = engine.sample_v(h, last)
    logits = engine.logits_h(v)
    return Phase(v, engine.mean(logits)), logits


def _keys(key: Key, step: int, sweeps: int) -> tuple[Key, Key]:
    """Of h and v in the first sweep of a step of training."""
    first = step * sweeps
    return Key(key.seed, HIDDEN, first, key.row), Key(key.seed, VISIBLE, first, key.row)


class FromData(Estimator):
    """Contrastive divergence: chains start at the batch, in each step anew."""

    def __init__(self, config: Config, key: Key) -> None:
        self._config = config
        self._positive_key, self._key = key.derive("positive").on(HIDDEN), key.derive("negative")

    def estimate(self, engine: Engine, positive: Positive, step: int) -> Negative:
        config = self._config
        h = engine.bernoulli(positive.logits, self._positive_key.at(step))
        mean_field = config.last_statistic == "mean_field"
        phase, _ = run_gibbs(engine, h, self._key, sweeps=config.n_sweeps, step=step, mean_field=mean_field)
        return Negative(phase._replace(weights=positive.phase.weights))  # a chain counts as the row that it starts at

    def plain(self, step: int) -> Plain | None:
        if self._config.last_statistic == "mean_field":
            return None
        n_sweeps = self._config.n_sweeps
        return Plain(None, (self._positive_key.at(step), *_keys(self._key, step, n_sweeps)), n_sweeps)

    def arrays(self, engine: Engine) -> Arrays:
        return {}


class Persistent(Estimator):
    """Persistent contrastive divergence: chains go on where they ended, or, a share of them, from the batch.

    Parameters
    ----------
    config : Config
    key : Key
    engine : Engine
    chains : array of 0 and 1, shape (chains, n_hidden)
    """

    def __init__(self, config: Config, key: Key, engine: Engine, chains: npt.NDArray[Any]) -> None:
        self._config = config
        self._key, self._chains_key = key.derive("negative"), key.derive("chains")
        self._h = engine.encode(chains)

    def estimate(self, engine: Engine, positive: Positive, step: int) -> Negative:
        config = self._config
        start = self._restart(engine, positive.logits, step) if config.restarts else self._h
        mean_field = config.last_statistic == "mean_field"
        phase, last = run_gibbs(engine, start, self._key, sweeps=config.n_sweeps, step=step, mean_field=mean_field)
        self._h = engine.bernoulli(last, self._chains_key.on(HIDDEN).at(step))
        return Negative(phase, last)

    def plain(self, step: int) -> Plain | None:
        if self._config.last_statistic == "mean_field" or self._config.restarts:
            return None
        n_sweeps = self._config.n_sweeps
        return Plain(self._h, (self._chains_key.on(HIDDEN).at(step), *_keys(self._key, step, n_sweeps)), n_sweeps)

    def keep(self, done: Contrast) -> Negative:
        self._h = done.h
        return Negative(done.negative, done.logits)

    def _restart(self, engine: Engine, logits: Reals, step: int) -> States:
        """The chains, where each starts anew from a row of the batch with probability ``restarts``."""
        key, n = self._chains_key.on(RESTART).at(step), self._config.n_chains
        anew = key.uniform(n, 1)[:, 0] < (self._config.restarts or 0.0)
        rows = np.arange(n) % len(logits)
        from_data = engine.bernoulli(engine.take(logits, rows), self._chains_key.on(VISIBLE).at(step))
        return engine.overwrite(self._h, anew, from_data)

    def arrays(self, engine: Engine) -> Arrays:
        return {"chains": engine.decode(self._h)}


class FastWeights(Estimator):
    """Persistent chains that move by the parameters plus fast ones, which learn quickly and forget in twenty steps.

    The fast parameters drive the chains away from where they are, so that they mix even late in training; the
    statistics they bring are no longer those of the model itself (Tieleman and Hinton 2009). They follow the gradient
    that the parameters follow, centred if that is, and weighted as its batch is.

    Parameters
    ----------
    chains : Persistent
    config : Config
    fast : Statistics
        The fast W, b and c.
    """

    FORGET = 19 / 20  # of Tieleman and Hinton

    def __init__(self, chains: Persistent, config: Config, fast: Statistics) -> None:
        self._chains, self._config, self._fast = chains, config, fast

    def estimate(self, engine: Engine, positive: Positive, step: int) -> Negative:
        fast = Statistics(*map(engine.own, self._fast))
        negative = self._chains.estimate(engine.moved(fast), positive, step)
        assert isinstance(negative.side, Phase)
        gradient = engine.moments(positive.phase) - engine.moments(negative.side)
        if positive.offsets is not None:
            gradient = _centred(engine, gradient, positive.offsets.own(engine))
        # The rate of the fast parameters stays where that of the parameters began (their paper keeps it constant).
        rate = self._config.rate * positive.relative_weight
        self._fast = Statistics(*(self.FORGET * x + rate * g for x, g in zip(fast, gradient, strict=True)))
        return negative

    def arrays(self, engine: Engine) -> Arrays:
        fast = {f"fast.{name}": engine.to_numpy(x) for name, x in zip("Wbc", self._fast, strict=True)}
        return {**self._chains.arrays(engine), **fast}


def _centred(engine: Engine, gradient: Statistics, offsets: Offsets) -> Statistics:
    """The direction in W, b and c of a step along the centred gradient, by `harmonium.engines.Offsets`."""
    dW, db, dc = offsets.centre(gradient)
    off_b, off_c = engine.offset_sums(dW, offsets)
    return Statistics(dW, db - off_b, dc - off_c)
