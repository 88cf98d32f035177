"""log Z, the logarithm of the partition function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from harmonium.engines import ENGINES
from harmonium.errors import OutOfReach
from harmonium.inputs import check_choice, check_count
from harmonium.rbm import RBM

# States that are enumerated between two looks at the clock or at Ctrl-C.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class LogPartition:
    """log Z with its two sides and a verdict.

    Attributes
    ----------
    value, lower, upper : float or None
        In nats. For an exact result all three are equal; None where log Z is out of reach.
    method : str
        How it was obtained: "exact".
    verdict : str
        "ok", or why there is no number.
    """

    value: float | None
    lower: float | None
    upper: float | None
    method: str
    verdict: str

    def __str__(self) -> str:
        if self.value is None:
            return f"log Z unknown ({self.verdict})"
        return f"log Z = {self.value:.2f} ({self.method}, {self.verdict})"


def log_partition(rbm: RBM, method: str = "exact", *, max_units: int = 25, engine: str = "native") -> LogPartition:
    """Log Z = log sum over v and h of exp(-E(v, h)).

    Parameters
    ----------
    rbm : RBM
    method : {"exact"}
        "exact" sums over all states of the smaller layer, in blocks of bounded memory.
    max_units : int
        The largest smaller layer that is attempted; each further unit doubles the time.
    engine : {"native", "numpy"}

    Returns
    -------
    LogPartition

    Raises
    ------
    OutOfReach
        The smaller layer has more than `max_units` units.
    """
    check_choice(method, "method", ("exact",))
    max_units = check_count(max_units, "max_units", minimum=0)
    # The engines enumerate hidden states, so the smaller layer is made the hidden one.
    smaller = rbm.mirror() if 0 < rbm.n_visible < rbm.n_hidden else rbm
    if smaller.n_hidden > max_units:
        raise OutOfReach(
            f"The smaller layer must have at most {max_units} units to sum over all of its states. Got {smaller.n_hidden} "
            f"(2**{smaller.n_hidden} states). Raise max_units if you have the time."
        )
    n_states = 2**smaller.n_hidden
    log_block = ENGINES[check_choice(engine, "engine", tuple(ENGINES))].log_partition_block
    blocks = [log_block(smaller, first, min(_BLOCK, n_states - first)) for first in range(0, n_states, _BLOCK)]
    value = float(logsumexp(np.array(blocks)))
    return LogPartition(value, value, value, "exact", "ok")
