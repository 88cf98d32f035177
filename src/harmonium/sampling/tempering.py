"""Samples of machines whose modes are far apart, by parallel tempering (`harmonium.chains.tempered`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harmonium.chains.settle import run, settle
from harmonium.chains.tempered import init
from harmonium.chains.ways import levels_to
from harmonium.engines import make_engine
from harmonium.inputs import check_choice, check_count, check_rows
from harmonium.progress import Counter, Progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM
from harmonium.sampling.samples import Samples

_TEMPERATURES = 10
ADAPTIVE = "adaptive"


def sample_tempered(
    rbm: RBM,
    n: int,
    *,
    sweeps: int = 1000,
    temperatures: int | str | None = None,
    X: Any = None,
    trajectory: Sequence[RBM] = (),
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> Samples:
    """Samples of a machine whose modes are too far apart for Gibbs sampling, from `n` independent tempered ladders.

    Each sample is the state at beta = 1 of a ladder of its own. The first half of the sweeps moves the temperatures to
    equal acceptance; then they stand still.

    Parameters
    ----------
    rbm : RBM
    n : int
        Number of samples, and of ladders.
    sweeps : int
        At every temperature; at least 2, as pairs take turns.
    temperatures : int or "adaptive", optional
        How many in a ladder, or as many as swap half of the time (at most 200). Left out, 10, and "adaptive" where
        there is a `trajectory`, of which they are machines.
    X : array-like of shape (n_samples, n_visible), values in [0, 1], NaN where missing, optional
        Samples of what the machine has learnt, whose means become those of the units at beta = 0; this brings the two
        ends of the ladder closer. Without, all states are equally likely there. The machine's bias b would be no
        substitute: it can be far from the means that the hidden units make of it, and so can the means of its own
        chains, which have seen one mode; a base that knows one mode hides the others, and swaps look the better for it.
    trajectory : sequence of RBM
        Machines that training has passed through, earliest first, of the same layers. Then a ladder leads from
        independent units through these to the machine (parallel trajectory tempering, `harmonium.chains.rungs`), at
        about twice the time; `betas` of the result are places on that way. For machines whose modes take over from one
        another at some temperature, so that no number of temperatures makes them swap.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` after every sweep. May raise, to stop.

    Returns
    -------
    Samples

    Raises
    ------
    InvalidParameter, InvalidData
        A count is out of range, or the data or the trajectory do not fit the machine.

    References
    ----------
    See `harmonium.chains.tempered` and `harmonium.chains.rungs`.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.sample_tempered(rbm, 50, sweeps=50).samples.shape
    (50, 2)
    """
    n, sweeps = check_count(n, "n"), check_count(sweeps, "sweeps", minimum=2)
    if temperatures is None:
        temperatures = ADAPTIVE if len(trajectory) else _TEMPERATURES
    if isinstance(temperatures, str):
        check_choice(temperatures, "temperatures", (ADAPTIVE,))
        count = _TEMPERATURES
    else:
        count = check_count(temperatures, "temperatures", minimum=2)
    rows = None if X is None else check_rows(X, n_columns=rbm.n_visible)
    key = as_key(seed).derive("sample_tempered")
    levels, engine_ = levels_to(rbm, rows, trajectory, count, engine), make_engine(rbm, engine)
    counter = Counter(progress, sweeps)
    state = init(engine_, levels, n, key)
    wanted = None if temperatures == ADAPTIVE else count
    state, levels = settle(engine_, levels, state, key, sweeps // 2, wanted, counter.tick)
    state, acceptance = run(engine_, levels, state, key, sweeps - counter.done, counter.tick)
    samples = engine_.decode(levels.cold(engine_, state.v))
    tempered: dict[str, Any] = {"betas": levels.places, "acceptance": acceptance}
    return Samples(samples, "tempered", sweeps, every=sweeps, round_trips=int(state.round_trips.sum()), **tempered)
