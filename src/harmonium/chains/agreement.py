"""Whether two groups of chains with nothing in common have come to the same distribution."""

from __future__ import annotations

import math

from harmonium.chains.diagnostics import Float64Array, r_hat_of_groups

FALSE_ALARM_Z = 3.3  # two-sided, once in a thousand


def disagreement(features: dict[str, Float64Array], first: int, z: float = FALSE_ALARM_Z, least: float = 1.0) -> str:
    """Whether two groups of chains are distributed alike: what speaks against it, in words; empty if nothing does.

    Parameters
    ----------
    features : dict of float64 arrays of shape (chains,)
        What the two groups are compared by; equal groups differ in the ranks of one of them, or of its distances from
        the median, about as often as a normal number exceeds `z`.
    first : int
        The number of chains of the first group; they come first.
    z : float
    least : float
        R-hat up to which a difference does not matter, however sure.
    """
    for name, x in features.items():
        r, limit = r_hat_of_groups(x, first), math.sqrt(1 + z**2 / (min(first, len(x) - first) + 1e-9))
        if r > max(limit, least):
            return f"chains from different starts differ in {name} (R-hat {r:.2f})"
    return ""
