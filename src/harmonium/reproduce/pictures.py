"""The pictures of the machines that need no framework, as PNG files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmonium import plot
from harmonium.datasets import binarize
from harmonium.progress import Progress
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.reproduce.digits import Digits
from harmonium.reproduce.draws import Draws, draw, walk_from_data
from harmonium.reproduce.plan import Plan
from harmonium.reproduce.scratch import Trained

N_FILTERS, N_SAMPLES, N_RECONSTRUCTED, N_WALKING, N_COMPARED = 64, 100, 20, 12, 12


@dataclass(frozen=True, eq=False)
class Gallery:
    """The pictures of both machines, and what their captions tell.

    Attributes
    ----------
    pngs : dict of str to bytes
        By the stems of their files.
    draws : tuple of Draws
        Of the machine of contrastive divergence, and of that trained for likelihood.
    on_in_data : float
        The share of pixels that are on in the thresholded training images.
    on_after : list of float
        The same in the chains of contrastive divergence's machine, after each number of sweeps.
    """

    pngs: dict[str, bytes]
    draws: tuple[Draws, Draws]
    on_in_data: float
    on_after: list[float]


def make_gallery(seeds: Trained, likely: Trained, digits: Digits, plan: Plan, progress: Progress) -> Gallery:
    """Sample both machines in the same way, and draw all there is to see of them."""
    shape, key = digits.dataset.shape, Key(plan.seed).derive("pictures")
    X, unseen = (binarize(x, "threshold", key).astype(np.uint8) for x in (digits.X, digits.X_test))
    machines = {"cd": seeds.result.rbm, "likelihood": likely.result.rbm}
    engine = plan.rbm.config.engine
    found = []
    pngs = {}
    for name, rbm in machines.items():
        own = key.derive(name)
        drawn = draw(
            rbm, N_SAMPLES, X, digits.y, unseen, sweeps=plan.sweeps, seed=own, engine=engine, progress=progress
        )
        found.append(drawn)
        pngs[f"samples_{name}"] = _grid(rbm.mean_v_from_h(rbm.sample_h_from_v(drawn.v, seed=own)), shape, 10)
    compared = found[1].v[:N_COMPARED], X[found[1].nearest[:N_COMPARED]]
    pngs["nearest"] = _grid(np.concatenate(compared), shape, N_COMPARED)
    start = X[:: len(X) // N_WALKING][:N_WALKING]
    walk = walk_from_data(machines["cd"], start, seed=key.derive("walk"), engine=engine, progress=progress)
    pngs["sweeps"] = _grid(np.concatenate(walk), shape, len(start))
    pngs |= _of_one(machines["cd"], seeds, digits, key)
    return Gallery(pngs, (found[0], found[1]), float(X.mean()), [float(states.mean()) for states in walk])


def _of_one(rbm: RBM, trained: Trained, digits: Digits, key: Key) -> dict[str, bytes]:
    """Filters, reconstructions and curves."""
    shape, history = digits.dataset.shape, trained.result.history
    shown = binarize(digits.X_test[:N_RECONSTRUCTED], trained.result.config.binarize, key.derive("states"))
    axes = plot.bare_axes(9.6, 3.2, columns=plot.panels_of(history))
    return {
        "filters": plot.to_png(plot.filters(rbm, shape, N_FILTERS, ax=plot.bare_axes())),
        "reconstructions": plot.to_png(plot.reconstructions(rbm, shown, shape, key, ax=plot.bare_axes())),
        "curves": plot.to_png(plot.curves(history, axes=axes)),
    }


def _grid(images: npt.NDArray[np.generic], shape: tuple[int, int] | None, columns: int) -> bytes:
    return plot.to_png(plot.samples(images, shape, columns=columns, ax=plot.bare_axes()))
