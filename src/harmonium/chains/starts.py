"""Where chains start so that they can be seen to disagree: states as different as a machine knows of."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.chains.diagnostics import Float64Array
from harmonium.engines.arithmetic import matmul
from harmonium.random import Key
from harmonium.rbm import RBM

States01 = npt.NDArray[np.uint8]

PICK, PATTERN = 0, 1  # noise streams
_DENSE = 100  # units of the smaller layer up to which all singular vectors cost no more than a few
_TOLERANCE = 1e-4  # of a direction that chains are compared along


def alternating(n: int, first: int = 0) -> npt.NDArray[np.float32]:
    """An inverse temperature for each of `n` starts: 1, the visible biases, and 0, fair coins, in turn.

    Chains that start alike would agree also where none has seen the rest. `first` numbers the first of them.
    """
    return ((first + np.arange(n) + 1) % 2).astype(np.float32)


def leading_directions(rbm: RBM, n: int | None = None) -> Float64Array:
    """The `n` strongest right singular vectors of W, strongest first, shape (n, n_visible).

    All, min(n_hidden, n_visible), where `n` is left out or larger.
    """
    W, vectors = rbm.W.astype(np.float64), None
    if n is not None and min(W.shape) > _DENSE and W.any():
        from scipy.sparse.linalg import ArpackError, svds  # half of the time that importing harmonium would take

        start = np.cos(np.arange(min(W.shape)))  # any vector will do, but the same one in every call
        with contextlib.suppress(ArpackError):
            vectors = svds(W, n, v0=start, tol=_TOLERANCE, return_singular_vectors="vh")[2][::-1]
    if vectors is None:
        vectors = np.linalg.svd(W, full_matrices=False)[2][:n]
    return np.asarray(vectors)


def spread_out(rbm: RBM, directions: Float64Array, X: npt.NDArray[Any] | None, n: int, key: Key) -> States01:
    """`n` states as different as the machine knows of; half of them rows of `X` if there are any.

    A machine's modes lie along the leading directions of W, on either side; the signs of W'z mix what hidden units
    want, for random z of one, some or all units.
    """
    m, rows = rbm.n_visible, []
    if X is not None:
        rows.append(X[key.on(PICK).permutation(len(X))[: n // 2]] > 0.5)
    left = n - sum(len(x) for x in rows)
    along = directions[: -(-left // 6)]
    rows.append(np.concatenate([along > 0, along < 0])[: left // 3])
    left = n - sum(len(x) for x in rows)
    z = key.on(PATTERN).normal(left // 2, rbm.n_hidden)
    if z.size:  # from a single hidden unit to all of them
        kept = np.linspace(0, rbm.n_hidden, len(z)).astype(int)[:, None]
        z[np.argsort(np.argsort(np.abs(z), axis=1), axis=1) < rbm.n_hidden - np.maximum(kept, 1)] = 0
    rows.append(matmul(z, rbm.W) > 0)
    left = n - sum(len(x) for x in rows)
    density = np.linspace(0, 1, left)[:, None] if left > 1 else np.full((left, 1), 0.5)
    rows.append(key.on(PATTERN).rows_from(n).uniform(left, m) < density)
    return np.concatenate(rows).astype(np.uint8)
