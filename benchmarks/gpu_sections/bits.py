"""Whether the bits are those of the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

import harmonium
from gpu_sections.setting import Row, Setting, aimed
from harmonium.random import Key


def bits_of_sampling(at: Setting) -> Iterator[Row]:
    rbm, chains, sweeps = at.machine(), 20 if at.small else 1000, 4 if at.small else 50
    start = at.data(chains)
    found = [
        harmonium.sample(rbm, sweeps=sweeps, start=start, seed=3, engine=name) for name in (at.engine, at.reference)
    ]
    yield {"what": f"{chains} chains, {sweeps} sweeps", **differing(*found)}


def bits_of_cd(at: Setting) -> Iterator[Row]:
    for centred in (True, False):
        yield from _bits_of_training(at, method="cd", batch_size=10 if at.small else 100, centered=centred)


def bits_of_pcd(at: Setting) -> Iterator[Row]:
    batch = 10 if at.small else 500
    for sweeps in (1, 3):
        yield from _bits_of_training(at, method="pcd", batch_size=batch, chains=batch, sweeps=sweeps)


def bits_of_pt(at: Setting) -> Iterator[Row]:
    batch = 10 if at.small else 100
    yield from _bits_of_training(at, method="pt", batch_size=batch, chains=batch, temperatures=5)


def _bits_of_training(at: Setting, **choices: Any) -> Iterator[Row]:
    X, epochs = at.data(4 * choices["batch_size"] + 3), 2 if at.small else 8
    found = []
    for name in (at.engine, at.reference):
        rbm = harmonium.train(X, at.shape[1], epochs=epochs, held_out=0, engine=name, seed=4, **choices).rbm
        found.append(np.concatenate([x.ravel() for x in (rbm.W, rbm.b, rbm.c)]))
    yield {"what": f"{5 * epochs} steps of {choices}", **differing(*found)}


def bits_of_enumeration(at: Setting) -> Iterator[Row]:
    units = 10 if at.small else 20
    rbm = at.machine(units)
    found = [
        harmonium.log_partition(rbm, "exact", max_units=units, engine=name).value for name in (at.engine, at.reference)
    ]
    row = {"what": f"log Z of 2^{units} x {at.shape[0]}", "log_z": found[0], "difference": abs(found[0] - found[1])}
    yield aimed(row, "difference", (1e-8, 1e-8), at_most=True)


def bits_of_pseudo_likelihood(at: Setting) -> Iterator[Row]:
    X = at.data(20 if at.small else 500)
    found = [harmonium.pseudo_log_likelihood(at.machine(), X, engine=name) for name in (at.engine, at.reference)]
    yield {"what": f"pseudo-log-likelihoods of {len(X)} rows", **differing(*found)}


def bits_of_annealing(at: Setting) -> Iterator[Row]:
    chains, temperatures = (10, 12) if at.small else (100, 300)
    found = []
    for name in (at.engine, at.reference):
        annealer = at.annealer(name)
        works = annealer.run(annealer.start(chains, Key(1)), np.linspace(0, 1, temperatures + 1), Key(2))
        found.append(np.concatenate([works.log_w, works.lengths]))
    yield {"what": f"weights of {chains} chains, {temperatures} temperatures", **differing(*found)}


def differing(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Row:
    return aimed({"differing": int((x != y).sum()), "of": x.size}, "differing", (0, 0), at_most=True)


BITS = {
    "bits of sampling": bits_of_sampling,
    "bits of CD-1": bits_of_cd,
    "bits of PCD": bits_of_pcd,
    "bits of PT": bits_of_pt,
    "bits of annealing": bits_of_annealing,
    "bits of enumeration": bits_of_enumeration,
    "bits of pseudo-likelihood": bits_of_pseudo_likelihood,
}
