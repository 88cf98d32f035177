"""One step of learning, of which every kind of run is made."""

from __future__ import annotations

from harmonium.engines import Engine, Phase
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
    rates = optimizer.plain_rates(learning_rate, batch.relative_weight)
    if rates is not None:
        made = estimator.contrast(engine, Phase(batch.v, None, batch.weights), rates, optimizer.centring, step)
        if made is not None:
            negative, mean_h = made
            optimizer.keep(mean_h)
            return negative
    logits = engine.logits_h(batch.v)
    phase = Phase(batch.v, engine.mean(logits), batch.weights)
    positive = Positive(phase, logits, optimizer.offsets(engine, phase), batch.relative_weight)
    negative = estimator.estimate(engine, positive, step)
    optimizer.ascend(engine, positive, negative.side, learning_rate, step)
    return negative
