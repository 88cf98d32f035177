"""The fitted arrays, and an engine kept from call to call, so that few rows need not wait for one to be made."""

from __future__ import annotations

import sys
from operator import is_
from typing import Any

import numpy as np

from harmonium.engines import Engine, make_engine
from harmonium.errors import InvalidParameter
from harmonium.rbm import RBM

PARAMETERS = "components_", "intercept_visible_", "intercept_hidden_"


def machine_of(attributes: dict[str, Any]) -> RBM:
    """The machine that the arrays among an estimator's attributes are.

    Raises
    ------
    InvalidParameter
        Their shapes do not fit together, or they hold something else than finite numbers.
    """
    W, b, c = (np.asarray(attributes[name]) for name in PARAMETERS)
    if W.shape != (*c.shape, *b.shape):
        raise InvalidParameter(
            "components_, intercept_visible_ and intercept_hidden_ must have shapes (n_components, n_features), "
            f"(n_features,) and (n_components,). Got {W.shape}, {b.shape} and {c.shape}. Set all three."
        )
    return RBM(W, b, c)


class Parameter:
    """A fitted array: an attribute like any other, and a note of when somebody was given it, who may write to it.

    It lies in the instance's dictionary under its own name, where pickles and copies of the estimator find it.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        attributes = instance.__dict__
        try:
            array = attributes[self._name]
        except KeyError:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self._name!r}") from None
        if (kept := attributes.get("_kept")) is not None:
            kept.given_away = True
        return array

    def __set__(self, instance: Any, array: Any) -> None:
        instance.__dict__[self._name] = array

    def __delete__(self, instance: Any) -> None:
        try:
            del instance.__dict__[self._name]
        except KeyError:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self._name!r}") from None


class KeptEngine:
    """The engine of an estimator's arrays W, b and c, made anew when they are other arrays or were changed in place.

    The arrays belong to the user, who may write to them at any time. So a call compares them with what the engine
    holds, unless nobody but the estimator has had them since they last were. A pickle or copy is empty.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._mirror: Engine | None = None
        self._arrays: tuple[Any, ...] = ()
        self.given_away = True

    def __reduce__(self) -> tuple[Any, ...]:
        return KeptEngine, ()

    def of(self, name: str, attributes: dict[str, Any]) -> Engine:
        """The engine called `name` for the arrays among the estimator's attributes; it is not to be trained."""
        W, b, c = PARAMETERS
        arrays = attributes[W], attributes[b], attributes[c]
        engine = self._engine
        if engine is not None and engine.name == name and not self.given_away and all(map(is_, arrays, self._arrays)):
            return engine
        self._arrays = arrays
        self.given_away = not self.alone(attributes)
        now = tuple(np.asarray(x) for x in self._arrays)
        if engine is None or engine.name != name or not engine.holds(*now):
            engine = make_engine(machine_of(attributes), name)
            self._engine, self._mirror = engine, None
        return engine

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

    def keep(self, engine: Engine, attributes: dict[str, Any]) -> None:
        """Keep an engine whose parameters these arrays are."""
        self._engine, self._mirror = engine, None
        self._arrays = tuple(attributes[name] for name in PARAMETERS)
        self.given_away = not self.alone(attributes)

    def alone(self, attributes: dict[str, Any]) -> bool:
        """Whether these are the arrays that were kept last and nobody else has them, or a part of them, any more."""
        if len(self._arrays) != len(PARAMETERS):
            return False
        for name, array in zip(PARAMETERS, self._arrays, strict=True):
            if attributes[name] is not array or type(array) is not np.ndarray or array.base is not None:
                return False
        del array
        return all(_n_holders(attributes, name) <= _ALONE for name in PARAMETERS)


def _n_holders(attributes: dict[str, Any], name: str) -> int:
    return sys.getrefcount(attributes[name])


_held = (np.empty(0),)
_ALONE = _n_holders({"": _held[0]}, "")  # in a dictionary and a tuple
