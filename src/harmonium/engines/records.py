"""What passes between algorithms and engines: states and reals, and the records of a step of learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.statistics import Statistics

if TYPE_CHECKING:
    from harmonium.engines.engine import Engine

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]
# What an engine holds, in a form and a place of its own: binary states, and real numbers in float32. Both have a
# length, the number of rows. Nobody but the engine computes with them; where it takes reals, a NumPy array will do.
States = Any
Reals = Any
# The two parts of an affine argument, which stands for beta * x + offset: a float32 product, and then a float32 sum.
# Beta is a number or a NumPy array of shape (groups,); an offset is one of shape (units,) or (groups, units), or what
# `Engine.own` makes of such. As many consecutive rows as there are rows to a group share an entry.
Beta = float | FloatArray
Offset = FloatArray | None


class Phase(NamedTuple):
    """One side of a gradient: states of the visible layer, and what the hidden layer is expected to be.

    Attributes
    ----------
    v : States or Reals of shape (rows, n_visible)
    mean_h : Reals of shape (rows, n_hidden)
    weights : NumPy float array of shape (rows,), optional
        Weights of the rows; they are divided by their sum. Equal if left out.
    """

    v: States | Reals
    mean_h: Reals
    weights: FloatArray | None = None

    def normalised_weights(self) -> FloatArray:
        """Weights that sum to one, NumPy, shape (rows,), float32."""
        if self.weights is None:
            return np.full(len(self.mean_h), 1 / len(self.mean_h), np.float32)
        return (self.weights / self.weights.sum()).astype(np.float32)


class Velocity(NamedTuple):
    """The momentum of the parameters: what the last update added to W, b and c.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.engines.Velocity(rbm.W * 0, rbm.b * 0, rbm.c * 0).W.shape
    (1, 2)
    """

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

    Examples
    --------
    >>> import harmonium
    >>> harmonium.engines.Rates(learning_rate=0.1).momentum
    0.0
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
    v : NumPy float array of shape (n_visible,)
    h : Reals of shape (n_hidden,)
        As `Engine.slide` gives it.

    References
    ----------
    Melchior, Fischer, Wiskott, "How to center deep Boltzmann machines", JMLR 17(99), 2016.
    """

    v: FloatArray
    h: Reals

    def own(self, engine: Engine) -> Offsets:
        """The same in arrays of `engine`, as `centre` wants them."""
        return Offsets(engine.own(self.v), engine.own(self.h))

    def centre(self, gradient: Statistics) -> Statistics:
        """The gradient in W, b0 and c0 from that in W, b and c, which is a difference of two sides' moments."""
        off = gradient.h[:, None] * self.v + self.h[:, None] * gradient.v
        return gradient._replace(hv=-off + gradient.hv)  # in the layout of the first term, for NumPy and for torch


class Centring(NamedTuple):
    """What centres the steps of a run.

    Attributes
    ----------
    v : NumPy float array of shape (n_visible,)
        Means of the data.
    h : Reals of shape (n_hidden,), or None
        The running mean of the hidden units before the step, if there is one yet.
    sliding_factor : float
        How far that mean moves in a step, as in `Engine.slide`.
    """

    v: FloatArray
    h: Reals | None
    sliding_factor: float


class Contrast(NamedTuple):
    """What a step of contrastive divergence leaves beside the parameters.

    Attributes
    ----------
    negative : Phase
        The last states of the chains, and E[h | v].
    logits : Reals of shape (chains, n_hidden)
        Wv + c of those states; may be None where chains start at the batch, as nobody looks at them.
    h : States of shape (chains, n_hidden), or None
        Where persistent chains go on.
    mean_h : Reals of shape (n_hidden,), or None
        The running mean of the hidden units, if the step was centred.
    """

    negative: Phase
    logits: Reals | None
    h: States | None
    mean_h: Reals | None
