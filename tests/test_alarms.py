"""Alarms in words: silent in runs that go well, and heard in runs that were made to fail."""

import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
from command_runs import in_terminal

from harmonium import RBM, Config, Key, TrainingRun, datasets
from harmonium.cli.progress import TrainingProgress
from harmonium.engines import Phase, make_engine
from harmonium.inputs import check_rows
from harmonium.training.alarms import alarms, last_alarms, unmixed
from harmonium.training.health import WeightHealth
from harmonium.training.mixing import ChainHealth
from harmonium.training.monitors import Monitor
from harmonium.training.reports import Report
from harmonium.training.scores import Scores

BARS = datasets.load("bars-and-stripes-4x4").train
WEIGHTS = WeightHealth(20, 1.0, 2.0, (3.0,), 0, 0, 1e-3)
CHAINS = ChainHealth(100, 90, 95, -50.0, 4.0, 1000, 50, 20.0, 500.0, 1.01)


def scores(pseudo=-10.0, F=-50.0, exact=None, width=0.0):
    ends = (None, None) if exact is None else (exact - width / 2, exact + width / 2)
    return Scores(pseudo, F, 0.1, 4.0, exact, *ends)


def reports(train, valid=None):
    """Reports with these pseudo-log-likelihoods."""
    valid = [None] * len(train) if valid is None else map(scores, valid)
    return [Report(scores(x), y, WEIGHTS, CHAINS) for x, y in zip(train, valid, strict=True)]


def watched(X, config, every, valid=None, initial=None):
    """The reports on a run, one each so many epochs, with the alarms of each."""
    run = TrainingRun(X, config, valid=valid, initial=initial)
    monitor = Monitor(check_rows(X), None if valid is None else check_rows(valid), run.config, Key(7))
    run._monitor.observe = monitor.observe
    whole = (step for step in run.steps() if step % (every * run.n_batches) == 0)
    return [monitor.report(run.engine, step, run.epoch) for step in whole]


def heard(found):
    return {alarm for report in found for alarm in report.alarms}


def hears(found, *words):
    return any(all(word in alarm for word in words) for alarm in heard(found))


# Scores that fall ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("falling", [(-90, -95, -100, -105), (-100, -90, -80, -84, -85, -88)])
def test_three_falls_of_the_training_score_are_an_alarm_and_two_are_not(falling):
    assert alarms(reports(falling[:-1])) == ()
    (alarm,) = alarms(reports(falling))
    assert "has fallen for 3 evaluations" in alarm
    assert f"{max(falling):.2f} at best to {falling[-1]:.2f} nats" in alarm
    assert alarm.endswith(": raise sweeps or lower the learning rate")


def test_held_out_scores_that_fall_alone_are_overfitting():
    (alarm,) = alarms(reports([-90, -80, -75, -72, -70], [-92, -85, -87, -89, -91]))
    assert "held-out data has fallen" in alarm
    assert "weight_decay" in alarm


def test_a_run_that_heeds_its_held_out_data_is_not_told_to():
    falling = reports([-90, -80, -75, -72, -70], [-92, -85, -87, -89, -91])
    apart = [Report(scores(-10), Scores(None, -50 + 1.5 * i, 0.1, 4.0), WEIGHTS, CHAINS) for i in range(8)]
    for history in (falling, apart):
        assert alarms(history)
        assert alarms(history, heeded=True) == ()


def test_the_likelihood_speaks_where_it_is_known_and_a_bracket_s_width_is_noise():
    def run(width):
        return [Report(scores(-9 + i, exact=-10 - i, width=width), None, WEIGHTS, CHAINS) for i in range(5)]

    assert "the log-likelihood has fallen" in alarms(run(0.0))[0]
    assert alarms(run(5.0)) == ()


@pytest.mark.false_alarm(2e-9)
def test_noise_about_a_plateau_is_not_a_fall(seed):
    """50 runs of 30 evaluations rise by 100 nats and stay, with noise of 2 %: if 1 run of 100 has a false alarm, more
    than 8 do with a probability of 2e-9; if 4 of 10 have one, at most 8 do with 2e-4."""
    rng = np.random.default_rng(seed(5))
    curve, n_false = -120 + 100 * (1 - np.exp(-np.arange(30) / 3)), 0
    for _ in range(50):
        history = reports((curve + rng.normal(0, 2, 30)).tolist())
        n_false += any(alarms(history[: n + 1]) for n in range(30))
    assert n_false <= 8


def test_a_slow_fall_under_noise_is_found():
    """By as much an evaluation as the noise has standard deviations: found within twelve of them in 49 runs of 50."""
    rng, n_found = np.random.default_rng(6), 0
    for _ in range(50):
        t = np.arange(30)
        curve = -120 + 100 * (1 - np.exp(-t / 3)) - 2 * np.maximum(0, t - 17)
        n_found += any(
            "has fallen" in x
            for n in range(20, 30)
            for x in alarms(reports(list(curve + rng.normal(0, 2, 30)))[: n + 1])
        )
    assert n_found >= 49


def test_a_free_energy_gap_that_sinks_is_overfitting_unless_the_held_out_score_rises():
    def run(score_of):
        valid = [Scores(score_of(i), -50 + 1.5 * i, 0.1, 4.0) for i in range(8)]
        return [Report(scores(-10 + i), x, WEIGHTS, CHAINS) for i, x in enumerate(valid)]

    assert "free energy of held-out data has risen" in alarms(run(lambda _: None))[0]
    assert alarms(run(lambda i: -20.0 + i)) == ()


def test_scores_below_those_of_independent_units():
    assert alarms(reports([-26]), -25) == ()  # 4 %, once: early in training
    assert "independent units" in alarms(reports([-26, -26]), -25)[0]
    assert "independent units" in alarms(reports([-30]), -25)[0]
    assert alarms(reports([-25.1, -25.1]), -25) == ()


# Levels --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "well", "ill", "words"),
    [
        ("weights", {"n_dead": 2}, {"n_dead": 3}, "3 of 20 hidden units are off for every sample"),
        ("weights", {"n_saturated": 2}, {"n_saturated": 20}, "20 of 20 hidden units are on for every sample"),
        ("weights", {"n_dead": None}, {"n_dead": 20}, "20 of 20"),
        ("chains", {"n_distinct": 24}, {"n_distinct": 23}, "only 23 different states"),
        ("chains", {"n_distinct": None}, {"n_distinct": 1}, "only 1 different"),
        ("chains", {"n_distinct": 1, "n_distinct_data": None}, {"n_distinct": 1}, "only 1 different"),
        ("chains", {"autocorrelation_time": 900.0}, {"autocorrelation_time": 1100.0}, "hardly move"),
        ("chains", {"autocorrelation_time": 200.0, "sweeps": 150}, {"r_hat": 11.0, "sweeps": 150}, "hardly move"),
        ("chains", {"swap_acceptance_min": 0.1}, {"swap_acceptance_min": 0.05}, "only 5% of the swaps"),
    ],
)
def test_levels_have_two_sides(part, well, ill, words):
    report = reports([-10])[0]
    assert alarms([replace(report, **{part: replace(getattr(report, part), **well)})]) == ()
    (alarm,) = alarms([replace(report, **{part: replace(getattr(report, part), **ill)})])
    assert words in alarm
    assert re.fullmatch(r"[^:]+: [^:]+", alarm)  # what happened: what to do


def test_tempered_chains_are_not_told_to_be_tempered():
    stuck = replace(CHAINS, autocorrelation_time=1100.0)
    plain, tempered = (
        alarms([replace(reports([-10])[0], chains=replace(stuck, swap_acceptance=x))])[0] for x in (None, 0.5)
    )
    assert plain.endswith(': raise sweeps, or use method "pt"')
    assert tempered.endswith(": raise sweeps")


@pytest.mark.parametrize(
    ("chains", "told"),
    [
        ({"r_hat": 1.15}, False),
        ({"r_hat": 1.25}, True),
        ({"r_hat": 1.25, "sweeps": 900}, False),  # too short to say
        ({"r_hat": 1.9, "autocorrelation_time": 1100.0}, False),  # they hardly move, which is said already
        ({"r_hat": None}, False),
    ],
)
def test_chains_that_have_not_mixed_are_told_of_in_the_end_alone(chains, told):
    """A machine whose chains ended at R-hat 1.4 drew 42 fours among 100 digits, and said nothing."""
    (report,) = reports([-10])
    report = replace(report, chains=replace(CHAINS, **chains))
    assert (unmixed(report) is not None) == told
    run = TrainingRun(BARS, Config(4, epochs=3, **QUICK))
    run._monitor.report = lambda *_: report
    records = list(run.epochs())
    assert not any("had not mixed" in alarm for record in records[:-1] for alarm in record.alarms)
    assert [alarm for alarm in last_alarms(records) if "had not mixed" in alarm] == (
        [f"epoch 3: {unmixed(report)}"] if told else []
    )
    assert not told or re.fullmatch(r"[^:]+: [^:]+", unmixed(report))


def test_chains_far_from_the_data_count_when_they_stay_there():
    near, far = (replace(reports([-10])[0], chains=replace(CHAINS, free_energy=-50 + x)) for x in (15.0, 17.0))
    assert alarms([near, near]) == alarms([far, near]) == alarms([near, far]) == ()
    assert "17.0 nats above" in alarms([far, far])[0]


def test_large_steps_are_no_fault_while_scores_rise():
    large = replace(WEIGHTS, update_ratio=0.2)
    rising = [replace(x, weights=large) for x in reports([-20, -19, -18, -17, -16])]
    level = [replace(x, weights=large) for x in reports([-16, -17, -16.5, -16.4, -16.2])]
    assert alarms(rising) == ()
    assert "changes the weights by 0.2" in alarms(level)[0]
    assert alarms([replace(x, weights=WEIGHTS) for x in level]) == ()


def test_records_may_be_dictionaries_and_may_lack_everything():
    history = [json.loads(json.dumps(asdict(x))) for x in reports([-90, -95, -100, -105])]
    assert alarms(history) == alarms(reports([-90, -95, -100, -105]))
    assert alarms([]) == alarms([{"epoch": 1}]) == ()


# Whole runs: silence -------------------------------------------------------------------------------------------------


QUICK = {"method": "pcd", "chains": 100}


@pytest.mark.parametrize(
    ("name", "n_hidden", "every", "options"),
    [
        ("digits", 64, 1, {"epochs": 4}),
        ("digits", 64, 2, {"epochs": 30, **QUICK}),
        ("mnist-5k", 84, 1, {"epochs": 2}),
        ("mnist-5k", 20, 1, {"epochs": 8, **QUICK}),
        ("bars-and-stripes-4x4", 16, 20, {"epochs": 100}),
        ("bars-and-stripes-4x4", 16, 50, {"epochs": 1500, **QUICK}),
        ("bars-and-stripes-3x3", 8, 1, {"epochs": 60, **QUICK}),
        ("digits", 32, 1, {"epochs": 6, "last_statistic": "mean_field", **QUICK}),
        ("digits", 32, 1, {"epochs": 6, "method": "fpcd", "chains": 100}),
        ("digits", 32, 1, {"epochs": 6, "method": "cd"}),
    ],
)
def test_runs_that_go_well_are_silent(name, n_hidden, every, options):
    data = datasets.load(name)
    found = watched(data.train, Config(n_hidden, **options), every, data.valid)
    assert len(found) == options["epochs"] // every
    assert heard(found) == set()


# Whole runs: planted failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_hidden", "epochs", "every"),
    [("digits", 64, 20, 5), ("mnist-5k", 30, 2, 1), ("bars-and-stripes-4x4", 16, 200, 50)],
)
def test_a_learning_rate_a_hundred_times_too_high_is_heard(name, n_hidden, epochs, every):
    data = datasets.load(name)
    config = Config(n_hidden, epochs=epochs, **QUICK).for_data(*data.train.shape)
    found = watched(data.train, replace(config, learning_rate=100 * config.learning_rate), every, data.valid)
    assert hears(found, "lower the learning rate")


def test_the_likelihood_of_cd_1_that_rises_and_falls_is_heard_while_cheap_scores_rise():
    """Fischer and Igel 2010: bars and stripes, as many hidden units as visible ones, CD-1 at a high rate."""
    plain = {"momentum": 0, "weight_decay": 0, "schedule": "constant", "centered": False}
    config = Config(16, method="cd", learning_rate=0.3, epochs=3500, batch_size=30, seed=2, **plain)
    found = watched(BARS, config, 250)
    exact = np.array([report.train.log_likelihood for report in found])
    best = int(exact.argmax())
    assert best < len(exact) - 4
    assert exact[best] - exact[-3:].max() > 1
    assert found[-1].train.pseudo_log_likelihood > found[best].train.pseudo_log_likelihood
    assert found[-1].train.reconstruction_error < found[best].train.reconstruction_error
    assert not heard(found[: best + 3])
    assert hears(found, "the log-likelihood has fallen for 3 evaluations", "raise sweeps")


def two_modes(n_samples=200, n_visible=16):
    """Two patterns, each the other's complement, with 5 % of the units flipped."""
    flipped = Key(3).uniform(n_samples, n_visible) < 0.05
    side = (np.arange(n_samples) % 2)[:, None] == (np.arange(n_visible) % 2)
    return (side ^ flipped).astype(np.uint8)


def test_too_few_sweeps_on_two_modes_are_heard_and_tempered_chains_are_not():
    X = two_modes()
    options = {"epochs": 200, "batch_size": 50, "learning_rate": 0.05, "weight_decay": 1e-3}
    assert hears(watched(X, Config(8, **QUICK, **options), 100), "the chains hardly move", "raise sweeps")
    tempered = Config(8, method="pt", chains=20, temperatures=6, **options)
    assert not hears(watched(X, tempered, 100), "hardly move")


def test_dead_units_are_heard_at_the_first_report():
    rbm = RBM.initialise(BARS, 16, 1)
    initial = RBM(rbm.W, rbm.b, np.where(np.arange(16) < 4, np.float32(-30), rbm.c))
    (first, *_) = watched(BARS, Config(16, epochs=1, **QUICK), 1, initial=initial)
    assert first.weights.n_dead == 4
    assert hears([first], "4 of 16 hidden units are off for every sample")


def test_chains_in_one_state_are_heard():
    config = Config(16, epochs=100, **QUICK)
    machine = make_engine(RBM.initialise(BARS, 16, 1))
    for rows, expected in ((BARS[[7] * 100], True), (BARS[np.arange(100) % len(BARS)], False)):
        monitor, states = Monitor(check_rows(BARS), None, config, Key(7)), machine.encode(rows)
        logits = machine.logits_h(states)
        monitor.observe(1, machine, Phase(states, machine.mean(logits)), logits)
        assert hears([monitor.report(machine, 1, 1)], "100 chains are in only 1 different state") == expected


# On the screen -------------------------------------------------------------------------------------------------------


def test_the_command_says_each_alarm_once_though_its_numbers_change(capsys):
    run = TrainingRun(BARS, Config(4, epochs=3, **QUICK))
    with TrainingProgress(run, len(BARS)) as progress:
        for i, record in enumerate(run.epochs()):
            progress.epoch(replace(record, alarms=(f"{i} of 4 units are off, at {-i}.5e-3: wake them", "b: c")))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("alarm")]
    assert lines == ["alarm: epoch 1: 0 of 4 units are off, at 0.5e-3: wake them", "alarm: epoch 1: b: c"]


@pytest.mark.parametrize("columns", [40, 100])
def test_an_alarm_fits_the_terminal(tmp_path, columns):
    options = ["--hidden", "16", "--method", "cd", "--learning-rate", "50", "--epochs", "20"]
    text = in_terminal(columns, "train", "bars-and-stripes-4x4", *options, "--out", str(tmp_path / "a"))
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", text)]
    start, end = (next(i for i, x in enumerate(lines) if re.match(word, x)) for word in ("alarm: epoch", r"run\b"))
    # The bar is drawn again between the lines of an alarm, and wiped away again.
    alarm = " ".join(line.strip() for line in lines[start:end] if "/20" not in line)
    assert "than under independent units" in alarm
    assert "lower the learning rate" in alarm
    assert max(map(len, lines[start:end])) <= columns
