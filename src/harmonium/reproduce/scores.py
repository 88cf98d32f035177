"""How often a classifier is right, and what it takes for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix

Labels = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Score:
    """Confusion matrices of one classifier, true classes down and predictions across.

    Attributes
    ----------
    train, test : int array of shape (n_classes, n_classes)
    """

    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]

    @classmethod
    def of(cls, y: Labels, predicted: Labels, y_test: Labels, predicted_test: Labels, n_classes: int) -> Score:
        """Count what was taken for what."""
        labels = np.arange(n_classes)
        counted = (confusion_matrix(*pair, labels=labels) for pair in ((y, predicted), (y_test, predicted_test)))
        return cls(*counted)

    @property
    def accuracy(self) -> dict[str, float]:
        """The share of samples that were taken for what they are, in train and test."""
        return {split: float(np.trace(counts) / counts.sum()) for split, counts in self.confusion.items()}

    @property
    def confusion(self) -> dict[str, npt.NDArray[np.int64]]:
        """Both matrices by their splits."""
        return {"train": self.train, "test": self.test}


def mean_accuracy(scores: Sequence[Score]) -> dict[str, float]:
    """The mean over repetitions, in train and test."""
    return {split: float(np.mean([score.accuracy[split] for score in scores])) for split in ("train", "test")}
