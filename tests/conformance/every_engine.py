"""Every engine, and every variant of the native one; machines and sizes to put them to the proof."""

import numpy as np
import pytest
from conftest import TORCH

from harmonium import RBM
from harmonium.engines import make_engine as make_any_engine
from harmonium.engines._native import _kernels

ROWS = (1, 3, 17, 100)


class InNumpy:
    """An engine whose reals come as NumPy arrays; it takes them anyway."""

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        verb = getattr(self._engine, name)
        if name not in ("logits_h", "logits_v", "mean"):
            return verb
        return lambda *args, **kwargs: self._engine.to_numpy(verb(*args, **kwargs))


def make_engine(rbm, name, velocity=None):
    """The engine of that name; if it is torch's, `InNumpy`."""
    engine = make_any_engine(rbm, name, velocity)
    return InNumpy(engine) if name == "torch" else engine


def blank(n_hidden, n_visible):
    return RBM(np.zeros((n_hidden, n_visible)), np.zeros(n_visible), np.zeros(n_hidden))


def row_betas(n_rows):
    """A different inverse temperature for each row."""
    return 0.5 + 1.5 * np.arange(n_rows) / max(1, n_rows - 1)


def instruction_sets():
    """The variants of the native kernels that this processor can run, fastest first."""
    fastest, usable = _kernels.instruction_set(), []
    for name in ("amx", "avx512", "avx2", "portable"):
        try:
            _kernels.use(name)
        except ValueError:
            continue
        usable.append(name)
    _kernels.use(fastest)
    return usable


@pytest.fixture(params=["numpy", *(f"native-{name}" for name in instruction_sets()), TORCH])
def engine(request):
    """Every engine, and every variant of the native one."""
    name, _, instruction_set = request.param.partition("-")
    fastest = _kernels.instruction_set()
    if instruction_set:
        _kernels.use(instruction_set)
    yield name
    _kernels.use(fastest)
