"""Examples in docstrings print what they show, and every public name is on a page of the reference."""

import doctest
import importlib
import inspect
import re

import pytest
from pages import ROOT

SOURCE = ROOT / "src"
MODULES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for path in (SOURCE / "harmonium").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8") and path.parent.name != "keras" and path.name != "onnx.py"
)
PACKAGES = (
    "",
    "chains",
    "datasets",
    "engines",
    "io",
    "likelihood",
    "plot",
    "report",
    "reproduce",
    "sampling",
    "sklearn",
    "theory",
    "training",
)
REFERENCE = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
# Submodules, constants and a type: nothing that autosummary has a page for.
NOT_LISTED = {
    "datasets",
    "errors",
    "theory",
    "BINARIZATIONS",
    "ENGINES",
    "NAMES",
    "TORCH",
    "States",
    "Reals",
    "PLANS",
    "MACHINE",
    "gibbs",
    "tempered",
}

# Records and protocols for authors of engines, estimators and pages, which stand in the examples of what makes them.
WITHOUT_EXAMPLE = {
    "BiasPath",
    "Centring",
    "Contrast",
    "DataRangeWarning",
    "GibbsInfo",
    "Ladder",
    "Levels",
    "Offsets",
    "Phase",
    "Picture",
    "Rungs",
    "Section",
    "SwapInfo",
    "TemperedState",
    "linear_path",
    "make_folder",
    "reproduce",
}


@pytest.mark.filterwarnings("ignore::harmonium.errors.TrainingAlarm")  # of small examples
@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_have_examples(package):
    module = importlib.import_module(f"harmonium.{package}".rstrip("."))
    without = {name for name in set(module.__all__) - NOT_LISTED if not has_example(getattr(module, name))}
    assert without <= WITHOUT_EXAMPLE


def has_example(found):
    """In its docstring, or, of a class, in that of a method."""
    parts = [found, *(vars(found).values() if inspect.isclass(found) else ())]
    return any(">>> " in (getattr(part, "__doc__", None) or "") for part in parts)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(package):
    names = set(importlib.import_module(f"harmonium.{package}".rstrip(".")).__all__) - NOT_LISTED
    assert names <= set(re.findall(r"^   (\w+)$", REFERENCE, re.MULTILINE))
