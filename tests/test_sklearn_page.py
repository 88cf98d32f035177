"""The page for those who come from scikit-learn names what exists. (Its code: test_docs_pages.py.)"""

import inspect
import re
from pathlib import Path

from sklearn.neural_network import BernoulliRBM as Theirs

from harmonium.sklearn import BernoulliRBM

PAGE = (Path(__file__).parent.parent / "docs" / "sklearn.md").read_text()


def test_the_table_names_what_exists():
    rows = re.findall(r"^\| `(.*?)` .*?\| (.*?) \|", PAGE, re.MULTILINE)
    assert len(rows) >= 6
    machine = BernoulliRBM(n_components=2, n_iter=1).fit([[0, 1], [1, 0]])
    for theirs, ours in rows:
        if theirs.startswith("_"):
            assert hasattr(Theirs, theirs.split("(")[0])
        for name in re.findall(r"`(\w+)\(", ours):
            assert hasattr(machine, name), name


def test_what_the_page_says_of_defaults_holds():
    defaults = {name: p.default for name, p in inspect.signature(BernoulliRBM).parameters.items()}
    for name, value in re.findall(r"`(\w+)=([^`(]+)`", PAGE.split("## Defaults")[1].split("<!--")[0]):
        assert repr(defaults[name]).strip("'") == value.strip('"') or float(value) == defaults[name], name
    for name, p in inspect.signature(Theirs).parameters.items():
        assert defaults[name] == p.default
