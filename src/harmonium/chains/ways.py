"""The way from independent units to a machine: its temperatures, or other machines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmonium.chains.path import linear_path
from harmonium.chains.rungs import Rungs
from harmonium.chains.tempered import Ladder, Levels
from harmonium.errors import InvalidParameter
from harmonium.initial import bias_of_means
from harmonium.rbm import RBM
from harmonium.rows import Rows


def levels_to(rbm: RBM, rows: Rows | None, trajectory: Sequence[RBM], n: int, engine: str) -> Levels:
    """`n` levels at equal distances, from independent units with the means of `rows`, or from fair coins.

    Parameters
    ----------
    rbm : RBM
        Where they lead.
    rows : Rows, optional
    trajectory : sequence of RBM
        What they pass on the way; none of them for temperatures.
    n : int
    engine : str
        Of the machines on the way.

    Raises
    ------
    InvalidParameter
        A machine of the trajectory has other layers.
    """
    base = np.zeros(rbm.n_visible) if rows is None else bias_of_means(*rows.totals)
    places = np.linspace(0, 1, n)
    for other in trajectory:
        if not isinstance(other, RBM) or other.W.shape != rbm.W.shape:
            got = other.W.shape[::-1] if isinstance(other, RBM) else type(other).__name__
            raise InvalidParameter(
                f"trajectory must hold machines of {rbm.n_visible} visible and {rbm.n_hidden} hidden units. Got {got}. "
                "Pass checkpoints of the run that made the machine."
            )
    if len(trajectory) == 0:
        return Ladder(linear_path(base, rbm.n_hidden), places)
    first = RBM(np.zeros_like(rbm.W), base.astype(np.float32), np.zeros_like(rbm.c))
    return Rungs((first, *trajectory, rbm), places, engine)
