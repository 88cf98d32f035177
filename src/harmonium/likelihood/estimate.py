"""An estimate: a number of nats between two ends, with a verdict on whether to rely on it."""

from __future__ import annotations

import html
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import InvalidParameter, Unreliable

_ALWAYS = "quantity", "value", "lower", "upper", "method", "verdict", "reason"


@dataclass(frozen=True)
class Estimate:
    """A log Z, a mean log-likelihood, a log-probability or an entropy, in nats, with its two ends and a verdict.

    ``float(record)`` is the value, and raises `harmonium.errors.Unreliable` where that is no number to rely on.

    Attributes
    ----------
    quantity : str
        What is estimated: "log Z", "mean log-likelihood", "log-probability", an entropy or a free-energy difference.
    value, lower, upper : float or None
        Equal for an exact result; None where the verdict is "unknown".
    method : str
        How it was obtained: "exact"; "ais" (annealed importance sampling) where any part of it was; "tempered" (along
        tempered ladders); of observables "samples", of exact samples or the ends of chains, or "chains", averages along
        them.
    verdict : {"ok", "wide", "unreliable", "unknown"}
        "wide" is more than 1 nat between the ends; of a log-likelihood, it is the verdict on its log Z.
    reason : str
        Why the verdict is not "ok".
    ess : float, optional
        Effective sample size of the worse direction, of a bracket.
    n_chains : int, optional
        Chains a direction, the largest that `ess` could be; of "tempered" the ladders.
    start : str, optional
        Where the reverse chains started: "exact samples" or "tempered chains" (whose equilibrium was checked).
    binarize : str, optional
        How grey levels had become states, of a log-likelihood where that is known.
    n_missing : int, optional
        How many entries of the data were missing and so summed out, of a log-likelihood.
    per_sample : float64 array of shape (n_samples,), optional
        log p of each sample under the value of log Z.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> found = harmonium.log_partition(rbm)
    >>> print(found)
    log Z = 3.13 (exact, ok)
    >>> found.lower == found.value == found.upper
    True
    """

    quantity: str
    value: float | None
    lower: float | None
    upper: float | None
    method: str = "exact"
    verdict: str = "ok"
    reason: str = ""
    ess: float | None = None
    n_chains: int | None = None
    start: str | None = None
    binarize: str | None = field(default=None, compare=False)
    n_missing: int | None = None
    per_sample: npt.NDArray[np.float64] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def exact(cls, quantity: str, value: float) -> Estimate:
        """A number that is known."""
        return cls(quantity, value, value, value)

    @classmethod
    def unknown(cls, quantity: str, reason: str, method: str = "exact") -> Estimate:
        """No number, and why there is none."""
        return cls(quantity, None, None, None, method, "unknown", reason)

    def number(self, *, accept_unreliable: bool = False) -> float:
        """The value as a bare number.

        Raises
        ------
        Unreliable
            There is none, or the verdict is "unreliable" and `accept_unreliable` is not set.
        """
        if self.value is None:
            raise Unreliable(f"The {self.quantity} must be known to be used as a number. Got none: {self.reason}")
        if self.verdict == "unreliable" and not accept_unreliable:
            raise Unreliable(
                f"The {self.quantity} must be reliable to be used as a number. Got {self.value:.2f}, but "
                f"{self.reason}. Take more temperatures or chains, pass X, or call number(accept_unreliable=True)."
            )
        return self.value

    def __float__(self) -> float:
        return self.number()

    def __repr__(self) -> str:
        return f"Estimate({self})"

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(str(self))}</code>"

    def __str__(self) -> str:
        if self.value is None or self.lower is None or self.upper is None:
            return f"{self.quantity} unknown ({self.reason})"
        value, lower, upper = (f"{round(x, 2) + 0:.2f}" for x in (self.value, self.lower, self.upper))  # no -0.00
        ends = "" if self.lower == self.upper else f" [{lower}, {upper}]"
        how = "AIS \N{LEFT RIGHT ARROW} reverse AIS" if self.method == "ais" and self.ess is not None else self.method
        how += "" if self.ess is None else f", ESS {self.ess:.0f}/{self.n_chains}"
        return f"{self.quantity} = {value}{ends} ({how}, {self.verdict})"

    def as_dict(self) -> dict[str, Any]:
        """The fields ready for JSON, less the single samples; those that do not apply are left out."""
        items = {x.name: getattr(self, x.name) for x in fields(self) if x.name != "per_sample"}
        return {name: x for name, x in items.items() if name in _ALWAYS or x is not None}


def check_log_z(log_z: Any) -> Estimate:
    """`log_z`, if it is an estimate of log Z.

    Raises
    ------
    InvalidParameter
    """
    if not isinstance(log_z, Estimate) or log_z.quantity != "log Z":
        got = f"an estimate of the {log_z.quantity}" if isinstance(log_z, Estimate) else repr(log_z)
        raise InvalidParameter(
            f"log_z must be an estimate of log Z. Got {got}. Pass log_partition(rbm), or "
            'Estimate.exact("log Z", number).'
        )
    return log_z
