"""By what chains of a machine are judged, and whether those from two kinds of starts can be told apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harmonium.chains.agreement import disagreement
from harmonium.chains.diagnostics import APART, Float64Array
from harmonium.chains.starts import leading_directions
from harmonium.engines import Engine, Reals, States
from harmonium.engines.generic import free_energy
from harmonium.rbm import RBM

_DIRECTIONS = 2
_FEWEST, _MOST = 10, 1000  # chains of a group that are compared
_Z = 4.5  # with three features, a false alarm in some 500 calls with 10 chains a group, in some 2000 with 50


class Watch:
    """The few numbers by which chains of one machine are judged: the free energy, and where v lies along W.

    Parameters
    ----------
    rbm : RBM
    """

    def __init__(self, rbm: RBM) -> None:
        self._directions = leading_directions(rbm, _DIRECTIONS).astype(np.float32)

    def features(self, engine: Engine, v: States, logits: Reals) -> Float64Array:
        """F(v) in nats and d'v for the two leading right singular vectors d of W, or as many as there are.

        Shape (3 or fewer, chains); `logits` are Wv + c.
        """
        return np.stack([free_energy(engine, v, logits), *(engine.dot(v, d) for d in self._directions)])


def told_apart(engine: Engine, v: States, second: npt.NDArray[np.bool_]) -> str:
    """Whether chains tell what kind of start they come from: in words; empty if not, or if they are too few to say.

    Parameters
    ----------
    engine : Engine
    v : States of shape (chains, n_visible)
        Chains that are alike but for their starts and their noise.
    second : bool array of shape (chains,)
        Which of them come from the second kind of start.
    """
    groups = [np.flatnonzero(group)[:_MOST] for group in (~second, second)]
    if min(map(len, groups)) < _FEWEST:
        return ""
    v = engine.take(v, np.concatenate(groups))
    found = Watch(engine.rbm).features(engine, v, engine.logits_h(v))
    names = ["free energy", *(f"direction {k} of the weights" for k in range(1, len(found)))]
    return disagreement(dict(zip(names, found, strict=True)), len(groups[0]), _Z, APART)
