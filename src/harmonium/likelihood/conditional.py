"""Probabilities of some visible units given others: log p(v_A | v_B).

A machine with visible units held is another RBM of the free ones, so the sum over all configurations that agree with an
assignment is the partition function of that machine. The two of a conditional probability are found, and doubted, as
log Z is.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.engines.arithmetic import matmul, softplus
from harmonium.errors import InvalidData
from harmonium.inputs import check_matrix
from harmonium.likelihood.bracket import width
from harmonium.likelihood.estimate import Estimate
from harmonium.likelihood.partition import log_partition
from harmonium.likelihood.schedule import ADAPTIVE, Temperatures
from harmonium.progress import Progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM

_QUANTITY = "log-probability"


def log_conditional_probability(
    rbm: RBM,
    A: Any,
    given: Any = None,
    *,
    method: str = "auto",
    chains: int = 100,
    temperatures: Temperatures = ADAPTIVE,
    max_units: int | None = None,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> Estimate:
    """log p(v_A = a | v_B = b), the units that neither mentions being summed out.

    Parameters
    ----------
    rbm : RBM
    A : array-like of shape (n_visible,), of 0, 1 and NaN
        The assignment whose probability is asked for: NaN for units that it does not mention.
    given : array-like of shape (n_visible,), of 0, 1 and NaN, optional
        The assignment B that is known to hold; nothing if left out, which makes it the marginal probability of `A`.
    method, chains, temperatures, max_units, seed, engine, progress
        As in `log_partition`, for each of the two sums.

    Returns
    -------
    Estimate
        Of the log-probability, -inf where `A` contradicts `B`. The ends are those of two brackets, each of which covers
        its log Z in at least 95 % of runs, so they cover in at least 90 %.

    Raises
    ------
    OutOfReach
        The method is "exact", and there are more than `max_units` hidden units as well as free visible ones.
    InvalidData, InvalidParameter

    Notes
    -----
    log p(A | B) = log Z(A and B held) - log Z(B held), by `clamped`.

    Examples
    --------
    >>> nan = float("nan")
    >>> rbm = RBM(W=[[4.0, 4.0]], b=[-2.0, -2.0], c=[-2.0])
    >>> round(float(log_conditional_probability(rbm, [nan, 1], given=[1, nan])), 4)
    -0.1426
    """
    a = _assignment(A, rbm.n_visible, "A")
    b = _assignment(np.full(rbm.n_visible, np.nan) if given is None else given, rbm.n_visible, "given")
    both = ~np.isnan(a) & ~np.isnan(b)
    if (a[both] != b[both]).any():
        return Estimate.exact(_QUANTITY, -math.inf)
    if not (np.isnan(b) & ~np.isnan(a)).any():
        return Estimate.exact(_QUANTITY, 0.0)
    key = as_key(seed)
    sums = []
    for assignment, name in ((np.where(np.isnan(a), b, a), "joint"), (b, "given")):
        machine, shift = clamped(rbm, ~np.isnan(assignment), np.nan_to_num(assignment))
        if machine is None:
            sums.append(Estimate.exact("log Z", shift))
            continue
        log_z = log_partition(
            machine,
            method,
            chains=chains,
            temperatures=temperatures,
            max_units=max_units,
            seed=key.derive("conditional", name),
            engine=engine,
            progress=progress,
        )
        sums.append(_shifted(log_z, shift))
    return _ratio(*sums)


def clamped(rbm: RBM, held: npt.NDArray[np.bool_], values: npt.NDArray[Any]) -> tuple[RBM | None, float]:
    """The machine of the visible units that are not held, and the shift of its log Z.

    Parameters
    ----------
    rbm : RBM
    held : bool array of shape (n_visible,)
    values : array of shape (n_visible,), values in [0, 1]
        Of the held units; ignored elsewhere.

    Returns
    -------
    machine : RBM or None
        Its p(v_free, h) is this machine's p(v_free, h | v_held). None where no unit is free.
    shift : float
        The log of the sum of exp(-E) over all configurations with these values, less the machine's log Z; all of it
        where there is no machine.

    Notes
    -----
    -E = h'W_free v_free + b_free'v_free + (c + W_held v_held)'h + b_held'v_held.
    """
    W, b, c = (x.astype(np.float64) for x in (rbm.W, rbm.b, rbm.c))
    v = np.where(held, values, 0.0)
    c, shift = c + matmul(v, W.T), float(matmul(v, b))
    if held.all():
        return None, shift + float(softplus(c).sum())
    return RBM(W[:, ~held], b[~held], c), shift


def _assignment(x: Any, n_visible: int, name: str) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(x, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (n_visible,):
        raise InvalidData(
            f"{name} must hold 0, 1 or NaN for each of {n_visible} visible units. Got shape {array.shape}. "
            "Pass one such vector."
        )
    return np.asarray(check_matrix(array[None], name=name, binary=True, allow_nan=True)[0])


def _shifted(log_z: Estimate, shift: float) -> Estimate:
    if log_z.value is None or log_z.lower is None or log_z.upper is None:
        return log_z
    return replace(log_z, value=log_z.value + shift, lower=log_z.lower + shift, upper=log_z.upper + shift)


def _ratio(joint: Estimate, given: Estimate) -> Estimate:
    """The difference of two brackets; no probability exceeds 1."""
    method = "ais" if "ais" in (joint.method, given.method) else "exact"
    doubt = "; ".join(x.reason for x in (joint, given) if x.verdict in ("unreliable", "unknown"))
    if joint.value is None or given.value is None or joint.lower is None or given.lower is None:
        return Estimate.unknown(_QUANTITY, doubt, method)
    assert joint.upper is not None
    assert given.upper is not None
    ends = joint.value - given.value, joint.lower - given.upper, joint.upper - given.lower
    value, lower, upper = (min(x, 0.0) for x in ends)
    verdict, reason = ("unreliable", doubt) if doubt else width(lower, upper)
    return Estimate(_QUANTITY, value, lower, upper, method, verdict, reason)
