"""All planted bugs."""

from __future__ import annotations

from chain_table import CHAINS
from machine_table import MACHINE
from native_table import NATIVE
from training_table import TRAINING

__all__ = ["NATIVE", "PYTHON"]

PYTHON = [*MACHINE, *CHAINS, *TRAINING]
