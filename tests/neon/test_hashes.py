"""`make neon` is seldom run: at least its program must fit the kernels as they are."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KERNELS = HERE.parent.parent / "src/harmonium/engines/_native"


def test_its_program_compiles():
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no compiler here")
    command = [compiler, "-std=c++17", "-fsyntax-only", "-fopenmp", f"-I{KERNELS}", "-DHARMONIUM_ISA=isa_portable"]
    done = subprocess.run([*command, HERE / "hashes.cpp"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
