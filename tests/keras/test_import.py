"""What `import harmonium.keras` says where it cannot work, each in a process of its own."""

import os
import subprocess
import sys

import pytest

# Hides a package as if it were not installed.
HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
"""
TRY = """
from harmonium import errors
try:
    import harmonium.keras
except errors.HarmoniumError as error:
    print(type(error).__name__, error)
"""


def what_is_said(hidden=(), **environment):
    code = HIDE.format(hidden=set(hidden)) + TRY
    inherited = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=inherited | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("backend", "hidden"), [("tensorflow", "keras"), ("jax", "keras"), ("torch", "keras"), (None, "keras")]
)
def test_a_missing_keras_is_named_with_its_remedy(backend, hidden):
    said = what_is_said([hidden], **({"KERAS_BACKEND": backend} if backend else {}))
    assert said.startswith("MissingExtra harmonium.keras needs Keras and ")
    assert f"pip install keras {backend or 'tensorflow'}" in said


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_missing_framework_is_named_with_its_remedy(backend):
    said = what_is_said([backend], KERAS_BACKEND=backend)
    assert said.startswith("MissingExtra")
    assert f"keras {backend}" in said


@pytest.mark.parametrize("backend", ["theano", "numpy", "openvino"])
def test_an_unknown_backend_is_refused(backend):
    said = what_is_said(KERAS_BACKEND=backend)
    assert said.startswith("InvalidParameter KERAS_BACKEND must be one of tensorflow, jax, torch. Got ")
    assert repr(backend) in said
