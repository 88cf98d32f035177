"""JSON that every reader reads alike."""

from __future__ import annotations

import json
import math
from typing import Any

_LARGEST = 2**53  # beyond, readers that know one kind of number, as those in browsers do, round


def to_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON: numbers that are not finite as null, whole numbers beyond 2**53 (seeds) as strings of digits.

    Parameters
    ----------
    value : dict, list, tuple, str, number, bool or None
    indent : int, optional
        As in `json.dumps`.

    Examples
    --------
    >>> import harmonium
    >>> print(harmonium.io.to_json({'seed': 2**60, 'value': 0.5}))
    {"seed": "1152921504606846976", "value": 0.5}
    """
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > _LARGEST:
        return str(value)
    return value
