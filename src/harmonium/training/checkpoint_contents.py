"""What the arrays of a checkpoint must look like, for the run that they are to go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.rbm import RBM
from harmonium.training.config import ADAPTIVE, Config

Shape = tuple[int | None, ...]  # None is any length

_TEMPERED, _STEERING = "tempered.", "steering."
_NEEDED = (_TEMPERED, _STEERING)
_NEW_NAMES = {"tempered.heading": "tempered.direction"}  # of arrays that older versions called otherwise


def present_names(extras: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a checkpoint under the names that they have today."""
    return {_NEW_NAMES.get(name, name): array for name, array in extras.items()}


def check_contents(extras: Mapping[str, npt.NDArray[Any]], config: Config, rbm: RBM) -> None:
    """Refuse arrays that a run would stumble over; those of unknown names are left to who knows them.

    Raises
    ------
    ValueError
        An array is missing, or has another shape or type.
    """
    known = dict(_expected(config, rbm, extras))
    for name, (kind, shape) in known.items():
        if name not in extras:
            if name.startswith(_NEEDED):
                raise ValueError(f"{name} is missing")
            continue
        array = extras[name]
        fits = array.ndim == len(shape) and all(n in (None, got) for n, got in zip(shape, array.shape, strict=True))
        if not fits or array.dtype.kind != kind or (kind == "u" and array.dtype.itemsize != 1):
            raise ValueError(f"{name} of type {array.dtype} and shape {array.shape} does not fit")
    for name in ("best", "fast", "adam", "adam2"):
        if 0 < sum(f"{name}.{part}" in extras for part in "Wbc") < 3:
            raise ValueError(f"a part of {name} is missing")
    if config.patience and "best.W" not in extras:
        raise ValueError("the best machine is missing")
    if ("adam.W" in extras) != ("adam2.W" in extras):
        raise ValueError("one of the moments of Adam is missing")


def _expected(
    config: Config, rbm: RBM, extras: Mapping[str, npt.NDArray[Any]]
) -> Iterator[tuple[str, tuple[str, Shape]]]:
    """Names, with the kind of the type (as NumPy calls it) and the shape."""
    n, m = rbm.W.shape
    packed = -(-m // 8)
    for name in ("best", "fast", "adam", "adam2"):
        yield from ((f"{name}.W", ("f", (n, m))), (f"{name}.b", ("f", (m,))), (f"{name}.c", ("f", (n,))))
    for name in ("hidden_means", "activity"):
        yield name, ("f", (n,))
    yield "completions", ("u", (None, packed))
    yield "leg", ("f", (2,))
    if config.patience:
        yield f"{_STEERING}scores", ("f", (4,))
        yield f"{_STEERING}counts", ("i", (4,))
    has_ladders = any(name.startswith(_TEMPERED) for name in extras)
    if config.method == "pt" or (config.tempered_share and has_ladders):
        temperatures, chains = config.n_temperatures, config.n_ladders
        if config.temperatures in (ADAPTIVE, None):  # at least two, as any ladder has
            temperatures = max(2, np.size(extras.get(f"{_TEMPERED}ladder", ())))
        ladders = temperatures, chains
        yield f"{_TEMPERED}v", ("u", (temperatures * chains, packed))
        yield f"{_TEMPERED}sweep", ("i", (1,))
        yield f"{_TEMPERED}replica", ("i", ladders)
        yield f"{_TEMPERED}direction", ("i", ladders)
        yield f"{_TEMPERED}round_trips", ("i", (chains,))
        yield f"{_TEMPERED}ladder", ("f", (temperatures,))
        yield f"{_TEMPERED}swaps", ("f", (2, temperatures - 1))
