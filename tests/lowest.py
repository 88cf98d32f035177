"""The dependencies at their lower bounds, and what the tests need beside: ``python tests/lowest.py``."""

import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
TESTING = ("pytest", "hypothesis", "pandas", "polars", "mlxtend", "mpmath")

for requirement in (*PROJECT["dependencies"], *EXTRAS["hdf5"], *EXTRAS["arrow"]):
    print(requirement.replace(">=", "=="))
for requirement in EXTRAS["dev"]:
    if requirement.startswith(TESTING):
        print(requirement)
