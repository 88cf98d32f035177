"""Exact second moments of the visible units, by walking all states of the smaller layer in blocks."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from harmonium.engines.arithmetic import exp, log_sum_exp, logistic, matmul
from harmonium.enumeration.exact import NEGLIGIBLE, Walk, is_quick
from harmonium.progress import Progress, check_progress
from harmonium.rbm import RBM

Float64Array = npt.NDArray[np.float64]

_NANOSECONDS = 0.6  # for one state and one pair of visible units
_QUICK = 10.0  # seconds


def exact_pair_moments(
    rbm: RBM, *, max_units: int = 25, engine: str = "native", progress: Progress | None = None
) -> tuple[Float64Array, Float64Array]:
    """E[v] and E[v v'] under the model, in float64, shapes (n_visible,) and (n_visible, n_visible).

    Arguments and errors are those of `harmonium.enumeration.exact.exact_statistics`.

    Notes
    -----
    E[v_j v_k] = sum_h p(h) E[v_j | h] E[v_k | h] for j != k, and E[v_j v_j] = E[v_j]; or the sum of p(v) v v' where the
    visible layer is the smaller one.
    """
    check_progress(progress)
    walk = Walk(rbm, max_units)
    masses = walk.block_masses(engine)
    log_z = log_sum_exp(masses)
    total, mean, product = 0.0, np.zeros(rbm.n_visible), np.zeros((rbm.n_visible, rbm.n_visible))
    for block, log_mass in enumerate(masses):
        for high, minus_f in walk.runs(block) if log_mass - log_z > math.log(NEGLIGIBLE) else ():
            p = exp(minus_f - log_z)
            if walk.mirrored:
                v = np.concatenate([walk.low.T, np.repeat(high[:, None], len(p), axis=1)])
            else:
                v = logistic(walk.logits)
            weighted = v * p
            total += float(p.sum())
            mean += weighted.sum(axis=1)
            product += matmul(weighted, v.T)
        if progress is not None:
            progress(block + 1, len(masses))
    np.fill_diagonal(product, mean)
    return mean / total, product / total


def pairs_are_quick(rbm: RBM) -> bool:
    """Whether `exact_pair_moments` takes seconds, and no longer than chains would."""
    n_states = math.ldexp(1.0, min(rbm.n_visible, rbm.n_hidden, 900))
    return is_quick(rbm) and n_states * rbm.n_visible**2 * _NANOSECONDS * 1e-9 <= _QUICK
