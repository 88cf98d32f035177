"""The evaluation of a machine on data: likelihood where log Z is known, and the scores that always exist."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets import binarize
from harmonium.engines import make_engine
from harmonium.errors import OutOfReach
from harmonium.inputs import check_matrix, is_binary
from harmonium.likelihood.partition import LogPartition, log_partition
from harmonium.likelihood.pseudo import pseudo_log_likelihood, reconstruction_error
from harmonium.random import Key, as_key
from harmonium.rbm import RBM

_ROWS = 2000


@dataclass(frozen=True)
class LogLikelihood:
    """Mean log p(v) over samples, in nats, under both ends of log Z (None where log Z is unknown)."""

    mean: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; the fields of ``harmonium evaluate --json``."""

    n_visible: int
    n_hidden: int
    n_samples: int
    convention: str
    log_z: LogPartition
    log_likelihood: LogLikelihood
    pseudo_log_likelihood: float | None
    reconstruction_error: float

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionaries and numbers, ready for JSON."""
        return asdict(self)


def free_energy(rbm: RBM, X: Any, *, engine: str = "native") -> npt.NDArray[np.float64]:
    """F(v) for each row of `X`, shape (n_samples,): log p(v) = -F(v) - log Z. `X` may hold grey levels."""
    X = check_matrix(X, n_columns=rbm.n_visible)
    engine_, b = make_engine(rbm, engine), rbm.b.astype(np.float32)
    chunks = (engine_.visible(X[i : i + _ROWS]) for i in range(0, len(X), _ROWS))
    return np.concatenate([-engine_.dot(v, b) - engine_.softplus_sum(engine_.logits_h(v)) for v in chunks])


def log_likelihood(rbm: RBM, X: Any, log_z: LogPartition | None = None, *, engine: str = "native") -> LogLikelihood:
    """Mean log-likelihood of the rows of `X` in nats.

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_samples, n_visible), values in [0, 1]
    log_z : LogPartition, optional
        Computed exactly if left out.
    engine : {"native", "numpy"}

    Raises
    ------
    OutOfReach
        `log_z` is left out and too expensive to enumerate.
    """
    log_z = log_partition(rbm, engine=engine) if log_z is None else log_z
    if log_z.value is None or log_z.lower is None or log_z.upper is None:
        return LogLikelihood(None, None, None)
    mean = float(-free_energy(rbm, X, engine=engine).mean())
    return LogLikelihood(mean - log_z.value, mean - log_z.upper, mean - log_z.lower)


def evaluate(
    rbm: RBM, X: Any, *, convention: str = "threshold", seed: int | Key = 0, engine: str = "native"
) -> Evaluation:
    """Every score of a machine on data.

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_samples, n_visible), values in [0, 1]
    convention : {"threshold", "sample", "none"}
        How grey levels become states; likelihoods under different conventions cannot be compared.
    seed : int or Key
    engine : {"native", "numpy"}

    Returns
    -------
    Evaluation
        Without a likelihood where log Z is out of reach (the verdict says why), and without a pseudo-likelihood
        where grey levels are left as they are.
    """
    key = as_key(seed)
    X = binarize(check_matrix(X, n_columns=rbm.n_visible), convention, key.derive("binarize"))
    try:
        log_z = log_partition(rbm, engine=engine)
    except OutOfReach as error:
        log_z = LogPartition(None, None, None, "exact", str(error))
    return Evaluation(
        n_visible=rbm.n_visible,
        n_hidden=rbm.n_hidden,
        n_samples=len(X),
        convention=convention,
        log_z=log_z,
        log_likelihood=log_likelihood(rbm, X, log_z, engine=engine),
        pseudo_log_likelihood=float(pseudo_log_likelihood(rbm, X, engine=engine).mean()) if is_binary(X) else None,
        reconstruction_error=reconstruction_error(rbm, X, seed=key, engine=engine),
    )

