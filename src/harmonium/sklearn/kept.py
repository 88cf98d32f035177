"""The fitted arrays, and an engine kept from call to call, so that few rows need not wait for one to be made."""

from __future__ import annotations

from operator import is_
from typing import Any

import numpy as np

from harmonium.engines import Engine, make_engine
from harmonium.errors import InvalidParameter
from harmonium.rbm import RBM

PARAMETERS = "components_", "intercept_visible_", "intercept_hidden_"


def arrays_of(attributes: dict[str, Any]) -> tuple[Any, Any, Any]:
    """W, b and c among an estimator's attributes.

    Raises
    ------
    InvalidParameter
        Some were set by hand, and others were not.
    """
    W, b, c = PARAMETERS
    try:
        return attributes[W], attributes[b], attributes[c]
    except KeyError as error:
        raise InvalidParameter(
            f"{W}, {b} and {c} must be set together. Got no {error.args[0]}. Set all three."
        ) from None


def machine_of(attributes: dict[str, Any]) -> RBM:
    """The machine that the arrays among an estimator's attributes are.

    Raises
    ------
    InvalidParameter
        Their shapes do not fit together, or they hold something else than finite numbers.
    """
    W, b, c = map(np.asarray, arrays_of(attributes))
    if W.shape != (*c.shape, *b.shape):
        raise InvalidParameter(
            "components_, intercept_visible_ and intercept_hidden_ must have shapes (n_components, n_features), "
            f"(n_features,) and (n_components,). Got {W.shape}, {b.shape} and {c.shape}. Set all three."
        )
    return RBM(W, b, c)


class Parameter:
    """A fitted array: an attribute like any other, and a note that somebody has had it, who may write to it.

    It lies in the instance's dictionary under its own name, where pickles and copies of the estimator find it.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        try:
            array = instance.__dict__[self._name]
        except KeyError:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self._name!r}") from None
        kept_of(instance).given_away = True
        return array

    def __set__(self, instance: Any, array: Any) -> None:
        instance.__dict__[self._name] = array
        kept_of(instance).given_away = True

    def __delete__(self, instance: Any) -> None:
        try:
            del instance.__dict__[self._name]
        except KeyError:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self._name!r}") from None


class KeptEngine:
    """The engine of an estimator's arrays W, b and c, made anew when they are other arrays or were changed in place.

    Whoever has had the arrays may write to them at any time. So from then on, until training has made new ones, each
    call compares them with what the engine holds. A pickle or deep copy is empty, and nobody has had its arrays. Arrays
    that came into the dictionary past the attributes are their owner's.

    Attributes
    ----------
    given_away : bool
        Whether anybody but the estimator has had the arrays.
    """

    def __init__(self, *, given_away: bool = False) -> None:
        self._engine: Engine | None = None
        self._mirror: Engine | None = None
        self._arrays: tuple[Any, ...] = ()
        self._made = False  # whether the arrays were made here; those of a pickle are not, and may be a file
        self.given_away = given_away

    def __reduce__(self) -> tuple[Any, ...]:
        return KeptEngine, ()

    def of(self, name: str, attributes: dict[str, Any]) -> Engine:
        """The engine called `name` for the arrays among the estimator's attributes; it is not to be trained."""
        arrays = arrays_of(attributes)
        engine = self._engine
        known = all(map(is_, arrays, self._arrays))
        self.given_away |= not known
        same = engine is not None and engine.name == name and known
        if engine is not None and same and (not self.given_away or engine.holds(*map(np.asarray, arrays))):
            return engine
        self._engine, self._mirror, self._arrays = make_engine(machine_of(attributes), name), None, arrays
        return self._engine

    def mirror_of(self, name: str, attributes: dict[str, Any]) -> Engine:
        """The engine of the machine with its layers exchanged."""
        engine = self.of(name, attributes)
        if self._mirror is None:
            self._mirror = make_engine(engine.rbm.mirror(), name)
        return self._mirror

    def take(self, name: str, attributes: dict[str, Any]) -> Engine:
        """The same engine to be trained: it is kept no longer, until `keep` says what became of it."""
        engine = self.of(name, attributes)
        self._engine = None
        return engine

    def drop(self) -> None:
        """Free the engine's memory, before another machine is trained."""
        self._engine = self._mirror = None

    def keep(self, engine: Engine, attributes: dict[str, Any], dtype: np.dtype[Any]) -> None:
        """Keep an engine and put its parameters among the attributes: in place, unless somebody has had the arrays."""
        n, m = engine.n_hidden, engine.n_visible
        W: Any = attributes.get("components_")
        known = all(map(is_, (attributes.get(name) for name in PARAMETERS), self._arrays))
        is_own = self._made and known and not self.given_away
        if not is_own or W.shape != (n, m) or W.dtype != dtype:
            new = np.empty((n, m), dtype, engine.order), np.empty(m, dtype), np.empty(n, dtype)
            engine.write(*new)
            attributes.update(zip(PARAMETERS, new, strict=True))
            self._made, self.given_away = True, False
        else:
            engine.write(*(attributes[name] for name in PARAMETERS))
        self._engine, self._mirror = engine, None
        self._arrays = tuple(attributes[name] for name in PARAMETERS)


def kept_of(instance: Any) -> KeptEngine:
    """What an estimator keeps; one whose attributes were set by hand has nothing yet."""
    attributes = instance.__dict__
    if "_kept" not in attributes:
        attributes["_kept"] = KeptEngine(given_away=True)
    kept: KeptEngine = attributes["_kept"]
    return kept
