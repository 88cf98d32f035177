"""No noise is drawn twice: within a public function, between two of them, or in any method of training.

The table below is checked against `harmonium.__all__` and `METHODS`, so that a new function cannot be forgotten.
"""

import inspect
import itertools

import numpy as np
import pytest
import scipy.sparse
from noise_ledger import Ledger, Repeated, recording
from oracles import random_parameters, random_states

import harmonium
from harmonium import RBM, Key, datasets, plot
from harmonium.chains import gibbs
from harmonium.deep import train_stack
from harmonium.likelihood import schedule
from harmonium.random import as_seed
from harmonium.sampling import conditional
from harmonium.sklearn import BernoulliRBM
from harmonium.training import negative
from harmonium.training.config import METHODS

pytestmark = pytest.mark.filterwarnings("ignore::harmonium.errors.TrainingAlarm")

NAN = np.nan
MACHINE = RBM(*random_parameters(6, 9, scale=0.5))
STATES = random_states(12, 9)
GREY = np.random.default_rng(0).random((12, 9)).astype(np.float32)
HOLES = np.where(np.random.default_rng(1).random((12, 9)) < 0.3, NAN, STATES).astype(np.float32)
WIDE, WIDE_HOLES = RBM(*random_parameters(18, 20)), np.full((3, 20), NAN)  # too many units to enumerate
TALL, LARGE = RBM(*random_parameters(6, 22)), RBM(*random_parameters(28, 30, scale=0.1))
MANY = random_states(4500, 9)  # more than one chunk
ASSIGNMENT, GIVEN = np.array([[1, NAN, 0, *[NAN] * 6], [NAN, 1, *[NAN] * 7]])

# The same numbers each time, on purpose: so that one report can be held against the next, and one path against another.
HELD = [("monitor", "reconstruction"), ("monitor", "spectrum"), ("monitor", "directions")]
HELD += [("level", "lost")]

QUICK = {"chains": 4, "temperatures": np.linspace(0, 1, 12)}


def train(**options):
    X = options.pop("X", STATES)
    options = {"epochs": 3, "batch_size": 5, "valid": STATES[:4]} | options
    return lambda seed, engine: harmonium.train(X, 6, seed=seed, engine=engine, **options)


def by_method(method):
    chains = {} if method in ("cd", "exact") else {"chains": 4}
    plain = {"method": method, **chains}
    return [
        train(**plain),
        train(**plain, X=HOLES),
        train(**plain, X=HOLES, binarize="sample", sample_weight=np.arange(12)),
        train(**plain, X=GREY, binarize="sample", sparsity_cost=0.1, max_norm=1.0, optimizer="adam"),
        *([train(**plain, sweeps=3)] if method != "exact" else []),
        *([train(**plain, last_statistic="mean_field", sweeps=2)] if method in ("cd", "pcd", "fpcd") else []),
        *([train(**plain, restarts=0.5, sweeps=2)] if method in ("pcd", "fpcd") else []),
        *([train(**plain, temperatures=4)] if method == "pt" else []),
        *([train(**plain, tempered_share=0.5, sweeps=2)] if method == "pcd" else []),
    ]


def sklearn_face(seed, engine):
    """All of a life: each call goes on from the last."""
    X = HOLES.astype(np.float64)
    model = BernoulliRBM(6, batch_size=5, n_iter=2, random_state=as_seed(seed), engine=engine, binarize="sample").fit(X)
    for _ in range(2):
        model.partial_fit(GREY)
        model.partial_fit(X)
        model.gibbs(STATES)
        model.sample(3, sweeps=2)
        model.sample_hidden(STATES)
        model.sample_visible(STATES[:, :6])
    for _ in range(2):  # sparse, with zeros that are observed
        model.partial_fit(scipy.sparse.csr_matrix(np.nan_to_num(GREY) * (GREY > 0.4)))
        model.partial_fit(scipy.sparse.csr_matrix(X))
    model.transform(X)
    model.impute(X, method="gibbs", chains=2, burn_in=1, sweeps=2)


# Each function in the ways in which it may draw, called as function(seed, engine).
DRAWING = {
    "RBM.initialise": [lambda seed, _: RBM.initialise(STATES, 6, seed)],
    "RBM.sample_h_from_v": [lambda seed, _: MACHINE.sample_h_from_v(STATES, seed=seed)],
    "RBM.sample_v_from_h": [lambda seed, _: MACHINE.sample_v_from_h(STATES[:, :6], seed=seed)],
    "complete": [
        lambda seed, engine, method=method: harmonium.complete(
            MACHINE, HOLES, method=method, sweeps=3, seed=seed, engine=engine
        )
        for method in ("gibbs", "exact")
    ],
    "log_conditional_probability": [
        lambda seed, engine: harmonium.log_conditional_probability(
            MACHINE, ASSIGNMENT, GIVEN, method="ais", seed=seed, engine=engine, **QUICK
        )
    ],
    "datasets.binarize": [lambda seed, _: datasets.binarize(GREY, "sample", seed)],
    "deep.train_stack": [
        lambda seed, engine: train_stack(
            STATES, [6, 4, 3], seed=seed, engine=engine, epochs=2, batch_size=5, method="pcd", chains=4
        )
    ],
    "entropy": [
        lambda seed, engine: harmonium.entropy(TALL, seed=seed, engine=engine, samples=20),
        lambda seed, engine: harmonium.entropy(
            LARGE, log_z=harmonium.Estimate.exact("log Z", 0.0), chains=4, sweeps=4, burn_in=2, seed=seed, engine=engine
        ),
    ],
    "free_energy_difference": [
        lambda seed, engine, rbm=rbm: harmonium.free_energy_difference(
            rbm, RBM(rbm.W, rbm.b - 4, rbm.c), samples=20, sweeps=3, seed=seed, engine=engine
        )
        for rbm in (MACHINE, LARGE)
    ],
    "moment_fit": [
        lambda seed, engine: harmonium.moment_fit(LARGE, np.zeros((3, 30)), sweeps=20, seed=seed, engine=engine)
    ],
    "pair_moments": [
        lambda seed, engine, start=start: harmonium.pair_moments(
            MACHINE, method="gibbs", chains=4, sweeps=5, burn_in=3, seed=seed, engine=engine, **start
        )
        for start in ({}, {"start": STATES})
    ],
    "evaluate": [
        lambda seed, engine: harmonium.evaluate(
            MACHINE, GREY, binarize="sample", log_z="ais", conservative=True, seed=seed, engine=engine, **QUICK
        )
    ],
    "exact_sample": [lambda seed, engine: harmonium.exact_sample(MACHINE, 4500, seed=seed, engine=engine)],
    "gibbs_chain": [
        lambda seed, engine: list(itertools.islice(harmonium.gibbs_chain(MACHINE, STATES, seed=seed, engine=engine), 5))
    ],
    "impute": [
        lambda seed, engine: harmonium.impute(
            MACHINE, HOLES, method="gibbs", chains=3, burn_in=2, sweeps=3, seed=seed, engine=engine
        )
    ],
    "log_partition": [
        lambda seed, engine, how=how: harmonium.log_partition(MACHINE, "ais", seed=seed, engine=engine, **how)
        for how in (
            {"start": "exact", **QUICK},
            {"start": "chains", "X": GREY, **QUICK},
            {"start": "chains", "chains": 4, "temperatures": "adaptive"},
        )
    ]
    + [
        lambda seed, engine, passed=passed: harmonium.log_partition(
            MACHINE, "tempered", chains=20, sweeps=100, trajectory=passed, seed=seed, engine=engine
        )
        for passed in ((), (MACHINE,))
    ],
    "log_likelihood": [
        lambda seed, engine: harmonium.log_likelihood(WIDE, WIDE_HOLES, seed=seed, engine=engine),
    ],
    "marginal_free_energy": [
        lambda seed, engine: harmonium.marginal_free_energy(
            WIDE, WIDE_HOLES, chains=3, temperatures=4, seed=seed, engine=engine
        )
    ],
    "reconstruction_error": [
        lambda seed, engine: harmonium.reconstruction_error(MACHINE, MANY, seed=seed, engine=engine)
    ],
    "plot.reconstructions": [lambda seed, _: plot.reconstructions(MACHINE, STATES, (3, 3), seed, ax=plot.bare_axes())],
    "running_moments": [
        lambda seed, engine, start=start: harmonium.running_moments(
            MACHINE, method="gibbs", chains=4, sweeps=5, burn_in=3, seed=seed, engine=engine, **start
        )
        for start in ({}, {"start": STATES})
    ],
    "sample": [
        lambda seed, engine: harmonium.sample(MACHINE, 12, seed=seed, engine=engine),
        lambda seed, engine: harmonium.sample(MACHINE, 12, sweeps=5, seed=seed, engine=engine),
        lambda seed, engine: harmonium.sample(MACHINE, start=STATES, sweeps=5, seed=seed, engine=engine),
    ],
    "sample_tempered": [
        lambda seed, engine, passed=passed: harmonium.sample_tempered(
            MACHINE, 4, sweeps=40, temperatures="adaptive", trajectory=passed, seed=seed, engine=engine
        )
        for passed in ((), (MACHINE,))
    ],
    "sklearn.BernoulliRBM": [sklearn_face],
    "thinned_sample": [
        lambda seed, engine: harmonium.thinned_sample(MACHINE, 8, method="gibbs", chains=4, seed=seed, engine=engine)
    ],
    "train": [
        *(case for method in METHODS for case in by_method(method)),
        train(method="pcd", chains=4, monitor="likelihood", X=random_states(40, 9), epochs=40),
    ],
}

# With one seed these are documented to be the same training.
SAME = {
    "RBM.initialise": "train",
    "deep.train_stack": "train",
    "sklearn.BernoulliRBM": "train",
}

MODULES = {"datasets"}

SILENT = {
    "exact_gradient": lambda: harmonium.exact_gradient(MACHINE, STATES),
    "exact_statistics": lambda: harmonium.exact_statistics(MACHINE),
    "free_energy": lambda: harmonium.free_energy(MACHINE, STATES),
    "probability_table": lambda: harmonium.probability_table(MACHINE),
    "pseudo_log_likelihood": lambda: harmonium.pseudo_log_likelihood(MACHINE, STATES),
}


@pytest.fixture
def every_way(monkeypatch):
    """Several chunks where there would be one, and a constant-means path where the linear one is good enough."""
    monkeypatch.setattr(schedule, "_LINEAR_SUFFICES", 0)
    monkeypatch.setattr(conditional, "_CELLS", 60)
    monkeypatch.setattr(conditional, "ROWS", 5)


def recorded(name, monkeypatch, engine, seed=0, cases=None):
    """The ledgers of a function, one for each way of calling it."""
    ledgers = []
    for case in DRAWING[name] if cases is None else cases:
        with recording(Ledger(HELD), monkeypatch) as ledger:
            case(seed, engine)
        assert ledger.drawn, f"{name} has drawn nothing"
        ledgers.append(ledger)
    return ledgers


def test_no_function_is_forgotten():
    named = {name: getattr(harmonium, name) for name in harmonium.__all__}
    functions = {name for name, value in named.items() if inspect.isfunction(value)}
    classes = {name: value for name, value in named.items() if inspect.isclass(value) and name != "Key"}
    methods = {
        f"{name}.{method}"
        for name, value in classes.items()
        for method, routine in inspect.getmembers(value, inspect.isroutine)
        if not method.startswith("_") and "seed" in _parameters(routine)
    }
    assert functions | methods == {name for name in DRAWING if name.split(".")[0] in named.keys() - MODULES} | set(
        SILENT
    )
    assert not any("seed" in _parameters(named[name]) for name in SILENT)


def _parameters(routine):
    try:
        return inspect.signature(routine).parameters
    except ValueError:  # of C
        return {}


@pytest.mark.parametrize("name", SILENT)
def test_what_has_no_seed_draws_nothing(name, monkeypatch):
    with recording(Ledger(), monkeypatch) as ledger:
        SILENT[name]()
    assert not ledger.drawn


def test_no_noise_is_drawn_twice(engine, monkeypatch, every_way):
    """Within a call; and, with the same seed, between one function and another."""
    ledgers = {name: recorded(name, monkeypatch, engine) for name in DRAWING}
    assert set.union(*(ledger.used for of_one in ledgers.values() for ledger in of_one)) == set(HELD)
    for one, other in itertools.combinations(DRAWING, 2):
        if SAME.get(one, one) != SAME.get(other, other):
            for a, b in itertools.product(ledgers[one], ledgers[other]):
                assert not a.shared_with(b), f"{one} and {other} share the noise of {a.shared_with(b)}"


@pytest.mark.parametrize("name", sorted(set(DRAWING) - {"sklearn.BernoulliRBM", "log_partition", "train"}))
def test_keys_that_differ_anywhere_are_separate(name, monkeypatch):
    """A key's stream, step and row count, not its seed alone: `seed=Key(0).at(i)` differs for each i."""
    case = DRAWING[name][:1]
    seeds = [Key(0), Key(0).at(1), Key(0).at(2), Key(0).on(1), Key(0).rows_from(10_000)]
    ledgers = [recorded(name, monkeypatch, "native", seed, case)[0] for seed in seeds]
    for a, b in itertools.combinations(ledgers, 2):
        assert not a.shared_with(b)


# Planted bugs ---------------------------------------------------------------------------------------------------------


def caught(monkeypatch, engine, *cases):
    for case in cases:
        with pytest.raises(Repeated):
            recorded("train", monkeypatch, engine, cases=[case])


def test_the_ledger_sees_missing_entries_with_one_noise_for_all_steps(engine, monkeypatch):
    run = gibbs.run
    monkeypatch.setattr(gibbs, "run", lambda e, state, *rest, **how: run(e, state._replace(sweep=0), *rest, **how))
    caught(monkeypatch, engine, train(method="cd", X=HOLES))
    recorded("train", monkeypatch, engine, cases=[train(method="cd")])


def test_the_ledger_sees_restarts_on_the_stream_of_the_chains(engine, monkeypatch):
    monkeypatch.setattr(negative, "RESTART", negative.HIDDEN)
    caught(monkeypatch, engine, train(method="pcd", chains=4, restarts=0.5))
    recorded("train", monkeypatch, engine, cases=[train(method="pcd", chains=4)])


def test_the_ledger_sees_sweeps_that_a_step_shares_with_the_next(engine, monkeypatch):
    keys = negative._keys
    monkeypatch.setattr(negative, "_keys", lambda key, step, sweeps: keys(key, step // 2, sweeps))
    caught(monkeypatch, engine, train(method="cd", sweeps=2))


def test_the_ledger_sees_functions_without_a_purpose(engine, monkeypatch):
    monkeypatch.setattr(Key, "derive_for_rows", lambda key, *_: key)
    one, other = (recorded(name, monkeypatch, engine)[0] for name in ("sample", "complete"))
    assert one.shared_with(other)


# What shared noise did ------------------------------------------------------------------------------------------------


def test_a_sweep_knows_nothing_of_how_its_start_was_drawn(engine):
    """A unit of each pair is on in equilibrium with probability p; one sweep keeps sum p_i^2 + (1 - p_i)^2 of them.

    64 pairs, W = 2, b = c = -1, from fair coins: 0.607, and it was 0.731 when both drew the same noise. Six standard
    errors of 256,000 bits: a false alarm in 5e8.
    """
    rbm = RBM(2 * np.eye(64), -np.ones(64), -np.ones(64))
    v = datasets.binarize(np.full((4000, 64), 0.5), "sample", 0)
    kept = (harmonium.sample(rbm, start=v, sweeps=1, seed=0, engine=engine) == v).mean()
    on = 1 / (1 + np.exp(-1.0))  # p(h = 1 | v = 1), and p(v = 1 | h = 1)
    after_on = on * on + (1 - on) * (1 - on)
    assert abs(kept - after_on) < 6 * np.sqrt(after_on * (1 - after_on) / v.size)


def test_samples_are_not_completions(engine):
    rbm = RBM(*random_parameters(5, 9))
    sampled = harmonium.sample(rbm, 500, sweeps=100, seed=0, engine=engine)
    completed = harmonium.complete(rbm, np.full((500, 9), NAN), sweeps=100, seed=0, engine=engine)
    assert 0.2 < (sampled != completed).mean() < 0.8


@pytest.mark.parametrize("move", [Key.at, Key.on, Key.rows_from])
def test_every_part_of_a_key_counts(move, engine):
    drawn = [harmonium.sample(MACHINE, 5, sweeps=2, seed=move(Key(0), 100 * i), engine=engine) for i in range(4)]
    for one, other in itertools.combinations(drawn, 2):
        assert (one != other).mean() > 0.1
