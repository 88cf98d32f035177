"""The benchmark and the experiments of docs/results: that they measure what they say, never how fast it was."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from harmonium.bench import contenders, suite, watching
from harmonium.bench.contenders import Shape

SMALL = Shape(12, 5, 10)
ROOT = Path(__file__).parent.parent


@pytest.fixture
def runs(monkeypatch):
    """The runs that contenders make, which they do not show."""
    made = []

    class Seen(contenders.TrainingRun):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(contenders, "TrainingRun", Seen)
    monkeypatch.setattr(watching, "TrainingRun", Seen)
    return made


def test_a_call_of_a_contender_is_one_step_of_the_method_it_names(runs):
    for method, centered in (("cd", False), ("pcd", True), ("pt", True)):
        call = contenders.training(SMALL, method=method, centered=centered, temperatures=3)
        call()
        call()
        run = runs.pop()
        assert run.step == 2
        assert (run.config.method, run.config.centered, run.config.chains) == (method, centered, SMALL.batch)
        assert (run.config.temperatures, run.config.sweeps) == (3, SMALL.sweeps)
    contenders.training(SMALL)
    assert (runs[-1].config.method, runs[-1].config.centered) == ("cd", False)


def test_the_methods_are_compared_round_by_round(monkeypatch):
    """With times put in by hand, so that every ratio is known."""
    costs = {"cd": 2.0, "pcd": 2.0, "pt": 10.0, "cd_centered": 4.0, "pcd_centered": 5.0, "pt_centered": 20.0}

    def interleave(calls, rounds):
        seconds = {"floor": 8.0, "default": 16.0, **costs}
        assert calls.keys() == seconds.keys()
        return {
            name: suite.Timing(seconds[name], seconds[name], seconds[name], (seconds[name],) * rounds) for name in calls
        }

    monkeypatch.setattr(suite, "interleave", interleave)
    found = suite._methods(SMALL, 3)
    assert found["ratio_pcd_to_cd"] == 4 / 5
    assert found["ratio_pcd_to_cd_plain"] == 1
    assert (found["cost_pt_to_pcd"], found["cost_pt_to_pcd_per_temperature"]) == (4, 0.4)
    assert found["ratio_centered_to_plain"] == {"cd": 0.5, "pcd": 0.4, "pt": 0.5}
    assert found["ratio_to_floor"]["default"] == 0.5
    assert found["cd"] == SMALL.batch / 2


def test_watching_is_measured_beside_a_run_that_differs_in_nothing_else(runs):
    found = watching.cost_of_watching(SMALL, reports=2, method="cd")
    watched, blind = runs
    assert watched.config == blind.config
    assert len(found["shares"]) == 2
    assert np.isfinite(found["share"])
    assert 0 <= watched.step - blind.step < watching._TURN
    # Same seed and data: looking changes nothing.
    while blind.step < watched.step:
        next(blind.steps())
    np.testing.assert_array_equal(watched.rbm.W, blind.rbm.W)


def test_an_experiment_fills_its_table_and_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    command = importlib.import_module("training").main
    command(["bars", "--quick", "--out", str(tmp_path)])
    path = tmp_path / "training" / "bars.json"
    content = json.loads(path.read_text())
    assert [x["method"] for x in content["runs"]] == ["exact", "PT", "PCD-10", "CD-1"]
    # Stopped before the last run: the others are kept, and the last gives the same numbers again.
    stopped = content["runs"][:-1]
    path.write_text(json.dumps({**content, "runs": stopped}))
    capsys.readouterr()
    command(["bars", "--quick", "--resume", "--out", str(tmp_path)])
    assert capsys.readouterr().err.count(": kept") == 3
    again = json.loads(path.read_text())["runs"]
    assert again[:-1] == stopped
    assert {**again[-1], "seconds": 0} == {**content["runs"][-1], "seconds": 0}

    page = tmp_path / "training.md"
    page.write_text("before\n<!-- bars: begin -->\nold\n<!-- bars: end -->\nafter\n")
    command(["tables", str(tmp_path)])
    text = page.read_text()
    assert text.startswith("before\n<!-- bars: begin -->\n| method |")
    assert text.endswith("<!-- bars: end -->\nafter\n")
    assert "old" not in text
    assert (tmp_path / "training" / "bars.svg").read_text().startswith("<?xml")
    # A quick run must not take the place of a full one.
    path.write_text(json.dumps({**content, "quick": False}))
    with pytest.raises(SystemExit, match="must not replace"):
        command(["bars", "--quick", "--out", str(tmp_path)])
