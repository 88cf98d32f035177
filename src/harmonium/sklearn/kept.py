"""An engine that is kept from call to call, so that few rows need not wait for one to be made."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.engines import Engine, make_engine
from harmonium.rbm import RBM


class KeptEngine:
    """The engine of three arrays W, b and c, made anew when they are other arrays or were changed in place.

    The arrays belong to the user, who may write to them at any time. So each call compares their bytes with those that
    the engine was made of, which takes a fraction of the time of one product with them. A pickle or copy is empty.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._mirror: Engine | None = None
        self._made_of: tuple[tuple[Any, ...], ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return KeptEngine, ()

    def of(self, name: str, W: Any, b: Any, c: Any) -> Engine:
        """The engine called `name` for these parameters; it is not to be trained."""
        arrays = tuple(np.asarray(x) for x in (W, b, c))
        engine = self._engine
        if engine is None or engine.name != name or not all(map(_holds, self._made_of, arrays)):
            engine = make_engine(RBM(*arrays), name)
            self.keep(engine, *arrays)
        return engine

    def mirror_of(self, name: str, W: Any, b: Any, c: Any) -> Engine:
        """The engine of the machine with its layers exchanged."""
        engine = self.of(name, W, b, c)
        if self._mirror is None:
            self._mirror = make_engine(engine.rbm.mirror(), name)
        return self._mirror

    def take(self, name: str, W: Any, b: Any, c: Any) -> Engine:
        """The same engine to be trained: it is kept no longer, until `keep` says what became of it."""
        engine = self.of(name, W, b, c)
        self._engine = None
        return engine

    def keep(self, engine: Engine, W: npt.NDArray[Any], b: npt.NDArray[Any], c: npt.NDArray[Any]) -> None:
        """Keep an engine that holds these parameters."""
        made_of, arrays = self._made_of, (W, b, c)
        if made_of and all(map(_fits, made_of, arrays)):  # no second copy of a large W beside the last one
            for (*_, content), array in zip(made_of, arrays, strict=True):
                memoryview(content)[:] = _bytes(array)
        else:
            self._made_of = tuple((x.dtype, x.shape, x.strides, bytearray(_bytes(x))) for x in arrays)
        self._engine, self._mirror = engine, None


def _holds(made_of: tuple[Any, ...], array: npt.NDArray[Any]) -> bool:
    return _fits(made_of, array) and bool(made_of[3] == _bytes(array))


def _fits(made_of: tuple[Any, ...], array: npt.NDArray[Any]) -> bool:
    dtype, shape, strides, _ = made_of
    return bool(array.dtype == dtype and array.shape == shape and array.strides == strides)


def _bytes(array: npt.NDArray[Any]) -> memoryview:
    """The content in the order of memory, without a copy where that has no gaps."""
    return np.ravel(array, order="K").data.cast("B")
