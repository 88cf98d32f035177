"""Blocked Gibbs sampling: all hidden units at once given the visible ones, then all visible given the hidden."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.chains import gibbs
from harmonium.chains.gibbs import GibbsState
from harmonium.chains.path import Point
from harmonium.chains.starts import alternating
from harmonium.engines import Engine, States, make_engine, on_device
from harmonium.enumeration.exact import exact_sample, is_quick
from harmonium.errors import InvalidData, InvalidParameter, SamplingAlarm
from harmonium.inputs import check_count, check_matrix, check_number
from harmonium.progress import Progress, check_progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM
from harmonium.reprs import short_repr
from harmonium.sampling.watch import ENOUGH, named_features, still_there, told_apart

_SWEEPS = 1000
JUDGED_SWEEPS = 20  # of which samples are asked for as such: fewer are steps on a way


class Clamp(NamedTuple):
    """Visible units that are held fixed while the others are sampled.

    Attributes
    ----------
    where : bool array of shape (n_visible,) or (chains, n_visible)
        True where a unit is held.
    values : array of 0 and 1, shape (n_visible,) or (chains, n_visible)
        What it is held at; ignored elsewhere.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> held = harmonium.Clamp(where=[[True, False]], values=[[1, 0]])
    >>> harmonium.sample(rbm, 3, sweeps=10, clamp=held)[:, 0]
    array([1, 1, 1], dtype=uint8)
    """

    where: npt.NDArray[Any]
    values: npt.NDArray[Any]

    def __repr__(self) -> str:
        return short_repr(self)


def gibbs_chain(
    rbm: RBM,
    start: npt.NDArray[Any],
    *,
    seed: int | Key = 0,
    clamp: Clamp | None = None,
    beta: float | npt.NDArray[Any] = 1.0,
    engine: str = "native",
) -> Iterator[npt.NDArray[np.uint8]]:
    """Run chains from given states, yielding them after every sweep; stop whenever you like.

    Parameters
    ----------
    rbm : RBM
    start : array of 0 and 1, shape (chains, n_visible)
        Where the chains begin: data, noise, or the last states of another run.
    seed : int or Key
    clamp : Clamp, optional
        Visible units to hold fixed (so that half an image can be completed).
    beta : float or array of shape (chains,)
        Inverse temperature.
    engine : {"native", "numpy", "torch"}

    Yields
    ------
    ndarray of shape (chains, n_visible), uint8

    Raises
    ------
    InvalidData, InvalidParameter
        `start` or `clamp` is not binary or does not fit the machine; `beta` is no inverse temperature.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> chain = harmonium.gibbs_chain(rbm, [[0, 0], [1, 1]])
    >>> next(chain).shape
    (2, 2)
    """
    engine_ = make_engine(rbm, engine)
    v = engine_.encode(check_matrix(start, n_columns=rbm.n_visible, name="start", binary=True))
    chains = _run(engine_, v, as_key(seed).derive_for_rows("gibbs_chain"), clamp, beta)
    next(chains)  # the start itself
    return (engine_.decode(state.v) for state in chains)


def sample(
    rbm: RBM,
    n: int | None = None,
    *,
    sweeps: int | None = None,
    start: npt.NDArray[Any] | None = None,
    seed: int | Key = 0,
    clamp: Clamp | None = None,
    beta: float | npt.NDArray[Any] = 1.0,
    engine: str = "native",
    device: str | None = None,
    progress: Progress | None = None,
) -> npt.NDArray[np.uint8]:
    """Samples of a machine: exact where nothing else is asked for, else independent Gibbs chains after some sweeps.

    Parameters
    ----------
    rbm : RBM
    n : int, optional
        Number of chains; needed unless `start` says it.
    sweeps : int, optional
        Full v -> h -> v sweeps for each chain. Zero returns the start. If left out, samples are exact (`exact_sample`)
        where that takes about a second and there is no `start`, `clamp` or `beta`, and 1000 sweeps are made elsewhere.
    start : array of 0 and 1, shape (n, n_visible), optional
        Initial states. If left out, every other chain starts from independent noise with the machine's visible biases,
        the rest from fair coins: chains that start alike may all miss the same mode.
    seed, clamp, beta, engine
        As in `gibbs_chain`.
    device : {"cpu", "cuda", "mps"}, optional
        Where ``engine="torch"`` computes; "cuda" if left out and there is one, else "cpu".
    progress : callable, optional
        Called as ``progress(done, total)`` after every sweep. May raise, to stop.

    Returns
    -------
    ndarray of shape (n, n_visible), uint8

    Raises
    ------
    InvalidParameter, InvalidData
        A count is out of range, or states do not fit the machine.

    Warns
    -----
    SamplingAlarm
        Chains from the two kinds of start, or those that were low and those that were high at half-time, differ in
        their free energies or along the leading directions of W (R-hat above 1.1, and more than by chance). Not where a
        `start` is given, or chains differ in `clamp` or `beta`. Of 20 sweeps or more; at least 100 chains are run
        for it. Sound samples are warned of less than once in 250 calls.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.sample(rbm, 4, sweeps=10).shape
    (4, 2)
    """
    check_progress(progress)
    key, engine = as_key(seed).derive_for_rows("sample"), on_device(engine, device)
    if sweeps is None and start is None and clamp is None and np.ndim(beta) == 0 and beta == 1 and is_quick(rbm):
        return exact_sample(rbm, check_count(n, "n"), seed=key, engine=engine, progress=progress)[0]
    sweeps = _SWEEPS if sweeps is None else check_count(sweeps, "sweeps", minimum=0)
    engine_ = make_engine(rbm, engine)
    # Chains beside those asked for, where these are too few to be compared; the first n are the same bits.
    judged = sweeps >= JUDGED_SWEEPS and start is None and _all_alike(clamp, beta)
    if start is None:
        n = check_count(n, "n")
        n_chains = max(n, ENOUGH) if judged else n
        v = gibbs.init(engine_, n_chains, key, alternating(n_chains)).v
    else:
        v = engine_.encode(check_matrix(start, n_columns=rbm.n_visible, name="start", binary=True))
        if n is not None and n != len(v):
            raise InvalidData(f"n and start must agree. Got n={n} and {len(v)} rows. Leave n out, or pass n rows.")
        n = len(v)
    chain = _run(engine_, v, key, clamp, beta)
    state = next(chain)
    before = state.v
    for sweep in range(sweeps):
        state = next(chain)
        if sweep + 1 == (sweeps + 1) // 2:
            before = state.v
        if progress is not None:
            progress(sweep + 1, sweeps)
    if judged and (doubt := _doubt(engine_, before, state.v)):
        message = f"{doubt} after {sweeps} sweeps: take more, or use sample_tempered"
        warnings.warn(message, SamplingAlarm, stacklevel=2)
    return engine_.decode(engine_.take(state.v, np.arange(n)) if len(state.v) > n else state.v)


def draw(
    rbm: RBM, n: int, sweeps: int, key: Key, name: str, *, exact: bool = False
) -> tuple[npt.NDArray[np.uint8], str]:
    """`n` states, exact or the ends of chains as those of `sample`; and what speaks against them, in words."""
    if exact:
        return exact_sample(rbm, n, seed=key, engine=name)[0], ""
    engine = make_engine(rbm, name)
    before = gibbs.run(engine, gibbs.init(engine, n, key, alternating(n)), key, (sweeps + 1) // 2)
    v = gibbs.run(engine, before, key, sweeps - before.sweep).v
    return engine.decode(v), _doubt(engine, before.v, v)


def _doubt(engine: Engine, before: States, v: States) -> str:
    """What speaks against chains that were in the states `before` at half-time, in words."""
    doubt = told_apart(engine, v, alternating(len(v)) == 0)
    if doubt or before is v:
        return doubt
    return still_there(named_features(engine, before), named_features(engine, v))


def _all_alike(clamp: Clamp | None, beta: float | npt.NDArray[Any]) -> bool:
    """Whether all chains sample the same distribution."""
    return np.ndim(beta) == 0 and (not isinstance(clamp, Clamp) or all(len(np.atleast_2d(x)) == 1 for x in clamp))


def _run(
    engine: Engine, v: States, key: Key, clamp: Clamp | None, beta: float | npt.NDArray[Any]
) -> Iterator[GibbsState]:
    """The chains before the first sweep, then after each, endlessly. The arguments are checked at once."""
    point, free = Point(_check_beta(beta, len(v))), None
    if clamp is not None:
        if not isinstance(clamp, Clamp):
            raise InvalidParameter(
                f"clamp must be a harmonium.Clamp(where, values). Got {type(clamp).__name__}. "
                "Say which units are held, and at what."
            )
        where, values = _check_clamp(clamp, len(v), engine.n_visible)
        free = engine.encode(where == 0)
        v = engine.overwrite(v, engine.encode(where), engine.encode(values))
    return _sweeps(engine, GibbsState(v), key, point, free)


def _sweeps(engine: Engine, state: GibbsState, key: Key, point: Point, free: States | None) -> Iterator[GibbsState]:
    while True:
        yield state
        state, _ = gibbs.step(engine, state, key, point, free)


def _check_beta(beta: Any, n_chains: int) -> float | npt.NDArray[np.float64]:
    if np.ndim(beta) == 0:
        return check_number(beta, "beta", low=0)
    betas = np.asarray(beta)
    if betas.shape != (n_chains,) or betas.dtype.kind not in "uif" or not np.all((betas >= 0) & (betas < np.inf)):
        raise InvalidParameter(
            f"beta must be a finite number of at least 0, or one for each of {n_chains} chains. "
            f"Got {np.array2string(betas, threshold=6)} of shape {betas.shape}. Pass such numbers."
        )
    return betas.astype(np.float64)


def _check_clamp(clamp: Clamp, n_chains: int, n_visible: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The two arrays with a row for each chain; what is not held has the value 0."""
    where, values = (_rows(x, f"clamp.{name}") for name, x in (("where", clamp.where), ("values", clamp.values)))
    where = check_matrix(where, n_columns=n_visible, name="clamp.where", binary=True)
    if values.shape[1:] != (n_visible,) or not {len(where), len(values)} <= {1, n_chains}:
        raise InvalidData(
            f"clamp must have {n_visible} columns, and one row or one per chain ({n_chains}). "
            f"Got shapes {where.shape} and {values.shape}. Hold all visible units or leave them free in each row."
        )
    where = np.broadcast_to(where, (n_chains, n_visible))
    values = check_matrix(np.where(where, values, 0), name="clamp.values", binary=True)
    return where, values


def _rows(x: Any, name: str) -> npt.NDArray[Any]:
    try:
        rows = np.atleast_2d(np.asarray(x))
    except ValueError:
        rows = np.empty(0, object)
    if rows.dtype.kind not in "buif":
        raise InvalidData(
            f"{name} must be an array of numbers. Got {type(x).__name__} that is not. Pass rows of 0 and 1."
        )
    return rows
