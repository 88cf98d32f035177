"""The page of the mathematics names real functions and real tests, and numbers its equations as the code does."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from harmonium import RBM, theory

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "mathematics.md").read_text(encoding="utf-8")
BIAS_PAGE = (ROOT / "docs" / "cd-bias.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| \((\d+)\).*\| `(harmonium\.[\w.]+)` \| `(tests/[\w/]+\.py)::(\w+)` \|$", PAGE, re.MULTILINE)


def resolve(dotted):
    parts = dotted.split(".")
    for split in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for name in parts[split:]:
            found = getattr(found, name)
        return found
    raise LookupError(dotted)


def test_every_row_of_the_table_is_understood():
    lines = [line for line in PAGE.splitlines() if re.match(r"\| \(\d+\)", line)]
    assert len(ROWS) == len(lines) > 25


@pytest.mark.parametrize(("number", "function", "file", "test"), ROWS, ids=[f"{r[0]}-{r[1]}" for r in ROWS])
def test_functions_and_tests_of_the_table_exist(number, function, file, test):
    assert inspect.getdoc(resolve(function))
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_equations_are_numbered_without_gaps_and_each_has_a_row():
    tags = [int(x) for x in re.findall(r"\\tag\{(\d+)\}", PAGE)]
    assert tags == list(range(1, len(tags) + 1))
    assert sorted({int(row[0]) for row in ROWS}) == tags


def test_numbers_are_those_of_the_docstrings():
    in_code = {}
    for name, method in vars(RBM).items():
        if number := re.search(r"\((\d+)\)$", (inspect.getdoc(method) or "").split("\n\n")[0]):
            in_code[f"harmonium.rbm.RBM.{name}"] = number[1]
    assert len(in_code) == 15
    assert in_code.items() <= {(function, number) for number, function, *_ in ROWS}


def test_formulae_are_closed():
    for page in (PAGE, BIAS_PAGE):
        assert page.count("$$") % 2 == 0
        assert re.sub(r"```.*?```", "", page, flags=re.DOTALL).replace("$$", "").count("$") % 2 == 0


def test_the_page_of_the_bias_names_what_exists():
    for name in set(re.findall(r"theory\.(\w+)\(", BIAS_PAGE)) | set(re.findall(r"`theory\.(\w+)`", BIAS_PAGE)):
        assert name in theory.__all__
    rows = set(re.findall(r"^\| `(\w+)` \| ", BIAS_PAGE, re.MULTILINE))
    assert rows == set(theory.cd_bias_bounds(RBM([[1.0]], [0.0], [0.0])).bounds)
