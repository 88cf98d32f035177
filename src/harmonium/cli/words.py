"""How values are told to people: nats with two decimals, counts with commas, what is measured with four digits.

JSON has every digit.
"""

from __future__ import annotations

from typing import Any


def told(value: Any) -> str:
    """A result in a table."""
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return typed(value)


def typed(value: Any) -> str:
    """A choice, as one would type it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def nats(value: float | None) -> str:
    """A log-probability, a free energy or log Z."""
    return typed(None) if value is None else f"{round(value, 2) + 0:.2f}"  # no -0.00
