"""The evaluation of a machine on data: likelihood where log Z is known, and the scores that always exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets import BINARIZATIONS
from harmonium.datasets.binarize import states_of
from harmonium.engines import on_device
from harmonium.engines.arithmetic import log_sum_exp
from harmonium.errors import InvalidData, InvalidParameter, OutOfReach
from harmonium.inputs import check_choice, check_matrix, is_binary, missing_entries
from harmonium.likelihood.conservative import ConservativeLogLikelihood, conservative_log_likelihood
from harmonium.likelihood.estimate import Estimate, check_log_z
from harmonium.likelihood.marginal import marginals
from harmonium.likelihood.partition import log_partition
from harmonium.likelihood.pseudo import pseudo_log_likelihood, reconstruction_error
from harmonium.likelihood.schedule import ADAPTIVE, Temperatures
from harmonium.progress import Progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM

_LOG_LIKELIHOOD = "mean log-likelihood", "mean log-likelihood of what is observed"


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; the fields of ``harmonium evaluate --json``.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> X = [[1, 0], [1, 1], [0, 0]]
    >>> found = harmonium.evaluate(rbm, X)
    >>> print(found.log_z)
    log Z = 3.13 (exact, ok)
    >>> print(f"{found.log_likelihood.value:.3f} nats")
    -1.381 nats
    """

    n_visible: int
    n_hidden: int
    n_samples: int
    binarize: str
    log_z: Estimate
    log_likelihood: Estimate
    pseudo_log_likelihood: float | None
    reconstruction_error: float | None
    conservative: ConservativeLogLikelihood | None = None

    def __repr__(self) -> str:
        words = [f"{self.n_samples} samples", str(self.log_likelihood), str(self.log_z)]
        if self.conservative is not None:
            words.append(f"conservative bound {self.conservative.mean:.2f}")
        if self.pseudo_log_likelihood is not None:
            words.append(f"pseudo-log-likelihood {self.pseudo_log_likelihood:.2f}")
        if self.reconstruction_error is not None:
            words.append(f"reconstruction error {self.reconstruction_error:.4f}")
        return f"Evaluation({'; '.join(words)})"

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionaries and numbers, ready for JSON; ``conservative`` only where it was asked for."""
        items = {x.name: getattr(self, x.name) for x in fields(self)}
        if self.conservative is None:
            del items["conservative"]
        records = Estimate | ConservativeLogLikelihood
        return {name: x.as_dict() if isinstance(x, records) else x for name, x in items.items()}


def log_likelihood(
    rbm: RBM,
    X: Any,
    log_z: Estimate | None = None,
    *,
    binarize: str | None = None,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> Estimate:
    """Mean log-likelihood of the rows of `X` in nats; of what is observed, where entries are missing.

    Parameters
    ----------
    rbm : RBM
    X : array-like of 0 and 1, shape (n_samples, n_visible)
        NaN where an entry is missing.
    log_z : Estimate, optional
        Computed exactly if left out.
    binarize : {"threshold", "sample", "none"}, optional
        How `X` was made binary, to be noted in the record. Under "none" `X` may hold grey levels, which stand for
        probabilities: -F(v) - log Z is no log-likelihood then, but extends it smoothly.
    seed : int or Key
        Of the annealing that `marginal_free_energy` does for some rows with missing entries.
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        As in `marginal_free_energy`, once log Z is known.

    Returns
    -------
    Estimate
        Of the mean log-likelihood: under the value, the upper end and the lower end of log Z, the ends two standard
        errors further out where sums over missing entries were annealed. Where the probabilities of the distinct
        samples add up to more than 1 even under the upper end of log Z, that end is proved too low, and the verdict is
        "unreliable".

    Raises
    ------
    InvalidData
        `X` holds grey levels, and `binarize` is not "none".
    OutOfReach
        `log_z` is left out and too expensive to enumerate: pass ``log_partition(rbm, "ais")``.

    Notes
    -----
    The probabilities of distinct binary samples sum to at most 1, so log Z is at least the log of the sum of exp(-F)
    over them.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.log_likelihood(rbm, [[0, 0], [1, 0]])
    Estimate(mean log-likelihood = -1.36 (exact, ok))
    """
    if binarize is not None:
        check_choice(binarize, "binarize", BINARIZATIONS)
    X = check_matrix(X, n_columns=rbm.n_visible, allow_nan=True)
    missing = missing_entries(X)
    n_missing, grey = (0, not is_binary(X)) if missing is None else (int(missing.sum()), not is_binary(X[~missing]))
    if grey and binarize != "none":
        raise InvalidData(
            "X must hold only 0 and 1 for a likelihood of states. Got grey levels. Make them states with "
            'datasets.binarize, or pass binarize="none" to keep them as probabilities.'
        )
    log_z = log_partition(rbm, "exact", engine=engine) if log_z is None else check_log_z(log_z)
    quantity = _LOG_LIKELIHOOD[n_missing > 0]
    if log_z.value is None or log_z.lower is None or log_z.upper is None:
        unknown = Estimate.unknown(quantity, log_z.reason, log_z.method)
        return replace(unknown, binarize=binarize, n_missing=n_missing)
    found = marginals(rbm, X, seed=as_key(seed).derive("log_likelihood"), engine=engine, progress=progress)
    minus_f = -found.free_energy
    complete = slice(None) if missing is None else ~missing.any(axis=1)
    mean, error = float(minus_f.mean()), float(np.sqrt((found.standard_error**2).sum())) / len(X)
    reasons = [f"log Z is {log_z.verdict}: {log_z.reason}"] if log_z.verdict != "ok" else []
    excess = "" if grey else _excess(X[complete], minus_f[complete], log_z.upper)
    return Estimate(
        quantity,
        mean - log_z.value,
        mean - log_z.upper - 2 * error,
        mean - log_z.lower + 2 * error,
        "ais" if error else log_z.method,
        "unreliable" if excess else log_z.verdict,
        "; ".join([*reasons, excess] if excess else reasons),
        binarize=binarize,
        n_missing=n_missing,
        per_sample=minus_f - log_z.value,
    )


def _excess(X: npt.NDArray[Any], minus_f: npt.NDArray[np.float64], upper: float) -> str:
    """How the probabilities of the distinct rows add up to more than 1 under the upper end of log Z; empty if not."""
    if len(X) == 0:
        return ""
    _, rows = np.unique(np.packbits(X > 0, axis=1), axis=0, return_index=True)
    excess = log_sum_exp(minus_f[rows]) - upper
    if excess <= 1e-3 + 1e-6 * float(np.abs(minus_f).max()):  # float32 logits
        return ""
    return f"the probabilities of {len(rows)} distinct samples sum to exp({excess:.2f}): log Z is too low"


def evaluate(
    rbm: RBM,
    X: Any,
    *,
    binarize: str = "threshold",
    log_z: str | Estimate = "auto",
    chains: int | None = None,
    temperatures: Temperatures = ADAPTIVE,
    trajectory: Sequence[RBM] = (),
    conservative: bool = False,
    seed: int | Key = 0,
    engine: str = "native",
    device: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Every score of a machine on data.

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_samples, n_visible), values in [0, 1], NaN where missing
    binarize : {"threshold", "sample", "none"}
        How grey levels become states; likelihoods under different choices cannot be compared.
    log_z : {"auto", "exact", "ais", "tempered"} or Estimate
        How log Z is to be found, or what it is known to be. An estimate starts from the means of `X`.
    chains, temperatures, trajectory, progress
        As in `log_partition`.
    conservative : bool
        Whether to add the reverse annealed bound (`harmonium.likelihood.conservative`), which errs downwards, for as
        many complete rows as there are `chains`; left out, 500.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    device : {"cpu", "cuda", "mps"}, optional
        Where ``engine="torch"`` computes; "cuda" if left out and there is one, else "cpu".

    Returns
    -------
    Evaluation
        Without a likelihood where log Z is out of reach (the verdict says why), and without a pseudo-likelihood
        where grey levels are left as they are. Where entries are missing, the likelihood is that of what is observed,
        and there is neither pseudo-likelihood nor reconstruction error.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> X = [[1, 0], [1, 1], [0, 0]]
    >>> print(f"{harmonium.evaluate(rbm, X).log_likelihood.value:.3f} nats")
    -1.381 nats
    """
    key, engine = as_key(seed).derive("evaluate"), on_device(engine, device)
    X = check_matrix(X, n_columns=rbm.n_visible, allow_nan=True)
    X = states_of(X, check_choice(binarize, "binarize", BINARIZATIONS), key.derive("binarize"))
    if conservative not in (True, False):
        raise InvalidParameter(
            f"conservative must be True or False. Got {conservative!r}. Say how many rows by chains."
        )
    rows = _complete_states(X) if conservative else None
    if not isinstance(log_z, Estimate):
        how: dict[str, Any] = {"chains": chains, "temperatures": temperatures, "progress": progress}
        log_z = _log_z(rbm, log_z, X, key, engine, trajectory=trajectory, **how)
    complete = missing_entries(X) is None
    bound = None
    if rows is not None:
        how = {"n_samples": 500 if chains is None else chains, "temperatures": temperatures, "progress": progress}
        bound = conservative_log_likelihood(rbm, rows, X_train=X, seed=key, engine=engine, **how)
    return Evaluation(
        n_visible=rbm.n_visible,
        n_hidden=rbm.n_hidden,
        n_samples=len(X),
        binarize=binarize,
        log_z=log_z,
        log_likelihood=log_likelihood(rbm, X, log_z, binarize=binarize, seed=key, engine=engine),
        pseudo_log_likelihood=float(pseudo_log_likelihood(rbm, X, engine=engine).mean())
        if complete and is_binary(X)
        else None,
        reconstruction_error=reconstruction_error(rbm, X, seed=key, engine=engine) if complete else None,
        conservative=bound,
    )


def _complete_states(X: npt.NDArray[Any]) -> npt.NDArray[Any]:
    missing = missing_entries(X)
    rows = X if missing is None else X[~missing.any(axis=1)]
    if len(rows) == 0 or not is_binary(rows):
        raise InvalidData(
            "X must hold complete rows of 0 and 1 for the conservative bound. Got none. Leave the bound out, or make "
            "states of grey levels (binarize)."
        )
    return rows


def _log_z(
    rbm: RBM,
    method: str,
    X: npt.NDArray[Any],
    key: Key,
    engine: str,
    **how: Any,
) -> Estimate:
    """`log_partition`, with what is out of reach put in words instead of raised."""
    check_choice(method, "log_z", ("auto", "exact", "ais", "tempered"))
    try:
        return log_partition(rbm, method, X=X, seed=key, engine=engine, **how)
    except OutOfReach as error:
        return Estimate.unknown("log Z", str(error))
