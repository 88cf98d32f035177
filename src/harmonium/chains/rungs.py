"""Parallel trajectory tempering: the levels of tempered chains are machines, such as training has passed through.

The first has no weights, so that its sweeps are exact samples. Neighbours a and b exchange their states, with the
hidden units summed out, by the ratio

    exp(F_a(v_a) + F_b(v_b) - F_a(v_b) - F_b(v_a)),

as in `harmonium.chains.tempered`; but as each machine has weights of its own, both look at the states of both, and each
level moves in a product of its own: a level costs about twice what a temperature costs.

The machines that are given are milestones, and the levels machines on the straight lines between them, as many and as
far apart as acceptance asks for (`harmonium.chains.settle`), two at least to a line. With none between independent
units and the machine, these are the temperatures of the linear path.

What temperatures meet and a trajectory does not is a first-order transition: a beta at which one mode takes over from
another, across which no states are exchanged however close the temperatures are. A way along which
training has moved gradually need not have one.

References
----------
Béreux, Decelle, Furtlehner, Rosset, Seoane, "Fast training and sampling of restricted Boltzmann machines", ICLR 2025.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harmonium.chains.gibbs import HIDDEN, VISIBLE
from harmonium.chains.path import Float64Array
from harmonium.engines import Engine, Reals, States, make_engine
from harmonium.engines.generic import free_energy, independent_v
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.special import softplus

MOVED = 4  # noise stream of h given states that have moved, beside those of tempered chains


def between(rbm: RBM, other: RBM, share: float) -> RBM:
    """The machine on the straight line from `rbm`, at 0, to `other`, at 1."""
    if share in (0, 1):
        return other if share else rbm
    pairs = zip((rbm.W, rbm.b, rbm.c), (other.W, other.b, other.c), strict=True)
    return RBM(*(((1 - share) * x.astype(np.float64) + share * y).astype(np.float32) for x, y in pairs))


class Rungs:
    """Machines as the levels of tempered chains, of which the last is that of the engine of a step.

    The state of the chains is a tuple of states, one for each level.

    Parameters
    ----------
    milestones : sequence of RBM
        At equal distances from 0 to 1; at least two, the first without weights, the last that of the engine of a step.
    places : float64 array of shape (levels,)
        From 0 to 1.
    engine : str

    Attributes
    ----------
    below : tuple of Engine
        The machines of all levels but the last.
    """

    def __init__(self, milestones: Sequence[RBM], places: Float64Array, engine: str = "native") -> None:
        self._milestones, self._name, self._places = tuple(milestones), engine, places
        self.below: tuple[Engine, ...] = tuple(make_engine(self.machine(place), engine) for place in places[:-1])

    def machine(self, place: float) -> RBM:
        """The machine at a place."""
        along = float(place) * (len(self._milestones) - 1)
        k = min(int(along), len(self._milestones) - 2)
        return between(self._milestones[k], self._milestones[k + 1], along - k)

    @property
    def places(self) -> Float64Array:
        """As `harmonium.chains.tempered.Levels` says."""
        return self._places

    @property
    def fewest(self) -> int:
        """Two for each stretch: chains that all are in one mode swap readily, and say nothing of the others."""
        return 2 * len(self._milestones) - 1

    @property
    def log_z_base(self) -> float:
        """log Z of the first machine, exactly."""
        first = self._milestones[0]
        return float(sum(softplus(x.astype(np.float64)).sum() for x in (first.b, first.c)))

    def at(self, places: Float64Array) -> Rungs:
        """As `harmonium.chains.tempered.Levels` says."""
        return Rungs(self._milestones, places, self._name)

    def start(self, engine: Engine, chains: int, key: Key) -> tuple[States, ...]:
        """As `harmonium.chains.tempered.Levels` says."""
        rows = range(0, len(self._places) * chains, chains)
        return tuple(independent_v(self.below[0], chains, key.rows_from(row)) for row in rows)

    def put(
        self, engine: Engine, v: tuple[States, ...], where: npt.NDArray[np.bool_], values: npt.NDArray[np.uint8]
    ) -> tuple[States, ...]:
        """As `harmonium.chains.tempered.Levels` says."""
        return tuple(engine.overwrite(x, where, engine.encode(values)) for x in v)

    def spread(self, engine: Engine, v: tuple[States, ...], source: npt.NDArray[np.intp]) -> tuple[States, ...]:
        """As `harmonium.chains.tempered.Levels` says."""
        return tuple(v[k] for k in source)

    def cold(self, engine: Engine, v: tuple[States, ...]) -> States:
        """As `harmonium.chains.tempered.Levels` says."""
        return v[-1]

    def compare(
        self, engine: Engine, v: tuple[States, ...], low: npt.NDArray[np.intp]
    ) -> tuple[tuple[list[Reals], dict[int, Reals]], Float64Array]:
        """As `harmonium.chains.tempered.Levels` says."""
        machines = (*self.below, engine)
        own = [machine.logits_h(x) for machine, x in zip(machines, v, strict=True)]
        other, gains = dict[int, Reals](), np.zeros((2, len(low), len(v[0])))
        for pair, a in enumerate(low.tolist()):
            for side, (here, there) in enumerate(((a, a + 1), (a + 1, a))):
                machine, other[here] = machines[here], machines[here].logits_h(v[there])
                gains[side, pair] += free_energy(machine, v[here], own[here])
                gains[1 - side, pair] -= free_energy(machine, v[there], other[here])
        return (own, other), gains

    def sweep(
        self, engine: Engine, seen: tuple[list[Reals], dict[int, Reals]], order: npt.NDArray[np.intp], key: Key
    ) -> tuple[States, ...]:
        """As `harmonium.chains.tempered.Levels` says; noise is that of where a state arrives."""
        own, other = seen
        states = list[States]()
        for k, machine in enumerate((*self.below, engine)):
            here = key.rows_from(k * order.shape[1])
            h, moved = machine.bernoulli(own[k], here.on(HIDDEN)), order[k] != k
            if moved.any():
                h = machine.overwrite(h, moved, machine.bernoulli(other[k], here.on(MOVED)))
            states.append(machine.sample_v(h, here.on(VISIBLE)))
        return tuple(states)
