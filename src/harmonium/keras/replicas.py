"""Where a step runs: which of how many replicas of a TensorFlow strategy, or how a JAX array is spread over devices."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def _context() -> Any:
    """TensorFlow's replica context, or None where there is no strategy to ask."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def number() -> Any:
    """The number of this replica; 0 without a strategy. On JAX one program draws for all devices, hence 0."""
    context = _context()
    return 0 if context is None else context.replica_id_in_sync_group


def count() -> int:
    """How many replicas take part in a step."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    n: int = tf.distribute.get_strategy().num_replicas_in_sync
    return n


def total(x: Any) -> Any:
    """The sum of a number over the replicas."""
    context = _context()
    return x if context is None else context.all_reduce("SUM", x)


def own_rows(x: Any) -> Any:
    """The share of this replica in an array that all hold."""
    if _context() is None:
        return x
    size = x.shape[0] // count()
    return ops.slice(x, (number() * size, 0), (size, x.shape[1]))


def all_rows(rows: Any) -> Any:
    """The rows of this replica where they belong in the array of all, zeros elsewhere: to be summed over replicas."""
    if _context() is None:
        return rows
    size, width = rows.shape
    zeros = ops.zeros((count() * size, width), rows.dtype)
    return ops.slice_update(zeros, (number() * size, 0), rows)


def spread(x: Any) -> Any:
    """Ask JAX to share the rows of `x` between the devices of a data-parallel distribution, if they divide evenly."""
    distribution = keras.distribution.distribution()
    if keras.backend.backend() != "jax" or not isinstance(distribution, keras.distribution.DataParallel):
        return x
    layout = distribution.get_data_layout(x.shape)
    if x.shape[0] % layout.device_mesh.shape[0]:
        return x
    return keras.distribution.distribute_tensor(x, layout)
