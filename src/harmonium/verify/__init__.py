"""The proof of the mathematics on this installation: each equation beside the function that computes it.

One concept a file, each with a generator `checks`; `counting` is the definition that all are compared with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from harmonium.engines import ENGINES, find_engine
from harmonium.verify import (
    agreement,
    chains,
    conditionals,
    decisions,
    ladders,
    learning,
    likelihoods,
    markov,
    noise,
    observables,
    scores,
)
from harmonium.verify.check import Check

__all__ = ["Check", "verify"]

_CONCEPTS = (
    conditionals,
    markov,
    likelihoods,
    observables,
    learning,
    chains,
    scores,
    ladders,
    noise,
    decisions,
    agreement,
)


def verify(engine: str | None = None) -> Iterator[Check]:
    """Prove the numbered equations, in well under a minute.

    Parameters
    ----------
    engine : {"native", "numpy", "torch"}, optional
        The only engine to be looked at; "torch" may be followed by a device, as "torch:cuda". The first two if left
        out.

    Yields
    ------
    Check

    Raises
    ------
    InvalidParameter
        There is no such engine.
    EngineUnavailable
        It does not run here.

    Examples
    --------
    >>> all(check.passed for check in verify())                                       # doctest: +SKIP
    True
    """
    engines = tuple(ENGINES) if engine is None else (engine,)
    for name in engines:
        find_engine(name)
    for concept in _CONCEPTS:
        try:
            yield from concept.checks(engines)
        except Exception as error:  # a function that does not work at all is a check that fails, not the end of all
            name = concept.__name__.rpartition(".")[2]
            yield Check(name, f"{type(error).__name__}: {error}", None, math.inf, 0.0)
