"""How a gradient becomes a step: centring, penalties, clipping, momentum or Adam.

Plain gradient ascent with momentum, weight decay and centring is fused in the engines (`Engine.ascend`). Everything
else goes the general way: the gradient is formed as arrays, changed by what follows, and handed to
`Engine.ascend_along`. In this order:

1. the data's own means take the place of the batch's in the gradient of b (``data_moments``);
2. offsets are taken off (`harmonium.engines.Offsets`);
3. L1: ``l1 * sign(W)`` is taken off the gradient of W;
4. sparsity: ``sparsity_cost * (q_i - sparsity_target)`` is taken off the gradient of c_i, where q_i is a moving average
   of E[h_i | v] over the data (Lee, Ekanadham, Ng, NIPS 2007; Hinton, UTML TR 2010-003, section 11);
5. clipping: a gradient with a Euclidean norm (of W, b and c together) above ``clip`` is shortened to that norm;
6. Adam (Kingma and Ba, ICLR 2015; beta_1 0.9, beta_2 0.999, eps 1e-8) replaces the gradient by its scaled mean; weight
   decay then acts beside it, not through it (Loshchilov and Hutter, ICLR 2019);
7. after the step, a hidden unit whose weights have a norm above ``max_norm`` has them scaled back to it.
"""

from __future__ import annotations

import numpy as np

from harmonium.engines import Centring, Engine, Offsets, Phase, Rates, Reals
from harmonium.engines.records import FloatArray
from harmonium.rbm import RBM
from harmonium.statistics import Statistics
from harmonium.training.config import Config
from harmonium.training.negative import Arrays, Positive

_SLIDING_FACTOR = 0.01  # of the moving averages of the hidden units' means (Melchior, Fischer, Wiskott 2016)
_ACTIVITY_DECAY = 0.95  # of the moving average of activations that the sparsity target is held against
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


class Optimizer:
    """Makes the steps of a run.

    Parameters
    ----------
    config : Config
    data_means : float array of shape (n_visible,)
        Means of the training data: the offsets of the visible units.
    arrays : mapping of arrays
        What `arrays` returned at the checkpoint; empty for a fresh start.

    Attributes
    ----------
    weight_decay : float
        Where the run has come to; that of `config` if left as it is.
    """

    def __init__(self, config: Config, data_means: FloatArray, arrays: Arrays) -> None:
        self._config, self._data_means = config, data_means
        self.weight_decay = config.decay
        self._hidden_means: Reals | None = arrays.get("hidden_means")
        self._activity: Reals | None = arrays.get("activity")
        self._adam: tuple[Statistics, Statistics] | None = None
        if "adam.W" in arrays:
            first, second = (Statistics(*(arrays[f"{name}.{part}"] for part in "Wbc")) for name in ("adam", "adam2"))
            self._adam = first, second
        self._plain = config.optimizer == "sgd" and not (
            config.data_moments or config.l1 or config.sparsity_cost or config.clip or config.max_norm
        )

    def arrays(self, engine: Engine) -> Arrays:
        """What a checkpoint must keep, by name."""
        means = None if self._hidden_means is None else engine.to_numpy(self._hidden_means)
        activity = None if self._activity is None else engine.to_numpy(self._activity)
        kept = {"hidden_means": means, "activity": activity}
        if self._adam is not None:
            for name, moment in zip(("adam", "adam2"), self._adam, strict=True):
                kept |= {f"{name}.{part}": engine.to_numpy(x) for part, x in zip("Wbc", moment, strict=True)}
        return {name: x for name, x in kept.items() if x is not None}

    @property
    def centring(self) -> Centring | None:
        """What centres the next step, if anything does."""
        return Centring(self._data_means, self._hidden_means, _SLIDING_FACTOR) if self._config.centered else None

    def plain_rates(self, learning_rate: float, relative_weight: float) -> Rates | None:
        """The rates of a step if it goes along the gradient as it is, None if something changes that."""
        if not self._plain:
            return None
        return Rates(relative_weight * learning_rate, self._config.sgd_momentum, self.weight_decay)

    def keep(self, hidden_means: Reals | None) -> None:
        """Go on from a step that the engine has made."""
        self._hidden_means = hidden_means

    def offsets(self, engine: Engine, positive: Phase) -> Offsets | None:
        """What centring takes off in the step of a batch, if anything; to be asked for once a step."""
        if not self._config.centered:
            return None
        self._hidden_means = engine.slide(self._hidden_means, positive, _SLIDING_FACTOR)
        return Offsets(self._data_means, self._hidden_means)

    def ascend(
        self, engine: Engine, positive: Positive, negative: Phase | Statistics, learning_rate: float, step: int
    ) -> None:
        """One step; `step` counts from 0."""
        config, offsets, relative_weight = self._config, positive.offsets, positive.relative_weight
        rates = Rates(relative_weight * learning_rate, config.sgd_momentum, self.weight_decay)
        if self._plain and isinstance(negative, Phase):
            engine.ascend(positive.phase, negative, rates, offsets)
            return
        data = engine.moments(positive.phase)
        model = negative if isinstance(negative, Statistics) else engine.moments(negative)
        gradient = data - Statistics(*map(engine.own, model))
        if offsets is not None:
            gradient = offsets.own(engine).centre(gradient)
        if config.data_moments:
            gradient = gradient._replace(v=gradient.v + (engine.own(self._data_means) - data.v))
        if config.l1:
            gradient = gradient._replace(hv=gradient.hv - config.l1 * engine.arrays.sign(engine.parameters.hv))
        if config.sparsity_cost:
            gradient = gradient._replace(h=gradient.h - config.sparsity_cost * self._excess(engine, data.h))
        if config.clip:
            gradient = _clipped(engine, gradient, config.clip)
        if config.optimizer == "adam":
            # The scale of a gradient cancels in Adam's direction: what a batch weighs must be in it before.
            gradient = self._adam_direction(engine, Statistics(*(relative_weight * x for x in gradient)), step)
            rates = Rates(learning_rate, 0.0, self.weight_decay)
        engine.ascend_along(gradient, rates, offsets)
        if config.max_norm:
            _limit_norms(engine, config.max_norm, offsets)

    def _excess(self, engine: Engine, activity: Reals) -> Reals:
        last = activity if self._activity is None else engine.own(self._activity)
        self._activity = _ACTIVITY_DECAY * last + (1 - _ACTIVITY_DECAY) * activity
        return self._activity - self._config.target

    def _adam_direction(self, engine: Engine, gradient: Statistics, step: int) -> Statistics:
        if self._adam is None:
            zero = Statistics(*(engine.arrays.zeros_like(x) for x in gradient))
            self._adam = zero, zero
        before = (Statistics(*map(engine.own, moment)) for moment in self._adam)
        first = _moving_average(_BETA_1, next(before), gradient)
        second = _moving_average(_BETA_2, next(before), Statistics(*(x * x for x in gradient)))
        self._adam = first, second
        scale, scale2 = (1 / (1 - beta ** (step + 1)) for beta in (_BETA_1, _BETA_2))
        parts = zip(first, second, strict=True)
        return Statistics(*(scale * x / (engine.arrays.sqrt(scale2 * y) + _EPSILON) for x, y in parts))


# Numbers are rounded to single precision before they meet an array of it, by NumPy as by torch.
def _moving_average(kept: float, average: Statistics, latest: Statistics) -> Statistics:
    pairs = zip(average, latest, strict=True)
    return Statistics(*(kept * was + (1 - kept) * now for was, now in pairs))


def _clipped(engine: Engine, gradient: Statistics, clip: float) -> Statistics:
    # The sum is NumPy's, whose order no other library has.
    norm = float(np.sqrt(sum(np.square(engine.to_numpy(x), dtype=np.float64).sum() for x in gradient)))
    return gradient if norm <= clip else Statistics(*((clip / norm) * x for x in gradient))


def _limit_norms(engine: Engine, max_norm: float, offsets: Offsets | None) -> None:
    W = engine.parameters.hv
    with np.errstate(over="ignore"):
        largest = float(engine.to_numpy((W * W).sum(1).max()))
    if largest < 0.99 * max_norm**2:  # far from it, whatever the order of the sums
        return
    rbm = engine.rbm
    W, b, c = rbm.W, rbm.b, rbm.c
    norms = np.sqrt(np.square(W, dtype=np.float64).sum(axis=1))
    if norms.max() <= max_norm:
        return
    limited = (max_norm / np.maximum(norms, max_norm)).astype(np.float32)[:, None] * W
    if offsets is not None:  # what is scaled are the weights of the centred machine
        change, h = limited - W, engine.to_numpy(offsets.h)
        b, c = b - (h[:, None] * change).sum(axis=0), c - (change * offsets.v).sum(axis=1)
    engine.replace(RBM(limited, b, c))
