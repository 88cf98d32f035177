"""The waist: what every engine can do. Algorithms above are written once, over these verbs; nothing else differs."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from harmonium.inputs import is_binary
from harmonium.random import Key
from harmonium.rbm import RBM, Statistics

FloatArray = npt.NDArray[np.floating[Any]]
# An engine's own representation of a batch of states. Its length is the number of rows.
States = Any
Beta = float | FloatArray


class Phase(NamedTuple):
    """One side of a gradient: states of the visible layer, and what the hidden layer is expected to be.

    Attributes
    ----------
    v : States, or float array of shape (rows, n_visible)
    mean_h : float array of shape (rows, n_hidden)
    weights : float array of shape (rows,), optional
        Weights of the rows; they are divided by their sum. Equal if left out.
    """

    v: States
    mean_h: FloatArray
    weights: FloatArray | None = None

    def normalised_weights(self) -> FloatArray:
        """Weights that sum to one, shape (rows,), float32."""
        if self.weights is None:
            return np.full(len(self.mean_h), 1 / len(self.mean_h), np.float32)
        return (self.weights / self.weights.sum()).astype(np.float32)


class Velocity(NamedTuple):
    """The momentum of the parameters: what the last update added to W, b and c."""

    W: FloatArray
    b: FloatArray
    c: FloatArray


class Rates(NamedTuple):
    """How far one step of learning goes.

    Attributes
    ----------
    learning_rate : float
    momentum : float
        Share of the last update that is added to this one.
    weight_decay : float
        Coefficient of -W in the gradient of W.
    """

    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0


class Offsets(NamedTuple):
    """What a centred gradient takes off the states: mu of the visible, lambda of the hidden units.

    With them a machine is thought of as E = -(h - lambda)'W(v - mu) - b0'(v - mu) - c0'(h - lambda), and the step is
    made in W, b0 and c0; it is the same model, but the step no longer depends on which state of a unit is called 1.
    In W, b and c it reads: W += dW, b += db0 - dW'lambda, c += dc0 - dW mu.

    Attributes
    ----------
    v : float array of shape (n_visible,)
    h : float array of shape (n_hidden,)

    References
    ----------
    Melchior, Fischer, Wiskott, "How to center deep Boltzmann machines", JMLR 17(99), 2016.
    """

    v: FloatArray
    h: FloatArray

    def centre(self, gradient: Statistics) -> Statistics:
        """The gradient in W, b0 and c0 from that in W, b and c, which is a difference of two sides' moments."""
        off = np.outer(gradient.h, self.v) + np.outer(self.h, gradient.v)
        return gradient._replace(hv=gradient.hv - off)


class Engine(Protocol):
    """Where one machine's parameters and states live.

    `v` arguments are states, or real arrays of probabilities of shape (rows, n_visible) where a method says so.
    All float arrays are float32 unless said.
    """

    name: str

    def __init__(self, rbm: RBM, velocity: Velocity | None = None) -> None: ...

    @property
    def rbm(self) -> RBM:
        """A copy of the current parameters."""

    @property
    def velocity(self) -> Velocity:
        """A copy of the current momentum."""

    # States
    def encode(self, X: npt.NDArray[Any]) -> States:
        """Binary array of shape (rows, units) to states."""

    def visible(self, X: npt.NDArray[Any]) -> States | FloatArray:
        """What stands for `X` where `v` may be real: states if it is binary, else a float array."""
        return self.encode(X) if is_binary(X) else np.asarray(X, np.float32)

    def draw(self, p: npt.NDArray[Any], key: Key) -> States:
        """States that are on where (bits + 1/2) / 2**32 < p."""

    def decode(self, states: States) -> npt.NDArray[np.uint8]:
        """States to an array of 0 and 1, shape (rows, units)."""

    def take(self, states: States, rows: npt.NDArray[np.intp]) -> States:
        """Some rows of `states`, in the order given."""

    def overwrite(self, states: States, where: States, values: States) -> States:
        """`states` with the units marked in `where` replaced by those of `values` (all of equal shape)."""

    # Conditionals
    def logits_h(self, v: States | FloatArray) -> FloatArray:
        """Wv + c, shape (rows, n_hidden); `v` may be real."""

    def logits_v(self, h: States) -> FloatArray:
        """W'h + b, shape (rows, n_visible)."""

    def mean(self, logits: FloatArray) -> FloatArray:
        """The logistic function, finite and monotone for every finite logit."""

    def bernoulli(self, logits: FloatArray, key: Key, beta: Beta = 1.0) -> States:
        """States that are on where (bits + 1/2) / 2**32 < sigmoid(beta * logit); `beta` a number or one per row."""

    def sample_h(self, v: States, key: Key, beta: Beta = 1.0) -> States:
        """``bernoulli(logits_h(v), key, beta)``, without keeping the logits."""

    def sample_v(self, h: States, key: Key, beta: Beta = 1.0) -> States:
        """``bernoulli(logits_v(h), key, beta)``, without keeping the logits."""

    # Sums
    def softplus_sum(self, logits: FloatArray) -> npt.NDArray[np.float64]:
        """Sum over the units of log(1 + exp(logit)), shape (rows,), float64."""

    def dot(self, v: States | FloatArray, x: FloatArray) -> npt.NDArray[np.float64]:
        """X'v for a float32 vector `x`, shape (rows,), float64; `v` may be real."""

    def pseudo_log_likelihood(self, v: States) -> npt.NDArray[np.float64]:
        """Sum over visible units of log p(v_j | the others), shape (rows,), float64."""

    @staticmethod
    def log_partition_block(rbm: RBM, first: int, count: int) -> float:
        """Log of the sum of exp(-F(h)) over the hidden states numbered first, ..., first + count - 1, in float64."""

    def moments(self, phase: Phase) -> Statistics:
        """Weighted averages of h v', v and h over the rows; ``phase.v`` may be real."""

    # Learning
    def replace(self, rbm: RBM) -> None:
        """Take over other parameters, of a machine of the same size; the momentum stays."""

    def ascend(self, positive: Phase, negative: Phase, rates: Rates, offsets: Offsets | None = None) -> None:
        """One step of gradient ascent, in place, along moments(positive) - moments(negative), centred by `offsets`."""

    def ascend_along(self, gradient: Statistics, rates: Rates, offsets: Offsets | None = None) -> None:
        """One step of gradient ascent with momentum, in place.

        The gradient of W has ``weight_decay * W`` taken off; velocity = momentum * velocity + learning_rate * gradient;
        parameters += velocity. With `offsets` gradient and velocity are those of the centred machine, and the biases
        follow as `Offsets` says.
        """
