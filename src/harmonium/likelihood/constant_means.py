"""The constant-means path: biases under which the mean of every unit, at every beta, is what it is in the machine.

On the linear path a trained machine freezes: its hidden units are half on at first, patterns that are rare among hot
states are frequent among cold ones, and chains that have settled in one can no longer leave it when the balance shifts.
What shifts the balance is mostly a matter of single units' means. With biases that hold these still at every
temperature, while the weights grow, patterns appear gradually and keep roughly their shares: the log weights vary much
less, and states travel more easily between the ends.

The biases are found by stochastic approximation, one knot after the other: chains at a fixed temperature, biases that
move against the error of the means and come to rest. A polynomial through the knots takes the noise out. Any path is
valid; a path that misses its aim only costs variance.

References
----------
Grosse, Maddison, Salakhutdinov, "Annealing between distributions by averaging moments", NIPS 2013 (paths by moments).
Robbins, Monro, "A stochastic approximation method", Ann. Math. Statist. 22, 1951.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.chains import gibbs
from harmonium.chains.gibbs import START, GibbsState
from harmonium.chains.path import BiasPath, Float64Array, Point
from harmonium.engines import make_engine
from harmonium.engines.arithmetic import log, matmul
from harmonium.engines.generic import independent_v
from harmonium.likelihood.annealed import Tick
from harmonium.random import Key
from harmonium.rbm import RBM

_KNOTS = 11
_CHAINS = 256
_SWEEPS = 100  # at each knot
_RATE, _HALVED = 0.5, 10.0  # of the approximation: at first, and after how many sweeps it is half of that
_LARGEST_STEP = 1.0  # log-odds by which a bias may move in a sweep, but for the rate
_TERMS = 4  # of the polynomial
_SURE = 1e-6  # no mean is taken to be closer to 0 or 1

N_SWEEPS = (_KNOTS - 2) * _SWEEPS


def constant_means_path(
    rbm: RBM,
    means: tuple[Float64Array, Float64Array],
    key: Key,
    engine: str = "native",
    tick: Tick = lambda: None,
) -> BiasPath:
    """The path whose visible and hidden units have the given means at all temperatures but the last.

    Parameters
    ----------
    rbm : RBM
    means : pair of arrays of shapes (n_visible,) and (n_hidden,)
        Those of the machine itself, for a path without a step at its end.
    key : Key
    engine : str
    tick : callable
        Called `N_SWEEPS` times.
    """
    betas, engine_ = np.linspace(0, 1, _KNOTS), make_engine(rbm, engine)
    v_target, h_target = (log_odds(x) for x in means)
    v = independent_v(engine_, _CHAINS, key.on(START), 0.0, v_target.astype(np.float32))
    state, x, y = GibbsState(v, _SWEEPS), [v_target], [h_target]
    for k in range(1, _KNOTS - 1):
        if k == 1:  # units that see the others' means
            x_k, y_k = (
                v_target - betas[1] * (matmul(means[1], rbm.W) + rbm.b),
                h_target - betas[1] * (matmul(means[0], rbm.W.T) + rbm.c),
            )
        else:
            x_k, y_k = 2 * x[-1] - x[-2], 2 * y[-1] - y[-2]
        x_sum, y_sum = np.zeros_like(x_k), np.zeros_like(y_k)
        for sweep in range(_SWEEPS):
            point = Point(betas[k], x_k.astype(np.float32), y_k.astype(np.float32))
            state, info = gibbs.step(engine_, state, key, point, watched=True)
            v_sums, h_sums = gibbs.summed_means(engine_, info, point)
            rate = _RATE / (1 + sweep / _HALVED)
            x_k = x_k + rate * np.clip(v_target - log_odds(v_sums / _CHAINS), -_LARGEST_STEP, _LARGEST_STEP)
            y_k = y_k + rate * np.clip(h_target - log_odds(h_sums / _CHAINS), -_LARGEST_STEP, _LARGEST_STEP)
            if sweep >= _SWEEPS // 2:
                x_sum, y_sum = x_sum + x_k, y_sum + y_k
            tick()
        x.append(x_sum / (_SWEEPS - _SWEEPS // 2))
        y.append(y_sum / (_SWEEPS - _SWEEPS // 2))
    return BiasPath(betas, _smooth(betas, x), _smooth(betas, y))


def log_odds(p: npt.NDArray[Any]) -> Float64Array:
    """The biases of independent units with these means, finite for any."""
    p = np.clip(np.asarray(p, np.float64), _SURE, 1 - _SURE)
    return log(p) - log(1 - p)


def _smooth(betas: Float64Array, inner: list[Float64Array]) -> Float64Array:
    """The rows of all knots, on a polynomial that keeps the first and ends in 0; `inner` lacks the last."""
    smooth = (1 - betas[:, None]) * inner[0]
    inside = betas[1:-1, None]
    # Powers as products, by vander: those of pow() are the processor's.
    basis = _orthonormal(inside * (1 - inside) * np.vander(betas[1:-1], _TERMS, increasing=True))
    smooth[1:-1] += matmul(basis, matmul(basis.T, np.stack(inner[1:]) - smooth[1:-1]))
    return smooth


def _orthonormal(columns: Float64Array) -> Float64Array:
    """An orthonormal basis of the span of independent columns, by Gram and Schmidt: LAPACK's bits vary."""
    basis = columns.copy()
    for k in range(basis.shape[1]):
        for _ in range(2):  # once more takes off what rounding has left
            for j in range(k):
                basis[:, k] -= (basis[:, j] * basis[:, k]).sum() * basis[:, j]
        basis[:, k] /= np.sqrt((basis[:, k] ** 2).sum())
    return basis
