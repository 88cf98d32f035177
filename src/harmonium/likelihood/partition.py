"""log Z, the logarithm of the partition function: exactly, or between two sides."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from harmonium.engines import find_engine, on_device
from harmonium.engines.arithmetic import log_sum_exp
from harmonium.errors import InvalidParameter, OutOfReach
from harmonium.inputs import check_choice, check_count, check_rows
from harmonium.likelihood.estimate import Estimate
from harmonium.likelihood.schedule import ADAPTIVE, Temperatures, check_temperatures
from harmonium.likelihood.tempered import log_z_along
from harmonium.likelihood.two_sided import Settings, anneal_both_ways
from harmonium.progress import Progress, check_progress, in_words
from harmonium.random import Key, as_key
from harmonium.rbm import RBM

_BLOCK = 1 << 20  # states between two looks at the clock or at Ctrl-C, at most
_BLOCK_SECONDS = 0.1
_BLOCK_OF_GPU = 1 << 30
_UNITS = 25  # of an exact sum that was asked for, unless said otherwise
_AUTO_SECONDS = 20.0  # an exact sum that takes longer than an annealed estimate
# Where a prediction cannot tell on which side of that a machine is, a short block of the sum is timed.
_UNCERTAIN = 0.1, 400.0
_TRIAL_SECONDS, _TRIALS = 0.005, 3
_EXACT_STARTS = 20, 5.0  # units, and seconds of one exact sum


def log_partition(
    rbm: RBM,
    method: str = "auto",
    *,
    X: Any = None,
    chains: int | None = None,
    temperatures: Temperatures = ADAPTIVE,
    sweeps: int = 1000,
    trajectory: Sequence[RBM] = (),
    start: str = "auto",
    max_units: int | None = None,
    seed: int | Key = 0,
    engine: str = "native",
    device: str | None = None,
    progress: Progress | None = None,
) -> Estimate:
    """log Z = log sum over v and h of exp(-E(v, h)).

    Parameters
    ----------
    rbm : RBM
    method : {"auto", "exact", "ais", "tempered"}
        "exact" sums over all states of the smaller layer, in blocks of bounded memory. "ais" brackets log Z between
        annealed importance sampling from independent units to the machine and from the machine back. "auto" is exact
        where that takes at most 20 seconds, by the time that a short block of the sum takes here, else "ais".
        "tempered" adds up Bennett's acceptance ratios between the levels of tempered chains (`sample_tempered`), which
        finds its way where annealed chains do not, and says by the spread of independent ladders how far to trust it.
    X : array-like of shape (n_samples, n_visible), values in [0, 1], NaN where missing, optional
        Samples of what the machine has learnt: the annealing starts from their means, and states near them are not
        missed. Used by "ais" and "tempered".
    chains : int, optional
        In each direction; left out, 500. Of "tempered" the ladders, at least 20; left out, 100.
    temperatures : int, "adaptive", "salakhutdinov" or array-like
        Their number (placed by short runs), as many as an effective sample size of 80 % asks for (at most 3,000), the
        14,503 of Salakhutdinov and Murray (2008), or the inverse temperatures themselves, rising from 0 to 1. Of
        "tempered" their number, or as many as swap half of the time (at most 200).
    sweeps : int
        Of "tempered", at every level; at least 100. Half of them place the levels.
    trajectory : sequence of RBM
        Of "tempered": machines on the way, as in `sample_tempered`.
    start : {"auto", "exact", "chains"}
        What the reverse chains start from: exact samples, or chains whose equilibrium is checked. "auto" is exact
        where both layers' smaller one has at most 20 units.
    max_units : int, optional
        The largest smaller layer that is summed over exactly; each further unit doubles the time. If left out, 25
        for what is asked to be exact, and no limit but the time for "auto".
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    device : {"cpu", "cuda", "mps"}, optional
        Where ``engine="torch"`` computes; "cuda" if left out and there is one, else "cpu".
    progress : callable, optional
        Called as ``progress(done, total)`` many times a second; the total can grow. May raise, to stop.

    Returns
    -------
    Estimate
        Of log Z. A bracket covers it in at least 95 % of runs, provided that the starts of its reverse chains are what
        `start` says, or that tempered chains have mixed, which the verdict doubts where it can see that they have not.

    Raises
    ------
    OutOfReach
        The smaller layer has more than `max_units` units, and the method (or the start) is exact.
    InvalidData, InvalidParameter
        An argument is outside of what is said here.

    Examples
    --------
    >>> print(log_partition(RBM(W=[[1.0, -1.0]], b=[0.0, 0.0], c=[0.5])))
    log Z = 2.52 (exact, ok)
    """
    check_progress(progress)
    check_choice(method, "method", ("exact", "ais", "auto", "tempered"))
    engine = on_device(engine, device)
    find_engine(engine)
    check_choice(start, "start", ("auto", "exact", "chains"))
    most_auto = math.inf if max_units is None else max_units
    max_units = check_count(_UNITS if max_units is None else max_units, "max_units", minimum=0)
    least, usual = (20, 100) if method == "tempered" else (2, 500)
    chains = check_count(usual if chains is None else chains, "chains", minimum=least)
    temperatures, sweeps = check_temperatures(temperatures), check_count(sweeps, "sweeps", minimum=100)
    key = as_key(seed)
    rows = None if X is None else check_rows(X, n_columns=rbm.n_visible)
    n_units = min(rbm.n_visible, rbm.n_hidden)
    seconds = _predicted_seconds(rbm, engine)
    if method == "exact":
        _check_units(rbm, max_units, seconds)
    elif method == "auto" and n_units <= most_auto and _UNCERTAIN[0] < seconds < _UNCERTAIN[1]:
        seconds = _measured_seconds(rbm, engine, seconds)
    if method == "exact" or (method == "auto" and n_units <= most_auto and seconds <= _AUTO_SECONDS):
        return Estimate.exact("log Z", _sum_exactly(rbm, engine, seconds, progress))
    if method == "tempered":
        n = _n_levels(temperatures)
        return log_z_along(rbm, rows, trajectory, n, chains, sweeps, key.derive("tempered log Z"), engine, progress)
    if start == "exact":
        _check_units(rbm, max_units, seconds)
    quick = n_units <= min(max_units, _EXACT_STARTS[0]) and seconds <= _EXACT_STARTS[1]
    exact = start == "exact" or (start == "auto" and quick)
    settings = Settings(temperatures, chains, exact, max_units, engine)
    return anneal_both_ways(rbm, rows, settings, key.derive("ais"), progress)


def _n_levels(temperatures: Any) -> int | None:
    """How many levels tempered ladders are to have; None for as many as they need."""
    if isinstance(temperatures, int):
        return check_count(temperatures, "temperatures", minimum=2)
    if not isinstance(temperatures, str) or temperatures != ADAPTIVE:
        raise InvalidParameter(
            f'temperatures must be a number or "{ADAPTIVE}" with method "tempered". Got {temperatures!r}. Tempered '
            "chains move their temperatures to equal acceptance: say how many."
        )
    return None


def _sum_exactly(rbm: RBM, engine: str, seconds: float, progress: Progress | None) -> float:
    smaller = _with_smaller_hidden(rbm)
    log_block, n_states = find_engine(engine).log_partition_block, 2**smaller.n_hidden
    # Short enough to be interrupted, and for engines that hold a block's logits to hold little.
    most = _BLOCK if find_engine(engine).term_seconds > 1e-11 else _BLOCK_OF_GPU
    length = max(1, min(most, 2 ** int(math.log2(max(1.0, n_states * _BLOCK_SECONDS / seconds)))))
    blocks = []
    for first in range(0, n_states, length):
        blocks.append(log_block(smaller, first, min(length, n_states - first)))
        if progress is not None:
            progress(min(first + length, n_states), n_states)
    return log_sum_exp(np.array(blocks))


def _with_smaller_hidden(rbm: RBM) -> RBM:
    """The machine turned so that its smaller layer is the hidden one, whose states the engines enumerate."""
    return rbm.mirror() if rbm.n_visible < rbm.n_hidden else rbm


def _measured_seconds(rbm: RBM, engine: str, seconds: float) -> float:
    """The time of the exact sum by that of a short block of it, the quickest of three; `seconds` as predicted."""
    smaller = _with_smaller_hidden(rbm)
    n_states = 2**smaller.n_hidden
    length = max(1, min(_BLOCK, n_states, 2 ** int(math.log2(max(1.0, n_states * _TRIAL_SECONDS / seconds)))))
    times = []
    for _ in range(_TRIALS):
        start = time.perf_counter()
        find_engine(engine).log_partition_block(smaller, 0, length)
        times.append(time.perf_counter() - start)
    return min(times) * n_states / length


def _predicted_seconds(rbm: RBM, engine: str) -> float:
    small, large = sorted((rbm.n_visible, rbm.n_hidden))
    # The time for a state does not vanish with the size of the larger layer.
    return math.ldexp(max(large, 16) * find_engine(engine).term_seconds, min(small, 900))


def _check_units(rbm: RBM, max_units: int, seconds: float) -> None:
    n_units = min(rbm.n_visible, rbm.n_hidden)
    if n_units > max_units:
        raise OutOfReach(
            f"The smaller layer must have at most {max_units} units to sum over all of its states. Got {n_units} "
            f"(2**{n_units} states, about {in_words(seconds)} on two cores). Raise max_units if you have the time, or "
            'use method="ais".'
        )
