"""A finished run that is trained on: what goes on as it was, and what begins anew.

The machine that the run has kept, its chains, velocity, averages and moments go on, and so does the noise, which counts
the steps of all legs together: no draw is made twice. With a constant learning rate and nothing that steers, legs of N
and M epochs are the very bits of one run of N + M. Records and alarms begin anew; held-out data compare new machines
with the best one so far, which stays if none is better. The learning rate begins where a run of all epochs, old and
new, would have come to by then, or at what is asked for, and falls from there to the end of the leg by the schedule.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harmonium.errors import InvalidParameter
from harmonium.inputs import check_count
from harmonium.training.config import Config
from harmonium.training.trainer import TrainingRun, TrainingState

# What may be other than before: nothing that the state, the held-out rows or the noise of the run so far depend on.
CHANGEABLE = (
    "learning_rate", "schedule", "sweeps", "momentum", "weight_decay", "l1", "max_norm", "clip", "monitor", "engine",
)  # fmt: skip


def longer(run: TrainingRun, more_epochs: int, **changes: Any) -> tuple[Config, TrainingState]:
    """The choices and the state with which a finished run is trained on, as a run of its own.

    Parameters
    ----------
    run : TrainingRun
        Finished. It stays as it is.
    more_epochs : int
    **changes
        Fields of `Config` with other values from here on: learning_rate, schedule, sweeps (not fewer), momentum,
        weight_decay, l1, max_norm, clip, monitor, engine.

    Returns
    -------
    config : Config
        Its ``epochs`` are all epochs, old and new; its ``learning_rate`` is where the leg begins.
    state : TrainingState

    Raises
    ------
    InvalidParameter
        The run is not finished, or has ended with independent units; or a change is not one of those.

    Examples
    --------
    >>> import harmonium
    >>> X = harmonium.datasets.load("bars-and-stripes-3x3").train
    >>> run = harmonium.TrainingRun(X, harmonium.Config(8, epochs=40, seed=1))
    >>> records = list(run.epochs())
    >>> config, state = longer(run, 10)
    >>> config.epochs, config.learning_rate
    (50, 0.04)
    >>> after = [x.epoch for x in harmonium.TrainingRun(X, config, state=state).epochs()]
    >>> after[0], after[-1]
    (41, 50)
    """
    more_epochs, config, state = check_count(more_epochs, "more_epochs"), run.config, run.state
    unknown = sorted(set(changes) - set(CHANGEABLE))
    if unknown:
        raise InvalidParameter(
            f"What changes in a run that is trained on must be one of {', '.join(CHANGEABLE)}. Got "
            f"{', '.join(unknown)}. Start a new run with it."
        )
    if not run.finished:
        raise InvalidParameter(
            f"A run must be finished to be trained on. Got step {run.step} of {run.n_steps}. Resume it first."
        )
    if not state.rbm.W.any():
        raise InvalidParameter(
            "A run must have kept what it learnt to be trained on. Got independent units (W = 0). Start a new run, "
            "with more rows, or with patience 0."
        )
    if changes.get("sweeps") is not None and changes["sweeps"] < config.n_sweeps:
        raise InvalidParameter(
            f"sweeps must be at least {config.n_sweeps}, those of the run, so that no noise is drawn twice. Got "
            f"{changes['sweeps']}. Start a new run with fewer."
        )
    done, base = run.epoch, float(state.extras.get("leg", [0, config.rate])[1])
    config = replace(config, **{"epochs": done + more_epochs, "learning_rate": base} | changes)
    if "learning_rate" not in changes:
        rate = config.learning_rate_at(done / config.n_epochs)
        config = replace(config, learning_rate=rate if config.schedule == "constant" else float(f"{rate:.2g}"))
    extras = dict(state.extras) | {"leg": np.array([run.step, base], np.float64)}
    if config.patience:
        decay, *scores = extras["steering.scores"]
        epoch = extras["steering.counts"][0]
        extras["steering.scores"] = np.array([changes.get("weight_decay", decay), *scores])
        extras["steering.counts"] = np.array([epoch, done, 0, False], np.int64)
    return config, replace(state, extras=extras)
