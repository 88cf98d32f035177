"""Noise for Keras: a `SeedGenerator` whose streams differ between seeds and between replicas."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from harmonium.keras import replicas
from harmonium.random import Key

# TensorFlow takes seeds below 2**31 - 2 as they are; PyTorch adds them to a counter in 32 bits.
_SEEDS = 2**31 - 2
# Odd and far from small multiples of itself, so that the replicas' streams start far apart.
_REPLICA_STRIDE = 0x61C88647


@keras.saving.register_keras_serializable(package="harmonium")
class Noise(keras.random.SeedGenerator):  # type: ignore[misc]
    """Keras' seed generator, made independent between seeds and between replicas.

    Keras on PyTorch adds seed and counter, so that call 2 with seed 1 equals call 1 with seed 2: nearby seeds give
    the same noise, one step shifted. Here the seed is hashed first. Keras on TensorFlow gives all replicas of a
    strategy the same noise, which would make their chains copies of each other; here the replica is part of the key.

    Parameters
    ----------
    seed : int in [0, 2**64)
    """

    def __init__(self, seed: int = 0, **options: Any) -> None:
        super().__init__(Key(seed).derive("keras").seed % _SEEDS, **options)
        self._key_seed = seed

    def next(self, ordered: bool = True) -> Any:
        """The pair (seed, counter) of the next draw; the counter is advanced."""
        pair = super().next(ordered=ordered)
        replica = replicas.number()
        if isinstance(replica, int) and replica == 0:
            return pair
        shift = ops.cast(replica, pair.dtype) * _REPLICA_STRIDE
        return ops.stack([(pair[0] + shift) % _SEEDS, pair[1]])

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        return {"seed": self._key_seed, "name": self.name}


def uniform(shape: Any, seed: keras.random.SeedGenerator, dtype: str = "float32") -> Any:
    """Uniform numbers in [0, 1); a unit with probability p is on exactly when its number is below p."""
    return keras.random.uniform(shape, dtype=dtype, seed=seed)
