"""Harmonium: restricted Boltzmann machines, exact where exactness is possible and honest where it is not."""

import importlib.util
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # editors and type checkers read the names at once
    from harmonium.names import *  # noqa: F403

__version__ = "0.1.0"


def __getattr__(name: str) -> types.ModuleType:
    """A module of the library or one of its names, when it is first asked for: NumPy and the engines take a while."""
    if name == "__all__" or not name.startswith("_"):
        if importlib.util.find_spec(f"{__name__}.{name}"):
            return importlib.import_module(f"{__name__}.{name}")
        names = importlib.import_module(f"{__name__}.names")
        if name == "__all__" or name in names.__all__:
            return globals().setdefault(name, getattr(names, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__"), "deep", "keras", "plot", "report", "sklearn"})
