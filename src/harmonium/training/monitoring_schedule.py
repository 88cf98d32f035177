"""How often a run is watched, aiming at less than 5 % of the time: by counting work, not seconds.

A rule by the clock would give other records on another day. So everything is counted in units of one multiply-add of
the fast engine's training step, with factors measured where that step is fastest; elsewhere the rule errs towards
watching less.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from harmonium.training.config import Config
from harmonium.training.mixing import WATCHED
from harmonium.training.scores import ANNEALED_CHAINS, ANNEALED_TEMPERATURES, OBSERVED_CHAINS, OBSERVED_TEMPERATURES

# Fractions of the time of training by counted work; by the clock a report takes some three times as much, as parts of
# it use one thread only.
_REPORT_FRACTION, _OBSERVATION_FRACTION = 0.005, 0.005
_FEWEST_REPORTS = 10  # reports of a run, whatever they cost
_BRACKET_FRACTION = 0.2  # where the likelihood was asked for
_ENUMERABLE_UNITS = 18  # units of the smaller layer

# Units of work, for each engine: a multiply-add of a step; a flipped unit of an exact pseudo-likelihood, and each
# hidden unit that it concerns; a unit of the larger layer in a term of an exact sum. Others count as NumPy.
_COSTS = {"native": (1, 30_000, 45, 30), "numpy": (7, 100_000, 6_000, 12_000)}
_COSTS["torch"] = _COSTS["native"]  # so that a run is the same one on both
_STEP_COST, _OBSERVATION_COST, _REPORT_COST = 1.5e7, 3e6, 5e8  # what each costs at any size: calls, and R-hat
_OBSERVATION_ON_GPU = 400  # steps, whatever their size: it costs what a dozen or so of them cost
_ELEMENT_COST = 100  # a unit of a row: noise, a logistic function, a softplus
_TERM_UNITS = 100  # the units of the larger layer that cost what a term costs anyway
_WEIGHTS_COST = 300  # times W in a report: copies, norms and singular values

# Brackets of log Z: chains a direction, temperatures, and how often one of them comes to be run.
BRACKET_CHAINS, BRACKET_TEMPERATURES, _BRACKET_RUNS = 50, 1000, 6


class MonitoringSchedule(NamedTuple):
    """How often a run is reported on, its chains are observed and its log Z is bracketed.

    Attributes
    ----------
    report : int
        Epochs from one report to the next, once the run is under way.
    observation : int
        Steps from one observation of the chains to the next.
    bracket : int
        Epochs from one bracket of log Z to the next, a multiple of `report`; 0 for none.
    exact : bool
        Whether each report has the exact log Z.
    """

    report: int
    observation: int
    bracket: int
    exact: bool

    def due(self, epoch: int) -> bool:
        """Whether a report is due so many epochs after a start: seldomer and seldomer, then each `report` epochs.

        Each gap is half of what lies behind it, so that a best machine of the first steps is not missed.
        """
        if epoch >= self.report:
            return epoch % self.report == 0
        early = 1
        while early < epoch:
            early += max(1, early // 2)
        return early == epoch


def monitoring_schedule(
    config: Config, n_samples: int, n_visible: int, rows: int, pseudo_rows: int, holed_rows: int = 0
) -> MonitoringSchedule:
    """The monitoring schedule of a run.

    Parameters
    ----------
    config : Config
    n_samples, n_visible : int
        Of the training data.
    rows, pseudo_rows, holed_rows : int
        What a report scores, over all sets: rows in all, those of the pseudo-likelihood, and those with holes.
    """
    mn, units = n_visible * config.n_hidden, n_visible + config.n_hidden
    product, flip, flip_hidden, term = _COSTS.get(config.engine.partition(":")[0], _COSTS["numpy"])
    small, large = sorted((n_visible, config.n_hidden))
    batch = min(config.batch_size, n_samples)
    chains = batch if config.chains is None else config.chains
    chains *= config.n_temperatures if config.method == "pt" else 1
    n_steps = -(-n_samples // batch)
    step = _STEP_COST + product * mn * (2 * batch + (2 * config.n_sweeps + 1) * chains)
    step += _ELEMENT_COST * units * (batch + config.n_sweeps * chains)
    report = _REPORT_COST + product * mn * (2 * rows + _WEIGHTS_COST) + 2 * _ELEMENT_COST * units * rows
    report += pseudo_rows * n_visible * (flip + flip_hidden * config.n_hidden)
    sweep = 2 * product * mn + 2 * _ELEMENT_COST * units  # of one chain
    report += holed_rows * OBSERVED_CHAINS * OBSERVED_TEMPERATURES * sweep
    annealing = ANNEALED_CHAINS * ANNEALED_TEMPERATURES * sweep if config.patience else 0
    exact_sum = math.ldexp(term * (large + _TERM_UNITS), min(small, 900))
    exact = small <= _ENUMERABLE_UNITS and exact_sum <= max(report, n_steps * step, annealing)
    report += exact_sum if exact else annealing
    # A run so short that this would leave it almost unwatched is over in seconds anyway.
    every = min(math.ceil(report / (_REPORT_FRACTION * n_steps * step)), max(1, config.n_epochs // _FEWEST_REPORTS))
    observation = math.ceil((_OBSERVATION_COST + WATCHED * _ELEMENT_COST * units) / (_OBSERVATION_FRACTION * step))
    if config.engine.startswith("torch:cuda"):
        observation = _OBSERVATION_ON_GPU
    bracket = 0
    if config.monitor == "likelihood" and not exact:
        work = _BRACKET_RUNS * BRACKET_CHAINS * BRACKET_TEMPERATURES * sweep
        bracket = every * math.ceil(work / (_BRACKET_FRACTION * every * n_steps * step))
    return MonitoringSchedule(every, max(observation, every * n_steps // 128, 1), bracket, exact)
