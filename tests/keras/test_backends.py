"""Runs `conformance` once for each backend of Keras, in a process of its own: a process has one backend."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFORMANCE = Path(__file__).with_name("conformance")
FILES = [str(path) for path in sorted(CONFORMANCE.glob("*.py")) if path.name != "keras_models.py"]


def is_installed(module):
    # A directory called keras is not Keras: only a package with a file of its own counts.
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_conformance(backend):
    for module in ("keras", backend):
        if not is_installed(module):
            pytest.skip(f"{module} is not installed: pip install keras {backend}")
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        # Tests compile many small programs that run for a moment.
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=short", *FILES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 100
