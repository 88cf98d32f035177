"""An engine that is kept from call to call, so that few rows need not wait for one to be made."""

from __future__ import annotations

from typing import Any

import numpy as np

from harmonium.engines import Engine, make_engine
from harmonium.rbm import RBM


class KeptEngine:
    """The engine of three arrays W, b and c, made anew when they are other arrays or were changed in place.

    The arrays belong to the user, who may write to them at any time. So each call compares them with what the engine
    holds, which takes a fraction of the time of one product with them. A pickle or copy is empty.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._mirror: Engine | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return KeptEngine, ()

    def of(self, name: str, W: Any, b: Any, c: Any) -> Engine:
        """The engine called `name` for these parameters; it is not to be trained."""
        arrays = tuple(np.asarray(x) for x in (W, b, c))
        engine = self._engine
        if engine is None or engine.name != name or not engine.holds(*arrays):
            engine = make_engine(RBM(*arrays), name)
            self.keep(engine)
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

    def keep(self, engine: Engine) -> None:
        """Keep an engine, whose parameters the arrays of the next call probably are."""
        self._engine, self._mirror = engine, None
