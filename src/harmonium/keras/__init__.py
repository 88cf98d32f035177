"""The Keras face: the machine as a `keras.Model`, on TensorFlow, JAX or PyTorch.

Importing this package imports Keras, which is an extra: ``pip install keras tensorflow``, or ``jax`` or ``torch``
in its place. Which framework computes is Keras' own choice: the environment variable ``KERAS_BACKEND``, else its
configuration file, else TensorFlow.
"""

from harmonium.keras.backend import check_backend

check_backend()  # first: the rest cannot be imported without a working Keras

from harmonium.keras.callbacks import FreeEnergyGap  # noqa: E402
from harmonium.keras.checkpoints import Checkpoints  # noqa: E402
from harmonium.keras.distributed import fit_multi_worker  # noqa: E402
from harmonium.keras.model import RBM  # noqa: E402
from harmonium.keras.stack import classifier, count_rbm_parameters, fine_tune  # noqa: E402

__all__ = [
    "RBM",
    "Checkpoints",
    "FreeEnergyGap",
    "classifier",
    "count_rbm_parameters",
    "fine_tune",
    "fit_multi_worker",
]
