"""A checkpoint is complete: a run that goes on from one, again and again, is the run that was never stopped."""

import numpy as np
import pytest
from oracles import random_parameters, random_states, two_kinds

from harmonium import RBM, Config, TrainingRun, log_likelihood
from harmonium.training import load_checkpoint, save_checkpoint
from harmonium.training.steering import Steering

HOLES = np.where(np.random.default_rng(1).random((43, 9)) < 0.2, np.nan, random_states(43, 9))
KINDS = {
    "pcd, restarts, sparsity": {"method": "pcd", "restarts": 0.3, "sparsity_cost": 0.2},
    "fpcd, clip": {"method": "fpcd", "clip": 0.5},
    # 60 sweeps a step: the ladder is moved in the second, by acceptances that are kept from the first.
    "pt": {"method": "pt", "temperatures": 4, "sweeps": 60},
    "pt, adam": {"method": "pt", "temperatures": 3, "sweeps": 60, "optimizer": "adam"},
    "pt, adaptive": {"method": "pt", "sweeps": 60},
    "tempered end": {"method": "pcd", "tempered_share": 0.4, "sweeps": 2},
    "exact, adam": {"method": "exact", "optimizer": "adam"},
    "missing": {"method": "pcd", "epochs": 3},
}


def same_machine(one, other):
    for name in "Wbc":
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("name", KINDS)
def test_whatever_a_run_goes_on_from_is_kept(engine, tmp_path, name):
    """Through a file after every step: every array of the state, its type and shape, as in a run never stopped."""
    n_visible = 99 if "adaptive" in name else 9  # wide enough for more temperatures than it begins with
    X = HOLES if name == "missing" else random_states(43, n_visible)
    options = {
        "n_hidden": 4,
        "chains": None if "exact" in name else 5,
        "epochs": 1,
        "batch_size": 9,
        "engine": engine,
        "learning_rate": 0.3,
    }
    config = Config(**options | KINDS[name])
    initial = RBM(*(x.astype(np.float32) for x in random_parameters(4, n_visible, scale=2.0)))
    whole = TrainingRun(X, config, initial=initial)
    run = TrainingRun(X, config, initial=initial)
    ladders = []
    for _ in whole.steps():
        next(run.steps())
        save_checkpoint(tmp_path / "state", run.state, run.config)
        state, kept, _ = load_checkpoint(tmp_path / "state")
        run = TrainingRun(X, kept, state=state)
        same_machine(run.rbm, whole.rbm)
        one, other = dict(run.state.extras), dict(whole.state.extras)
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], key, strict=True)
        ladders.append(other.get("tempered.ladder"))
    if "adaptive" in name:
        assert len(ladders[-1]) > len(ladders[0])
    elif "pt" in name:
        assert np.abs(ladders[-1] - ladders[0]).max() > 0.005  # it did move


def test_early_stopping_goes_on_where_it_was(tmp_path):
    """Stopped after each record, through a file: the best machine and the end are those of a run never stopped."""
    X, valid = two_kinds(20, 9, 2), two_kinds(40, 9, 3)
    options = {"method": "pcd", "chains": 50, "learning_rate": 0.3, "weight_decay": 0.0}
    config = Config(8, epochs=400, batch_size=10, patience=3, **options)
    whole = TrainingRun(X, config, valid=valid)
    scores = [record.valid.log_likelihood for record in whole.epochs()]
    assert scores[-1] < max(scores)
    assert whole.rbm.W.any()
    assert log_likelihood(whole.rbm, valid).value > max(scores) - 1e-5  # the best is what is kept, be it the first
    run, history = TrainingRun(X, config, valid=valid), []
    while not run.finished:
        history.append(next(run.epochs()))
        save_checkpoint(tmp_path / "state", run.state, run.config)
        state, kept, _ = load_checkpoint(tmp_path / "state")
        run = TrainingRun(X, kept, valid=valid, state=state, history=history)
    assert [record.valid.log_likelihood for record in history] == scores
    assert run.step == whole.step
    same_machine(run.rbm, whole.rbm)


def test_all_that_steers_a_run_is_restored():
    best = RBM(*(x.astype(np.float32) for x in random_parameters(2, 3)))
    config = Config(2, patience=4, weight_decay=None).for_data(50, 3, valid=True)
    steering = Steering(4, config.most_decay, 0.27, best, -3.0, -2.0, -1.0, epoch=7, start=5, overfits=2, stopped=True)
    again = vars(Steering.resume(config, steering.arrays()))
    same_machine(again.pop("best"), best)
    assert again == {name: x for name, x in vars(steering).items() if name != "best"}
