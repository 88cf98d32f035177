"""The fast engine: packed bits, products without multiplication, fused sampling, OpenMP threads.

Weights enter the products in fixed point (24 bits, with a power-of-two scale for each unit) and the sums are exact
integers, so logits do not depend on the order of summation: the results are the same bits for every number of threads
and every instruction set. Products of real values have an order of their own (`harmonium.engines.arithmetic`).

A forked process computes on one thread, as the threads of the process that it was forked from do not exist in it; one
that was spawned has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.engines._native import _kernels
from harmonium.engines.arithmetic import contiguous, matmul
from harmonium.engines.engine import Engine
from harmonium.engines.processor import check_wanted
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
    Velocity,
)
from harmonium.random import Key, order_of
from harmonium.rbm import RBM
from harmonium.statistics import Statistics

# What packs an array of that type if it is binary.
_BINARY = {np.dtype(np.float32): _kernels.states_of_floats, np.dtype(np.float64): _kernels.states_of_doubles}
# The same, or floats of what lies within [0, 1].
_OF_UNIT = {np.dtype(np.float32): _kernels.unit_of_floats, np.dtype(np.float64): _kernels.unit_of_doubles}
# What is done between two looks at signals, in weights times rows: some tenth of a second, or a single step.
_TERMS_A_CALL = 2**30
_NONE, _ALL = np.uint64(0), np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Bits:
    """Packed binary states.

    Attributes
    ----------
    words : uint64 array of shape (rows, ceil(n_units / 64))
        Unit k is bit k % 64 of word k // 64; bits beyond the last unit are zero.
    n_units : int
    """

    words: npt.NDArray[np.uint64]
    n_units: int

    def __len__(self) -> int:
        return len(self.words)


class NativeEngine(Engine):
    """States are `Bits`, reals are float32 arrays; see `harmonium.engines.engine.Engine` for the verbs.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.engines.NativeEngine(rbm).name
    'native'
    """

    name = "native"
    term_seconds = 1e-10

    def __init__(self, rbm: RBM, velocity: Velocity | None = None) -> None:
        check_wanted()
        self.n_visible, self.n_hidden = rbm.n_visible, rbm.n_hidden
        self._machine = _kernels.Machine(*_floats(rbm))
        if velocity is not None:
            self._machine.set_weight_velocity(_contiguous(velocity.W.T))
            self._machine.b_velocity[:] = velocity.b
            self._machine.c_velocity[:] = velocity.c

    @property
    def rbm(self) -> RBM:
        return RBM(self._machine.weights().T, self._machine.b, self._machine.c)

    @property
    def velocity(self) -> Velocity:
        m = self._machine
        return Velocity(m.weight_velocity().T, m.b_velocity.copy(), m.c_velocity.copy())

    def write(self, W: FloatArray, b: FloatArray, c: FloatArray) -> None:
        m = self._machine
        kernel = {np.dtype(np.float32): m.write_floats, np.dtype(np.float64): m.write_doubles}.get(W.dtype)
        if kernel is None or not W.flags.aligned:
            super().write(W, b, c)
            return
        if not m.is_finite():
            RBM(m.weights().T, m.b, m.c)  # refuses them
        kernel(W)  # without a copy beside it
        b[:], c[:] = m.b, m.c

    def holds(self, W: FloatArray, b: FloatArray, c: FloatArray) -> bool:
        m = self._machine
        same = {np.dtype(np.float32): m.holds_floats, np.dtype(np.float64): m.holds_doubles}.get(W.dtype)
        plain = b.dtype == c.dtype == W.dtype and b.flags.carray and c.flags.carray and W.flags.aligned
        return super().holds(W, b, c) if same is None or not plain else bool(same(W, b, c))

    def encode(self, X: npt.NDArray[Any], real: bool = False) -> Bits | FloatArray:
        if real:
            return _contiguous(X)
        return Bits(_kernels.encode(np.ascontiguousarray(X, np.uint8)), X.shape[1])

    def visible(self, X: npt.NDArray[Any]) -> Bits | FloatArray:
        kernel = _BINARY.get(X.dtype)
        if kernel is None or not (X.flags.c_contiguous and X.flags.aligned):
            either: Bits | FloatArray = super().visible(X)
            return either
        words = kernel(X)
        return _contiguous(X) if words is None else Bits(words, X.shape[1])

    def visible_of_unit(self, X: npt.NDArray[Any]) -> Bits | FloatArray | None:
        kernel = _OF_UNIT.get(X.dtype)
        if kernel is None or not (X.flags.c_contiguous and X.flags.aligned):
            either: Bits | FloatArray | None = super().visible_of_unit(X)
            return either
        found = kernel(X)
        return found if found is None or found.dtype == np.float32 else Bits(found, X.shape[1])

    def decode(self, states: Bits) -> npt.NDArray[np.uint8]:
        X: npt.NDArray[np.uint8] = _kernels.decode(states.words, states.n_units)
        return X

    def to_numpy(self, x: FloatArray | Bits, dtype: type[np.floating[Any]] = np.float32) -> npt.NDArray[Any]:
        return np.asarray(self.decode(x) if isinstance(x, Bits) else x, dtype)

    def take(self, x: Bits | FloatArray, rows: npt.NDArray[np.intp]) -> Bits | FloatArray:
        return Bits(x.words.take(rows, axis=0), x.n_units) if isinstance(x, Bits) else x[rows]

    @staticmethod
    def bits(key: Key, n_rows: int, n_columns: int) -> npt.NDArray[np.uint32]:
        words: npt.NDArray[np.uint32] = _kernels.random_bits(_words(key), n_rows, n_columns)
        return words

    def permutation(self, key: Key, n: int) -> npt.NDArray[np.intp]:
        return order_of(self.bits(key, 2, n))

    def overwrite(self, x: Bits | FloatArray, where: Bits | BoolArray, values: Bits) -> Bits | FloatArray:
        if isinstance(x, Bits):
            mask = where.words if isinstance(where, Bits) else np.where(where, _ALL, _NONE)[:, None]
            return Bits((x.words & ~mask) | (values.words & mask), x.n_units)
        return np.where(self.decode(where) if isinstance(where, Bits) else where[:, None], self.decode(values), x)

    def put(self, x: Bits | FloatArray, rows: npt.NDArray[np.intp], values: Bits | FloatArray) -> None:
        there, new = (y.words if isinstance(y, Bits) else y for y in (x, values))
        there[rows] = new

    def logits_h(self, v: Bits | FloatArray) -> FloatArray:
        if isinstance(v, Bits):
            logits: FloatArray = self._machine.logits_h(v.words)
            return logits
        real: FloatArray = self._machine.dense_logits_h(_contiguous(v))
        return real

    def logits_v(self, h: Bits) -> FloatArray:
        logits: FloatArray = self._machine.logits_v(h.words)
        return logits

    def mean(self, logits: FloatArray, beta: Beta = 1.0, offset: Offset = None) -> FloatArray:
        p: FloatArray = _kernels.mean(_contiguous(logits), *_affine(beta, offset))
        return p

    def bernoulli(self, logits: FloatArray, key: Key, beta: Beta = 1.0, offset: Offset = None) -> Bits:
        words = _kernels.bernoulli(_contiguous(logits), _words(key), *_affine(beta, offset))
        return Bits(words, logits.shape[1])

    def sample_h(self, v: Bits | FloatArray, key: Key, beta: Beta = 1.0, offset: Offset = None) -> Bits:
        if isinstance(v, Bits):
            return Bits(self._machine.sample_h(v.words, _words(key), *_affine(beta, offset)), self.n_hidden)
        return self.bernoulli(self.logits_h(v), key, beta, offset)

    def sample_v(self, h: Bits, key: Key, beta: Beta = 1.0, offset: Offset = None) -> Bits:
        return Bits(self._machine.sample_v(h.words, _words(key), *_affine(beta, offset)), self.n_visible)

    def sweeps(
        self,
        v: Bits | FloatArray,
        key_h: Key,
        key_v: Key,
        n: int,
        of_h: tuple[Beta, Offset] = (1.0, None),
        of_v: tuple[Beta, Offset] = (1.0, None),
        free: Bits | None = None,
    ) -> Bits | FloatArray:
        if not isinstance(v, Bits) and (n == 0 or free is not None):
            return super().sweeps(v, key_h, key_v, n, of_h, of_v, free)
        start = v.words if isinstance(v, Bits) else _contiguous(v)
        mask = None if free is None else free.words
        return Bits(
            self._machine.sweeps(start, _words(key_h), _words(key_v), n, *_affine(*of_h), *_affine(*of_v), mask),
            self.n_visible,
        )

    def draw(self, p: npt.NDArray[Any], key: Key) -> Bits:
        return Bits(_kernels.draw(_contiguous(p), _words(key)), p.shape[1])

    def softplus_sum(self, logits: FloatArray, beta: Beta = 1.0, offset: Offset = None) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.float64] = _kernels.softplus_sum(_contiguous(logits), *_affine(beta, offset))
        return total

    def dot(self, v: Bits | FloatArray, x: FloatArray) -> npt.NDArray[np.float64]:
        if isinstance(v, Bits):
            product: npt.NDArray[np.float64] = _kernels.dot(v.words, _contiguous(x))
            return product
        total: npt.NDArray[np.float64] = _kernels.dense_dot(_contiguous(v), _contiguous(x))
        return total

    def free_energy(self, v: Bits | FloatArray) -> npt.NDArray[np.float64]:
        if not isinstance(v, Bits):
            real: npt.NDArray[np.float64] = self._machine.dense_free_energy(v)
            return real
        energy: npt.NDArray[np.float64] = self._machine.free_energy(v.words)
        return energy

    def visible_biases(self) -> npt.NDArray[np.float32]:
        b: npt.NDArray[np.float32] = self._machine.b.copy()
        return b

    def pseudo_log_likelihood(self, v: Bits) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.float64] = self._machine.pseudo_log_likelihood(v.words)
        return total

    @staticmethod
    def log_partition_block(rbm: RBM, first: int, count: int) -> float:
        check_wanted()
        W, b, c = (contiguous(x, np.float64) for x in (rbm.W, rbm.b, rbm.c))
        return float(_kernels.log_partition_block(W, b, c, first, count))

    def moments(self, phase: Phase) -> Statistics:
        if isinstance(phase.v, Bits):
            hv, v, h = self._machine.moments(*_side(phase))
            return Statistics(hv.T, v, h)
        weights = phase.normalised_weights()
        weighted_h = weights[:, None] * _contiguous(phase.mean_h)
        v = np.asarray(phase.v, np.float32)
        # Real data are often zero, and zeros on the left cost nothing.
        return Statistics(matmul(v.T, weighted_h).T, matmul(weights, v), weighted_h.sum(axis=0))

    def replace(self, rbm: RBM) -> None:
        self._machine.replace(*_floats(rbm))

    def ascend(self, positive: Phase, negative: Phase, rates: Rates, offsets: Offsets | None = None) -> None:
        if isinstance(positive.v, Bits) and isinstance(negative.v, Bits):
            mu, lam = (None, None) if offsets is None else (_contiguous(x) for x in offsets)
            self._machine.ascend(*_side(positive), *_side(negative), *rates, mu, lam)
            return
        super().ascend(positive, negative, rates, offsets)

    def contrast(
        self,
        batch: Phase,
        h: Bits | None,
        keys: tuple[Key, Key, Key],
        n_sweeps: int,
        rates: Rates,
        centring: Centring | None = None,
    ) -> Contrast:
        if not self._makes_steps(batch.v, centring):
            return super().contrast(batch, h, keys, n_sweeps, rates, centring)
        weights = None if batch.weights is None else batch.normalised_weights()
        done = self._steps(batch.v, None, weights, h, keys, n_sweeps, [rates], centring)
        if h is None and batch.weights is not None:  # a chain that starts at a row counts as that row does
            return done._replace(negative=done.negative._replace(weights=batch.weights))
        return done

    def contrasts(
        self,
        v: Bits | FloatArray,
        rows: npt.NDArray[np.intp],
        h: Bits | None,
        keys: tuple[Key, Key, Key],
        n_sweeps: int,
        rates: Sequence[Rates],
        centring: Centring | None = None,
    ) -> Contrast:
        if not self._makes_steps(v, centring):
            return super().contrasts(v, rows, h, keys, n_sweeps, rates, centring)
        key, key_h, key_v = keys
        n = max(1, _TERMS_A_CALL // (rows.shape[1] * self.n_visible * self.n_hidden * n_sweeps))
        for i in range(0, len(rates), n):
            now = key.at(key.step + i), key_h.at(key_h.step + i * n_sweeps), key_v.at(key_v.step + i * n_sweeps)
            done = self._steps(v, rows[i : i + n], None, h, now, n_sweeps, rates[i : i + n], centring)
            h = done.h
            centring = None if centring is None else centring._replace(h=done.mean_h)
        return done

    def _makes_steps(self, v: Bits | FloatArray, centring: Centring | None) -> bool:
        states, plain = isinstance(v, Bits), centring is None
        # NumPy adds up means and grey levels of a single column in pairs, and the kernels row after row.
        return (states or plain) if self.n_hidden > 1 else (states and plain)

    def _steps(
        self,
        v: Bits | FloatArray,
        rows: npt.NDArray[np.intp] | None,
        weights: FloatArray | None,
        h: Bits | None,
        keys: tuple[Key, Key, Key],
        n_sweeps: int,
        rates: Sequence[Rates],
        centring: Centring | None,
    ) -> Contrast:
        centre = (None, None, 0.0) if centring is None else centring._replace(v=_contiguous(centring.v))
        data, start = v.words if isinstance(v, Bits) else _contiguous(v), None if h is None else h.words
        last, mean, logits, chains, mean_h = self._machine.contrasts(
            data, rows, weights, start, *map(_words, keys), n_sweeps, rates, *centre
        )
        negative = Phase(Bits(last, self.n_visible), mean)
        return Contrast(negative, logits, None if h is None else Bits(chains, self.n_hidden), mean_h)

    def ascend_along(self, gradient: Statistics, rates: Rates, offsets: Offsets | None = None) -> None:
        m = self._machine
        m.ascend_along(*(_contiguous(x) for x in (gradient.hv.T, gradient.v, gradient.h)), *rates)
        if offsets is not None:
            velocity = m.weight_velocity()
            m.b[:] -= (velocity * offsets.h).sum(axis=1)  # sums in an order of our own, unlike those of a BLAS library
            m.c[:] -= (offsets.v[:, None] * velocity).sum(axis=0)


def _side(phase: Phase) -> tuple[Any, ...]:
    weights = None if phase.weights is None else phase.normalised_weights()
    return phase.v.words, _contiguous(phase.mean_h), weights


def _contiguous(x: npt.NDArray[Any]) -> FloatArray:
    return contiguous(x, np.float32)


def _floats(rbm: RBM) -> tuple[FloatArray, FloatArray, FloatArray]:
    """W, in any order, b and c."""
    return rbm.W.astype(np.float32, copy=False), _contiguous(rbm.b), _contiguous(rbm.c)


def _words(key: Key) -> tuple[int, int, int, int]:
    return key.seed, key.stream, key.step, key.row


def _affine(beta: Beta, offset: Offset) -> tuple[FloatArray | None, FloatArray | None]:
    """The arrays that the kernels take, of shape (groups,) and (groups, units); None for what changes nothing."""
    if type(beta) is float and beta == 1:  # the ordinary case, quickly
        scale = None
    else:
        scale = contiguous(np.atleast_1d(beta), np.float32) if np.ndim(beta) or beta != 1 else None
    return scale, None if offset is None else contiguous(np.atleast_2d(offset), np.float32)
