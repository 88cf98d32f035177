"""What is slow to load is loaded where it is used: the library's names and `harmonium --help` are quick.

Counted in modules, not in seconds, which depend on what else the machine does.
"""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "scipy.special", "scipy.optimize", "scipy.sparse", "scipy.fft", "scipy.linalg", "scipy.stats", "scipy.io",
    "sklearn", "matplotlib", "pandas", "mlxtend", "jinja2", "rich.progress", "h5py", "pyarrow", "keras", "tensorflow",
    "jax", "torch",
}  # fmt: skip
NAMES = "from harmonium import *"
COMMAND = """
import contextlib, io
from harmonium.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    assert main({}) == {}
"""
COMPLETION = """
import contextlib, io, os
from harmonium.cli import app
os.environ |= {"COMP_WORDS": "harmonium re", "COMP_CWORD": "1", "_HARMONIUM_COMPLETE": "complete_bash"}
with contextlib.redirect_stdout(io.StringIO()) as offered, contextlib.suppress(SystemExit):
    app(prog_name="harmonium")
assert offered.getvalue().split() == ["reproduce"]
"""


def loaded_by(code):
    """The modules of a fresh interpreter that has run this."""
    code += "\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("code", [NAMES, COMMAND.format(["train", "--help"], 0)])
def test_nothing_slow_is_loaded(code):
    loaded = loaded_by(code)
    assert {"numpy", "harmonium.training"} <= loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize(
    "code",
    ["import harmonium", COMPLETION]
    + [COMMAND.format(words, code) for words, code in (([], 2), (["--help"], 0), (["--version"], 0), (["trian"], 2))],
)
def test_help_waits_for_nothing(code):
    """NumPy alone takes longer than all the rest."""
    loaded = loaded_by(code)
    assert "harmonium" in loaded
    assert loaded & (HEAVY | {"numpy", "harmonium.training"}) == set()


def test_sparse_matrices_are_known_without_loading_their_package():
    code = "import harmonium, numpy\nfrom harmonium.inputs import is_sparse\nassert not is_sparse(numpy.eye(2))\n"
    code += "import scipy.sparse as s\nassert all(map(is_sparse, (s.csr_matrix([[1]]), s.coo_array([[1]]))))\n"
    code += "print(harmonium.inputs.check_matrix(s.csc_matrix([[0, 1]])))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[[0", "1]]"]
