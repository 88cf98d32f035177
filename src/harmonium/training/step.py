"""One step of learning, of which every kind of run is made."""

from __future__ import annotations

from harmonium.engines import Engine, Phase
from harmonium.training.batches import Batch
from harmonium.training.negative import Estimator, FromData, Negative
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
    logits = engine.logits_h(batch.v)
    negative = estimator.estimate(engine, logits, step)
    if batch.weights is not None and isinstance(estimator, FromData) and isinstance(negative.side, Phase):
        # A chain that starts at a row counts as its row does.
        negative = negative._replace(side=negative.side._replace(weights=batch.weights))
    positive = Phase(batch.v, engine.mean(logits), batch.weights)
    optimizer.ascend(engine, positive, negative.side, learning_rate, step, batch.share)
    estimator.learn(engine, positive, negative, batch.share * learning_rate)
    return negative
