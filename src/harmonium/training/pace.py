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

# Shares of the time of training by counted work; by the clock a report takes some three times as much, as parts of it
# use one thread only.
_REPORTS, _LOOKS = 0.005, 0.005
_FEWEST = 10  # reports of a run, whatever they cost
_BRACKETS = 0.2  # where the likelihood was asked for
_ENUMERABLE = 18  # units of the smaller layer

# Units of work, for each engine: a multiply-add of a step; a flipped unit of an exact pseudo-likelihood, and each
# hidden unit that it concerns; a unit of the larger layer in a term of an exact sum. Others count as NumPy.
_UNITS = {"native": (1, 30_000, 45, 30), "numpy": (7, 100_000, 6_000, 12_000)}
_STEP, _LOOK, _REPORT = 1.5e7, 3e6, 5e8  # what each costs at any size: calls, and R-hat
_ELEMENT = 100  # a unit of a row: noise, a logistic function, a softplus
_TERM = 100  # the units of the larger layer that cost what a term costs anyway
_WEIGHTS = 300  # times W in a report: copies, norms and singular values

# Brackets of log Z: chains a direction, temperatures, and how often one of them comes to be run.
BRACKET_CHAINS, BRACKET_TEMPERATURES, _BRACKET_RUNS = 50, 1000, 6


class Pace(NamedTuple):
    """How often what is done.

    Attributes
    ----------
    report : int
        Epochs from one report to the next, once the run is under way.
    look : int
        Steps from one look at the chains to the next.
    bracket : int
        Epochs from one bracket of log Z to the next, a multiple of `report`; 0 for none.
    exact : bool
        Whether each report has the exact log Z.
    """

    report: int
    look: int
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


def pace_of(config: Config, n_samples: int, n_visible: int, rows: int, pseudo_rows: int, holed_rows: int = 0) -> Pace:
    """The pace of a run.

    Parameters
    ----------
    config : Config
    n_samples, n_visible : int
        Of the training data.
    rows, pseudo_rows, holed_rows : int
        What a report scores, over all sets: rows in all, those of the pseudo-likelihood, and those with holes.
    """
    mn, units = n_visible * config.n_hidden, n_visible + config.n_hidden
    product, flip, flip_hidden, term = _UNITS.get(config.engine, _UNITS["numpy"])
    small, large = sorted((n_visible, config.n_hidden))
    batch = min(config.batch_size, n_samples)
    chains = batch if config.chains is None else config.chains
    chains *= config.n_temperatures if config.method == "pt" else 1
    n_steps = -(-n_samples // batch)
    step = _STEP + product * mn * (2 * batch + (2 * config.n_sweeps + 1) * chains)
    step += _ELEMENT * units * (batch + config.n_sweeps * chains)
    report = _REPORT + product * mn * (2 * rows + _WEIGHTS) + 2 * _ELEMENT * units * rows
    report += pseudo_rows * n_visible * (flip + flip_hidden * config.n_hidden)
    sweep = 2 * product * mn + 2 * _ELEMENT * units  # of one chain
    report += holed_rows * OBSERVED_CHAINS * OBSERVED_TEMPERATURES * sweep
    annealing = ANNEALED_CHAINS * ANNEALED_TEMPERATURES * sweep if config.patience else 0
    exact_sum = math.ldexp(term * (large + _TERM), min(small, 900))
    exact = small <= _ENUMERABLE and exact_sum <= max(report, n_steps * step, annealing)
    report += exact_sum if exact else annealing
    # A run so short that this would leave it almost unwatched is over in seconds anyway.
    every = min(math.ceil(report / (_REPORTS * n_steps * step)), max(1, config.n_epochs // _FEWEST))
    look = math.ceil((_LOOK + WATCHED * _ELEMENT * units) / (_LOOKS * step))
    bracket = 0
    if config.monitor == "likelihood" and not exact:
        work = _BRACKET_RUNS * BRACKET_CHAINS * BRACKET_TEMPERATURES * sweep
        bracket = every * math.ceil(work / (_BRACKETS * every * n_steps * step))
    return Pace(every, max(look, every * n_steps // 128, 1), bracket, exact)
