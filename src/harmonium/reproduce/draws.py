"""What machines make up: samples of long tempered chains, and chains that set out from data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmonium.progress import Progress
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.sampling import gibbs_chain, running_moments, sample_tempered

States = npt.NDArray[np.uint8]

SWEEPS_FROM_DATA = (0, 1, 10, 100, 1_000, 10_000)
_AFTER = 1000  # Gibbs sweeps from the samples, over which R-hat is taken
_ROWS = 4096  # images that are compared at a time
_UNSEEN = 200  # images that samples are held against


@dataclass(frozen=True, eq=False)
class Draws:
    """Samples of one machine, how far to trust them, and the training images that they are most like.

    Attributes
    ----------
    v : uint8 array of shape (n, n_visible)
        The last states of as many tempered ladders.
    sweeps, temperatures, round_trips : int
        Of those ladders.
    r_hat : float
        Of Gibbs chains that go on from `v` for 1,000 sweeps: near 1 where Gibbs sampling forgets where it began.
    nearest : int array of shape (n,)
        The training image in the smallest Hamming distance from each sample.
    distance, distance_of_data : float
        The mean of those distances, in pixels; and that of unseen images from their nearest training images.
    classes : int array of shape (n_classes,)
        How many of the nearest images are of each class.
    """

    v: States
    sweeps: int
    temperatures: int
    round_trips: int
    r_hat: float
    nearest: npt.NDArray[np.intp]
    distance: float
    distance_of_data: float
    classes: npt.NDArray[np.intp]


def draw(
    rbm: RBM,
    n: int,
    X: States,
    y: npt.NDArray[np.int64],
    unseen: States,
    *,
    sweeps: int,
    seed: Key,
    engine: str,
    progress: Progress,
) -> Draws:
    """Sample a machine of the binary images `X`, whose classes are `y`.

    Parameters
    ----------
    rbm : RBM
    n : int
        Samples.
    X : uint8 array of shape (n_samples, n_visible)
    y : int array of shape (n_samples,)
    unseen : uint8 array of shape (any, n_visible)
        Other images.
    sweeps : int
        At every temperature.
    seed : Key
    engine : str
    progress : callable
    """
    found = sample_tempered(
        rbm, n, sweeps=sweeps, temperatures="adaptive", X=X, seed=seed, engine=engine, progress=progress
    )
    v = found.samples
    after = running_moments(
        rbm, method="gibbs", start=v, sweeps=_AFTER, burn_in=0, seed=seed.derive("after"), engine=engine
    )
    (nearest, distance), (_, of_data) = nearest_rows(v, X), nearest_rows(unseen[:_UNSEEN], X)
    classes = np.bincount(y[nearest], minlength=int(y.max()) + 1)
    return Draws(
        v,
        sweeps,
        len(found.betas),
        found.round_trips,
        after.r_hat,
        nearest,
        float(distance.mean()),
        float(of_data.mean()),
        classes,
    )


def nearest_rows(v: States, X: States) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The row of `X` in the smallest Hamming distance from each row of `v`, the first of several; and that distance."""
    v = v.astype(np.float32)
    place, least = np.zeros(len(v), np.intp), np.full(len(v), np.inf, np.float32)
    for i in range(0, len(X), _ROWS):
        part = X[i : i + _ROWS].astype(np.float32)
        distances = v.sum(axis=1)[:, None] + part.sum(axis=1) - 2 * v @ part.T  # whole numbers, so exact
        nearer = distances.min(axis=1) < least
        place[nearer] = i + distances.argmin(axis=1)[nearer]
        least = np.minimum(least, distances.min(axis=1))
    return place, least.astype(np.intp)


def walk_from_data(rbm: RBM, start: States, *, seed: Key, engine: str, progress: Progress) -> list[States]:
    """Gibbs chains that begin at images: their states after each number of `SWEEPS_FROM_DATA`."""
    chain, states, seen = gibbs_chain(rbm, start, seed=seed, engine=engine), start, []
    for sweep in range(SWEEPS_FROM_DATA[-1] + 1):
        if sweep:
            states = next(chain)
            progress(sweep, SWEEPS_FROM_DATA[-1])
        if sweep in SWEEPS_FROM_DATA:
            seen.append(states)
    return seen
