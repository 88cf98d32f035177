"""Engines: interchangeable places where parameters and states live."""

from __future__ import annotations

import re

import numpy as np

from harmonium.engines.engine import Engine
from harmonium.engines.numpy import NumpyEngine
from harmonium.engines.records import Centring, Contrast, Offsets, Phase, Rates, Reals, States, Velocity
from harmonium.errors import EngineUnavailable, InvalidParameter
from harmonium.inputs import check_choice
from harmonium.rbm import RBM

try:
    from harmonium.engines.native import NativeEngine
except ImportError as error:  # the NumPy engine works without the compiled extension
    from harmonium.engines.missing import missing_engine

    NativeEngine = missing_engine("native", error)  # type: ignore[misc, assignment]

ENGINES: dict[str, type[Engine]] = {"native": NativeEngine, "numpy": NumpyEngine}
TORCH, DISTRIBUTED = "torch", "distributed"  # the first is found by `find_engine`, as PyTorch takes seconds to load
NAMES = (*ENGINES, TORCH)

_LARGEST = 1e38  # log-odds; those of an engine are float32

__all__ = [
    "ENGINES",
    "NAMES",
    "TORCH",
    "Centring",
    "Contrast",
    "Engine",
    "NativeEngine",
    "NumpyEngine",
    "Offsets",
    "Phase",
    "Rates",
    "Reals",
    "States",
    "Velocity",
    "check_engine",
    "find_engine",
    "make_engine",
    "on_device",
]


def check_engine(name: str) -> str:
    """`name` itself, if it is one of `NAMES`, or "torch:" and a device; whether that runs here is another question.

    Raises
    ------
    InvalidParameter
        There is no engine, or no kind of device, of that name.

    Examples
    --------
    >>> import harmonium
    >>> harmonium.engines.check_engine('numpy')
    'numpy'
    """
    family, colon, device = name.partition(":") if isinstance(name, str) else ("", "", "")
    if family in ENGINES or not colon:
        return check_choice(name, "engine", (*ENGINES, TORCH))
    check_choice(family, "engine", (TORCH,))
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?|distributed", device):
        raise InvalidParameter(
            f'device must be "cpu", "cuda" (or "cuda:1" and so on), "mps" or "distributed". Got {device!r}. '
            "Choose one of them."
        )
    return name


def find_engine(name: str) -> type[Engine]:
    """The engine of a name that `check_engine` lets pass.

    Raises
    ------
    InvalidParameter
        There is no engine, or no kind of device, of that name.
    EngineUnavailable
        It does not run on this installation.

    Examples
    --------
    >>> import harmonium
    >>> harmonium.engines.find_engine('numpy').__name__
    'NumpyEngine'
    """
    family, _, device = check_engine(name).partition(":")
    if family in ENGINES:
        return ENGINES[family]
    try:
        from harmonium.engines.torch_devices import torch_engine
    except ImportError as error:
        raise EngineUnavailable(
            f'The torch engine must have PyTorch. Got: {error}. Run: pip install torch, or choose engine="native".'
        ) from None
    if device == DISTRIBUTED:
        from harmonium.engines.torch_distributed import distributed_engine

        return distributed_engine(name)
    return torch_engine(name, device)


def on_device(engine: str, device: str | None) -> str:
    """The engine of that name on a device, as one name.

    Raises
    ------
    InvalidParameter
        The engine has no devices to choose from, or there is no such kind.

    Examples
    --------
    >>> import harmonium
    >>> harmonium.engines.on_device('numpy', None)
    'numpy'
    """
    if device is None:
        return engine
    if engine != TORCH:
        raise InvalidParameter(
            f'device must go with engine="torch". Got device={device!r} and engine={engine!r}. Pass both, or neither.'
        )
    return check_engine(f"{engine}:{device}")


def make_engine(rbm: RBM, name: str = "native", velocity: Velocity | None = None) -> Engine:
    """The engine called `name`, holding `rbm`.

    Raises
    ------
    InvalidParameter
        There is no engine of that name, or log-odds of the machine could be beyond float32.
    EngineUnavailable
        There is one of that name, but it does not run on this installation.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.engines.make_engine(rbm, 'numpy').name
    'numpy'
    """
    largest = max((max(float(x.max()), -float(x.min())) for x in (rbm.W, rbm.b, rbm.c) if x.size), default=0.0)
    if largest * (1 + max(rbm.W.shape)) > _LARGEST:  # a bound for all sums, which is quick to see
        with np.errstate(over="ignore"):
            sums = (np.abs(x) + np.abs(rbm.W).sum(axis=axis) for axis, x in ((0, rbm.b), (1, rbm.c)))
            largest = max(float(x.max(initial=0)) for x in sums)
        if not largest <= _LARGEST:
            raise InvalidParameter(
                f"W, b and c must add up to log-odds of at most {_LARGEST:g}, as engines compute in float32. Got "
                f"{largest:.3g}. Scale the machine down; beyond 1000 it makes no difference to any probability."
            )
    return find_engine(name)(rbm, velocity)
