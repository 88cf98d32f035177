"""Keras' entrances, where the values of arrays can be looked at, and what of Keras does not fit an RBM is refused."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any

import keras

from harmonium.errors import HarmoniumError, InvalidParameter
from harmonium.keras import checks, monitors, summary

_HDF5 = (".h5", ".hdf5")


class CheckedModel(keras.Model):  # type: ignore[misc]
    """A `keras.Model` that learns from rows without labels, with values in [0, 1].

    The methods are Keras' own, with the same arguments, after a check of what they are given.
    """

    built: bool  # Keras'

    @property
    @abstractmethod
    def n_visible(self) -> int | None:
        """The number of visible units; None until the model is built."""

    # Training and use -------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        **options: Any,
    ) -> None:
        """Keras' `compile`, for an optimiser and how to run it; the loss is the model's own.

        Raises
        ------
        InvalidParameter
            A loss or a metric is given: they would compare features with labels that there are not.
        """
        given = {"loss": loss, "loss_weights": loss_weights, "metrics": metrics, "weighted_metrics": weighted_metrics}
        for name, value in given.items():
            if value is not None:
                raise InvalidParameter(
                    f"{name} must be left out: an RBM learns without labels, by its own loss. Got {value!r}. "
                    f"Compile without {name}; to learn labels, put the model into harmonium.keras.classifier."
                )
        super().compile(optimizer, **options)
        self.loss = "free_energy_difference"  # keras.wrappers ask whether there is one

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as a saved model was; Keras leaves this to classes with a `compile` of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def __call__(self, v: Any, *args: Any, **kwargs: Any) -> Any:
        """As `call`, after a check of arrays, and of the shapes of tensors."""
        return super().__call__(checks.check_input(v, self.n_visible, "v", traced=True), *args, **kwargs)

    def fit(self, x: Any = None, y: Any = None, **options: Any) -> Any:
        """Keras' `fit`, after a check of `x` and `validation_data`. `y` is ignored.

        Callbacks that watch one of the model's logs need no `mode`: they are told which way it is better.
        """
        x = checks.check_input(x, self.n_visible)
        if checks.is_array(x):
            self._see(len(x), x.shape[1], float(x.max()))
        y, options["sample_weight"] = checks.check_weighted(x, y, options.get("sample_weight"))
        valid = options.get("validation_data")
        if isinstance(valid, tuple):
            v, labels, weights = keras.utils.unpack_x_y_sample_weight(valid)
            v = checks.check_input(v, self.n_visible, "validation_data")
            options["validation_data"] = (v, *checks.check_weighted(v, labels, weights))
        elif valid is not None:
            options["validation_data"] = checks.check_input(valid, self.n_visible, "validation_data")
        monitors.set_modes(options.get("callbacks") or [])
        return super().fit(x, y, **options)

    def evaluate(self, x: Any = None, y: Any = None, **options: Any) -> Any:
        """Keras' `evaluate`, after a check of `x`. `y` is ignored."""
        x = checks.check_input(x, self.n_visible)
        y, options["sample_weight"] = checks.check_weighted(x, y, options.get("sample_weight"))
        return super().evaluate(x, y, **options)

    def predict(self, x: Any, **options: Any) -> Any:
        """Keras' `predict`, after a check of `x`: E[h | v]."""
        return super().predict(checks.check_input(x, self.n_visible), **options)

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **options: Any) -> Any:
        """Keras' `train_on_batch`, after a check of `x`. `y` is ignored."""
        x = checks.check_rows(x, self.n_visible)
        y, sample_weight = checks.check_weighted(x, y, sample_weight)
        return super().train_on_batch(x, y, sample_weight, **options)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **options: Any) -> Any:
        """Keras' `test_on_batch`, after a check of `x`. `y` is ignored."""
        x = checks.check_rows(x, self.n_visible)
        y, sample_weight = checks.check_weighted(x, y, sample_weight)
        return super().test_on_batch(x, y, sample_weight, **options)

    def predict_on_batch(self, x: Any) -> Any:
        """Keras' `predict_on_batch`, after a check of `x`: E[h | v]."""
        return super().predict_on_batch(checks.check_rows(x, self.n_visible))

    # Files ------------------------------------------------------------------------------------------------------------

    def save(self, filepath: str | os.PathLike[str], *args: Any, **options: Any) -> None:
        """Keras' `save`, to a file that ends in ``.keras``.

        Raises
        ------
        InvalidParameter
            The name asks for HDF5, which holds neither the chains nor the noise.
        """
        if os.fspath(filepath).lower().endswith(_HDF5):
            raise InvalidParameter(
                f"The file must end in .keras. Got {os.fspath(filepath)!r}: HDF5 cannot hold the state of the noise. "
                "Use save('model.keras'), save_weights('model.weights.h5'), or to_rbm().save('model.safetensors')."
            )
        super().save(filepath, *args, **options)

    def export(self, filepath: str | os.PathLike[str], format: str = "tf_saved_model", **options: Any) -> None:
        """Keras' `export` of v -> E[h | v] for use without Keras; what a format needs is Keras' to say.

        Raises
        ------
        InvalidParameter
            The model is not built, or this format cannot be written from this backend as it is installed.
        """
        self._require_built()
        self(keras.ops.zeros((1, self.n_visible)))  # Keras exports what has been called
        try:
            super().export(filepath, format=format, **options)
        except HarmoniumError:
            raise
        except Exception as error:
            backend = keras.backend.backend()
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise InvalidParameter(
                f"format must be one that Keras writes from {backend} as it is installed. Got {format!r}: {said[0]} "
                "Load the file of save('model.keras') with KERAS_BACKEND=tensorflow and export there, or use "
                "to_rbm().save('model.safetensors')."
            ) from error

    # Words ------------------------------------------------------------------------------------------------------------

    def summary(self, *_args: Any, print_fn: Any = None, **_options: Any) -> None:
        """Print the two layers and their parameters, and apart from them the states that are saved with them."""
        (print_fn or print)(summary.describe(self))

    @abstractmethod
    def _see(self, n_samples: int, n_visible: int, highest: float) -> None:
        """Take note of the data to be learnt: their size, and their largest value."""

    def _require_built(self) -> None:
        if not self.built:
            raise InvalidParameter(
                "The model must be built. Got one that saw no data. Call fit, adapt(X) or build((None, n_visible))."
            )
