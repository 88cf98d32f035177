"""Every section of docs/ecosystem.md runs, where what it is about is installed (`make test-ecosystem`)."""

import re

import pytest
from pages import ROOT, run

PAGE = (ROOT / "docs" / "ecosystem.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
NEEDS = {"ArviZ": "arviz", "Optuna": "optuna", "MLflow": "mlflow"}


@pytest.mark.filterwarnings("ignore")  # those of other libraries
@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_runs_and_prints_what_it_shows(title, tmp_path, monkeypatch):
    if title in NEEDS:
        pytest.importorskip(NEEDS[title])
    page = tmp_path / "page.md"
    page.write_text(SECTIONS[title], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    shown = list(run(page))
    assert [text for _, text, _ in shown] == [printed for _, _, printed in shown]
    if title == "A model card":
        card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
        assert card.startswith("---\nlibrary_name: harmonium\n")
        assert "harmonium train digits --hidden 8" in card
        assert "64 visible and 8 hidden units" in card


def test_sections_are_found():
    assert set(NEEDS) < set(SECTIONS)
