"""Callbacks that Keras does not have."""

from __future__ import annotations

from typing import Any

import keras

from harmonium.inputs import check_matrix


class FreeEnergyGap(keras.callbacks.Callback):  # type: ignore[misc]
    """Adds `free_energy_gap` to the logs of each epoch: mean F of training rows minus mean F of held-out rows.

    Both are of the same parameters, unlike the difference of the logged `free_energy` and `val_free_energy`, of which
    the first is an average over an epoch of changing parameters. A gap that falls ever further below zero means
    overfitting.

    Parameters
    ----------
    train, valid : array of shape (any, n_visible), values in [0, 1]
        A few hundred rows of each suffice. They are used as they are: binarise them as the model does.

    References
    ----------
    Hinton, UTML TR 2010-003, section 6.
    """

    def __init__(self, train: Any, valid: Any) -> None:
        super().__init__()
        self._train = check_matrix(train, name="train")
        self._valid = check_matrix(valid, n_columns=self._train.shape[1], name="valid")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 (Keras' signature)
        """Add the gap; list this callback before those that shall see it."""
        if logs is not None:
            logs["free_energy_gap"] = self._mean(self._train) - self._mean(self._valid)

    def _mean(self, X: Any) -> float:
        return float(keras.ops.convert_to_numpy(self.model.free_energy(X)).mean())
