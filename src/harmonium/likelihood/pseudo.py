"""Scores that need no partition function: exact pseudo-likelihood and reconstruction error."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.engines import make_engine
from harmonium.inputs import check_matrix
from harmonium.progress import Progress, check_progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM

# Rows at a time, so that memory stays small next to the data.
_ROWS = 2000


def pseudo_log_likelihood(
    rbm: RBM, X: Any, *, engine: str = "native", progress: Progress | None = None
) -> npt.NDArray[np.float64]:
    """Sum over the visible units of log p(v_j | all other visible units), exactly and deterministically.

    Parameters
    ----------
    rbm : RBM
    X : array-like of 0 and 1, shape (n_samples, n_visible)
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` with rows, every 2,000. May raise, to stop.

    Returns
    -------
    ndarray of shape (n_samples,), in nats

    Raises
    ------
    InvalidData
        `X` is not binary or does not fit the machine: a grey level has no flipped state.

    Notes
    -----
    log p(v_j | rest) = -softplus(F(v) - F(v with unit j flipped)). Flipping unit j multiplies each factor
    1 + exp(a_i) of exp(-F) by 1 + sigmoid(a_i) (exp(+-W_ij) - 1), with a = Wv + c: O(mn) per sample.

    References
    ----------
    Besag, "Statistical analysis of non-lattice data", The Statistician 24, 1975.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.pseudo_log_likelihood(rbm, [[0, 0], [1, 0]]).round(3)
    array([-2.262, -0.531])
    """
    check_progress(progress)
    X = check_matrix(X, n_columns=rbm.n_visible, binary=True)
    engine_ = make_engine(rbm, engine)
    found = np.empty(len(X))
    for i in range(0, len(X), _ROWS):
        chunk = X[i : i + _ROWS]
        found[i : i + _ROWS] = engine_.pseudo_log_likelihood(engine_.encode(chunk))
        if progress is not None:
            progress(i + len(chunk), len(X))
    return found


def reconstruction_error(rbm: RBM, X: Any, *, seed: int | Key = 0, engine: str = "native") -> float:
    """Mean squared difference, per visible unit, between `X` and E[v | h] for one sampled h ~ p(h | X).

    A number to look at, not to steer by: it falls for machines that model the data badly, too.

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_samples, n_visible), values in [0, 1]
    seed : int or Key
    engine : {"native", "numpy", "torch"}

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> round(harmonium.reconstruction_error(rbm, [[0, 0], [1, 0]]), 3)
    0.234
    """
    X = check_matrix(X, n_columns=rbm.n_visible)
    engine_ = make_engine(rbm, engine)
    key, total = as_key(seed).derive("reconstruction"), 0.0
    for i in range(0, len(X), _ROWS):
        chunk = np.asarray(X[i : i + _ROWS], np.float32)
        h = engine_.sample_h(engine_.visible(X[i : i + _ROWS]), key.rows_from(i))
        total += float(((chunk - engine_.to_numpy(engine_.mean(engine_.logits_v(h)))) ** 2).sum(dtype=np.float64))
    return total / X.size
