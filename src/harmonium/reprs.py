"""Short words for records: numbers as they are, arrays by their type and shape."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def short_repr(record: Any) -> str:
    """The ``__repr__`` of a dataclass or named tuple that holds arrays: one line at any size, with the verdict."""
    names = [field.name for field in fields(record) if field.repr] if is_dataclass(record) else record._fields
    names = [*names, "verdict"] if hasattr(record, "verdict") else names
    return f"{type(record).__name__}({', '.join(f'{name}={_word(getattr(record, name))}' for name in names)})"


def _word(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        return f"<{value.dtype} array {value.shape}>"
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
