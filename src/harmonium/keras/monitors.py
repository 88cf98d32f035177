"""What a training is watched by: the names of the model's logs, and which way each is better."""

from __future__ import annotations

from typing import Any

import keras

# As `mode` of Keras' callbacks. The first three say nothing about one machine alone.
BETTER = {
    "loss": "min",
    "free_energy": "min",
    "free_energy_gap": "max",
    "pseudo_log_likelihood": "max",
    "reconstruction_error": "min",
}


def epoch_mean(name: str) -> keras.metrics.Mean:
    """The average of a log over an epoch, which knows its better direction in the way Keras' own metrics do."""
    metric = keras.metrics.Mean(name)
    metric._direction = {"max": "up", "min": "down"}[BETTER[name]]
    return metric


def set_modes(callbacks: Any) -> None:
    """Tell callbacks that watch one of the model's logs with ``mode="auto"`` which way it is better.

    Keras looks up directions only of metrics given to `compile`, and stops the training over any other.
    """
    for callback in keras.tree.flatten(getattr(callbacks, "callbacks", callbacks)):
        watched = str(getattr(callback, "monitor", "")).removeprefix("val_")
        if getattr(callback, "mode", None) == "auto" and watched in BETTER:
            callback.mode = BETTER[watched]
