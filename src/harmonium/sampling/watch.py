"""By what chains of a machine are judged, and whether they tell where they come from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harmonium.chains.agreement import disagreement
from harmonium.chains.diagnostics import APART, Float64Array, r_hat_of_groups
from harmonium.chains.starts import leading_directions
from harmonium.engines import Engine, Reals, States
from harmonium.engines.generic import free_energy
from harmonium.rbm import RBM

_DIRECTIONS = 2
_FEWEST, _MOST = 10, 1000  # chains of a group that are compared
ENOUGH = 100  # chains that see modes of which the smaller one holds a fifth of them
_Z = 4.5  # with three features, a false alarm in some 500 comparisons with 10 chains a group, in some 2000 with 50

Features = dict[str, Float64Array]


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
    found = named_features(engine, engine.take(v, np.concatenate(groups)))
    return disagreement(found, len(groups[0]), _Z, APART)


def still_there(earlier: Features, later: Features) -> str:
    """Whether chains tell where they were at an earlier time, as `told_apart`.

    Those that were low in a feature and those that were high are compared by it. So modes that chains do not leave are
    seen also where all kinds of starts lead to each of them equally often, whatever their weights.

    Parameters
    ----------
    earlier, later : dict of float64 arrays of shape (chains,)
        `named_features` of the same chains at two times.
    """
    for name, x in later.items():
        now = x[np.argsort(earlier[name], kind="stable")]
        first = len(now) // 2
        if first >= _FEWEST and disagreement({name: now}, first, _Z, APART):
            return (
                f"chains have stayed where they were at half-time in {name} (R-hat {r_hat_of_groups(now, first):.2f})"
            )
    return ""


def named_features(engine: Engine, v: States) -> Features:
    """The features by which chains in the states `v` are judged, and what they are called; of at most 2,000 chains."""
    some = engine.take(v, np.arange(2 * _MOST)) if len(v) > 2 * _MOST else v
    found = Watch(engine.rbm).features(engine, some, engine.logits_h(some))
    names = ["free energy", *(f"direction {k} of the weights" for k in range(1, len(found)))]
    return dict(zip(names, found, strict=True))
