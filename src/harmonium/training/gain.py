"""Whether held-out rows tell a machine from independent units, or whether it may be chance.

The machine that a steered run keeps is the best of many that were looked at, by the very rows that are to judge it, and
rows are few. So it must be likelier than independent units by three standard errors of the differences row by row, or,
of few rows, by as much as is as rare under Student's distribution; those of one row have no error, and tell nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.initial import bias_of_means
from harmonium.rbm import RBM
from harmonium.special import ndtr, stdtrit

_ERRORS = 3.0


def independent_units(totals: Any, n_hidden: int) -> RBM:
    """The machine without weights whose visible units have the means of data: sums and numbers of rows by column."""
    b = bias_of_means(*totals).astype(np.float32)
    return RBM(np.zeros((n_hidden, len(b)), np.float32), b, np.zeros(n_hidden, np.float32))


@dataclass(frozen=True)
class Gain:
    """How much likelier held-out rows are under a machine than under independent units with the data's means.

    Attributes
    ----------
    mean : float
        In nats a row.
    standard_error : float or None
        Of the mean: from the spread of the rows, and what the estimate of log Z adds; None for one row.
    n_rows : int
    """

    mean: float
    standard_error: float | None
    n_rows: int

    @classmethod
    def of(
        cls, differences: npt.NDArray[np.float64], weights: npt.NDArray[np.float64] | None, log_z_error: float
    ) -> Gain:
        """From the difference of each row, in nats, and the standard error of log Z."""
        n = len(differences)
        mean = float(np.average(differences, weights=weights))
        if n < 2:
            return cls(mean, None, n)
        shares = np.full(n, 1 / n) if weights is None else weights / weights.sum()
        variance = n / (n - 1) * float((shares**2 * (differences - mean) ** 2).sum())
        return cls(mean, math.sqrt(variance + log_z_error**2), n)

    @property
    def is_told(self) -> bool:
        """Whether it is more than chance."""
        if self.standard_error is None:
            return False
        return self.mean > float(stdtrit(self.n_rows - 1, ndtr(_ERRORS))) * self.standard_error

    def __str__(self) -> str:
        return f"{self.mean:.2f}" if self.standard_error is None else f"{self.mean:.2f} ± {self.standard_error:.2f}"
