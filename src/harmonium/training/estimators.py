"""Which estimator a run uses for the negative side of its gradient, and how it starts or goes on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harmonium.engines import Engine
from harmonium.engines.records import FloatArray
from harmonium.random import Key
from harmonium.statistics import Statistics
from harmonium.training.config import Config
from harmonium.training.enumerated import Enumerated
from harmonium.training.negative import Arrays, Estimator, FastWeights, FromData, Persistent
from harmonium.training.tempered import Tempered, TemperedEnd

PERSISTENT = ("pcd", "fpcd")  # methods that keep hidden states


def first_chains(config: Config, key: Key, engine: type[Engine]) -> npt.NDArray[np.uint8] | None:
    """Where persistent chains start: hidden states at random; None for a method that keeps none."""
    if config.method not in PERSISTENT:
        return None
    return (engine.bits(key.derive("first chains"), config.n_chains, config.n_hidden) < 2**31).astype(np.uint8)


def make_estimator(
    config: Config,
    key: Key,
    engine: Engine,
    data_means: FloatArray,
    n_samples: int,
    arrays: Arrays,
    steps: range = range(0),
) -> Estimator:
    """The estimator of ``config.method``.

    Parameters
    ----------
    config : Config
    key : Key
        Of the run.
    engine : Engine
        Holds the machine as it is.
    data_means : float array of shape (n_visible,)
    n_samples : int
    arrays : mapping of arrays
        "chains" of the methods that keep them, and the rest of what the estimator's `arrays` returned at a checkpoint.
    steps : range
        Those of the run, of which a share may be tempered.
    """
    if config.method == "cd":
        return FromData(config, key)
    if config.method == "exact":
        return Enumerated()
    ladders = {name: x for name, x in arrays.items() if name.startswith("tempered.")}

    def tempered(engine: Engine, arrays: Arrays) -> Tempered:
        return Tempered(config, key, engine, data_means, n_samples, arrays)

    if config.method == "pt":
        return tempered(engine, ladders)
    chains = Persistent(config, key, engine, arrays["chains"])
    if config.method == "pcd":
        last = steps[len(steps) - round(len(steps) * (config.tempered_share or 0.0)) :]
        return TemperedEnd(chains, tempered, last, ladders) if last else chains
    rbm = engine.rbm
    fast = [arrays.get(f"fast.{name}") for name in "Wbc"]
    zeros = [np.zeros_like(x) for x in (rbm.W, rbm.b, rbm.c)]
    return FastWeights(chains, config, Statistics(*(z if x is None else x for x, z in zip(fast, zeros, strict=True))))
