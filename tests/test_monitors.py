"""What is watched during training: scores, weights, units and chains against the definition; when, and that nothing
depends on where a run was resumed."""

import dataclasses
import json

import numpy as np
import pytest
from oracles import Exact, random_parameters, random_states

from harmonium import RBM, Config, Key, TrainingRun, datasets
from harmonium.engines import Phase, make_engine
from harmonium.errors import InvalidParameter
from harmonium.inputs import check_rows
from harmonium.likelihood import free_energy, log_likelihood, pseudo_log_likelihood, reconstruction_error
from harmonium.training.health import leading_pairs
from harmonium.training.mixing import ChainWindow
from harmonium.training.monitoring_schedule import monitoring_schedule
from harmonium.training.monitors import Monitor
from harmonium.training.reports import Report, read_reports

BARS = datasets.load("bars-and-stripes-3x3").train


def monitor_of(X, n_hidden, valid=None, history=(), **options):
    config = Config(n_hidden, **{"method": "pcd", "chains": 100, "epochs": 10, **options})
    return Monitor(check_rows(X), None if valid is None else check_rows(valid), config, Key(7), history)


def negative_of(engine, v):
    """The negative side and the logits of chains in the states `v`."""
    states = engine.encode(np.asarray(v, np.uint8))
    logits = engine.logits_h(states)
    return Phase(states, engine.mean(logits)), logits


# Scores --------------------------------------------------------------------------------------------------------------


def test_scores_are_those_of_the_library_and_the_likelihood_is_exact(engine):
    parameters = random_parameters(3, 5, scale=2)
    X, valid = random_states(40, 5, 1).astype(np.uint8), random_states(20, 5, 2).astype(np.uint8)
    rbm, exact = RBM(*parameters), Exact(*parameters)
    report = monitor_of(X, 3, valid, engine=engine).report(make_engine(rbm, engine), 1, 1)
    for scores, data in ((report.train, X), (report.valid, valid)):
        log_p = exact.log_p_v[[int("".join(map(str, row)), 2) for row in data]]
        assert scores.log_likelihood == pytest.approx(log_p.mean(), abs=1e-5)
        assert scores.log_likelihood_lower == scores.log_likelihood == scores.log_likelihood_upper
        assert scores.pseudo_log_likelihood == pytest.approx(pseudo_log_likelihood(rbm, data).mean(), abs=1e-5)
        F = free_energy(rbm, data)
        assert (scores.free_energy, scores.free_energy_spread) == pytest.approx((F.mean(), F.std()), abs=1e-5)
    assert report.free_energy_gap == pytest.approx(
        free_energy(rbm, X).mean() - free_energy(rbm, valid).mean(), abs=1e-5
    )


def test_the_reconstruction_error_has_the_noise_of_its_key():
    X, rbm, key = random_states(40, 5, 1), RBM(*random_parameters(3, 5)), Key(7)
    monitor = monitor_of(X, 3)
    rows = X[np.sort(key.permutation(len(X)))]  # the noise belongs to the row's place
    expected = reconstruction_error(rbm, rows, seed=key)
    assert monitor.report(make_engine(rbm), 1, 1).train.reconstruction_error == pytest.approx(expected, abs=1e-6)


def test_incomplete_rows_are_passed_over():
    X = random_states(30, 6, 3).astype(float)
    holes = np.vstack([X[:10], np.full((1, 6), np.nan), X[10:], np.where(np.arange(6) == 2, np.nan, X[:1])])
    engine = make_engine(RBM(*random_parameters(3, 6)))
    whole, part = (monitor_of(x, 3, valid=x).report(engine, 1, 1) for x in (X, holes))
    assert part.train == whole.train
    assert part.valid == whole.valid


def test_where_every_row_has_a_hole_what_is_observed_is_scored(engine):
    """By enumeration: the sum of p(v) over all v that agree with the row."""
    parameters = random_parameters(3, 5)
    exact, X = Exact(*parameters), random_states(30, 5, 3).astype(float)
    X[np.arange(30), np.arange(30) % 5] = np.nan
    X[::4, 0] = np.nan
    agrees = ((exact.v[None] == X[:, None]) | np.isnan(X)[:, None]).all(axis=2)
    log_p = np.log(agrees @ np.exp(exact.log_p_v)).mean()
    report = monitor_of(X, 3, valid=X, engine=engine).report(make_engine(RBM(*parameters), engine), 1, 10)
    for scores in (report.train, report.valid):
        assert scores.log_likelihood == pytest.approx(log_p, abs=1e-4)
        assert (scores.pseudo_log_likelihood, scores.reconstruction_error) == (None, None)
    p = (np.nansum(X, axis=0) + 0.5) / ((~np.isnan(X)).sum(axis=0) + 1)
    log_p = np.where(X == 1, np.log(p), np.log(1 - p))
    independent = np.where(np.isnan(X), 0, log_p).sum(axis=1).mean()
    assert monitor_of(X, 3)._independent == pytest.approx(independent, abs=1e-6)


def test_where_nothing_of_the_held_out_data_is_observed_there_is_no_score():
    X = random_states(20, 4, 1)
    report = monitor_of(X, 3, valid=np.full((3, 4), np.nan)).report(make_engine(RBM(*random_parameters(3, 4))), 1, 1)
    assert report.valid is None


def test_grey_data_have_no_likelihood_of_any_kind():
    X = np.random.default_rng(0).random((20, 4))
    train = monitor_of(X, 3, binarize="none").report(make_engine(RBM(*random_parameters(3, 4))), 1, 1).train
    assert (train.pseudo_log_likelihood, train.log_likelihood) == (None, None)
    assert train.free_energy_spread > 0


def test_the_likelihood_is_bracketed_where_it_is_asked_for_and_not_exact():
    rbm = RBM(*random_parameters(19, 20, scale=0.3))
    X = random_states(30, 20, 4)
    options = {"epochs": 1000, "engine": "native"}
    last = monitor_of(X, 19, monitor="likelihood", **options).report(make_engine(rbm), 10, 1000).train
    assert last.log_likelihood_lower < last.log_likelihood_upper < last.log_likelihood_lower + 1
    # 19 units can be enumerated after all. The bracket covers the truth in 95 % of runs; twice as far on either side in
    # all but about one of 10,000.
    width = last.log_likelihood_upper - last.log_likelihood_lower
    assert abs(log_likelihood(rbm, X).value - last.log_likelihood) < width
    assert monitor_of(X, 19, **options).report(make_engine(rbm), 10, 1000).train.log_likelihood is None


# Weights and units ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 3), (5, 4), (30, 50)])
def test_leading_singular_values_are_close_and_never_too_large(shape):
    W = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    W += 3 * np.outer(np.ones(shape[0]), np.ones(shape[1])).astype(np.float32) / np.sqrt(np.prod(shape))
    vectors, values = leading_pairs(W, Key(1))
    true = np.linalg.svd(W.astype(np.float64), compute_uv=False)[: len(values)]
    assert np.all(values <= true * (1 + 1e-5))
    np.testing.assert_allclose(values[:3], true[:3], rtol=0.02)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), atol=1e-5)


def test_dead_and_saturated_units_norms_and_the_size_of_a_step(engine):
    W = np.array([[0.3, 0.4], [0, 0], [0, 1], [0, 1]])
    # Unit 2 is off but for one row; units 1 and 3 say nothing.
    machine = make_engine(RBM(W, np.zeros(2), np.array([0, -9, -5, 9])), engine)
    X = np.array([[0, 0], [1, 0], [0, 1]])
    weights = monitor_of(X, 4, engine=engine).report(machine, 1, 1).weights
    assert (weights.n_hidden, weights.n_dead, weights.n_saturated) == (4, 1, 1)
    assert (weights.norm_mean, weights.norm_max) == pytest.approx((2.5 / 4, 1))
    assert weights.update_ratio == 0
    run = TrainingRun(BARS, Config(5, epochs=1, batch_size=5, engine=engine))
    steps = run.steps()
    next(steps)
    before = run.rbm.W
    next(steps)
    after = run.rbm.W
    ratio = monitor_of(BARS, 5).report(run.engine, 2, 1).weights.update_ratio
    assert ratio == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(after), rel=1e-3)


def test_parameters_that_are_not_finite_end_the_run_in_words():
    run = TrainingRun(BARS, Config(5, epochs=3, learning_rate=1e38, momentum=0.9, batch_size=3))
    with pytest.raises(InvalidParameter, match="Lower the learning rate"):
        for _ in run.epochs():
            pass


# Chains --------------------------------------------------------------------------------------------------------------


def watched(engine, batches, stride=1, sweeps=1):
    """The health of chains that were in the states of each of `batches` in turn."""
    window = ChainWindow(stride, sweeps, Key(2))
    for step, v in enumerate(batches, 1):
        window.observe(step, engine, *negative_of(engine, v), None)
    return window.report(engine, engine.rbm, 5)


def test_independent_draws_have_a_short_memory_and_frozen_chains_a_long_one(engine):
    machine = make_engine(RBM(*random_parameters(3, 8)), engine)
    draws = random_states(60 * 20, 8, 5).reshape(60, 20, 8)
    quick = watched(machine, draws, sweeps=3)
    # 16 chains of 60 draws: tau has a standard error of about 0.1 draws, so that 2 of them are out of reach.
    assert 1.5 < quick.autocorrelation_time < 6
    assert quick.ess > 60 * 16 / 2
    assert quick.r_hat < 1.1
    frozen = watched(machine, [draws[0]] * 60, sweeps=3)
    assert frozen.autocorrelation_time > 0.9 * frozen.sweeps == 0.9 * 180
    assert frozen.r_hat == 999
    assert frozen.n_distinct == len(np.unique(draws[0], axis=0)) <= frozen.n_chains == 20
    F = free_energy(machine.rbm, draws[0])
    assert (frozen.free_energy, frozen.free_energy_spread) == pytest.approx((F.mean(), F.std()), abs=1e-4)
    json.dumps(dataclasses.asdict(frozen), allow_nan=False)


def test_modes_of_equal_free_energy_are_told_apart(engine):
    """In a machine that is symmetric under v -> 1 - v, chains that never change sides look alike by free energy."""
    W = np.full((2, 10), 2.0)
    machine = make_engine(RBM(W, -W.sum(axis=0) / 2, -W.sum(axis=1) / 2), engine)
    noise = random_states(50 * 20 * 10, 1, 6).reshape(50, 20, 10) * (np.arange(10) < 2)  # two units move
    side = np.repeat([0, 1], 10)[:, None]
    draws = np.abs(side - noise)
    F = np.array([free_energy(machine.rbm, v) for v in draws])
    assert abs(F[:, :10].mean() - F[:, 10:].mean()) < 0.1 * F.std()
    assert watched(machine, draws).autocorrelation_time > 50
    mixing = np.abs(random_states(50 * 20, 1, 7).reshape(50, 20, 1) - noise)
    assert watched(machine, mixing).autocorrelation_time < 2


def test_what_all_chains_do_together_is_no_memory():
    """Parameters that move shift all free energies: a trend is not autocorrelation."""
    machine = make_engine(RBM(np.ones((1, 12)), np.zeros(12), np.zeros(1)))
    on = np.arange(12) < np.linspace(0, 8, 60)[:, None, None]  # more and more units are on in every chain
    draws = np.where(np.arange(12) >= 10, random_states(60 * 20 * 12, 1, 8).reshape(60, 20, 12), on)
    assert watched(machine, draws).autocorrelation_time < 3


def test_chains_are_looked_at_every_so_many_steps_and_swaps_are_averaged():
    class Counting:
        looks = 0

        def __init__(self, engine):
            self._engine = engine

        def __getattr__(self, name):
            if name == "softplus_sum":
                Counting.looks += 1
            return getattr(self._engine, name)

    machine = make_engine(RBM(*random_parameters(3, 8)))
    window, side = ChainWindow(10, 2, Key(2)), negative_of(machine, random_states(20, 8))
    for step in range(1, 101):
        window.observe(step, Counting(machine), *side, np.array([0.1, np.nan]) if step % 2 else np.array([np.nan, 0.7]))
    health = window.report(machine, machine.rbm)
    assert Counting.looks == health.n_draws == 10
    assert health.sweeps == 200
    assert (health.swap_acceptance, health.swap_acceptance_min) == pytest.approx((0.4, 0.1))


def test_methods_without_chains_that_persist_have_no_health_of_chains():
    run = TrainingRun(BARS, Config(4, method="cd", epochs=1))
    assert [record.chains for record in run.epochs()] == [None]


def test_means_in_place_of_states_are_not_taken_for_states(engine):
    """At W = 0 all means are 0.2: not one state, and the mean free energy is still that of the drawn states."""
    b = np.full(30, np.log(0.25), np.float32)
    rbm = RBM(np.zeros((4, 30), np.float32), b, np.zeros(4, np.float32))
    machine, window = make_engine(rbm, engine), ChainWindow(1, 1, Key(2))
    means, logits = np.full((200, 30), 0.2, np.float32), np.zeros((200, 4), np.float32)
    window.observe(1, machine, Phase(means, machine.mean(logits)), logits, None)
    health = window.report(machine, rbm, 100)
    assert health.n_distinct is None
    assert health.free_energy == pytest.approx(-0.2 * b.sum() - 4 * np.log(2), abs=1e-4)


# When ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_epochs", [1, 2, 7, 50, 3000])
@pytest.mark.parametrize("X", [BARS, np.zeros((20_000, 100), np.uint8)], ids=["tiny", "large"])
def test_the_first_and_the_last_epoch_are_always_due(n_epochs, X):
    monitor = monitor_of(X, 20, epochs=n_epochs)
    due = [epoch for epoch in range(1, n_epochs + 1) if monitor.due(epoch)]
    assert {1, n_epochs} <= set(due)
    assert len(due) <= n_epochs


def test_the_larger_the_epoch_the_more_often_a_report_and_never_oftener_than_it_is_worth():
    config = Config(500, method="pcd", chains=100, batch_size=100, epochs=10_000)
    schedules = [monitoring_schedule(config, n, 784, 1000, 200) for n in (500, 5_000, 50_000, 5_000_000)]
    assert [p.report for p in schedules] == sorted((p.report for p in schedules), reverse=True)
    assert schedules[-1].report == 1
    assert schedules[0].report > 50
    assert not schedules[0].exact
    small = monitoring_schedule(dataclasses.replace(config, n_hidden=12), 50_000, 784, 1000, 200)
    assert small.exact
    assert (
        monitoring_schedule(dataclasses.replace(config, engine="numpy"), 50_000, 784, 1000, 200).report
        > schedules[2].report
    )
    asked = monitoring_schedule(dataclasses.replace(config, monitor="likelihood"), 50_000, 784, 1000, 200)
    assert asked.bracket > 0
    assert asked.bracket % asked.report == 0


def test_a_resumed_run_reports_what_the_whole_one_does():
    """From report to report; with the records as ``history.jsonl`` holds them."""
    options = {"n_hidden": 6, "method": "pcd", "chains": 30, "epochs": 1200, "batch_size": 7, "seed": 3}
    whole = TrainingRun(BARS, Config(**options), valid=BARS[:5])
    records, states = [], []
    for record in whole.epochs():
        records.append(record)
        states.append(whole.state)
    assert len(records) > 4
    assert records[-1].chains.autocorrelation_time is not None
    for first in (1, 3):
        history = [json.loads(json.dumps(dataclasses.asdict(x))) for x in records[:first]]
        state = states[first - 1]
        resumed = TrainingRun(BARS, Config(**options), valid=BARS[:5], state=state, history=history)
        rest = list(resumed.epochs())
        assert [r.step for r in rest] == [r.step for r in records[first:]]
        for got, expected in zip(rest, records[first:], strict=True):
            for name in ("train", "valid", "weights", "chains", "alarms"):
                assert getattr(got, name) == getattr(expected, name)


def test_records_of_an_earlier_version_are_read():
    old = {"epoch": 1, "train": {"pseudo_log_likelihood": -3.0, "free_energy": -1.0, "reconstruction_error": 0.1}}
    (report,) = read_reports([old | {"valid": None, "seconds": 1.0}])
    assert report.train.pseudo_log_likelihood == -3
    assert (report.valid, report.weights, report.chains, report.alarms) == (None, None, None, ())
    assert read_reports([Report(report.train)])[0].train == report.train
