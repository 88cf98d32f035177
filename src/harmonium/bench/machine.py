"""What a measurement was made on: the processor, the threads and the versions that a result must name."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from harmonium.engines.processor import instruction_set


def describe_machine() -> dict[str, Any]:
    """Processor, system, versions of Python, NumPy and BLAS and its kernel, and the native engine's instruction set."""
    return {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": [
            f"{pool['internal_api']} {pool['version']}" for pool in threadpool_info() if pool["user_api"] == "blas"
        ],
        "blas_kernel": blas_kernel(),
        "instruction_set": instruction_set(),
    }


def blas_kernel() -> str | None:
    """The processor that NumPy's BLAS library takes this one for, which says what instructions the floor runs on.

    OpenBLAS follows the variable OPENBLAS_CORETYPE. None where the library does not tell.
    """
    pools = (pool for pool in threadpool_info() if pool["user_api"] == "blas")
    return next((pool["architecture"] for pool in pools if "architecture" in pool), None)


def n_threads() -> int:
    """The threads that BLAS or OpenMP would use, whichever are more."""
    return max((pool["num_threads"] for pool in threadpool_info()), default=1)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
