"""What `summary` prints: the machine's layers and parameters; chains, offsets and noise apart, as states."""

from __future__ import annotations

import math
from typing import Any


def describe(model: Any) -> str:
    """The lines about a `harmonium.keras.RBM`, built or not."""
    lines = [f'Model: "{model.name}", a restricted Boltzmann machine']
    if not model.built:
        return "\n".join([*lines, f"  {model.n_hidden} hidden units; not built: call fit, adapt or build."])
    lines.append(f"  {model.n_visible} visible units, {model.n_hidden} hidden units")
    parameters = [("W", model.W), ("b", model.b), ("c", model.c)]
    states = {"chains": model.chain_states}
    if model.centered:
        states |= {"offset of v": model.v_offset, "offset of h": model.h_offset}
    lines += ["", "Parameters", *(_row(name, x, "" if x.trainable else "  frozen") for name, x in parameters)]
    lines.append(f"  {'total':<12}{'':<14}{sum(_size(x) for _, x in parameters):>12,}")
    kept = [(name, x) for name, x in states.items() if x is not None]
    if kept:
        lines += ["", "States, saved with the parameters", *(_row(name, x) for name, x in kept)]
    return "\n".join(lines)


def _row(name: str, x: Any, remark: str = "") -> str:
    shape = "(" + ", ".join(map(str, x.shape)) + ")"
    return f"  {name:<12}{shape:<14}{_size(x):>12,}{remark}"


def _size(x: Any) -> int:
    return math.prod(x.shape)
