"""The waist: what every engine can do. Algorithms above are written once, over these verbs; nothing else differs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from harmonium.engines.records import (
    Beta,
    BoolArray,
    Centring,
    Contrast,
    FloatArray,
    Offset,
    Offsets,
    Phase,
    Rates,
    Reals,
    States,
    Velocity,
)
from harmonium.inputs import is_binary
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.statistics import Statistics


class Engine(Protocol):
    """Where one machine's parameters and states live.

    States and reals are the engine's own (NumPy arrays, packed bits, tensors on a device): algorithms pass them from
    verb to verb, ask their length, and compute with nothing but what comes back as NumPy. All real numbers are float32
    unless said. A verb with a body here is made of others; an engine may have a faster one that gives the same bits.
    """

    name: str
    sweeps_at_once: int = 1  # that are asked of `anneal`: more where calls take longer than what they do
    # What an exact sum takes for each state and unit of the larger layer, in seconds; on two cores, if on a processor.
    term_seconds: float = 5e-8
    order: Literal["C", "F"] = "F"  # of W in `rbm`, in memory
    n_visible: int
    n_hidden: int

    def __init__(self, rbm: RBM, velocity: Velocity | None = None) -> None: ...

    @property
    def rbm(self) -> RBM:
        """A copy of the current parameters, NumPy."""

    @property
    def velocity(self) -> Velocity:
        """A copy of the current momentum, NumPy."""

    def write(self, W: FloatArray, b: FloatArray, c: FloatArray) -> None:
        """The current parameters into arrays of their shapes, of any real dtype."""
        now = self.rbm
        for to, x in ((W, now.W), (b, now.b), (c, now.c)):
            to[:] = x

    def holds(self, W: FloatArray, b: FloatArray, c: FloatArray) -> bool:
        """Whether these are the current parameters, rounded to float32."""
        now = self.rbm
        return all(np.array_equal(np.asarray(x, np.float32), y) for x, y in ((W, now.W), (b, now.b), (c, now.c)))

    # From NumPy and back
    def encode(self, X: npt.NDArray[Any], real: bool = False) -> States | Reals:
        """Array of 0 and 1, shape (rows, units), to states; or, if `real`, one of real numbers, any shape, to reals."""

    def visible(self, X: npt.NDArray[Any]) -> States | Reals:
        """What stands for `X` where `v` may be real: states if it is binary, else reals."""
        return self.encode(X, real=not is_binary(X))

    def visible_of_unit(self, X: npt.NDArray[Any]) -> States | Reals | None:
        """`visible` of an array of any real numbers; None where some are not within [0, 1]."""
        return self.visible(X) if bool(X.min() >= 0 and X.max() <= 1) else None  # never so with NaN

    def draw(self, p: npt.NDArray[Any], key: Key) -> States:
        """States that are on where (bits + 1/2) / 2**32 < p, for a NumPy array of shape (rows, units)."""
        return self.encode((key.uniform(*p.shape) < np.asarray(p, np.float32)).astype(np.uint8))

    def to_numpy(self, x: Reals | States, dtype: type[np.floating[Any]] = np.float32) -> npt.NDArray[Any]:
        """Reals, or states, to a NumPy array of the same shape; in float64 what `wide` gives."""

    def decode(self, states: States) -> npt.NDArray[np.uint8]:
        """States to a NumPy array of 0 and 1, shape (rows, units)."""
        return self.to_numpy(states).astype(np.uint8)

    @staticmethod
    def bits(key: Key, n_rows: int, n_columns: int) -> npt.NDArray[np.uint32]:
        """``key.bits(n_rows, n_columns)``; the last row is before 2**32."""
        return key.bits(n_rows, n_columns)

    # Rows
    def table(self, rows: npt.NDArray[np.intp]) -> Any:
        """Numbers of rows where `take` reads them fastest; slices of it do as well."""
        return rows

    def take(self, x: States | Reals, rows: Any) -> States | Reals:
        """Some rows of `x`, in the order given; `rows` is NumPy, or a (slice of a) `table`."""

    def overwrite(self, x: States | Reals, where: States | BoolArray, values: States) -> States | Reals:
        """`x` with some units replaced by those of the states `values`, of equal shape.

        `where` marks units by states of that shape, or whole rows by a NumPy array of shape (rows,).
        """

    def put(self, x: States | Reals, rows: Any, values: States | Reals) -> None:
        """Replace some rows of `x`, in place; `rows` is as in `take`, each number at most once."""

    # Conditionals
    def logits_h(self, v: States | Reals) -> Reals:
        """Wv + c, shape (rows, n_hidden)."""

    def logits_v(self, h: States) -> Reals:
        """W'h + b, shape (rows, n_visible)."""

    def mean(self, logits: Reals, beta: Beta = 1.0, offset: Offset = None) -> Reals:
        """The logistic function of beta * logit + offset, finite and monotone for every finite logit."""

    def bernoulli(self, logits: Reals, key: Key, beta: Beta = 1.0, offset: Offset = None) -> States:
        """States that are on where (bits + 1/2) / 2**32 < logistic(beta * logit + offset)."""

    def sample_h(self, v: States | Reals, key: Key, beta: Beta = 1.0, offset: Offset = None) -> States:
        """``bernoulli(logits_h(v), key, beta, offset)``, without keeping the logits."""
        return self.bernoulli(self.logits_h(v), key, beta, offset)

    def sample_v(self, h: States, key: Key, beta: Beta = 1.0, offset: Offset = None) -> States:
        """``bernoulli(logits_v(h), key, beta, offset)``, without keeping the logits."""
        return self.bernoulli(self.logits_v(h), key, beta, offset)

    def sweeps(
        self,
        v: States | Reals,
        key_h: Key,
        key_v: Key,
        n: int,
        of_h: tuple[Beta, Offset] = (1.0, None),
        of_v: tuple[Beta, Offset] = (1.0, None),
        free: States | None = None,
    ) -> States | Reals:
        """`n` sweeps v -> h -> v; sweep i draws h with the step of `key_h` plus i, and v with that of `key_v` plus i.

        `of_h` and `of_v` are the affine arguments of the layers; units that are not `free` stay as they are.
        """
        for i in range(n):
            h = self.sample_h(v, key_h.at(key_h.step + i), *of_h)
            new = self.sample_v(h, key_v.at(key_v.step + i), *of_v)
            v = new if free is None else self.overwrite(v, free, new)
        return v

    def anneal(
        self, v: States, keys: tuple[Key, Key], betas: FloatArray, y: Offset, x: Offset, slopes: FloatArray
    ) -> tuple[States, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Sweeps v -> h -> v at one temperature after the other, and sums over the units as each finds the chains.

        Parameters
        ----------
        v : States of shape (rows, n_visible)
        keys : two keys
            Of h and v in the first sweep; their steps go on by 1.
        betas : float32 array of shape (n + 1,)
            Sweep k is made at the one numbered k + 1.
        y, x : float32 arrays of shapes (n + 1, n_hidden) and (n + 1, n_visible), or None
            Offsets of h and v at the temperatures.
        slopes : float32 array of shape (n, any, n_visible)

        Returns
        -------
        v : States
            After the last sweep.
        rises : float64 array of shape (n, rows)
            `softplus_sum` at temperature k + 1 less that at temperature k.
        dots : float64 array of shape (n, any, rows)
            `dot` with the slopes.
        """
        rises, dots = [], []
        of_h = [(beta, None if y is None else y[k]) for k, beta in enumerate(betas)]
        for k, (before, after) in enumerate(pairwise(of_h)):
            logits = self.logits_h(v)
            rises.append(self.softplus_sum(logits, *after) - self.softplus_sum(logits, *before))
            dots.append([self.dot(v, slope) for slope in slopes[k]])
            h = self.bernoulli(logits, keys[0].at(keys[0].step + k), *after)
            v = self.sample_v(h, keys[1].at(keys[1].step + k), after[0], None if x is None else x[k + 1])
        return v, np.array(rises), np.array(dots)

    def permutation(self, key: Key, n: int) -> Any:
        """``table(key.permutation(n))``."""
        return self.table(key.permutation(n))

    # Sums, which come to NumPy in float64
    def softplus_sum(self, logits: Reals, beta: Beta = 1.0, offset: Offset = None) -> npt.NDArray[np.float64]:
        """Sum over the units of log(1 + exp(beta * logit + offset)), shape (rows,)."""

    def dot(self, v: States | Reals, x: FloatArray) -> npt.NDArray[np.float64]:
        """x'v for a NumPy vector `x`, shape (rows,)."""

    def free_energy(self, v: States | Reals) -> npt.NDArray[np.float64]:
        """F(v) in nats, shape (rows,)."""
        return -self.dot(v, self.visible_biases()) - self.softplus_sum(self.logits_h(v))

    def visible_biases(self) -> npt.NDArray[np.float32]:
        """b, shape (n_visible,), NumPy, without a copy of W."""
        nothing = self.encode(np.zeros((1, self.n_hidden), np.uint8))
        b: npt.NDArray[np.float32] = self.to_numpy(self.logits_v(nothing))[0]
        return b

    def column_sums(self, x: Reals) -> npt.NDArray[np.float64]:
        """Sum over the rows, row after row, shape (units,)."""
        return self.to_numpy(x).sum(axis=0, dtype=np.float64)

    def pseudo_log_likelihood(self, v: States) -> npt.NDArray[np.float64]:
        """Sum over visible units of log p(v_j | the others), shape (rows,)."""

    @staticmethod
    def log_partition_block(rbm: RBM, first: int, count: int) -> float:
        """Log of the sum of exp(-F(h)) over the hidden states numbered first, ..., first + count - 1."""

    # Gradients: statistics whose arrays know arithmetic with one another, with numbers, and the functions of `arrays`:
    # sign, sqrt and zeros_like
    arrays: Any = np

    def own(self, x: Reals | npt.NDArray[Any]) -> Reals:
        """NumPy's array, or one of the engine's own, as one that gradients are made of; every process has all of it."""
        return x

    def wide(self, x: Reals) -> Any:
        """One of the arrays that `own` makes, in float64."""
        return self.to_numpy(x).astype(np.float64)

    @property
    def parameters(self) -> Statistics:
        """W, b and c in such arrays, to be read."""
        rbm = self.rbm
        return Statistics(rbm.W, rbm.b, rbm.c)

    def moved(self, by: Statistics) -> Engine:
        """Another engine, without momentum, whose parameters are `by` further."""
        W, b, c = (x + y for x, y in zip(self.parameters, by, strict=True))
        return type(self)(RBM(W, b, c))

    def offset_sums(self, x: Reals, offsets: Offsets) -> tuple[Reals, Reals]:
        """x'lambda, the terms of a sum one after the other, and x mu, in pairs; `x` has the shape of W, `offsets.own`.

        Not products of matrices, whose order of summation is the BLAS library's to choose.
        """
        weighted = np.ascontiguousarray(offsets.h[:, None] * x), np.ascontiguousarray(x * offsets.v)
        return weighted[0].sum(axis=0), weighted[1].sum(axis=1)

    # Learning
    def moments(self, phase: Phase) -> Statistics:
        """Weighted averages of h v', v and h over the rows, float32."""

    def slide(self, mean: Reals | None, phase: Phase, sliding_factor: float) -> Reals:
        """The running mean of h, shape (n_hidden,): (1 - factor) `mean` + factor times the average of ``mean_h``.

        That average itself where there is no `mean` yet. Sums are taken row after row.
        """
        # Not a product of matrices, whose order of summation, and so whose last bits, are the BLAS library's to choose.
        now: FloatArray = (phase.normalised_weights()[:, None] * self.to_numpy(phase.mean_h)).sum(axis=0)
        before = None if mean is None else self.to_numpy(mean)
        return self.encode(now if before is None else before + np.float32(sliding_factor) * (now - before), real=True)

    def replace(self, rbm: RBM) -> None:
        """Take over other parameters, of a machine of the same size; the momentum stays."""
        type(self).__init__(self, rbm, self.velocity)

    def ascend(self, positive: Phase, negative: Phase, rates: Rates, offsets: Offsets | None = None) -> None:
        """One step of gradient ascent, in place, along moments(positive) - moments(negative), centred by `offsets`."""
        gradient = self.moments(positive) - self.moments(negative)
        if offsets is not None:
            gradient = offsets.own(self).centre(gradient)
        self.ascend_along(gradient, rates, offsets)

    def ascend_along(self, gradient: Statistics, rates: Rates, offsets: Offsets | None = None) -> None:
        """One step of gradient ascent with momentum, in place, along a gradient.

        The gradient of W has ``weight_decay * W`` taken off; velocity = momentum * velocity + learning_rate * gradient;
        parameters += velocity. With `offsets` gradient and velocity are those of the centred machine, and the biases
        follow as `Offsets` says.
        """

    def contrast(
        self,
        batch: Phase,
        h: States | None,
        keys: tuple[Key, Key, Key],
        n_sweeps: int,
        rates: Rates,
        centring: Centring | None = None,
    ) -> Contrast:
        """One step of contrastive divergence: both sides of the gradient, and the move along it.

        Parameters
        ----------
        batch : Phase
            States of the visible units and weights; its ``mean_h`` is still to be computed.
        h : States of shape (chains, n_hidden), or None
            Where the chains start; None: at the batch.
        keys : three keys
            Of h at the start of chains from the batch, or at the end of those that persist; and of h and v in `sweeps`.
        n_sweeps : int
            How often v is drawn.
        """
        key, key_h, key_v = keys
        logits = self.logits_h(batch.v)
        positive = batch._replace(mean_h=self.mean(logits))
        mean_h = None if centring is None else self.slide(centring.h, positive, centring.sliding_factor)
        offsets = None if centring is None else Offsets(centring.v, mean_h)
        start = self.bernoulli(logits, key) if h is None else h
        v = self.sweeps(self.sample_v(start, key_v), key_h, key_v.at(key_v.step + 1), n_sweeps - 1)
        logits = self.logits_h(v)
        # A chain that starts at a row counts as that row does.
        negative = Phase(v, self.mean(logits), batch.weights if h is None else None)
        self.ascend(positive, negative, rates, offsets)
        return Contrast(negative, logits, None if h is None else self.bernoulli(logits, key), mean_h)

    def contrasts(
        self,
        v: States | Reals,
        rows: Any,
        h: States | None,
        keys: tuple[Key, Key, Key],
        n_sweeps: int,
        rates: Sequence[Rates],
        centring: Centring | None = None,
    ) -> Contrast:
        """Several steps of `contrast`, one after the other; what the last of them leaves.

        Parameters
        ----------
        v : States or Reals of shape (any, n_visible)
            The data.
        rows : int array of shape (steps, rows), or its `table`
            Those of `v` that are the batch of each step.
        h, keys, n_sweeps, centring
            As in `contrast`, for the first step; the first key goes on by 1 a step, the others by `n_sweeps`.
        rates : sequence of Rates
            Of each step; at least one.
        """
        for i, rate in enumerate(rates):
            key, key_h, key_v = keys
            now = key.at(key.step + i), key_h.at(key_h.step + i * n_sweeps), key_v.at(key_v.step + i * n_sweeps)
            done = self.contrast(Phase(self.take(v, rows[i]), None), h, now, n_sweeps, rate, centring)
            h = done.h
            centring = None if centring is None else centring._replace(h=done.mean_h)
        return done
