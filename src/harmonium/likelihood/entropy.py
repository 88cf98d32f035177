"""Entropies of a machine's layers: H(v) = log Z + E[F(v)], H(h) likewise, and H(v, h) = log Z + E[E(v, h)].

A layer of few units has its entropy from the table of its probabilities. Where the smaller layer can be enumerated, so
can E[E(v, h)], which needs E[h v'], E[v] and E[h] only; the entropy of the larger layer is then

    H(v) = H(v, h) - E[H(h | v)],

of which independent exact samples give the last term. Elsewhere the expectations are averages over chains, and log Z is
a bracket.

References
----------
Cover, Thomas, "Elements of information theory", 2nd edition, 2006, section 2.2 (the chain rule).
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from harmonium.chains.diagnostics import APART, Float64Array
from harmonium.engines import Engine, Reals
from harmonium.engines.arithmetic import logistic, matmul, softplus
from harmonium.enumeration.exact import exact_sample, exact_statistics, is_quick, probability_table
from harmonium.inputs import check_choice, check_count
from harmonium.likelihood.bracket import COVERAGE, width
from harmonium.likelihood.estimate import Estimate, check_log_z
from harmonium.likelihood.partition import log_partition
from harmonium.progress import Progress, check_progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM
from harmonium.sampling.moments import GROUPS, largest_r_hat, watched_walk
from harmonium.special import stdtrit

_UNITS = 20  # of a layer whose probabilities fit in a table
_ROWS = 2000  # samples at a time


def entropy(
    rbm: RBM,
    layer: str = "visible",
    *,
    log_z: Estimate | None = None,
    X: Any = None,
    samples: int = 10_000,
    chains: int = 100,
    sweeps: int = 1000,
    burn_in: int = 1000,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> Estimate:
    """The entropy in nats of the visible layer, of the hidden one, or of both together.

    Parameters
    ----------
    rbm : RBM
    layer : {"visible", "hidden", "joint"}
    log_z : Estimate, optional
        `log_partition` of the machine if left out. Of no use where the result is exact.
    X : array-like of shape (n_samples, n_visible), values in [0, 1], NaN where missing, optional
        For `log_partition`.
    samples : int
        Independent exact samples, of a layer whose entropy is not exact while the machine can be enumerated.
    chains, sweeps, burn_in
        As in `running_moments`, for machines that cannot be enumerated.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` with sweeps. May raise, to stop.

    Returns
    -------
    Estimate
        Exact for a layer of at most 20 units, and for both where the smaller layer can be enumerated in about a second.
        Elsewhere its ends are those of log Z, moved apart by a 95 % interval of the mean, and the verdict is
        "unreliable" where that of log Z is, or R-hat is above 1.1.

    Raises
    ------
    InvalidData, InvalidParameter

    Notes
    -----
    H(v) + H(h) - H(v, h) is the mutual information of the layers, and H(v, h) - H(v) is H(h | v).

    References
    ----------
    See `harmonium.likelihood.entropy`.

    Examples
    --------
    >>> rbm = RBM(W=[[0.0, 0.0]], b=[0.0, 0.0], c=[0.0])
    >>> print(entropy(rbm), entropy(rbm, "joint"), sep=", ")
    entropy of the visible layer = 1.39 (exact, ok), entropy of both layers = 2.08 (exact, ok)
    """
    check_progress(progress)
    check_choice(layer, "layer", ("visible", "hidden", "joint"))
    if log_z is not None:
        check_log_z(log_z)
    counts = (samples, "samples", 2), (chains, "chains", 2), (sweeps, "sweeps", 4), (burn_in, "burn_in", 0)
    samples, chains, sweeps, burn_in = (check_count(x, name, minimum=least) for x, name, least in counts)
    quantity = "entropy of both layers" if layer == "joint" else f"entropy of the {layer} layer"
    key = as_key(seed).derive("entropy")
    n_units = {"visible": rbm.n_visible, "hidden": rbm.n_hidden}.get(layer, math.inf)
    quick = is_quick(rbm)
    if n_units <= _UNITS and quick:
        table = probability_table(rbm, layer=layer, max_units=_UNITS)
        return Estimate.exact(quantity, -float((table.p * table.log_p).sum()))
    if quick:
        both = _joint_exactly(rbm, engine)
        if layer == "joint":
            return Estimate.exact(quantity, both)
        v, _ = exact_sample(rbm if layer == "visible" else rbm.mirror(), samples, seed=key, engine=engine)
        given = _conditional_entropies(rbm if layer == "visible" else rbm.mirror(), v)
        error = -float(stdtrit(samples - 1, (1 - COVERAGE) / 2)) * given.std(ddof=1) / math.sqrt(samples)
        value = both - float(given.mean())
        return Estimate(quantity, value, value - error, value + error, "samples", *width(value - error, value + error))
    machine = rbm.mirror() if layer == "hidden" else rbm
    mean, error, agreement = _over_chains(machine, layer == "joint", (chains, sweeps, burn_in), key, engine, progress)
    if log_z is None:
        rest = None if progress is None else functools.partial(_tell_on, progress, burn_in + sweeps)
        log_z = log_partition(rbm, X=X, seed=key.derive("log z"), engine=engine, progress=rest)
    if log_z.value is None or log_z.lower is None or log_z.upper is None:
        return Estimate.unknown(quantity, log_z.reason, log_z.method)
    lower, upper = log_z.lower + mean - error, log_z.upper + mean + error
    doubts = [log_z.reason] if log_z.verdict == "unreliable" else []
    doubts += [f"chains have not come together (R-hat {agreement:.2f})"] if agreement > APART else []
    verdict = ("unreliable", "; ".join(doubts)) if doubts else width(lower, upper)
    return Estimate(quantity, log_z.value + mean, lower, upper, "chains", *verdict)


def _tell_on(progress: Progress, before: int, done: int, total: int) -> None:
    progress(before + done, before + total)


def _joint_exactly(rbm: RBM, engine: str) -> float:
    """log Z + E[E(v, h)], by enumeration."""
    found = exact_statistics(rbm, engine=engine)
    parts = zip((rbm.W, rbm.b, rbm.c), found, strict=True)
    return log_partition(rbm, "exact", engine=engine).number() - sum(float((x * mean).sum()) for x, mean in parts)


def _conditional_entropies(rbm: RBM, v: Any) -> Float64Array:
    """H(h | v) of each row in nats: softplus(x) - x p for each hidden unit of log-odds x."""
    W, c = rbm.W.astype(np.float64), rbm.c.astype(np.float64)
    chunks = [matmul(v[i : i + _ROWS].astype(np.float64), W.T) + c for i in range(0, len(v), _ROWS)]
    return np.concatenate([(softplus(x) - x * logistic(x)).sum(axis=1) for x in chunks])


def _over_chains(
    rbm: RBM, joint: bool, settings: tuple[int, int, int], key: Key, name: str, progress: Progress | None
) -> tuple[float, float, float]:
    """The mean of F(v), or of E(v, h) given v, half the width of its interval, and R-hat."""
    traces = []
    for engine, _, logits, features in watched_walk(rbm, settings, None, key, name, progress):
        energies = features[0] + (_entropies(engine, logits) if joint else 0)
        traces.append(np.vstack([energies, features]))
    of_chains = np.mean([energies for energies, *_ in traces], axis=0)
    groups = [x.mean() for x in np.array_split(of_chains, min(GROUPS, len(of_chains)))]
    error = -float(stdtrit(len(groups) - 1, (1 - COVERAGE) / 2)) * np.std(groups, ddof=1) / math.sqrt(len(groups))
    return float(of_chains.mean()), error, largest_r_hat(traces)


def _entropies(engine: Engine, logits: Reals) -> Float64Array:
    """H(h | v) of each chain: E[E(v, h) | v] = F(v) + H(h | v)."""
    x = engine.to_numpy(logits).astype(np.float64)
    return np.asarray((softplus(x) - x * logistic(x)).sum(axis=1))
