"""Training on several machines with TensorFlow, where Keras 3's `fit` cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from harmonium.errors import InvalidParameter
from harmonium.inputs import check_count
from harmonium.keras.checkpoints import Checkpoints
from harmonium.keras.model import RBM


def fit_multi_worker(
    model: RBM,
    data: Callable[[int], Any],
    *,
    epochs: int,
    checkpoints: Checkpoints | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> list[dict[str, float]]:
    """Train under `tf.distribute.MultiWorkerMirroredStrategy`: every worker calls this with the same arguments.

    Keras 3's `fit` does not support that strategy (keras issue 20585). This is the loop that it lacks: each step is
    Keras' own `train_step`, run on all replicas.

    Parameters
    ----------
    model : RBM
        Built and compiled inside the strategy's scope.
    data : callable
        Takes the number of an epoch, from 0, and returns the `tf.data.Dataset` of its *global* batches, in the same
        order on all workers. Each worker takes its share of each batch.
    epochs : int
        In all, including those that a checkpoint has already.
    checkpoints : Checkpoints, optional
        Where to continue, and where to save. After a failure, start all workers again.
    on_epoch : callable, optional
        Called with the number of epochs done and their logs.

    Returns
    -------
    list of dict
        The logs of the epochs done now.

    Raises
    ------
    InvalidParameter
        The backend is not TensorFlow, or the model is not built and compiled.
    """
    if keras.backend.backend() != "tensorflow":
        raise InvalidParameter(
            f"fit_multi_worker must run on TensorFlow. Got KERAS_BACKEND={keras.backend.backend()}. "
            "On JAX, use fit with keras.distribution.initialize."
        )
    if not (model.built and model.compiled):
        raise InvalidParameter(
            "The model must be built and compiled. Got one that is not. "
            "Call build((None, n_visible)) and compile(...) within strategy.scope()."
        )
    import tensorflow as tf

    epochs = check_count(epochs, "epochs", minimum=0)
    strategy = model.distribute_strategy
    with strategy.scope():
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(batch: Any) -> dict[str, Any]:
        # Reduced here, because metrics that are read outside a step need collectives of their own.
        logs = strategy.run(model.train_step, args=(batch,))
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}

    first = 0 if checkpoints is None else checkpoints.restore(model)
    history = []
    for epoch in range(first, epochs):
        model.reset_metrics()
        logs: dict[str, Any] = {}
        for batch in strategy.experimental_distribute_dataset(_shared_by_rows(data(epoch))):
            logs = step(batch)  # means over the epoch so far
        history.append({name: float(value) for name, value in logs.items()})
        if checkpoints is not None and (epoch + 1) % checkpoints.every == 0:
            checkpoints.save(model, epoch + 1)
        if on_epoch is not None:
            on_epoch(epoch + 1, history[-1])
    return history


def _shared_by_rows(dataset: Any) -> Any:
    """The same data set, of which each worker reads everything and keeps its rows of each batch, files or not."""
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)
