"""What is prepared for publishing says what pyproject.toml says, and cites what it lists."""

import re
import tomllib

from pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RECIPE = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8")
PAPER = (ROOT / "packaging" / "joss" / "paper.md").read_text(encoding="utf-8")
BIBLIOGRAPHY = (ROOT / "packaging" / "joss" / "paper.bib").read_text(encoding="utf-8")


def test_the_recipe_asks_for_what_the_project_does():
    run = re.search(r"^  run:\n((?:    - .*\n)+)", RECIPE, re.MULTILINE)[1]
    asked = {line.replace(" ", "").replace("matplotlib-base", "matplotlib") for line in re.findall(r"- (.*)", run)}
    assert asked == {*PROJECT["dependencies"], "python" + PROJECT["requires-python"]}
    assert f'version: "{PROJECT["version"]}"' in RECIPE
    assert all(file in RECIPE for file in PROJECT["license-files"])


def test_the_paper_cites_what_its_bibliography_holds():
    keys = set(re.findall(r"^@\w+\{(\w+),", BIBLIOGRAPHY, re.MULTILINE))
    assert set(re.findall(r"@(\w+)", PAPER.replace("@", " @"))) == keys
