"""Paths from independent units to a machine: other biases, at another beta.

At beta a path has the unnormalised distribution of v, with the hidden units summed out,

    f_beta(v) = exp((beta b + x(beta))'v + sum_i softplus(beta (c_i + W_i v) + y_i(beta))),

where x and y are what the biases have on the way beside their share of the machine's: piecewise linear in beta, and
zero at beta = 1. At beta = 0 units are independent. Annealing and tempering take the same paths: the linear one, whose
x wanes from the biases of the base to nothing (Salakhutdinov and Murray 2008), or one that keeps the means of all units
(`harmonium.likelihood.constant_means`).

References
----------
Salakhutdinov, Murray, "On the quantitative analysis of deep belief networks", ICML 2008.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.engines import Engine, Reals, States
from harmonium.engines.generic import independent_v
from harmonium.engines.records import Beta, Offset
from harmonium.random import Key
from harmonium.special import softplus

Float64Array = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]


class Point(NamedTuple):
    """A place on a path: the log-odds of h given v are beta (Wv + c) + y, those of v given h beta (W'h + b) + x.

    Attributes
    ----------
    beta : float, or array of shape (groups,)
        Inverse temperature; as many consecutive rows as there are rows to a group share an entry.
    x : array of shape (n_visible,) or (groups, n_visible), optional
        Visible biases beside beta b; zero if left out.
    y : array of shape (n_hidden,) or (groups, n_hidden), optional
        Hidden biases beside beta c, likewise.

    Examples
    --------
    >>> import harmonium
    >>> harmonium.chains.Point(beta=0.5).beta
    0.5
    """

    beta: Beta = 1.0
    x: Offset = None
    y: Offset = None

    @property
    def of_v(self) -> tuple[Beta, Offset]:
        """The affine argument of the verbs that draw v: what its log-odds are, given those at beta = 1."""
        return self.beta, self.x

    @property
    def of_h(self) -> tuple[Beta, Offset]:
        """The same of h."""
        return self.beta, self.y

    def take(self, groups: npt.NDArray[np.intp]) -> Point:
        """The places of some groups, in the order given."""
        x, y = (None if table is None else table[groups] for table in (self.x, self.y))
        return Point(np.asarray(self.beta)[groups], x, y)


MACHINE = Point()  # the end of every path


class BiasPath:
    """The biases between independent units and a machine.

    Parameters
    ----------
    betas : array of shape (knots,)
        From 0 to 1.
    x : array of shape (knots, n_visible)
        Visible biases beside beta b; linear between the knots, zero at the last.
    y : array of shape (knots, n_hidden)
        Hidden biases beside beta c, likewise.

    Attributes
    ----------
    betas, x, y
        As given, in double precision the former and in single precision the others.
    log_z_base : float
        log Z at beta = 0, exactly: sum_j softplus(x_j(0)) + sum_i softplus(y_i(0)).
    """

    def __init__(self, betas: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike) -> None:
        self.betas: Float64Array = np.asarray(betas, np.float64)
        self.x, self.y = (np.asarray(z, np.float32) for z in (x, y))
        self.log_z_base = float(sum(softplus(z[0].astype(np.float64)).sum() for z in (self.x, self.y)))
        self._moving = tuple(z if z.any() else None for z in (self.x, self.y))

    def at(self, beta: Beta) -> Point:
        """The place at `beta`, or one for each of its groups."""
        low, far = self._place(np.asarray(beta, np.float64))
        part = far.astype(np.float32)[..., None]
        x, y = (None if z is None else (1 - part) * z[low] + part * z[low + 1] for z in self._moving)
        return Point(np.asarray(beta, np.float32), x, y)

    def start(self, engine: Engine, n: int, key: Key) -> States:
        """`n` independent exact samples at beta = 0."""
        return independent_v(engine, n, key, 0.0, self.x[0])

    def log_ratio(self, engine: Engine, v: States, logits: Reals, before: Point, after: Point) -> Float64Array:
        """log f(v) at `after` minus log f(v) at `before`, of the machine that `engine` holds.

        Parameters
        ----------
        engine : Engine
        v : States of shape (rows, n_visible)
        logits : Reals of shape (rows, n_hidden)
            Wv + c.
        before, after : Point
            Places on this path, one or one for each group of rows.

        Returns
        -------
        float64 array of shape (rows,)
            In nats.
        """
        hidden = engine.softplus_sum(logits, *after.of_h) - engine.softplus_sum(logits, *before.of_h)
        return self._visible_log_ratio(engine, v, before.beta, after.beta) + hidden

    def _visible_log_ratio(self, engine: Engine, v: States, before: Beta, after: Beta) -> Float64Array:
        """What (beta b + x(beta))'v gains from `before` to `after`: a sum over the segments between the knots."""
        parts = self._passed(after) - self._passed(before)
        n_groups, n_rows = len(parts), len(v) // len(parts)
        gain = np.zeros((n_groups, n_rows))
        b, widths = engine.visible_biases(), np.diff(self.betas).astype(np.float32)
        for segment, (width, rise) in enumerate(zip(widths, np.diff(self.x, axis=0), strict=True)):
            moving = np.flatnonzero(parts[:, segment])
            if len(moving) == 0:
                continue
            rows = (moving[:, None] * n_rows + np.arange(n_rows)).ravel()
            part = v if len(moving) == n_groups else engine.take(v, rows)
            slope = engine.dot(part, width * b + rise).reshape(len(moving), n_rows)
            gain[moving] += parts[moving, segment, None] * slope
        return gain.ravel()

    def slopes(self, engine: Engine, betas: Float64Array) -> tuple[Float32Array, Float64Array]:
        """The vectors whose dot products with v `log_ratio` takes on the way along `betas`, and their factors.

        Shapes (temperatures - 1, most, n_visible) and (temperatures - 1, most), zeros where a step passes few segments.
        """
        parts = np.diff(self._passed(betas), axis=0)
        vectors = np.diff(self.betas).astype(np.float32)[:, None] * engine.visible_biases() + np.diff(self.x, axis=0)
        most = max(1, int((parts != 0).sum(axis=1).max(initial=1)))
        slopes, factors = np.zeros((len(parts), most, vectors.shape[1]), np.float32), np.zeros((len(parts), most))
        for k, part in enumerate(parts):
            moving = np.flatnonzero(part)
            slopes[k, : len(moving)], factors[k, : len(moving)] = vectors[moving], part[moving]
        return slopes, factors

    def _passed(self, beta: Beta) -> Float64Array:
        """How much of each segment lies before each `beta`, shape (groups, segments)."""
        betas = np.atleast_1d(np.asarray(beta, np.float64))[:, None]
        return np.clip((betas - self.betas[:-1]) / np.diff(self.betas), 0, 1)

    def _place(self, beta: Float64Array) -> tuple[npt.NDArray[np.intp], Float64Array]:
        """The knot before each `beta`, and how far on the way to the next it is."""
        low = np.clip(np.searchsorted(self.betas, beta, side="right") - 1, 0, len(self.betas) - 2)
        return low, (beta - self.betas[low]) / (self.betas[low + 1] - self.betas[low])


def linear_path(base: npt.NDArray[Any], n_hidden: int) -> BiasPath:
    """Biases (1 - beta) base + beta b, and beta c."""
    return BiasPath([0.0, 1.0], np.stack([base, np.zeros_like(base)]), np.zeros((2, n_hidden)))
