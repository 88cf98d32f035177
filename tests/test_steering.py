"""Held-out data at the helm: what is kept, when a run goes back, when it stops, and that none of it depends on luck."""

import inspect
import json
import warnings
from dataclasses import MISSING, asdict, fields
from itertools import pairwise

import numpy as np
import pytest
from oracles import random_parameters, random_states, two_kinds
from training_runs import digest

import harmonium
from harmonium import RBM, Config, Key, TrainingRun
from harmonium.errors import InvalidParameter, TrainingAlarm
from harmonium.initial import bias_of_means
from harmonium.likelihood import log_partition
from harmonium.training import load_checkpoint, save_checkpoint
from harmonium.training.alarms import kind_of
from harmonium.training.explain import explain
from harmonium.training.gain import Gain
from harmonium.training.monitoring_schedule import MonitoringSchedule
from harmonium.training.scores import Scores, annealed_log_z
from harmonium.training.steering import Steering

COINS, MORE_COINS = random_states(40, 12, 1), random_states(200, 12, 2)


def machine(i):
    return RBM(np.full((1, 1), float(i)), [0.0], [0.0])


def scores(x):
    return Scores(None, 0.0, None, log_likelihood=x)


def steered(records, patience=2, decay=0.01, most=0.05):
    """Steering that has seen pairs of scores, training and held-out, from the start on; what it answered."""
    config = Config(1, patience=patience, weight_decay=decay, max_weight_decay=most)
    steering = Steering.begin(config, machine(0), *map(scores, records[0]))
    return steering, [steering.see(machine(i), *map(scores, x), i) for i, x in enumerate(records[1:], 1)]


# The rule ------------------------------------------------------------------------------------------------------------


def test_the_best_machine_is_kept_and_the_first_is_one_of_them():
    assert steered([(-20, -20), (-19, -21), (-18, -20.5)])[0].best.W == 0
    steering, _ = steered([(-20, -20), (-19, -15), (-18, -15.5), (-17, -14), (-19, -18)])
    assert (steering.best.W, steering.epoch, steering.valid, steering.train) == (3, 3, -14, -17)


def test_a_run_that_overfits_goes_back_with_three_times_the_decay_and_then_stops():
    steering, back = steered([(-20, -20), (-18, -16), (-17, -17), (-16, -18)])
    assert back == [False, False, True]
    assert (steering.decay, steering.start, steering.best.W) == (0.03, 3, 1)
    for epoch, expected in ((4, False), (5, True), (6, False), (7, False)):
        assert steering.see(machine(epoch), scores(-15), scores(-19), epoch) == expected
        assert steering.decay == (0.03 if epoch < 5 else 0.05)
        assert steering.stopped == (epoch == 7)
    assert steering.best.W == 1


@pytest.mark.parametrize(
    "later",
    [
        [(-19, -17), (-19, -18), (-19, -19)],  # training data score worse too: it is noise, or too high a rate
        [(-17, -16.15)] * 3,  # a twentieth of what was gained
        [(-17, -17), (-17, -16.1)] * 3,  # never twice in a row
        [(-17, None)] * 1,
    ],
)
def test_what_is_no_overfitting(later):
    steering, back = steered([(-20, -20), (-18, -16), *later])
    assert not any(back)
    assert (steering.decay, steering.best.W, steering.stopped) == (0.01, 1, False)


def test_without_room_for_more_decay_the_run_stops():
    steering, back = steered([(-20, -20), (-18, -16), (-17, -17), (-16, -18)], decay=0.05)
    assert steering.stopped
    assert not any(back)


def test_reports_are_close_at_first_and_again_after_going_back():
    schedule = MonitoringSchedule(report=100, observation=1, bracket=0, exact=True)
    early = [epoch for epoch in range(1, 301) if schedule.due(epoch)]
    assert early[:8] == [1, 2, 3, 4, 6, 9, 13, 19]
    assert all(b <= 1.5 * a + 1 for a, b in pairwise(early) if b <= 100)
    assert early[-3:] == [100, 200, 300]


# What is chosen ------------------------------------------------------------------------------------------------------


def test_small_sets_are_steered_and_set_a_tenth_aside_where_nothing_is_held_out():
    def chosen(n, valid=False, **options):
        config = Config(10, **options).for_data(n, 20, valid=valid)
        return config.patience, config.held_out

    assert [chosen(n) for n in (1, 2, 5, 400, 8000)] == [(0, 0), (2, 1), (2, 1), (2, 40), (2, 500)]
    assert chosen(400, valid=True) == (2, 0)
    assert chosen(10_000) == chosen(400, epochs=10) == chosen(400, valid=True, epochs=10) == (0, 0)
    assert chosen(400, patience=0) == (0, 0)
    assert chosen(20_000, patience=3) == (3, 500)
    assert chosen(400, epochs=10, patience=1) == (1, 40)
    once = Config(10).for_data(400, 20)
    assert once.for_data(400, 20) == once.for_data(400, 20, valid=True) == once


def test_the_decay_grows_with_the_weights_for_each_sample_and_may_be_raised_only_where_it_is_left_out():
    decays = [Config(h).for_data(1000, 100).weight_decay for h in (1, 90, 900, 9000, 90_000)]
    assert decays == [1e-4, 1e-3, 1e-2, 0.1, 0.1]
    most = [Config(9, weight_decay=d, patience=p).for_data(1000, 100).most_decay for d, p in ((None, 2), (0.01, 2))]
    assert most == [0.3, 0.01]
    assert Config(9, patience=0).for_data(1000, 100).most_decay == 1e-4
    assert Config(9, weight_decay=0.01, max_weight_decay=0.5).for_data(1000, 100).most_decay == 0.5


def test_large_machines_learn_longer_from_large_sets_and_small_ones_do_not():
    def steps(n_hidden, n_samples, n_visible=784):
        return Config(n_hidden).for_data(n_samples, n_visible).n_epochs * -(-n_samples // 100)

    assert steps(500, 50_000) == steps(84, 50_000) == 60_000  # 120 passes
    assert steps(500, 30_000) == 36_000
    assert steps(500, 60_000) == 60_000
    assert steps(500, 1_000_000) == 60_000
    assert steps(83, 50_000) == steps(500, 10_000) == 20_000
    assert steps(500, 5_000_000) == 250_000  # five passes at least


def test_explanations_say_so():
    said = {choice.name: choice for choice in explain(Config(10), 400, 20)}
    assert (said["patience"].value, said["held_out"].value, said["max_weight_decay"].value) == (2, 40, 0.3)
    assert "best" in said["patience"].why
    assert "18,000" not in said["epochs"].why
    assert "360 samples" in said["epochs"].why


def test_rows_are_set_aside_at_random_by_the_seed_and_nothing_is_learnt_from_them():
    options = {"patience": 2, "epochs": 3, "method": "pcd", "chains": 20}
    runs = [TrainingRun(COINS, Config(5, seed=seed, **options)) for seed in (1, 1, 2)]
    rows = [run.held_out_rows.tolist() for run in runs]
    assert rows[0] == rows[1] != rows[2]
    assert len(rows[0]) == 4 == len(set(rows[0]))
    changed = COINS.copy()
    changed[rows[0]] = 1 - changed[rows[0]]
    other = TrainingRun(changed, Config(5, seed=1, **options))
    for run in (runs[0], other):
        list(run.steps())
    assert digest(runs[0].rbm) == digest(other.rbm)
    kept = np.delete(COINS, rows[0], axis=0)
    given = TrainingRun(kept, Config(5, seed=1, **options), valid=COINS[rows[0]])
    list(given.steps())
    assert digest(given.rbm) == digest(runs[0].rbm)


@pytest.mark.parametrize(
    ("options", "valid"),
    [
        ({"patience": 3, "held_out": 0}, None),
        ({"held_out": 40}, None),
        ({"held_out": 3}, MORE_COINS),
    ],
)
def test_what_cannot_be_held_out_is_refused(options, valid):
    with pytest.raises(InvalidParameter, match=r"patience must come with|held_out must be"):
        TrainingRun(COINS, Config(5, **options), valid=valid)


# Whole runs ----------------------------------------------------------------------------------------------------------


def train_coins(X, n_hidden, **options):
    with pytest.warns(TrainingAlarm, match="the run ends with independent units"):
        return harmonium.train(X, n_hidden, **options)


def independent(X, n_hidden, weights=None):
    """Units that have no weights, and the biases that a machine begins with."""
    first = RBM.initialise(X, n_hidden, sample_weight=weights)
    return RBM(np.zeros_like(first.W), first.b, first.c)


def below_independent(X, valid, rbm):
    """How much likelier held-out rows are under independent units with the means of `X`, in nats."""
    b = bias_of_means(X.sum(axis=0), len(X))
    independent = (valid @ b).mean() - np.logaddexp(0, b).sum()
    return independent - harmonium.log_likelihood(rbm, valid).value


def test_coins_teach_nothing_and_the_run_knows(engine):
    """Coin flips cannot be learnt: what is kept scores best, no worse than independent units, and no alarm says so."""
    options = {"epochs": 1000, "patience": 2, "chains": 50, "learning_rate": 0.3, "engine": engine}
    run = TrainingRun(COINS, Config(8, "pcd", **options), valid=MORE_COINS[:20])
    records = list(run.epochs())
    assert below_independent(COINS, MORE_COINS[:20], run.rbm) == pytest.approx(0, abs=1e-6)
    assert [record.independent for record in records] == [False] * (len(records) - 1) + [True]
    assert digest(run.rbm) == digest(independent(COINS, 8))
    decays = [record.weight_decay for record in records]
    assert decays == sorted(decays)
    assert decays[-1] > 2 * decays[0]
    assert not any("patience" in alarm for record in records[:-1] for alarm in record.alarms)
    assert "the run ends with independent units" in records[-1].alarms[-1]


KINDS = ("plain", "holes", "weights", "sample", "none")


def of_kind(kind, X):
    """`X` as data of some kind, and what it takes to be steered."""
    rng, options = np.random.default_rng(5), {}
    if kind == "holes":
        X = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    elif kind in ("sample", "none"):
        X, options = 0.05 + 0.9 * X, {"binarize": kind}
    weights = None if kind != "weights" else rng.choice([0.0, 1.0, 2.0], len(X), p=[0.1, 0.6, 0.3])
    return X, weights, options


SIZES = [(120, 12, 6), (200, 8, 10)]  # with log Z exact; in the last case it is not


@pytest.mark.parametrize(
    ("kind", "n_rows", "n_columns", "n_hidden"),
    [(kind, *size) for kind in KINDS for size in SIZES] + [("none", 80, 20, 19)],
)
def test_independent_columns_end_with_independent_units_and_what_is_there_is_learnt(kind, n_rows, n_columns, n_hidden):
    """Of both sorts of data, whatever kind of entries they hold; of the first, by all rows, the held-out among them."""
    options = {"epochs": 40, "chains": 20, "patience": 2, "held_out": n_rows // 5, "learning_rate": 0.3}
    columns = np.random.default_rng(n_rows).random((n_rows, n_columns)) < np.linspace(0.1, 0.9, n_columns)
    for X, teaches in ((columns.astype(np.uint8), False), (two_kinds(n_rows, n_columns), True)):
        X, weights, more = of_kind(kind, X)
        run = TrainingRun(X, Config(n_hidden, "pcd", batch_size=10, **options, **more), sample_weight=weights)
        last = list(run.epochs())[-1]
        assert (last.independent, last.gain.is_told) == (not teaches, teaches)
        assert last.gain.n_rows <= len(run.held_out_rows) == n_rows // 5
        base = independent(X, n_hidden, weights)
        assert (digest(run.rbm) == digest(base)) == (not teaches)
        if teaches:
            rows = two_kinds(500, n_columns, 9)
            gained = [harmonium.log_likelihood(x, rows).value for x in (run.rbm, base)]
            assert gained[0] - gained[1] > 0.1 * n_columns


def test_a_gain_is_told_by_three_standard_errors_and_more_of_few_rows():
    differences = np.tile([1.0, 3.0], 1000)
    gain = Gain.of(differences, None, 0.0)
    assert (gain.mean, gain.n_rows) == (2, 2000)
    assert gain.standard_error == pytest.approx(1 / np.sqrt(2000), rel=1e-3)
    error = gain.standard_error
    assert [Gain(x * error, error, 2000).is_told for x in (2.9, 3.1)] == [False, True]
    assert [Gain(3.1, 1.0, n).is_told for n in (1, 2, 20, 1000)] == [False, False, False, True]
    assert Gain(4.2, 1.0, 10).is_told  # a quantile of Student's, 4.09, that tables have
    assert not Gain.of(np.array([100.0]), None, 0.0).is_told
    weighted = Gain.of(np.array([1.0, 3.0, 9.0]), np.array([2.0, 1.0, 0.0]), 0.0)
    assert weighted.mean == pytest.approx(5 / 3)
    assert Gain.of(differences, np.full(2000, 7.0), 0.0).standard_error == pytest.approx(error)
    assert Gain.of(differences, None, 0.3).standard_error == pytest.approx(np.hypot(error, 0.3))


def test_a_given_decay_stays_and_the_run_stops():
    config = Config(8, "pcd", epochs=2000, chains=50, learning_rate=0.3, weight_decay=0.0, patience=2)
    run = TrainingRun(COINS, config, valid=MORE_COINS)
    records = list(run.epochs())
    assert run.finished
    assert run.step < run.n_steps
    assert {record.weight_decay for record in records} == {0}
    again = TrainingRun(COINS, config, valid=MORE_COINS, state=run.state, history=records)
    assert again.finished
    assert digest(again.rbm) == digest(run.rbm)


@pytest.mark.parametrize("n_rows", [1, 2, 5])
def test_tiny_tables_end_soon_and_no_worse_than_at_their_best(n_rows):
    X, valid = random_states(n_rows, 50, 3), random_states(50, 50, 4)
    result = train_coins(X, 4, valid=valid, method="pcd", chains=10)
    assert result.history[-1].step <= 2000
    best = max(record.valid.log_likelihood for record in result.history)
    assert harmonium.log_likelihood(result.rbm, valid).value >= best - 0.1  # what they preferred was chance
    alone = train_coins(X, 4, method="pcd", chains=10) if n_rows > 1 else harmonium.train(X, 4, method="pcd", chains=10)
    assert alone.history[-1].step <= 2000
    assert len(alone.held_out_rows) == (n_rows > 1)


def test_data_with_a_hole_in_each_row_are_steered_too():
    X, valid = COINS.astype(float), MORE_COINS[:60].astype(float)
    for rows in (X, valid):
        rows[np.arange(len(rows)), np.arange(len(rows)) % 12] = np.nan
    run = TrainingRun(X, Config(6, "pcd", epochs=200, chains=20, patience=2), valid=valid)
    records = list(run.epochs())
    assert all(record.valid.log_likelihood is not None for record in records)
    kept = max(record.valid.log_likelihood for record in records)
    got = harmonium.likelihood.marginal_free_energy(run.rbm, valid)
    rows = np.sort(Key(0).derive("monitor").derive("valid").permutation(60)[:50])
    assert -got[rows].mean() - float(log_partition(run.rbm)) >= kept - 1e-4


def test_a_resumed_run_steers_as_the_whole_one_does(tmp_path, engine):
    """From each record, through a file, without a history: the state is all that steering goes on from."""
    options = {"epochs": 400, "patience": 1, "chains": 50, "learning_rate": 0.3, "batch_size": 40, "engine": engine}
    whole = TrainingRun(COINS, Config(8, "pcd", **options), valid=MORE_COINS)
    states, records = [], []
    for record in whole.epochs():
        records.append(record)
        states.append(whole.state)
    assert len({record.weight_decay for record in records}) > 1
    assert 0 <= records[-1].best_epoch < records[-1].epoch
    for i in (0, len(states) // 2, len(states) - 3):
        save_checkpoint(tmp_path / "state", states[i], whole.config)
        state, config, _ = load_checkpoint(tmp_path / "state")
        run = TrainingRun(COINS, config, state=state, valid=MORE_COINS)
        rest = list(run.epochs())
        assert digest(run.rbm) == digest(whole.rbm)
        assert [(r.epoch, r.weight_decay, r.best_epoch, r.valid, r.gain) for r in rest] == [
            (r.epoch, r.weight_decay, r.best_epoch, r.valid, r.gain) for r in records[i + 1 :]
        ]
        history = [json.loads(json.dumps(asdict(record))) for record in records[: i + 1]]
        again = TrainingRun(COINS, config, state=state, valid=MORE_COINS, history=history)
        assert [r.alarms for r in again.epochs()] == [r.alarms for r in records[i + 1 :]]


def test_the_estimate_from_one_side_is_close_where_log_z_is_known(engine):
    rbm = RBM(*random_parameters(8, 20, scale=0.5))
    for seed in range(3):
        estimate, error = annealed_log_z(rbm, np.zeros(20), Key(seed), engine)
        assert estimate == pytest.approx(float(log_partition(rbm)), abs=4 * error)
        assert error < 0.1


# The one-line way ----------------------------------------------------------------------------------------------------


def test_train_names_every_choice_as_config_does():
    parameters = inspect.signature(harmonium.train).parameters
    assert not any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    for field in fields(Config):
        default = parameters[field.name].default
        assert default == (inspect.Parameter.empty if field.default is MISSING else field.default)
        assert field.name == "n_hidden" or parameters[field.name].kind == inspect.Parameter.KEYWORD_ONLY
    with pytest.raises(TypeError, match="nosuch"):
        harmonium.train(COINS, 3, nosuch=3)


def test_alarms_are_warnings_each_kind_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = harmonium.train(COINS, 8, method="cd", learning_rate=50, epochs=60, weight_decay=0)
    alarms = [alarm for record in result.history for alarm in record.alarms]
    assert alarms
    assert {w.category for w in caught} == {TrainingAlarm}
    assert all(w.filename == __file__ for w in caught)
    said = [kind_of(str(w.message).split(": ", 1)[1]) for w in caught]
    assert said == list(dict.fromkeys(kind_of(alarm) for alarm in alarms))


@pytest.mark.parametrize("missing", [False, True])
def test_grey_data_and_what_they_are_thresholded_to_give_the_same_bits(engine, missing):
    grey = np.random.default_rng(3).random((30, 10))
    if missing:
        grey[::3, 2] = np.nan
    states = np.where(np.isnan(grey), np.nan, grey > 0.5)
    options = {"epochs": 3, "method": "pcd", "chains": 20, "engine": engine}
    one, other = (harmonium.train(X, 4, **options).rbm for X in (grey, states))
    assert digest(one) == digest(other)
    first = harmonium.train(grey, 4, epochs=0, engine=engine).rbm.b
    mean = (np.nansum(states, axis=0) + 0.5) / ((~np.isnan(states)).sum(axis=0) + 1)
    np.testing.assert_allclose(first, np.log(mean / (1 - mean)), rtol=1e-5)
