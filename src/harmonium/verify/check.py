"""One line of the proof: an equation, the function that computes it, and how far the two are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# What is computed in double precision, in single precision, and by differences of double-precision numbers.
DOUBLE, SINGLE, DIFFERENCES = 1e-12, 5e-6, 1e-8
EXACT = 0.0


@dataclass(frozen=True)
class Check:
    """A function beside what its equation says.

    Attributes
    ----------
    equation : str
        "(n)" of ``docs/mathematics.md``; "seed 1 (n)" or "seed 2, ..." of the texts that it goes back to.
    name : str
        The function, as found below ``harmonium``.
    engine : str or None
        Where it was computed; None for what needs no engine.
    max_error : float
        The largest absolute difference; of decisions the share of wrong ones, of bounds the largest violation.
    tolerance : float
        How large that may be.
    """

    equation: str
    name: str
    engine: str | None
    max_error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; NaN never is."""
        return bool(self.max_error <= self.tolerance)

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "equation": self.equation,
            "name": self.name,
            "engine": self.engine,
            "max_error": self.max_error,
            "passed": self.passed,
        }


def compare(
    equation: str, name: str, computed: Any, expected: Any, *, engine: str | None = None, tolerance: float = DOUBLE
) -> Check:
    """The check that `computed` is `expected`: arrays, or tuples of arrays, of equal shapes.

    Raises
    ------
    ValueError
        Shapes differ, so that nothing is broadcast into agreement.
    """
    pairs = list(zip(computed, expected, strict=True)) if isinstance(computed, tuple) else [(computed, expected)]
    error = 0.0
    for one, two in pairs:
        a, b = np.asarray(one, np.float64), np.asarray(two, np.float64)
        if a.shape != b.shape:
            raise ValueError(f"{equation} {name}: shapes {a.shape} and {b.shape}")
        error = max(error, float(np.abs(a - b).max(initial=0.0)), key=_nan_last)
    return Check(equation, name, engine, error, tolerance)


def _nan_last(x: float) -> float:
    return np.inf if np.isnan(x) else x
