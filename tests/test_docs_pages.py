"""Every block of every page runs, and prints what the page shows.

Those about Keras: tests/keras/test_pages.py; other tools: test_ecosystem.py; GPUs: conformance/test_torch_devices.py.
"""

import pytest
from pages import ROOT, run

DOCS = ROOT / "docs"
ELSEWHERE = {"keras.md", "distributed.md", "ecosystem.md", "gpu.md"}
PAGES = sorted(
    page
    for page in DOCS.rglob("*.md")
    if "_build" not in page.parts and page.name not in ELSEWHERE and "```python\n" in page.read_text(encoding="utf-8")
)


@pytest.mark.filterwarnings("ignore::UserWarning")  # alarms of small examples
@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(DOCS)) for page in PAGES])
def test_a_page_runs_and_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = list(run(page))
    assert [text for _, text, _ in shown] == [printed for _, _, printed in shown]


def test_pages_are_found():
    assert len(PAGES) > 12
