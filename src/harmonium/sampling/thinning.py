"""Many independent states: exactly, or out of a few long chains that say themselves how far apart to take them."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.chains.diagnostics import APART, Float64Array, autocorrelation_time, r_hat
from harmonium.enumeration.exact import exact_sample, is_quick
from harmonium.errors import Unreliable
from harmonium.inputs import check_choice, check_count
from harmonium.progress import Progress, check_progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM
from harmonium.sampling.moments import walk
from harmonium.sampling.samples import Samples
from harmonium.sampling.watch import Watch

_FIRST = 200  # sweeps before the first look at the chains
_ENOUGH = 50  # autocorrelation times in the draws that measure them


def thinned_sample(
    rbm: RBM,
    n: int,
    *,
    method: str = "auto",
    chains: int = 10,
    max_sweeps: int = 50_000,
    start: npt.NDArray[Any] | None = None,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> Samples:
    """`n` nearly independent samples: exact ones, or from few Gibbs chains, thinned by their measured autocorrelation.

    The chains start as those of `running_moments`. They run, twice as long each time, until their second half covers 50
    of its own autocorrelation times and they agree. All of that is dropped; from there on a state is kept every two
    autocorrelation times.

    Parameters
    ----------
    rbm : RBM
    n : int
        Number of samples.
    method : {"auto", "exact", "gibbs"}
        "exact" is `exact_sample`. "auto" is exact where that takes about a second and no `start` is given.
    chains : int
        How many run side by side.
    max_sweeps : int
        Of each chain, to measure its autocorrelation time.
    start : array of 0 and 1, shape (chains, n_visible), optional
        As in `sample`.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` after every sweep; the total grows. May raise, to stop.

    Returns
    -------
    Samples

    Raises
    ------
    OutOfReach
        The method is "exact", and the smaller layer has more than 25 units.
    Unreliable
        The chains remember too long, or disagree, for `max_sweeps`.
    InvalidParameter, InvalidData
        A count is out of range, or states do not fit the machine.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> found = harmonium.thinned_sample(rbm, 100)
    >>> found.samples.shape
    (100, 2)
    """
    check_progress(progress)
    check_choice(method, "method", ("auto", "exact", "gibbs"))
    n, chains = check_count(n, "n"), check_count(chains, "chains")
    max_sweeps = check_count(max_sweeps, "max_sweeps", minimum=_FIRST)
    key = as_key(seed).derive("thinned_sample")
    if method == "exact" or (method == "auto" and start is None and is_quick(rbm)):
        samples, _ = exact_sample(rbm, n, seed=key, engine=engine, progress=progress)
        return Samples(samples, "exact", 0, tau=1.0, r_hat=1.0)
    watch, run = Watch(rbm), walk(rbm, chains, start, key, engine)
    features: list[Float64Array] = []
    length = _FIRST
    while True:
        for engine_, v, logits in islice(run, length - len(features)):
            features.append(watch.features(engine_, v, logits))
            if progress is not None:
                progress(len(features), length)
        traces = np.stack(features[length // 2 :]).transpose(1, 2, 0)
        tau = max(autocorrelation_time(x) for x in traces)
        agreement = max(r_hat(x) for x in traces)
        if traces.shape[2] >= _ENOUGH * tau and agreement <= APART:
            break
        if 2 * length > max_sweeps:
            raise Unreliable(
                f"Chains must cover {_ENOUGH} autocorrelation times to be thinned by them. Got {length} sweeps, of "
                f"which one such time may take {tau:.0f} (R-hat {agreement:.2f}). Raise max_sweeps, or use "
                "sample_tempered."
            )
        length *= 2
    every, draws, kept = math.ceil(2 * tau), -(-n // chains), []
    for sweep, (engine_, v, _) in enumerate(islice(run, every * draws), 1):
        if sweep % every == 0:
            kept.append(engine_.decode(v))
        if progress is not None:
            progress(length + sweep, length + every * draws)
    sweeps = length - 1 + every * draws
    return Samples(np.concatenate(kept)[:n], "gibbs", sweeps, tau, every, agreement)
