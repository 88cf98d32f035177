"""Probabilities of some visible units given others: log p(v_A | v_B).

A machine with visible units held is another RBM of the free ones, so the sum over all configurations that agree with an
assignment is the partition function of that machine. The two of a conditional probability are found, and doubted, as
log Z is.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.engines.arithmetic import matmul, softplus
from harmonium.errors import InvalidData, Unreliable
from harmonium.inputs import check_matrix
from harmonium.likelihood.bracket import WIDE
from harmonium.likelihood.meter import Progress
from harmonium.likelihood.partition import LogPartition, log_partition
from harmonium.likelihood.schedule import ADAPTIVE, Temperatures
from harmonium.random import Key, as_key
from harmonium.rbm import RBM


@dataclass(frozen=True)
class LogProbability:
    """log p(v_A | v_B) in nats, with its two sides and a verdict.

    ``float(record)`` is the value, and raises `harmonium.errors.Unreliable` where that is no number to rely on.

    Attributes
    ----------
    value, lower, upper : float or None
        Equal for an exact result, -inf where `A` contradicts `B`; None where a sum is not known. The sides are those of
        two brackets, each of which covers its log Z in at least 95 % of runs, so they cover in at least 90 %.
    method : str
        "exact", or "ais" where one of the two sums was annealed.
    verdict : str
        "ok", "wide" (sides more than 1 nat apart), "unreliable", or why there is no number.
    reason : str
        Why the verdict is not "ok".
    """

    value: float | None
    lower: float | None
    upper: float | None
    method: str
    verdict: str
    reason: str = ""

    def number(self, *, accept_unreliable: bool = False) -> float:
        """The value as a bare number.

        Raises
        ------
        Unreliable
            There is none, or the verdict is "unreliable" and `accept_unreliable` is not set.
        """
        if self.value is None or (self.verdict == "unreliable" and not accept_unreliable):
            got = "none" if self.value is None else f"{self.value:.2f}"
            raise Unreliable(
                f"A log-probability must be reliable to be used as a number. Got {got}: {self.reason or self.verdict}. "
                "Take more temperatures or chains, or call number(accept_unreliable=True)."
            )
        return self.value

    def __float__(self) -> float:
        return self.number()

    def as_dict(self) -> dict[str, Any]:
        """The fields ready for JSON."""
        return asdict(self)


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
) -> LogProbability:
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
    LogProbability

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
        return LogProbability(-math.inf, -math.inf, -math.inf, "exact", "ok")
    if not (np.isnan(b) & ~np.isnan(a)).any():
        return LogProbability(0.0, 0.0, 0.0, "exact", "ok")
    key = as_key(seed)
    sums = []
    for assignment, name in ((np.where(np.isnan(a), b, a), "joint"), (b, "given")):
        machine, shift = clamped(rbm, ~np.isnan(assignment), np.nan_to_num(assignment))
        if machine is None:
            sums.append(LogPartition(shift, shift, shift, "exact", "ok"))
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


def _shifted(log_z: LogPartition, shift: float) -> LogPartition:
    if log_z.value is None or log_z.lower is None or log_z.upper is None:
        return log_z
    return replace(log_z, value=log_z.value + shift, lower=log_z.lower + shift, upper=log_z.upper + shift)


def _ratio(joint: LogPartition, given: LogPartition) -> LogProbability:
    """The difference of two brackets; no probability exceeds 1."""
    method = "ais" if "ais" in (joint.method, given.method) else "exact"
    reason = "; ".join(x.reason for x in (joint, given) if x.reason and x.verdict == "unreliable")
    if joint.value is None or given.value is None or joint.lower is None or given.lower is None:
        return LogProbability(None, None, None, method, "unreliable", reason)
    assert joint.upper is not None
    assert given.upper is not None
    ends = joint.value - given.value, joint.lower - given.upper, joint.upper - given.lower
    value, lower, upper = (min(x, 0.0) for x in ends)
    if reason:
        return LogProbability(value, lower, upper, method, "unreliable", reason)
    if upper - lower > WIDE:
        reason = f"its ends are {upper - lower:.1f} nats apart"
        return LogProbability(value, lower, upper, method, "wide", reason)
    return LogProbability(value, lower, upper, method, "ok")
