"""Alarms in words: pure functions from the reports of a run to sentences "what happened: what to do".

They are meant to be silent in a run that goes well, its first epochs included, where weights are small, change fast and
scores rise. So a trend counts when it has lasted for several reports and exceeds the noise that the series itself
shows, and a level counts when it is far beyond what healthy runs were seen to reach; those levels stand below.

References
----------
Fischer, Igel, "Empirical analysis of the divergence of Gibbs sampling based learning algorithms for restricted
Boltzmann machines", ICANN 2010: with few sweeps the likelihood may fall while everything cheap to watch looks well.
Hinton, "A practical guide to training restricted Boltzmann machines", UTML TR 2010-003, sections 5 to 7.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from harmonium.training.mixing import ChainHealth
from harmonium.training.reports import Report, read_reports
from harmonium.training.scores import Scores

_IN_A_ROW = 3  # evaluations that make a trend
# A fall of a score, in standard deviations (SD) of the series' noise: of three steps downwards in a row, and of three
# evaluations below the level where the series was. To either comes a fraction of what was gained, and of the score.
_STEPS_DOWN_SD, _BELOW_LEVEL_SD = 4.0, 2.5
_FRACTION_OF_GAIN, _FRACTION_OF_SCORE = 0.05, 0.002
_GAP_SD = 0.25  # by how much the free-energy gap must have sunk, in standard deviations of the free energy
# By what fraction of its score a machine may be worse than independent units: in two reports, and in a single one.
_WORSE_TWICE, _WORSE_ONCE = 0.01, 0.1
_IDLE_FRACTION = 0.1  # of the hidden units
_UPDATE_RATIO = 0.05  # norm of one step over that of W; healthy runs reach it in first epochs, while scores rise
# Chains are stuck whose autocorrelation time exceeds the sweeps watched, if these were so many; or with such an R-hat.
# In healthy runs on images tau comes to half of a long window, and late in training to all of a short one.
_STUCK_SWEEPS, _STUCK_R_HAT = 300, 10.0
# Of a finished run: over as many sweeps as a sample takes, healthy chains have forgotten where they were.
_SWEEPS_OF_A_SAMPLE, _MIXED_R_HAT = 1000, 1.2
_APART_SD = 4.0  # standard deviations of the free energy from chains to data; healthy chains are within 1.5
_DISTINCT_FRACTION = 0.25  # of the number of different states in as many rows of data
_SWAP_ACCEPTANCE = 0.1


def alarms(history: Iterable[Any], independent: float | None = None, *, heeded: bool = False) -> tuple[str, ...]:
    """What is wrong with a run as of its last report.

    Parameters
    ----------
    history : iterable of records
        All reports so far, in order: `Report`, or records or dictionaries with the same fields.
    independent : float, optional
        The pseudo-log-likelihood of independent units with the means of the training data.
    heeded : bool
        Whether held-out data steer the run, which then needs no words about overfitting.

    Returns
    -------
    tuple of str
        "what happened: what to do"; empty if nothing is wrong.
    """
    reports = [report for report in read_reports(history) if report.train or report.weights or report.chains]
    if not reports:
        return ()
    found = [
        _falling(reports, heeded),
        None if heeded else _overfitting(reports),
        _worse_than_independent(reports, independent),
        _idle_units(reports[-1], "n_dead", "off", "lower the learning rate, or start from other weights"),
        _idle_units(reports[-1], "n_saturated", "on", "lower the learning rate, or raise weight_decay"),
        _large_updates(reports),
        _collapsed(reports[-1]),
        _stuck(reports[-1]),
        _apart(reports),
        _few_swaps(reports[-1]),
    ]
    return tuple(sentence for sentence in found if sentence)


def unmixed(report: Report) -> str | None:
    """What the chains of a finished run say about the machine: that its modes may have wrong weights.

    While a run goes on they may be slow, as the machine changes under them and is pulled back where they lag behind. At
    its end nothing mends what they have not seen, and samples of the machine, begun anywhere, are as slow.
    """
    chains = report.chains
    if chains is None or chains.r_hat is None or _stuck(report) is not None:
        return None
    if chains.sweeps < _SWEEPS_OF_A_SAMPLE or chains.r_hat <= _MIXED_R_HAT:
        return None
    return (
        f"in the end the chains had not mixed, R-hat was {chains.r_hat:.3g} over {chains.sweeps} sweeps, so that modes "
        f"may have wrong weights and samples favour some of them: {_remedy(chains)}"
    )


def last_alarms(history: Iterable[Any]) -> list[str]:
    """What each kind of alarm of a run said last, with its epoch, out of its records as `read_reports` takes them."""
    records = list(history)
    found: dict[str, tuple[int, str]] = {}
    for record, report in zip(records, read_reports(records), strict=True):
        epoch = record.get("epoch") if isinstance(record, Mapping) else getattr(record, "epoch", None)
        found |= {kind_of(alarm): (epoch or 0, alarm) for alarm in report.alarms}
    return [f"epoch {epoch}: {alarm}" for epoch, alarm in sorted(found.values())]


def kind_of(alarm: str) -> str:
    """What stays of an alarm while its numbers change with every record."""
    return re.sub(r"[-+.\d]+", "#", alarm)


# Scores --------------------------------------------------------------------------------------------------------------


def _falling(reports: Sequence[Report], heeded: bool) -> str | None:
    """The likelihood of the training data falls, or that of held-out data only."""
    name, train = _series([report.train for report in reports])
    held_out_name, valid = _series([report.valid for report in reports])
    if _falls(train, _uncertainty(reports[-1].train)):
        return (
            f"the {name} has fallen for {_IN_A_ROW} evaluations, from {max(train):.2f} at best to {train[-1]:.2f} "
            "nats: raise sweeps or lower the learning rate"
        )
    if not heeded and _falls(valid, _uncertainty(reports[-1].valid)):
        return (
            f"the {held_out_name} of held-out data has fallen for {_IN_A_ROW} evaluations, from {max(valid):.2f} at "
            f"best to {valid[-1]:.2f} nats, that of training data has not: stop with patience, or raise weight_decay"
        )
    return None


def _overfitting(reports: Sequence[Report]) -> str | None:
    """The free-energy gap sinks while the held-out score does not rise."""
    gaps = [report.free_energy_gap for report in reports if report.free_energy_gap is not None]
    valid, last = _series([report.valid for report in reports])[1], reports[-1].valid
    if len(gaps) <= _IN_A_ROW or last is None or not last.free_energy_spread or _rises(valid):
        return None
    sunk = max(gaps[:-_IN_A_ROW]) - max(gaps[-_IN_A_ROW:])
    if sunk <= _GAP_SD * last.free_energy_spread:
        return None
    return (
        f"the free energy of held-out data has risen by {sunk:.1f} nats against that of training data, and no score of "
        "theirs rises: stop with patience, or raise weight_decay"
    )


def _worse_than_independent(reports: Sequence[Report], independent: float | None) -> str | None:
    if independent is None:
        return None
    # One report far below is enough, or two somewhat below.
    for fraction, n in ((_WORSE_ONCE, 1), (_WORSE_TWICE, 2)):
        last = [_both_scores(report.train) for report in reports[-n:]]
        worst = [min(scores, default=math.inf) for scores in last]
        if len(worst) == n and max(worst) < independent - fraction * abs(independent):
            return (
                f"the data are less likely, at {worst[-1]:.2f} nats, than under independent units, at "
                f"{independent:.2f} nats: lower the learning rate"
            )
    return None


def _both_scores(scores: Scores | None) -> list[float]:
    """The log-likelihood and the pseudo-likelihood, those that are known; they are the same for independent units."""
    known = () if scores is None else (scores.log_likelihood, scores.pseudo_log_likelihood)
    return [x for x in known if x is not None]


def _series(scores: Iterable[Scores | None]) -> tuple[str, list[float]]:
    """One score over the records that have it, and its name: the log-likelihood if all have it."""
    known = [x for x in scores if x is not None]
    exact = [x.log_likelihood for x in known if x.log_likelihood is not None]
    if exact and len(exact) == len(known):
        return "log-likelihood", exact
    return "pseudo-log-likelihood", [x.pseudo_log_likelihood for x in known if x.pseudo_log_likelihood is not None]


def _uncertainty(scores: Scores | None) -> float:
    if scores is None or scores.log_likelihood_lower is None or scores.log_likelihood_upper is None:
        return 0.0
    return scores.log_likelihood_upper - scores.log_likelihood_lower


def _falls(values: Sequence[float], uncertainty: float) -> bool:
    """Whether the last evaluations fell, one after the other or to below where the series was before, beyond noise.

    White noise of a fiftieth of the rise, about a curve that rises to a plateau, is called a fall in fewer than one
    evaluation in a thousand.
    """
    if len(values) <= _IN_A_ROW:
        return False
    least = _FRACTION_OF_GAIN * (max(values) - values[0]) + _FRACTION_OF_SCORE * abs(values[0]) + uncertainty
    jitter, before, last = _jitter(values), values[:-_IN_A_ROW], values[-_IN_A_ROW:]
    stairs = (before[-1], *last)
    if all(a > b for a, b in pairwise(stairs)) and before[-1] - last[-1] > _STEPS_DOWN_SD * jitter + least:
        return True
    # A single best evaluation is a lucky one: what the last are held against is the best median of three in a row.
    level = max((float(np.median(before[i : i + 3])) for i in range(len(before) - 2)), default=-math.inf)
    return len(before) > _IN_A_ROW and level - max(last) > _BELOW_LEVEL_SD * jitter + least


def _rises(values: Sequence[float]) -> bool:
    """Whether one of the last evaluations is the best."""
    return len(values) > _IN_A_ROW and max(values[-_IN_A_ROW:]) > max(values[:-_IN_A_ROW])


def _jitter(values: Sequence[float]) -> float:
    """Standard deviation of the noise about a smooth curve, from the median size of second differences.

    The second difference of independent noise has six times its variance; the median tells little of those that are
    due to bends.
    """
    return float(np.median(np.abs(np.diff(values, 2)))) / (0.6745 * math.sqrt(6))


# Units and weights ---------------------------------------------------------------------------------------------------


def _idle_units(report: Report, name: str, state: str, cure: str) -> str | None:
    weights = report.weights
    count = None if weights is None else getattr(weights, name)
    if weights is None or count is None or count <= _IDLE_FRACTION * weights.n_hidden:
        return None
    return f"{count} of {weights.n_hidden} hidden units are {state} for every sample: {cure}"


def _large_updates(reports: Sequence[Report]) -> str | None:
    """Steps are large next to the weights, and lead nowhere."""
    ratios = [report.weights.update_ratio for report in reports[-_IN_A_ROW:] if report.weights]
    _, scores = _series([report.train for report in reports])
    if len(ratios) < _IN_A_ROW or any(ratio is None or ratio <= _UPDATE_RATIO for ratio in ratios):
        return None
    if len(scores) <= _IN_A_ROW or _rises(scores):
        return None
    return (
        f"each step changes the weights by {ratios[-1]:.2g} of their size, and scores do not rise; 0.001 is usual: "
        "lower the learning rate"
    )


# Chains --------------------------------------------------------------------------------------------------------------


def _collapsed(report: Report) -> str | None:
    chains = report.chains
    if chains is None or chains.n_distinct is None or chains.n_distinct_data is None or chains.n_distinct_data < 2:
        return None
    if chains.n_distinct > max(1.0, _DISTINCT_FRACTION * chains.n_distinct_data):
        return None
    return (
        f"{chains.n_chains} chains are in only {chains.n_distinct} different states, as many rows of data in "
        f"{chains.n_distinct_data}: lower the learning rate, raise sweeps, or set restarts"
    )


def _stuck(report: Report) -> str | None:
    chains = report.chains
    if chains is None or chains.r_hat is None or chains.autocorrelation_time is None:
        return None
    slow = chains.sweeps >= _STUCK_SWEEPS and chains.autocorrelation_time > chains.sweeps
    if not slow and chains.r_hat <= _STUCK_R_HAT:
        return None
    return (
        f"the chains hardly move, their autocorrelation time is about {chains.autocorrelation_time:.0f} of "
        f"{chains.sweeps} sweeps and R-hat {chains.r_hat:.3g}: {_remedy(chains)}"
    )


def _remedy(chains: ChainHealth) -> str:
    return 'raise sweeps, or use method "pt"' if chains.swap_acceptance is None else "raise sweeps"


def _apart(reports: Sequence[Report]) -> str | None:
    """Twice in a row the chains were where the data are not, as free energies tell."""
    distances = []
    for report in reports[-2:]:
        train, chains = report.train, report.chains
        if train is None or chains is None or train.free_energy_spread is None:
            return None
        spread = max(train.free_energy_spread, chains.free_energy_spread, 1.0)
        distances.append((chains.free_energy - train.free_energy) / spread)
    if len(distances) < 2 or min(map(abs, distances)) <= _APART_SD:
        return None
    gap = reports[-1].chains.free_energy - reports[-1].train.free_energy  # type: ignore[union-attr]
    where = "above" if gap > 0 else "below"
    return (
        f"the chains' free energy is {abs(gap):.1f} nats {where} that of the data, so that they do not represent the "
        "machine or it not the data: raise sweeps or lower the learning rate"
    )


def _few_swaps(report: Report) -> str | None:
    chains = report.chains
    if chains is None or chains.swap_acceptance_min is None or chains.swap_acceptance_min >= _SWAP_ACCEPTANCE:
        return None
    return f"only {chains.swap_acceptance_min:.0%} of the swaps between two temperatures succeed: raise temperatures"
