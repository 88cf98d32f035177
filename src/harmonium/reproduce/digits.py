"""Labelled images in two parts: those that everything is trained on, and those that nothing is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.datasets import Dataset
from harmonium.errors import InvalidData


@dataclass(frozen=True, eq=False)
class Digits:
    """Training and test images.

    Attributes
    ----------
    X, X_test : float32 array of shape (n_samples, n_visible), values in [0, 1]
    y, y_test : int array of shape (n_samples,)
    n_classes : int
    n_valid : int
        How many of the training images come from the valid split, which hyper-parameters were chosen on.
    dataset : Dataset
    """

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64]
    X_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]
    n_classes: int
    n_valid: int
    dataset: Dataset

    @classmethod
    def of(cls, dataset: Dataset) -> Digits:
        """The train and valid splits together, and the test split.

        Raises
        ------
        InvalidData
            A part or its labels are missing.
        """
        if dataset.train is None or dataset.test is None or dataset.y_train is None or dataset.y_test is None:
            raise InvalidData(
                f"{dataset.name} must have labelled train and test splits. Got some missing. Use mnist-5k or mnist."
            )
        X, y, n_valid = [dataset.train], [dataset.y_train], 0
        if dataset.valid is not None and dataset.y_valid is not None:
            X, y, n_valid = [*X, dataset.valid], [*y, dataset.y_valid], len(dataset.valid)
        labels = np.concatenate(y)
        n_classes = int(max(labels.max(), dataset.y_test.max())) + 1
        return cls(_grey(np.concatenate(X)), labels, _grey(dataset.test), dataset.y_test, n_classes, n_valid, dataset)


def _grey(X: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return X.astype(np.float32, copy=False)
