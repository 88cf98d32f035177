"""One step of learning, of which every kind of run is made."""

from __future__ import annotations

from typing import Any

from harmonium.engines import Engine, Phase, Reals, States
from harmonium.training.batches import Batch
from harmonium.training.negative import Estimator, Negative, Positive
from harmonium.training.optimizer import Optimizer


def advance(
    engine: Engine, batch: Batch, estimator: Estimator, optimizer: Optimizer, learning_rate: float, step: int
) -> Negative:
    """The statistics of a batch, those of the model, and one move along the difference, in place.

    Parameters
    ----------
    engine : Engine
        Holds the machine.
    batch : Batch
    estimator : Estimator
    optimizer : Optimizer
    learning_rate : float
    step : int
        Mini-batches done before.

    Returns
    -------
    Negative
        The model's side.
    """
    rates, plain = optimizer.plain_rates(learning_rate, batch.relative_weight), estimator.plain(step)
    if rates is not None and plain is not None:  # one step of CD or PCD, which an engine may make in one go
        done = engine.contrast(Phase(batch.v, None, batch.weights), *plain, rates, optimizer.centring)
        optimizer.keep(done.mean_h)
        return estimator.keep(done)
    logits = engine.logits_h(batch.v)
    phase = Phase(batch.v, engine.mean(logits), batch.weights)
    positive = Positive(phase, logits, optimizer.offsets(engine, phase), batch.relative_weight)
    negative = estimator.estimate(engine, positive, step)
    optimizer.ascend(engine, positive, negative.side, learning_rate, step)
    return negative


def advance_several(
    engine: Engine,
    v: States | Reals,
    rows: Any,
    estimator: Estimator,
    optimizer: Optimizer,
    learning_rates: list[float],
    step: int,
) -> Negative | None:
    """As many calls of `advance` as there are learning rates; the model's side in the last of them.

    None, and nothing done, where the steps are none of plain CD or PCD.

    Parameters
    ----------
    v, rows
        The data, and the rows of each batch, as `harmonium.engines.Engine.contrasts` takes them.
    """
    rates, plain = [optimizer.plain_rates(x, 1.0) for x in learning_rates], estimator.plain(step)
    if plain is None or rates[0] is None:
        return None
    done = engine.contrasts(v, rows, *plain, [x for x in rates if x is not None], optimizer.centring)
    optimizer.keep(done.mean_h)
    return estimator.keep(done)
