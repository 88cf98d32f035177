"""A finished run is trained on: what goes on goes on bit for bit, the schedule is what is said, the old run stays."""

import hashlib
import itertools
import json

import numpy as np
import pytest

from harmonium import Config, TrainingRun, datasets
from harmonium.cli import main
from harmonium.errors import InvalidParameter
from harmonium.training import RunDirectory, longer

DATA = datasets.load("bars-and-stripes-3x3").train
X, VALID = np.repeat(DATA, 4, axis=0), np.repeat(DATA, 8, axis=0)
WAYS = {
    "cd": {"method": "cd", "sweeps": 2},
    "pcd": {"method": "pcd", "chains": 9},
    "fpcd": {"method": "fpcd", "chains": 9},
    "pt": {"method": "pt", "chains": 5, "temperatures": 3},
    "adam": {"method": "pcd", "chains": 9, "optimizer": "adam", "sparsity_cost": 0.1},
}


def run_of(epochs, **options):
    return TrainingRun(X, Config(6, epochs=epochs, batch_size=10, seed=3, **options), valid=VALID)


def finished(run):
    assert list(run.epochs())
    return run


def on(run, more, **changes):
    """The run after another leg."""
    config, state = longer(run, more, **changes)
    return finished(TrainingRun(X, config, valid=VALID, state=state))


def assert_same(one, other):
    """All of the state but where a leg began."""
    a, b = one.state, other.state
    assert a.step == b.step
    extras = {name: (a.extras.get(name), b.extras.get(name)) for name in (a.extras.keys() | b.extras.keys()) - {"leg"}}
    pairs = [*zip(a.velocity, b.velocity, strict=True), *extras.values(), (a.chains, b.chains)]
    pairs += [(getattr(a.rbm, name), getattr(b.rbm, name)) for name in "Wbc"]
    for x, y in pairs:
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_at_a_constant_rate_legs_are_one_run(options):
    options = {"schedule": "constant", "learning_rate": 0.1, "patience": 0, **options}
    assert_same(on(on(finished(run_of(3, **options)), 2), 4), finished(run_of(9, **options)))


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_rate_begins_where_a_longer_run_would_be_and_falls_to_zero(schedule):
    run = finished(run_of(6, method="cd", learning_rate=0.5, schedule=schedule))
    config, state = longer(run, 4)
    assert config.learning_rate == pytest.approx(
        Config(6, learning_rate=0.5, schedule=schedule).learning_rate_at(0.6), rel=0.03
    )
    second = TrainingRun(X, config, valid=VALID, state=state)
    rates = [second._learning_rate(step) for step in range(run.step, second.n_steps + 1)]
    assert rates[0] == config.learning_rate
    assert rates[-1] == pytest.approx(0)
    assert all(a > b for a, b in itertools.pairwise(rates))
    finished(second)
    third = longer(second, 10)[0]  # of the rate that the first began with, not of what the second did
    assert third.learning_rate == pytest.approx(0.25, rel=0.03)
    assert longer(run, 4, learning_rate=0.01)[0].learning_rate == 0.01
    assert longer(run, 4, schedule="constant")[0].learning_rate == 0.5


def test_what_steers_goes_on_from_the_best_machine_and_ends_no_worse():
    run = finished(run_of(40, method="cd", patience=2, weight_decay=1e-3))
    best = run.state.extras["steering.scores"]
    after = on(run, 6, learning_rate=0.2)
    assert after.state.extras["steering.scores"][2] >= best[2]
    assert not longer(run, 3)[1].extras["steering.counts"][3]
    assert longer(run, 3, weight_decay=0.01)[1].extras["steering.scores"][0] == 0.01


def test_what_cannot_go_on_is_refused():
    run = run_of(2, method="cd", sweeps=2)
    with pytest.raises(InvalidParameter, match="must be finished"):
        longer(run, 2)
    finished(run)
    with pytest.raises(InvalidParameter, match="Got batch_size, seed"):
        longer(run, 2, seed=1, batch_size=3)
    with pytest.raises(InvalidParameter, match="at least 2, those of the run, so that no noise is drawn twice"):
        longer(run, 2, sweeps=1)
    with pytest.raises(InvalidParameter, match="more_epochs"):
        longer(run, 0)
    assert longer(run, 2, sweeps=5)[0].n_sweeps == 5
    run.engine.replace(type(run.rbm)(0 * run.rbm.W, run.rbm.b, run.rbm.c))
    with pytest.raises(InvalidParameter, match="independent units"):
        longer(run, 2)


def digest(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.filterwarnings("ignore::harmonium.errors.TrainingAlarm")
def test_the_command_makes_a_run_of_its_own(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old, new = tmp_path / "old", tmp_path / "old-more-4"
    start = ["train", "bars-and-stripes-3x3", "--hidden", "6", "--epochs", "6", "--method", "pcd", "--chains", "8"]
    assert main([*start, "--batch-size", "4", "--out", str(old)]) == 0
    before = digest(old)
    capsys.readouterr()
    assert main(["train", "--from", "old", "--more-epochs", "4", "--sweeps", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "4 epochs more after 6, into old-more-4: the learning rate begins at 0.04 and falls linearly to zero" in err
    assert json.loads(out)["epochs"] == 10
    assert digest(old) == before
    directory, _ = RunDirectory.open(new)
    assert directory.parent == str(old)
    assert f'parent = "{old}"' in directory.config_file.read_text()
    assert (directory.config.epochs, directory.config.sweeps) == (10, 3)
    steps = [line["step"] for line in directory.history()]
    assert steps == sorted(set(steps))
    assert steps[: len(RunDirectory.open(old)[0].history())] == [x["step"] for x in RunDirectory.open(old)[0].history()]
    assert main(["inspect", str(new)]) == 0


@pytest.mark.parametrize("method", ["pcd", "pt"])
def test_a_leg_that_is_stopped_goes_on_bit_for_bit(tmp_path, method):
    run = finished(run_of(40, method=method, chains=7, patience=2))
    config, state = longer(run, 5)
    whole, part = (TrainingRun(X, config, valid=VALID, state=state) for _ in range(2))
    finished(whole)

    def stop(step):
        if step == run.step + 10:  # within the second epoch, after the record of the first
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(part.epochs(stop))
    directory = RunDirectory.create(tmp_path / "leg", config, data="x", X=X, state=part.state)
    config, state = RunDirectory.open(directory.path)[0].config, RunDirectory.open(directory.path)[1]
    resumed = finished(TrainingRun(X, config, valid=VALID, state=state))
    assert_same(whole, resumed)
    np.testing.assert_array_equal(whole.state.extras["leg"], resumed.state.extras["leg"])


def test_messages_about_changes_name_the_options(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "bars-and-stripes-3x3", "--hidden", "4", "--epochs", "2", "--out", "old"]) == 0
    changes = ("engine", "x"), ("schedule", "x"), ("monitor", "x"), ("sweeps", "0"), ("momentum", "2")
    for name, value in (*changes, ("weight-decay", "-1"), ("l1", "-1"), ("max-norm", "-1"), ("clip", "-1")):
        assert main(["train", "--from", "old", "--more-epochs", "1", f"--{name}", value]) == 2
        assert f"error: --{name} must be" in capsys.readouterr().err


def test_the_command_refuses_what_it_would_ignore(tmp_path, capsys):
    for arguments, message in (
        (["--from", "x"], "must stand together"),
        (["--more-epochs", "3"], "must stand together"),
        (["--from", "x", "--more-epochs", "3", "--hidden", "4"], "Got --hidden"),
        (["digits", "--from", "x", "--more-epochs", "3"], "Got DATA"),
        (["--from", str(tmp_path / "none"), "--more-epochs", "3"], "must be the directory of a run"),
        (["--from", "x", "--more-epochs", "3", "--resume", "y"], "Got --resume"),
    ):
        assert main(["train", *arguments]) != 0
        assert message in capsys.readouterr().err
