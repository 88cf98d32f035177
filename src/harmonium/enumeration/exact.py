"""Exact moments, gradients, samples and probabilities, by walking all states of the smaller layer in blocks.

The machine is turned so that its smaller layer is the hidden one. Its 2**n states are walked in runs whose low bits
vary and whose high bits do not: the logits of the low bits are computed once, and each run adds one vector. Memory is a
few MB for any n. A first pass by the engine finds the mass of each block of 4096 states; blocks whose mass is below
1e-30 of the whole cannot move any result and are not visited again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.engines import find_engine
from harmonium.engines.arithmetic import exp, log, log_sum_exp, logistic, matmul, moments_block
from harmonium.errors import OutOfReach
from harmonium.inputs import check_choice, check_count, check_matrix
from harmonium.progress import Progress, check_progress, in_words
from harmonium.random import Key, as_key
from harmonium.rbm import RBM, all_states, float64
from harmonium.reprs import short_repr
from harmonium.statistics import Statistics

Float64Array = npt.NDArray[np.float64]

_BLOCK_BITS = 12  # a block: 4096 states, whose mass the engine finds
_CELLS = 1 << 17  # logits held at a time
NEGLIGIBLE = 1e-30
_COLUMNS = 1000  # factors in (1, 2] whose product cannot overflow
_ROWS = 2000  # data or samples at a time
_NANOSECONDS = 8  # for one state and one unit of the larger layer, on one core of 2025
_QUICK = 1.0  # seconds
STATE, UNITS = 0, 1  # noise streams of exact samples


class ProbabilityTable(NamedTuple):
    """The distribution of a layer, state by state.

    Attributes
    ----------
    layer : {"hidden", "visible"}
        Of the smaller layer, the hidden one if both are equal.
    p : ndarray of shape (2**n_units,)
        Probabilities in the order of `harmonium.rbm.all_states`: unit 0 is the lowest bit of the index.
    log_p : ndarray of shape (2**n_units,)
        Their logarithms, finite where `p` underflows.
    """

    layer: str
    p: Float64Array
    log_p: Float64Array

    def __repr__(self) -> str:
        return short_repr(self)


def exact_statistics(
    rbm: RBM, *, max_units: int = 25, engine: str = "native", progress: Progress | None = None
) -> Statistics:
    """E[h v'], E[v] and E[h] under the model, in float64 and bounded memory.

    Parameters
    ----------
    rbm : RBM
    max_units : int
        The largest smaller layer that is attempted; each further unit doubles the time.
    engine : {"native", "numpy", "torch"}
        What finds the masses of blocks.
    progress : callable, optional
        Called with the numbers of blocks done and of all blocks.

    Returns
    -------
    Statistics

    Raises
    ------
    OutOfReach
        The smaller layer has more than `max_units` units.

    Notes
    -----
    E[h v'] = sum_h p(h) h E[v | h]', and with the layers exchanged where the visible one is smaller.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.exact_statistics(rbm).hv.round(3)
    array([[0.727, 0.222]])
    """
    check_progress(progress)
    walk = Walk(rbm, max_units)
    masses = walk.block_masses(engine)
    machine, log_z = walk.machine, log_sum_exp(masses)
    sums = np.zeros((machine.n_hidden + 1, machine.n_visible + 1))
    for block, log_mass in enumerate(masses):
        if log_mass - log_z > np.log(NEGLIGIBLE):
            first, count = walk.states_of(block)
            sums += moments_block(machine.W, machine.b, machine.c, first, count, log_z)
        if progress is not None:
            progress(block + 1, len(masses))
    sums /= sums[-1, -1]
    hv, v, h = sums[:-1, :-1], sums[-1, :-1], sums[:-1, -1]
    return Statistics(hv.T, h, v) if walk.mirrored else Statistics(hv, v, h)


def exact_gradient(
    rbm: RBM, X: Any, *, max_units: int = 25, engine: str = "native", progress: Progress | None = None
) -> Statistics:
    """The exact gradient of the mean log-likelihood of `X` in W (`hv`), b (`v`) and c (`h`), in float64.

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_samples, n_visible), values in [0, 1]
    max_units, engine, progress
        As in `exact_statistics`.

    Returns
    -------
    Statistics

    Raises
    ------
    InvalidData, OutOfReach

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> X = [[1, 0], [1, 1], [0, 0]]
    >>> harmonium.exact_gradient(rbm, X).v.round(3)
    array([-0.148,  0.024])
    """
    check_progress(progress)
    X = check_matrix(X, n_columns=rbm.n_visible)
    negative = exact_statistics(rbm, max_units=max_units, engine=engine, progress=progress)
    rbm = float64(rbm)
    positive = Statistics(np.zeros_like(rbm.W), np.zeros_like(rbm.b), np.zeros_like(rbm.c))
    for first in range(0, len(X), _ROWS):
        chunk = X[first : first + _ROWS].astype(np.float64)
        mean_h = logistic(matmul(chunk, rbm.W.T) + rbm.c)
        part = Statistics(*(x / len(chunk) for x in (matmul(mean_h.T, chunk), chunk.sum(axis=0), mean_h.sum(axis=0))))
        positive = Statistics(*(x + y * (len(chunk) / len(X)) for x, y in zip(positive, part, strict=True)))
    return positive - negative


def exact_sample(
    rbm: RBM,
    n: int,
    *,
    seed: int | Key = 0,
    max_units: int = 25,
    engine: str = "native",
    progress: Progress | None = None,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Independent pairs (v, h) drawn from p(v, h) itself: no chain, no equilibration.

    Parameters
    ----------
    rbm : RBM
    n : int
        Number of pairs. The first rows of a larger sample of the same seed are the smaller sample.
    seed : int or Key
    max_units : int
        The largest smaller layer that is attempted; each further unit doubles the time.
    engine : {"native", "numpy", "torch"}
        What finds the masses of blocks.
    progress : callable, optional
        Called with the numbers of blocks of states done and of all blocks. May raise, to stop.

    Returns
    -------
    v : ndarray of shape (n, n_visible), uint8
    h : ndarray of shape (n, n_hidden), uint8

    Raises
    ------
    OutOfReach
        The smaller layer has more than `max_units` units.

    Notes
    -----
    The smaller layer's state by inverse distribution function, in two steps with 52-bit noise each: its block, then
    its place in the block; the larger layer from its conditional distribution.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> v, h = harmonium.exact_sample(rbm, 100)
    >>> v.shape, h.shape
    ((100, 2), (100, 1))
    """
    check_progress(progress)
    n, key = check_count(n, "n"), as_key(seed).derive_for_rows("exact sample")
    walk = Walk(rbm, max_units)
    masses = walk.block_masses(engine, progress)
    u = np.concatenate([_uniform52(key.on(STATE).rows_from(i), min(_ROWS, n - i)) for i in range(0, n, _ROWS)])
    chosen = _invert(exp(masses - masses.max()), u[:, 0])
    order = np.argsort(chosen, kind="stable")
    index = np.empty(n, np.int64)
    for rows in np.split(order, np.flatnonzero(np.diff(chosen[order])) + 1):
        block = int(chosen[rows[0]])
        minus_f = np.concatenate([x for _, x in walk.runs(block)])
        index[rows] = block * len(minus_f) + _invert(exp(minus_f - minus_f.max()), u[rows, 1])
    small = np.empty((n, walk.n_units), np.uint8)
    large = np.empty((n, walk.machine.n_visible), np.uint8)
    for i in range(0, n, _ROWS):
        small[i : i + _ROWS] = (index[i : i + _ROWS, None] >> np.arange(walk.n_units)) & 1
        p = logistic(matmul(small[i : i + _ROWS], walk.machine.W) + walk.machine.b)
        large[i : i + _ROWS] = key.on(UNITS).rows_from(i).uniform(*p.shape) < p
    return (small, large) if walk.mirrored else (large, small)


def probability_table(rbm: RBM, *, layer: str = "smaller", max_units: int = 20) -> ProbabilityTable:
    """The exact probability of every state of a layer: p(v) or p(h) in a table.

    Parameters
    ----------
    rbm : RBM
    layer : {"smaller", "visible", "hidden"}
    max_units : int
        The largest layer that is attempted: the table has 2**units entries of 16 bytes.

    Returns
    -------
    ProbabilityTable

    Raises
    ------
    OutOfReach
        The layer has more than `max_units` units.
    InvalidParameter

    Examples
    --------
    >>> probability_table(RBM(W=[[2.0, 2.0]], b=[-1.0, -1.0], c=[-1.0]), layer="visible").p.round(3)
    array([0.197, 0.197, 0.197, 0.41 ])
    """
    walk = Walk(rbm, max_units, check_choice(layer, "layer", ("smaller", "visible", "hidden")))
    minus_f = np.concatenate([x for block in range(walk.n_blocks) for _, x in walk.runs(block)])
    log_p = minus_f - log_sum_exp(minus_f)
    return ProbabilityTable("visible" if walk.mirrored else "hidden", exp(log_p), log_p)


def is_quick(rbm: RBM) -> bool:
    """Whether walking through all states of the smaller layer takes about a second, and so less than chains would."""
    small, large = sorted((rbm.n_visible, rbm.n_hidden))
    return math.ldexp(large * _NANOSECONDS * 1e-9, min(small, 900)) <= _QUICK


class Walk:
    """The states of a layer, by default the smaller one, in runs of 2**n_low states.

    Attributes
    ----------
    mirrored : bool
        Whether it is the visible layer: it is the hidden one of `machine`.
    machine : RBM
        In double precision.
    low : uint8 array of shape (2**n_low, n_low)
        The low bits of the states of each run.
    logits : float64 array of shape (units of the other layer, 2**n_low)
        The log-odds of the other layer in the run that `runs` has come to.
    """

    def __init__(self, rbm: RBM, max_units: int, layer: str = "smaller") -> None:
        max_units = check_count(max_units, "max_units", minimum=0)
        self.mirrored = rbm.n_visible < rbm.n_hidden if layer == "smaller" else layer == "visible"
        self.machine = float64(rbm.mirror() if self.mirrored else rbm)
        self.n_units, m = self.machine.n_hidden, self.machine.n_visible
        if self.n_units > max_units:
            seconds = 2.0**self.n_units * m * _NANOSECONDS * 1e-9
            raise OutOfReach(
                f"The {layer} layer must have at most {max_units} units to walk through all of its states. Got "
                f"{self.n_units} (2**{self.n_units} states, up to about {in_words(seconds)}). Raise max_units if you "
                "have the time."
            )
        self.n_low = min(self.n_units, _BLOCK_BITS, max(0, (_CELLS // m).bit_length() - 1))
        self.low = all_states(self.n_low)
        self._low_logits = (matmul(self.low, self.machine.W[: self.n_low]) + self.machine.b).T.copy()
        # Reused by every run: fresh arrays of this size would cost more than the arithmetic.
        self.logits, self._exp, self._factors = (np.empty_like(self._low_logits) for _ in range(3))
        self._low_bias = matmul(self.low, self.machine.c[: self.n_low])
        self._block = 2 ** min(self.n_units, _BLOCK_BITS)
        self.n_blocks = 2**self.n_units // self._block

    def block_masses(self, engine: str, progress: Progress | None = None) -> Float64Array:
        """The log of each block's sum of exp(-F(h)), shape (n_blocks,)."""
        check_progress(progress)
        log_block = find_engine(engine).log_partition_block
        masses = np.empty(self.n_blocks)
        for i in range(self.n_blocks):
            masses[i] = log_block(self.machine, *self.states_of(i))
            if progress is not None:
                progress(i + 1, self.n_blocks)
        return masses

    def states_of(self, block: int) -> tuple[int, int]:
        """The number of a block's first state, and how many it has."""
        return block * self._block, self._block

    def runs(self, block: int) -> Iterator[tuple[Float64Array, Float64Array]]:
        """For each run of a block: its high bits, shape (n_units - n_low,), and -F(h), shape (states,)."""
        n_high, n_runs = self.n_units - self.n_low, self._block >> self.n_low
        for run in range(block * n_runs, (block + 1) * n_runs):
            high = ((run >> np.arange(n_high)) & 1).astype(np.float64)
            np.add(self._low_logits, matmul(high, self.machine.W[self.n_low :])[:, None], out=self.logits)
            yield high, self._low_bias + float(matmul(high, self.machine.c[self.n_low :])) + self._softplus_sum()

    def _softplus_sum(self) -> Float64Array:
        """Sum over the units of log(1 + exp(logit)): one logarithm for the product of up to 1000 factors."""
        t = exp(np.negative(np.abs(self.logits, out=self._exp), out=self._exp))
        total: Float64Array = np.maximum(self.logits, 0, out=self._factors).sum(axis=0)
        np.add(t, 1, out=self._factors)
        for first in range(0, len(self._factors), _COLUMNS):
            total += log(np.multiply.reduce(self._factors[first : first + _COLUMNS], axis=0))
        return total


def _invert(weights: Float64Array, u: Float64Array) -> npt.NDArray[np.intp]:
    """The index at which the running share of `weights` first exceeds `u`; an index of weight zero is never taken."""
    cumulative = np.cumsum(weights)
    return np.minimum(np.searchsorted(cumulative, u * cumulative[-1], side="right"), int(np.flatnonzero(weights)[-1]))


def _uniform52(key: Key, n_rows: int) -> Float64Array:
    """Two uniform numbers of 52 bits a row, strictly inside (0, 1): 32 bits would not reach all of 2**25 states."""
    words = key.bits(n_rows, 4).astype(np.float64)
    return (words[:, 0::2] * 2.0**20 + np.floor(words[:, 1::2] * 2.0**-12) + 0.5) * 2.0**-52
