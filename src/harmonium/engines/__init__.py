"""Engines: interchangeable places where parameters and states live."""

from __future__ import annotations

from harmonium.engines.engine import Engine, Offsets, Phase, Rates, States, Velocity
from harmonium.engines.native import NativeEngine
from harmonium.engines.numpy import NumpyEngine
from harmonium.inputs import check_choice
from harmonium.rbm import RBM

ENGINES: dict[str, type[Engine]] = {"native": NativeEngine, "numpy": NumpyEngine}

__all__ = [
    "ENGINES",
    "Engine",
    "NativeEngine",
    "NumpyEngine",
    "Offsets",
    "Phase",
    "Rates",
    "States",
    "Velocity",
    "make_engine",
]


def make_engine(rbm: RBM, name: str = "native", velocity: Velocity | None = None) -> Engine:
    """The engine called `name`, holding `rbm`.

    Raises
    ------
    InvalidParameter
        There is no engine of that name.
    """
    return ENGINES[check_choice(name, "engine", tuple(ENGINES))](rbm, velocity)
