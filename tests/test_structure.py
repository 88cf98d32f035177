"""What stands once: a sweep, a swap, a ladder, R-hat and F(v) are written in one place, and called from everywhere."""

import re

import pytest
from pages import ROOT

PACKAGE = ROOT / "src" / "harmonium"
# The equations on paper, their counterparts for other frameworks, and the proofs stand apart on purpose.
APART = {"rbm.py", "keras", "theory", "verify"}
SOURCES = {
    str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
    if not APART & set(path.relative_to(PACKAGE).parts)
}

# What gives a thing away, and where it may be found.
ONCE = {
    # Both layers drawn, one soon after the other, in one function.
    "a sweep v -> h -> v": (
        r"(sample_h\(|bernoulli\([^\n]*on\(HIDDEN\))((?!\n *def )[\s\S]){0,400}?"
        r"(sample_v\(|bernoulli\([^\n]*on\(VISIBLE\))",
        {"chains/gibbs.py", "chains/rungs.py", "chains/tempered.py", "engines/engine.py", "engines/torch.py"},
    ),
    "a swap": (r"on\(SWAP\)", {"chains/tempered.py"}),
    "a ladder of equal distances": (r"np\.interp\(np\.linspace\(0, distance", {"chains/ladder.py"}),
    "R-hat": (r"\(n_draws - 1\) / n_draws|math\.sqrt\(.*variance_ratio", {"chains/diagnostics.py"}),
    "F(v)": (r"engine\w*\.dot\([^\n]*\n?[^\n]*softplus_sum", {"engines/generic.py"}),
    "a progress": (r"Callable\[\[int, int\], None\]", {"progress.py"}),
    "the log ratio of a path": (
        r"softplus_sum\([^\n]*of_h\)",
        {"chains/path.py", "likelihood/marginal.py"},
    ),
}


@pytest.mark.parametrize("thing", ONCE)
def test_it_stands_once(thing):
    pattern, places = ONCE[thing]
    found = {name for name, text in SOURCES.items() if re.search(pattern, text)}
    assert found <= places
    assert found
