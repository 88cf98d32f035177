"""The torch engine on NVIDIA's GPUs: whatever is done many times over is recorded once and played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harmonium.engines import torch_arithmetic
from harmonium.engines.records import Beta, Centring, Contrast, FloatArray, Offset, Phase, Rates, States, Velocity
from harmonium.engines.torch import TorchEngine, Units, as_noise
from harmonium.engines.torch_arithmetic import padded
from harmonium.engines.torch_graphs import Done, Recorder, Tensors
from harmonium.random import Key, MovingStep
from harmonium.rbm import RBM
from harmonium.statistics import Statistics

_FEWEST_SWEEPS = 8  # that are worth the search for a recording


class RecordedEngine(TorchEngine):
    """As `TorchEngine`, but sampling and learning are recorded."""

    sweeps_at_once = 256
    term_seconds = 3e-13

    def __init__(self, rbm: RBM, velocity: Velocity | None = None) -> None:
        super().__init__(rbm, velocity)
        if self._machine.states != torch.float16:  # kernels are for no other
            self.do = torch_arithmetic
        self._recorder = Recorder(self.device)
        self._means: tuple[npt.NDArray[Any], Tensor] | None = None

    def moved(self, by: Statistics) -> TorchEngine:
        other = super().moved(by)
        assert isinstance(other, RecordedEngine)
        other._recorder = Recorder(self.device)  # what this one has recorded is of its own machine
        return other

    def sweeps(
        self,
        v: Units | Tensor,
        key_h: Key,
        key_v: Key,
        n: int,
        of_h: tuple[Beta, Offset] = (1.0, None),
        of_v: tuple[Beta, Offset] = (1.0, None),
        free: Units | None = None,
    ) -> Units | Tensor:
        if n < _FEWEST_SWEEPS or not isinstance(v, Units) or isinstance(key_h.step, MovingStep):
            return super().sweeps(v, key_h, key_v, n, of_h, of_v, free)
        n_units = v.n_units
        affine = *self._affine(*of_h), *self._affine(*of_v)
        numbers = tuple(x if isinstance(x, float) else None for x in affine)
        tensors = tuple(x for x in affine if isinstance(x, Tensor))

        def body(steps: Sequence[MovingStep], carry: Tensors, constants: Tensors, _: Tensors) -> Done:
            h, v = _at(key_h, steps[0]), _at(key_v, steps[1])
            there = iter(constants)
            now: list[Any] = [next(there) if isinstance(x, Tensor) else x for x in affine]
            moving = None if free is None else Units(next(there), n_units)
            before = Units(carry[0], n_units)
            after = TorchEngine.sweeps(self, before, h, v, 1, (now[0], now[1]), (now[2], now[3]), moving)
            return Done((after.x,))

        done = self._recorder.repeat(
            ("sweeps", _source(key_h), _source(key_v), numbers, tuple(x is None for x in affine), free is None),
            body,
            n,
            (v.x,),
            steps=(key_h.step, key_v.step),
            strides=(1, 1),
            constants=tensors if free is None else (*tensors, free.x),
        )
        return Units(done.carry[0], n_units)

    def anneal(
        self,
        v: Units,
        keys: tuple[Key, Key],
        betas: FloatArray,
        y: FloatArray | None,
        x: FloatArray | None,
        slopes: FloatArray,
    ) -> tuple[Units, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        # One table, so that a step finds all that is its own with one kernel.
        m, n = padded(self.n_visible), padded(self.n_hidden)
        bent, moved, n_slopes = y is not None, x is not None, slopes.shape[1]
        widths = padded(2), 2 * n if bent else 0, m if moved else 0, n_slopes * m
        ends = np.cumsum(widths)
        table = np.zeros((len(slopes), ends[-1]), np.float32)
        of_betas, of_y, of_x, of_slopes = np.split(table, ends[:-1], axis=1)
        of_betas[:, 0], of_betas[:, 1] = betas[:-1], betas[1:]
        of_slopes.reshape(len(slopes), n_slopes, m)[..., : self.n_visible] = slopes
        if y is not None:
            of_y.reshape(len(slopes), 2, n)[..., : self.n_hidden] = np.stack([y[:-1], y[1:]], axis=1)
        if x is not None:
            of_x[:, : self.n_visible] = x[1:]

        def body(steps: Sequence[MovingStep], carry: Tensors, _: Tensors, now: Tensors) -> Done:
            of_betas, of_y, of_x, of_slopes = now[0].split(widths)
            noises = as_noise(_at(keys[0], steps[0])), as_noise(_at(keys[1], steps[1]))
            after, sums = self.do.temperature(
                self._machine,
                carry[0],
                noises,
                of_betas[:2],
                of_y.view(2, n) if bent else None,
                of_x[None, : self.n_visible] if moved else None,
                of_slopes.view(n_slopes, m),
            )
            return Done((after,), rows=(sums,))

        done = self._recorder.repeat(
            ("anneal", *map(_source, keys), bent, moved, n_slopes),
            body,
            len(slopes),
            (v.x,),
            steps=tuple(key.step for key in keys),
            strides=(1, 1),
            tables=(self._upload(table),),
        )
        sums = self._download(done.rows[0])
        return Units(done.carry[0], v.n_units), sums[:, 0], sums[:, 1:]

    def contrast(
        self,
        batch: Phase,
        h: Units | None,
        keys: tuple[Key, Key, Key],
        n_sweeps: int,
        rates: Rates,
        centring: Centring | None = None,
    ) -> Contrast:
        fits = isinstance(batch.v, Units) and max(self.n_visible, self.n_hidden) <= torch_arithmetic.TERMS
        if not (hasattr(self.do, "contrast") and fits):
            return super().contrast(batch, h, keys, n_sweeps, rates, centring)
        key, key_h, key_v = keys
        noises_h = [as_noise(key_h.at(key_h.step + i)) for i in range(n_sweeps - 1)]
        noises_v = [as_noise(key_v.at(key_v.step + i)) for i in range(n_sweeps)]
        weights = self._weights(batch._replace(mean_h=batch.v))
        weights_of_chains = weights if h is None else self._weights(Phase(h, h))
        centre = None
        if centring is not None:
            before = None if centring.h is None else self._reals(centring.h)
            centre = self._data_means(centring.v), before, centring.sliding_factor
        chains = None if h is None else h.x
        noises = as_noise(key), noises_h, noises_v
        made = self.do.contrast(
            self._machine, batch.v.x, weights, chains, weights_of_chains, noises, tuple(rates), centre
        )
        v = Units(made.negative.v, self.n_visible)
        after = None if made.h is None else Units(made.h, self.n_hidden)
        negative = Phase(v, made.negative.mean_h, batch.weights if h is None else None)
        return Contrast(negative, made.logits, after, made.mean_h)

    def contrasts(
        self,
        v: States,
        rows: Any,
        h: Units | None,
        keys: tuple[Key, Key, Key],
        n_sweeps: int,
        rates: Sequence[Rates],
        centring: Centring | None = None,
    ) -> Contrast:
        _, momentum, weight_decay = rates[0]
        same = all(rate[1:] == rates[0][1:] for rate in rates)
        if not (isinstance(v, Units) and same) or (centring is not None and centring.h is None):
            return super().contrasts(v, rows, h, keys, n_sweeps, rates, centring)
        n_units, strides = v.n_units, (1, n_sweeps, n_sweeps)

        def body(steps: Sequence[MovingStep], carry: Tensors, constants: Tensors, values: Tensors) -> Done:
            now = _at(keys[0], steps[0]), _at(keys[1], steps[1]), _at(keys[2], steps[2])
            batch = self.take(Units(constants[0], n_units), values[0])
            start = None if h is None else Units(carry[0], self.n_hidden)
            centre = None if centring is None else centring._replace(v=constants[1], h=carry[-1])
            rate = Rates(values[1], momentum, weight_decay)
            done = self.contrast(Phase(batch, None), start, now, n_sweeps, rate, centre)
            left = (None if done.h is None else done.h.x), done.mean_h
            return Done(_without_none(*left), (done.negative.v.x, done.negative.mean_h, done.logits))

        done = self._recorder.repeat(
            ("contrasts", *map(_source, keys), n_sweeps, momentum, weight_decay, centring and centring.sliding_factor),
            body,
            len(rates),
            _without_none(None if h is None else h.x, None if centring is None else centring.h),
            steps=tuple(key.step for key in keys),
            strides=strides,
            constants=(v.x,) if centring is None else (v.x, self._data_means(centring.v)),
            tables=(rows, self._real(np.array([rate.learning_rate for rate in rates]))),
        )
        last_v, mean_h, logits = done.out
        return Contrast(
            Phase(Units(last_v, n_units), mean_h),
            logits,
            None if h is None else Units(done.carry[0], self.n_hidden),
            None if centring is None else done.carry[-1],
        )

    def _data_means(self, v: npt.NDArray[Any]) -> Tensor:
        """On the device, and the same tensor for the same array: a recording goes by that."""
        if isinstance(v, Tensor):
            return v
        if self._means is None or self._means[0] is not v:
            self._means = v, self._real(v)
        return self._means[1]


def _at(key: Key, step: MovingStep) -> Key:
    """The key at a step that a recording finds anew whenever it is played."""
    return key.at(step)  # type: ignore[arg-type]


def _source(key: Key) -> tuple[int, int, int]:
    """What of a key stays from step to step."""
    return key.seed, key.stream, key.row


def _without_none(*tensors: Tensor | None) -> Tensors:
    return tuple(x for x in tensors if x is not None)
