"""Crash-safe checkpoints of `fit`, for one process or many that share a directory."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import keras

from harmonium.errors import UnwritableOutput
from harmonium.inputs import check_count
from harmonium.io import atomic_write

_NAME = re.compile(r"epoch-(\d{8})\.weights\.h5")
_KEPT = 2


class Checkpoints(keras.callbacks.Callback):  # type: ignore[misc]
    """Saves the whole state after each epoch: parameters, optimiser, chains and noise, in one crash-safe file.

    Keras' `BackupAndRestore` writes the weights in place and the number of the epoch in a second file: killed between
    the two, it repeats an epoch on weights that have done it already. Here either the epoch and all of its state are on
    disk, or the one before.

    Where several processes train together, all restore, and only the main one writes; the directory must be shared.

    Parameters
    ----------
    directory : str or path
        Made if it is not there.
    every : int
        Epochs between checkpoints.

    Examples
    --------
    >>> checkpoints = harmonium.keras.Checkpoints("run")                                        # doctest: +SKIP
    >>> first = checkpoints.restore(model)                                                      # doctest: +SKIP
    >>> model.fit(X, epochs=20, initial_epoch=first, callbacks=[checkpoints], shuffle=False)    # doctest: +SKIP
    """

    def __init__(self, directory: str | os.PathLike[str], *, every: int = 1) -> None:
        super().__init__()
        self.directory = Path(directory)
        self.every = check_count(every, "every")

    def restore(self, model: keras.Model) -> int:
        """Load the last checkpoint into a built, compiled model; return the number of epochs done (0 without one)."""
        files = self._files()
        if not files:
            return 0
        if model.optimizer is not None and not model.optimizer.built:
            with _scope(model):
                model.optimizer.build(model.trainable_variables)
        epoch = max(files)
        model.load_weights(str(files[epoch]))
        return epoch

    def save(self, model: keras.Model, epoch: int) -> None:
        """Write the state of `model` after `epoch` epochs; delete all but the last two checkpoints.

        Raises
        ------
        UnwritableOutput
            The disk is full or gone; the last checkpoint is untouched.
        """
        try:
            # All processes serialise, because Keras on JAX makes variables while it does, in which all must take part.
            with tempfile.TemporaryDirectory(prefix="harmonium-") as temporary:
                path = Path(temporary, "state.weights.h5")
                model.save_weights(str(path))
                content = path.read_bytes()
            if not is_main_process(model):
                return
            self.directory.mkdir(parents=True, exist_ok=True)
            atomic_write(self.directory / f"epoch-{epoch:08d}.weights.h5", content)
        except OSError as error:
            if isinstance(error, UnwritableOutput):
                raise
            raise UnwritableOutput(
                f"{self.directory} must be a directory that can be written. Got: {error}. Choose another or free space."
            ) from error
        files = self._files()
        for old in sorted(files)[:-_KEPT]:
            files[old].unlink(missing_ok=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 (Keras' signature)
        """Keras calls this."""
        if (epoch + 1) % self.every == 0:
            self.save(self.model, epoch + 1)

    def _files(self) -> dict[int, Path]:
        if not self.directory.is_dir():
            return {}
        found = ((_NAME.fullmatch(path.name), path) for path in self.directory.iterdir())
        return {int(match[1]): path for match, path in found if match}


def is_main_process(model: keras.Model) -> bool:
    """Whether this process is the one of several that writes files."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return bool(jax.process_index() == 0)
    if backend == "tensorflow":
        resolver = model.distribute_strategy.cluster_resolver
        return resolver is None or not resolver.task_id
    return True


def _scope(model: keras.Model) -> Any:
    import contextlib

    return model.distribute_strategy.scope() if keras.backend.backend() == "tensorflow" else contextlib.nullcontext()
