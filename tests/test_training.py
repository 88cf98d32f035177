"""Training as a whole: passes over the data, determinism, going on from a state, configuration; and that it learns."""

import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import threadpoolctl
from oracles import Exact, all_states, random_parameters, random_states
from training_runs import digest, finished

import harmonium
from harmonium import RBM, Config, Key, TrainingRun
from harmonium.engines import NumpyEngine
from harmonium.errors import InvalidParameter
from harmonium.training import load_checkpoint, save_checkpoint

BARS_AND_STRIPES = harmonium.datasets.load("bars-and-stripes-3x3").train


# Data ----------------------------------------------------------------------------------------------------------------


def test_every_epoch_visits_every_row_once_in_another_order():
    seen = []

    class Recorder(NumpyEngine):
        def logits_h(self, v):
            seen.append(v)
            return super().logits_h(v)

    X = all_states(4)[:11]
    run = TrainingRun(X, Config(2, "cd", batch_size=4, epochs=3, engine="numpy"))
    run.engine = Recorder(run.rbm)
    for _ in run.steps():
        pass
    epochs = [np.concatenate(seen[6 * k : 6 * (k + 1) : 2]) for k in range(3)]  # every other call is the negative phase
    for rows in epochs:
        np.testing.assert_array_equal(rows[np.lexsort(rows.T[::-1])], X)
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[1], epochs[2])


def test_sampled_data_are_drawn_anew_each_epoch_and_within_it_stay(engine):
    X = np.full((6, 50), 0.5)
    run = TrainingRun(X, Config(2, binarize="sample", batch_size=3, epochs=3, engine=engine, seed=8))
    draws = []
    for _ in run.steps():
        epoch, data = run._batches._epoch[:2]
        draws.append((epoch, run.engine.decode(data)))
    assert [epoch for epoch, _ in draws] == [0, 0, 1, 1, 2, 2]
    for epoch, data in draws:
        np.testing.assert_array_equal(data, Key(8).derive("data", epoch).uniform(6, 50) < 0.5)
    assert (draws[0][1] != draws[2][1]).mean() > 0.3


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, np.float64])
def test_the_type_of_binary_data_does_not_matter(engine, dtype):
    X = random_states(20, 9)
    options = {"n_hidden": 3, "epochs": 2, "batch_size": 8, "engine": engine}
    assert digest(finished(X.astype(dtype), **options).rbm) == digest(finished(X, **options).rbm)


# Determinism ---------------------------------------------------------------------------------------------------------

OPTIONS = {"n_hidden": 24, "method": "cd", "epochs": 3, "batch_size": 16, "seed": 3}
DATA = random_states(90, 40)


def test_seeds_decide_and_nothing_else(engine):
    digests = [digest(finished(DATA, **OPTIONS | {"seed": s, "engine": engine}).rbm) for s in (3, 3, np.int64(3), 4)]
    assert digests[0] == digests[1] == digests[2]
    assert digests[0] != digests[3]


@pytest.mark.parametrize("options", [{}, {"method": "pcd", "sweeps": 2}, {"last_statistic": "mean_field"}], ids=str)
def test_the_native_engine_gives_the_same_bits_for_any_number_of_threads(options):
    X = random_states(150, 200)
    options = {"n_hidden": 130, "method": "cd", "epochs": 2, "batch_size": 70, "seed": 3, "engine": "native"} | options
    digests = set()
    for threads in (1, 2, 3, 4):
        with threadpoolctl.threadpool_limits(threads):
            digests.add(digest(finished(X, **options).rbm))
    assert len(digests) == 1


def test_other_processes_give_the_same_bits():
    """Threads set by the environment, and another hash seed."""
    code = """
import hashlib, numpy as np
from harmonium import Config, TrainingRun
X = np.random.default_rng([0, 90, 40]).integers(0, 2, (90, 40), dtype=np.uint8)
run = TrainingRun(X, Config(n_hidden=24, method="cd", epochs=3, batch_size=16, seed=3, engine="native"))
for _ in run.steps():
    pass
print(hashlib.sha256(b"".join(x.tobytes() for x in (run.rbm.W, run.rbm.b, run.rbm.c))).hexdigest())
"""
    expected = digest(finished(DATA, **OPTIONS).rbm)
    for threads in ("1", "4"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert done.stdout.strip() == expected


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"method": "pcd", "sweeps": 2, "chains": 5, "schedule": "cosine"},
        {"binarize": "sample", "momentum": 0.9},
        {"binarize": "none", "last_statistic": "mean_field"},
        {"method": "pcd", "last_statistic": "mean_field"},
    ],
    ids=str,
)
def test_a_run_continued_from_its_state_is_the_run(engine, tmp_path, options):
    """Stopped after every single step, through a file, against a run that was never stopped."""
    options = OPTIONS | {"engine": engine, "n_hidden": 5} | options
    X = np.random.default_rng(0).random((90, 40)) if "binarize" in options else DATA
    whole = finished(X, **options)
    run = TrainingRun(X, Config(**options))
    for _ in range(run.n_steps):
        next(run.steps())
        save_checkpoint(tmp_path / "state", run.state, run.config)
        state, config, _ = load_checkpoint(tmp_path / "state")
        run = TrainingRun(X, config, state=state)
    assert run.step == whole.step == run.n_steps
    assert digest(run.rbm) == digest(whole.rbm)
    for one, other in zip(run.state.velocity, whole.state.velocity, strict=True):
        np.testing.assert_array_equal(one, other)
    if whole.state.chains is not None:
        np.testing.assert_array_equal(run.state.chains, whole.state.chains)


def test_steps_epochs_and_train_are_the_same_run(engine):
    by_steps = finished(DATA, **OPTIONS, engine=engine)
    mixed = TrainingRun(DATA, Config(**OPTIONS, engine=engine))
    for _ in itertools.islice(mixed.steps(), 4):  # into the first epoch, which the loop below completes
        pass
    records = list(mixed.epochs())
    trained = harmonium.train(DATA, **OPTIONS, engine=engine, valid=DATA[:5])
    assert digest(by_steps.rbm) == digest(mixed.rbm) == digest(trained.rbm)
    assert {1, 3} <= {record.epoch for record in records} <= {1, 2, 3}
    assert all(record.step == 6 * record.epoch for record in records)
    assert trained.config == mixed.config
    for record, other in zip(records, trained.history, strict=True):
        assert record.train == other.train
        assert record.learning_rate == other.learning_rate
        assert (record.valid, other.valid is None) == (None, False)


def test_a_state_handed_out_does_not_change_afterwards(engine):
    run = TrainingRun(DATA, Config(**OPTIONS | {"method": "pcd"}, engine=engine))
    next(run.steps())
    state = run.state
    before = digest(state.rbm), state.velocity.W.copy(), state.chains.copy()
    next(run.steps())
    assert digest(state.rbm) == before[0]
    np.testing.assert_array_equal(state.velocity.W, before[1])
    np.testing.assert_array_equal(state.chains, before[2])
    assert digest(run.rbm) != before[0]


def test_the_monitor_and_the_held_out_data_never_steer():
    plain = finished(DATA, **OPTIONS)
    watched = harmonium.train(DATA, **OPTIONS, valid=1 - DATA)
    assert digest(plain.rbm) == digest(watched.rbm)


# Configuration -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("constant", (0.2, 0.2, 0.2)), ("linear", (0.2, 0.1, 0.05)), ("cosine", (0.2, 0.1, 0.1 * (1 - math.sqrt(0.5))))],
)
def test_schedules(schedule, expected):
    config = Config(2, learning_rate=0.2, schedule=schedule)
    assert [config.learning_rate_at(x) for x in (0, 0.5, 0.75)] == pytest.approx(expected, rel=1e-14)


def test_numbers_of_numpy_become_plain_numbers():
    config = Config(np.int64(3), seed=np.uint64(2**64 - 1), learning_rate=np.float32(0.5), momentum=np.float64(0))
    assert {type(x) for x in (config.n_hidden, config.seed)} == {int}
    assert {type(x) for x in (config.learning_rate, config.momentum)} == {float}


def test_no_epochs_leave_the_machine_as_it_starts():
    result = harmonium.train(DATA, 4, epochs=0, seed=9)
    assert result.history == ()
    assert digest(result.rbm) == digest(RBM.initialise(DATA, 4, seed=9))


def test_an_initial_machine_is_where_training_starts(engine):
    initial = RBM(*(x.astype(np.float32) for x in random_parameters(4, 40)))
    assert digest(harmonium.train(DATA, 4, epochs=0, initial=initial, engine=engine).rbm) == digest(initial)
    for wrong in (RBM(*random_parameters(4, 39)), RBM(*random_parameters(5, 40))):
        with pytest.raises(harmonium.errors.HarmoniumError, match=r"must have .*\. Got .*\. [A-Z].*\.$"):
            harmonium.train(DATA, 4, initial=wrong)


@pytest.mark.parametrize(("method", "other"), [("cd", "pcd"), ("pcd", "cd")])
def test_a_state_of_another_method_is_refused(method, other):
    state = TrainingRun(DATA, Config(4, method)).state
    with pytest.raises(InvalidParameter, match=r"must hold chains for methods pcd and fpcd.*\. Got .*\. Resume with"):
        TrainingRun(DATA, Config(4, other), state=state)


# Learning ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "at_least"),
    [
        ({"engine": "numpy"}, 0.6),
        ({}, 0.6),
        ({"sweeps": 5}, 0.6),
        ({"last_statistic": "mean_field"}, 0.6),
        ({"method": "pcd"}, 0.6),
        ({"method": "pcd", "last_statistic": "mean_field"}, 0.6),
    ],
    ids=str,
)
def test_training_raises_the_exact_likelihood(options, at_least):
    """Bars and stripes 3x3: a share of the way from fair coins (-6.24 nats) to the best of any model (-2.60)."""
    X = BARS_AND_STRIPES
    _, counts = np.unique(X, axis=0, return_counts=True)
    best, coins = float(np.sum(counts / len(X) * np.log(counts / len(X)))), -9 * math.log(2)
    recipe = {"n_hidden": 8, "epochs": 2000, "batch_size": 16, "learning_rate": 0.15, "weight_decay": 0.0, "seed": 1}
    recipe |= {"method": "cd", "schedule": "linear", "momentum": 0.5}
    rbm = finished(X, **recipe | options).rbm
    exact = Exact(rbm.W, rbm.b, rbm.c)
    reached = exact.joint_with_data(X).sum(axis=1) @ exact.log_p_v
    assert (reached - coins) / (best - coins) > at_least


@pytest.mark.parametrize(
    "options", [{}, {"method": "cd", "sweeps": 2}, {"weighted": True}, {"method": "fpcd"}], ids=str
)
def test_steps_made_in_one_go_are_those_made_one_by_one(options):
    """Where nobody asks after each, a run takes many steps at a time, up to the next that is looked at."""
    options = {"method": "pcd", "chains": 7, **options}
    weights = 1.0 + np.arange(43) % 3 if options.pop("weighted", False) else None
    if options["method"] == "cd":
        del options["chains"]
    config = Config(4, epochs=12, batch_size=4, learning_rate=0.1, patience=0, **options)
    runs = [TrainingRun(random_states(43, 9), config, sample_weight=weights) for _ in range(3)]
    calls = []
    histories = [list(runs[0].epochs()), list(runs[1].epochs(calls.append)), list(runs[2].epochs(lambda _: None, 3))]
    assert calls == list(range(1, runs[1].n_steps + 1))
    for run, history in zip(runs[1:], histories[1:], strict=True):
        for part in "Wbc":
            np.testing.assert_array_equal(getattr(run.rbm, part), getattr(runs[0].rbm, part))
        for ours, theirs in zip(history, histories[0], strict=True):
            assert (ours.train, ours.weights, ours.chains) == (theirs.train, theirs.weights, theirs.chains)
