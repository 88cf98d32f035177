"""What is slow to load is loaded where it is used: `import harmonium` and `harmonium --help` are quick.

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
IMPORT = "import harmonium"
COMMAND = """
import contextlib, io
from harmonium.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    assert main(["{}"]) == 0
"""


@pytest.mark.parametrize("code", [IMPORT, COMMAND.format("--help"), COMMAND.format("--version")])
def test_nothing_slow_is_loaded(code):
    code += "\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "harmonium" in loaded
    assert loaded & HEAVY == set()


def test_sparse_matrices_are_known_without_loading_their_package():
    code = "import harmonium, numpy\nfrom harmonium.inputs import is_sparse\nassert not is_sparse(numpy.eye(2))\n"
    code += "import scipy.sparse as s\nassert all(map(is_sparse, (s.csr_matrix([[1]]), s.coo_array([[1]]))))\n"
    code += "print(harmonium.inputs.check_matrix(s.csc_matrix([[0, 1]])))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[[0", "1]]"]
