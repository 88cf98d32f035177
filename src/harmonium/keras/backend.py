"""Whether Keras and the framework it is set to are there, said in the project's words."""

from __future__ import annotations

import importlib
import os

from harmonium.errors import InvalidParameter, MissingExtra

BACKENDS = ("tensorflow", "jax", "torch")


def check_backend() -> str:
    """Import Keras, and return the name of its backend.

    Raises
    ------
    MissingExtra
        Keras, or the framework it is set to, is not installed.
    InvalidParameter
        Keras is set to a backend that does not exist or cannot train.
    """
    wanted = os.environ.get("KERAS_BACKEND") or "tensorflow"
    # Refused before the import, because Keras reports an unknown name in its own words.
    _check_known(wanted)
    try:
        keras = importlib.import_module("keras")
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        extra = missing if missing in BACKENDS else wanted
        raise MissingExtra(
            f"harmonium.keras needs Keras and {extra}. Got: {error}. Install them with: pip install keras {extra}"
        ) from error
    version = getattr(keras, "__version__", "something else of that name")
    if not version.startswith("3."):
        raise MissingExtra(
            f"harmonium.keras needs Keras 3. Got {version}. Install it with: pip install --upgrade keras {wanted}"
        )
    name: str = keras.backend.backend()
    _check_known(name)  # it may have come from Keras' configuration file
    return name


def _check_known(name: str) -> None:
    if name not in BACKENDS:
        raise InvalidParameter(
            f"KERAS_BACKEND must be one of {', '.join(BACKENDS)}. Got {name!r}. "
            "Set the environment variable to one of those before Python starts."
        )
