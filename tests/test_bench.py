"""The benchmark and the experiments of docs/results: that they measure what they say, never how fast it was."""

import importlib
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from harmonium.bench import contenders, interleave, suite, table, watching
from harmonium.bench.contenders import Shape
from harmonium.bench.digits import digits
from harmonium.bench.interleave import Timing
from harmonium.bench.machine import blas_kernel
from harmonium.engines.processor import instruction_set, instruction_sets

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
        assert (run.config.method, run.config.centered, run.config.sweeps) == (method, centered, SMALL.sweeps)
        assert run.config.chains == (None if method == "cd" else SMALL.batch)
        assert method != "pt" or run.config.temperatures == 3
    contenders.training(SMALL)
    assert (runs[-1].config.method, runs[-1].config.centered) == ("cd", False)


def test_the_methods_are_compared_round_by_round(monkeypatch):
    """With times put in by hand, so that every ratio is known."""
    costs = {"cd": 2.0, "pcd": 2.0, "pt": 10.0, "cd_centered": 4.0, "pcd_centered": 5.0, "pt_centered": 20.0}

    def interleave(calls, rounds):
        seconds = {"floor": 8.0, "default": 16.0, **costs}
        assert calls.keys() == seconds.keys()
        return {
            name: Timing(seconds[name], seconds[name], seconds[name], (seconds[name],) * rounds, (2.0,) * rounds, 2.0)
            for name in calls
        }

    monkeypatch.setattr(suite, "interleave", interleave)
    found = suite._methods(SMALL, 3)
    assert found["ratio_pcd_to_cd"] == 4 / 5
    assert found["ratio_pcd_to_cd_plain"] == 1
    assert (found["cost_pt_to_pcd"], found["cost_pt_to_pcd_per_temperature"]) == (4, 0.4)
    assert found["ratio_centered_to_plain"] == {"cd": 0.5, "pcd": 0.4, "pt": 0.5}
    assert found["ratio_to_floor"]["default"] == 0.5
    assert found["cd"] == SMALL.batch / 2


def timed(rounds, cores):
    """The timing of rounds with these seconds a call and cores."""
    return interleave._timing(list(zip(rounds, cores, strict=True)), max(cores))


@pytest.mark.parametrize(
    ("rounds", "cores", "threads", "doubts"),
    [
        ([1.0, 1.1, 1.2, 1.25], [1.95, 1.9, 1.98, 2.0], 2, []),
        ([1.0, 1.1, 1.2, 1.25], [1.0, 0.99, 1.02, 1.0], 2, []),  # a call that takes one thread, alone on its core
        ([1.0, 1.0, 1.5, 1.5], [2.0, 2.0, 2.0, 2.0], 2, ["its quartiles are 1.50 apart"]),
        ([1.0, 1.0, 1.0, 1.0], [1.4, 1.5, 1.6, 1.9], 2, ["it had 1.55 cores and 2 threads"]),
        ([1.0, 1.0, 1.0, 1.0], [0.5, 0.6, 0.6, 0.7], 1, ["it had 0.60 cores and 1 threads"]),
        (
            [1.0, 1.0, 4.0, 4.0],
            [0.5, 0.5, 0.5, 0.5],
            4,
            ["its quartiles are 4.00 apart", "it had 0.50 cores and 4 threads"],
        ),
    ],
)
def test_a_yardstick_that_had_to_wait_is_not_believed(rounds, cores, threads, doubts):
    assert timed(rounds, cores).as_yardstick(threads) == doubts


def test_a_call_that_sleeps_has_no_core_and_one_that_computes_has_at_most_its_threads():
    times = interleave.interleave({"sleeps": lambda: time.sleep(0.02)}, 2)
    assert max(times["sleeps"].cores) < 0.5
    assert times["sleeps"].as_yardstick(1)


class Shared:
    """A machine of two cores by the clock: each call takes the wall time and the cores that are next in its list."""

    def __init__(self, monkeypatch):
        self.now = self.cpu = 0.0
        monkeypatch.setattr(interleave.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(interleave.time, "process_time", lambda: self.cpu)
        monkeypatch.setattr(interleave.time, "sleep", lambda _: None)

    def contender(self, *rounds):
        """A call that is its round's warm-up and measurement each, of so many seconds and cores; the last for ever."""
        left = [each for each in rounds for _ in ("warm-up", "timed")]

        def call():
            seconds, cores = left.pop(0) if len(left) > 1 else left[0]
            self.now += seconds
            self.cpu += seconds * cores

        return call


@pytest.mark.parametrize("name", ["floor", "native"])
def test_a_round_in_which_one_of_them_had_to_wait_is_measured_again(monkeypatch, name):
    """The other one's seconds of that round go, too, although it had its cores; of two slow rounds only this goes."""
    machine = Shared(monkeypatch)
    other = {"floor": "native", "native": "floor"}[name]
    waits = machine.contender((1, 2), (5, 1.2), (9, 2), (1, 2))
    times = interleave.interleave({name: waits, other: machine.contender((2, 1.9), (2.5, 1.9), (2, 1.9), (3, 1.9))}, 3)
    assert times[name].rounds == (1, 1, 9)
    assert times[other].rounds == (2, 3, 2)
    assert times[other].most_cores == pytest.approx(1.9)
    assert not any("cores that it uses" in why for why in interleave.doubts(times, 2))


def test_rounds_that_wait_again_and_again_stay_and_are_told(monkeypatch):
    machine = Shared(monkeypatch)
    calls = {"floor": machine.contender((1, 2)), "native": machine.contender((1, 1.8), (1, 1.2))}
    times = interleave.interleave(calls, 3)
    assert machine.now == (3 + 3) * 2 * 2  # rounds, and as many again, of two contenders with their warm-ups
    assert times["native"].waited == [False, True, True]
    assert interleave.doubts(times, 2) == [
        "the native engine: it had as few as 1.20 of the 1.80 cores that it uses in 2 of 3 rounds"
    ]


def test_what_a_call_uses_is_seen_in_rounds_that_go_as_well(monkeypatch):
    """The native engine had both cores only in the round that the floor spoilt."""
    machine = Shared(monkeypatch)
    calls = {"floor": machine.contender((1, 1), (1, 2)), "native": machine.contender((1, 2), (1, 1.5))}
    times = interleave.interleave(calls, 2)
    assert times["native"].waited == [True, True]


def test_no_round_is_measured_again_for_being_slow(monkeypatch):
    machine = Shared(monkeypatch)
    calls = {
        "floor": machine.contender((1, 2), (7, 2), (1, 2)),
        "native": machine.contender((4, 1.8), (1, 1.75), (2, 2)),
    }
    times = interleave.interleave(calls, 3)
    assert times["floor"].rounds == (1, 7, 1)
    assert times["native"].rounds == (4, 1, 2)


def test_digits_are_real_ones_at_every_resolution():
    for side in (8, 28, 64):
        X = digits(side * side, 300)
        assert X.shape == (300, side * side)
        assert set(np.unique(X)) == {0.0, 1.0}
        assert 0.08 < X.mean() < 0.18
        # A border of zeros around the digits, at whatever resolution.
        assert X.reshape(300, side, side)[:, 0].mean() < 0.01
    assert len(np.unique(digits(784, 300), axis=0)) > 290


def test_shapes_on_digits_have_a_trained_machine():
    shape = Shape(64, 16, 10, data="digits")
    np.testing.assert_array_equal(shape.rows(20), digits(64, 20))
    rbm = shape.machine()
    assert rbm.free_energy(digits(64, 500)).mean() < rbm.free_energy(Shape(64, 16, 500).rows()).mean() - 10


def test_every_instruction_set_is_measured_on_its_own_kernels_beside_a_floor_that_has_no_more(monkeypatch):
    """Real processes, with everything of the table but its size."""
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    small = "table.TRAINING = table.SAMPLING = (table.Shape(64, 5, 10),)"
    small += "; table.training.__defaults__ = table.sampling.__defaults__ = (1,)"  # rounds
    child = table._CHILD.replace("table.tell", f"{small}; table.tell")
    monkeypatch.setattr(table, "_CHILD", child.replace("{quick}", "False"))
    told = []
    found = table.on_every_set(told.append)
    assert found == told
    kinds = [(kind, data) for kind in ("training", "sampling") for data in ("coins", "digits")]
    assert [(x["instruction_set"], x["kind"], x["data"]) for x in found] == [
        (name, *kind) for name in instruction_sets() for kind in kinds
    ]
    if blas_kernel() is not None:  # OpenBLAS
        assert {x["blas_kernel"] for x in found if x["instruction_set"] in ("avx2", "portable")} == {"Haswell"}
    monkeypatch.setattr(table, "_CHILD", "raise SystemExit(3)")
    with pytest.raises(subprocess.CalledProcessError):
        table.on_every_set(told.append)


def test_the_table_has_the_shapes_that_are_promised(monkeypatch):
    monkeypatch.setattr(table, "training", lambda shape: shape)
    monkeypatch.setattr(table, "sampling", lambda shape: shape)
    shapes = list(table.rows())
    assert len(shapes) == 2 * 7 + 2
    assert {(784, 500), (784, 200), (64, 256)} == {(x.n_visible, x.n_hidden) for x in shapes if x.data == "digits"}
    assert [x for x in shapes if x.n_visible == 4096] == [Shape(4096, 4096, 100)] * 2
    assert {(x.n_visible, x.n_hidden) for x in table.rows(quick=True)} == {(784, 500)}


def test_results_name_what_they_ran_on_and_mark_what_is_not_to_be_believed(monkeypatch):
    def interleave(calls, rounds):
        return {name: timed([1.0, 1.0, 3.0, 3.0], [2.0] * 4) for name in calls}

    monkeypatch.setattr(table, "interleave", interleave)
    for measured in table.training(SMALL, 4), table.sampling(SMALL, 4):
        assert measured["unreliable"] == ["the floor: its quartiles are 3.00 apart"]
        assert measured["blas_kernel"] == blas_kernel()
        assert measured["instruction_set"] == instruction_set()
        assert "1.00 (unreliable: the floor: its quartiles are 3.00 apart) x floor" in table.line(measured)
    assert table.ratio({"ratio_to_floor": 1.234, "unreliable": []}) == "1.23"


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
