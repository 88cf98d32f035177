"""Blocked Gibbs chains: all hidden units at once given the visible ones, then all visible given the hidden.

This is the only place where a sweep v -> h -> v is written out, but for the one of which nothing is told
(`harmonium.engines.Engine.sweeps`, which engines may make many of in one go), and that of the tempered chains, whose
states change places between its two halves (`harmonium.chains.tempered`, `harmonium.chains.rungs`).
"""

from __future__ import annotations

from typing import NamedTuple

from harmonium.chains.path import MACHINE, Float64Array, Point
from harmonium.engines import Engine, Reals, States
from harmonium.engines.generic import independent_v
from harmonium.engines.records import Beta
from harmonium.random import Key

HIDDEN, VISIBLE, START = 0, 1, 2  # noise streams


class GibbsState(NamedTuple):
    """A batch of chains between two sweeps.

    Attributes
    ----------
    v : States, or Reals where some units are held
        One row a chain.
    sweep : int
        Full v -> h -> v sweeps done so far; with the key it determines all noise to come.
    logits : Reals of shape (chains, n_hidden), optional
        Wv + c, where somebody has looked at the chains; the next sweep then need not compute it.

    Examples
    --------
    >>> import harmonium
    >>> import numpy as np
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> engine = harmonium.engines.make_engine(rbm)
    >>> state = harmonium.chains.GibbsState(np.zeros((4, 2), np.uint8))
    >>> harmonium.chains.gibbs.step(engine, state, harmonium.Key(0))[0].sweep
    1
    """

    v: States | Reals
    sweep: int = 0
    logits: Reals | None = None


class GibbsInfo(NamedTuple):
    """What a sweep has computed on its way; without fields unless it was watched.

    Attributes
    ----------
    logits_h : Reals of shape (chains, n_hidden), or None
        Wv + c of the states before.
    logits_v : Reals of shape (chains, n_visible), or None
        W'h + b of the hidden states between.
    """

    logits_h: Reals | None = None
    logits_v: Reals | None = None


def init(engine: Engine, n: int, key: Key, beta: Beta = 1.0) -> GibbsState:
    """`n` chains from independent noise whose log-odds are the machine's visible biases times `beta`.

    `beta` may be an array of shape (n,): 0 is a fair coin.
    """
    return GibbsState(independent_v(engine, n, key.on(START), beta))


def step(
    engine: Engine,
    state: GibbsState,
    key: Key,
    point: Point = MACHINE,
    free: States | None = None,
    *,
    watched: bool = False,
) -> tuple[GibbsState, GibbsInfo]:
    """One full sweep: h ~ p(h | v), then v ~ p(v | h), with the machine that `engine` holds now.

    Parameters
    ----------
    engine : Engine
    state : GibbsState
    key : Key
        That of the chains, the same at every step.
    point : Point
        Inverse temperature and biases beside the machine's own.
    free : States of shape (chains, n_visible), optional
        The units that move; the others stay, and may be real.
    watched : bool
        Whether the log-odds of both layers are to be told, at beta = 1 and without other biases; an engine is quicker
        where they need not be.
    """
    noise, logits_v = key.at(state.sweep), None
    logits_h = engine.logits_h(state.v) if watched and state.logits is None else state.logits
    if logits_h is None:
        h = engine.sample_h(state.v, noise.on(HIDDEN), *point.of_h)
    else:
        h = engine.bernoulli(logits_h, noise.on(HIDDEN), *point.of_h)
    if watched:
        logits_v = engine.logits_v(h)
        v = engine.bernoulli(logits_v, noise.on(VISIBLE), *point.of_v)
    else:
        v = engine.sample_v(h, noise.on(VISIBLE), *point.of_v)
    if free is not None:
        v = engine.overwrite(state.v, free, v)
    return GibbsState(v, state.sweep + 1), GibbsInfo(logits_h, logits_v)


def run(
    engine: Engine, state: GibbsState, key: Key, n: int, point: Point = MACHINE, free: States | None = None
) -> GibbsState:
    """`n` steps, of which nothing is told."""
    if n and state.logits is not None:
        state, n = step(engine, state, key, point, free)[0], n - 1
    noise = key.at(state.sweep)
    v = engine.sweeps(state.v, noise.on(HIDDEN), noise.on(VISIBLE), n, point.of_h, point.of_v, free)
    return GibbsState(v, state.sweep + n)


def run_from_h(engine: Engine, h: States, key: Key, first: int, n: int) -> States:
    """Hidden states `n` sweeps h -> v -> h further: the same chains, seen from the other layer.

    `first` is the number of sweeps done before.
    """
    for sweep in range(n):
        noise = key.at(first + sweep)
        h = engine.sample_h(engine.sample_v(h, noise.on(VISIBLE)), noise.on(HIDDEN))
    return h


def summed_means(engine: Engine, info: GibbsInfo, point: Point = MACHINE) -> tuple[Float64Array, Float64Array]:
    """The sums over all chains of E[v | h], shape (n_visible,), and of E[h | v], shape (n_hidden,), in a watched sweep.

    `point` is that of the sweep.
    """
    of_v, of_h = ((info.logits_v, point.of_v), (info.logits_h, point.of_h))
    v, h = (engine.column_sums(engine.mean(logits, *affine)) for logits, affine in (of_v, of_h))
    return v, h
