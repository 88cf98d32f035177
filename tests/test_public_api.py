"""What `import harmonium` promises: its names, its order, and that it loads no framework."""

import inspect
import itertools
import subprocess
import sys

import numpy as np
import pytest
from oracles import random_parameters, random_states

import harmonium
from harmonium import RBM, Key, errors

MACHINE = RBM(*random_parameters(4, 6, scale=0.5))
WIDE = RBM(*random_parameters(28, 28, scale=0.1))  # too wide to be enumerated in a second
STATES = random_states(20, 6)
HOLES = np.where(random_states(20, 6, 1), np.nan, STATES)

FUNCTIONS = {
    "complete",
    "log_conditional_probability",
    "entropy",
    "evaluate",
    "exact_gradient",
    "exact_sample",
    "exact_statistics",
    "free_energy",
    "free_energy_difference",
    "gibbs_chain",
    "impute",
    "log_likelihood",
    "log_partition",
    "marginal_free_energy",
    "moment_fit",
    "pair_moments",
    "probability_table",
    "pseudo_log_likelihood",
    "reconstruction_error",
    "running_moments",
    "sample",
    "sample_tempered",
    "thinned_sample",
    "train",
}
RECORDS = {
    "RBM",
    "Clamp",
    "Config",
    "Estimate",
    "Evaluation",
    "Key",
    "Imputation",
    "Moments",
    "PairMoments",
    "MomentFit",
    "Statistics",
    "Samples",
    "TrainingResult",
    "TrainingRun",
}
MODULES = {"datasets", "errors", "theory"}


def test_the_public_names_are_the_documented_ones():
    assert set(harmonium.__all__) == FUNCTIONS | RECORDS | MODULES
    assert len(harmonium.__all__) == len(set(harmonium.__all__))
    assert set(harmonium.__all__) < set(dir(harmonium))
    offered = {name: value for name, value in vars(harmonium.names).items() if not name.startswith("_")}
    assert set(harmonium.__all__) == {x for x in offered if not inspect.ismodule(offered[x])} | MODULES


@pytest.mark.parametrize("name", sorted(FUNCTIONS | RECORDS))
def test_every_public_name_is_documented(name):
    documentation = inspect.getdoc(getattr(harmonium, name))
    assert documentation
    assert documentation.splitlines()[0].endswith((".", "F(v)", ")"))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_options_are_passed_by_name(name):
    """At most three positional parameters; seeds and engines always by name."""
    parameters = inspect.signature(getattr(harmonium, name)).parameters
    positional = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert len(positional) <= 3
    assert not {"seed", "engine", "sweeps"} & set(positional)


def test_every_error_is_ours_and_documented():
    classes = [x for x in vars(errors).values() if inspect.isclass(x)]
    assert len(classes) > 5
    for error in classes:
        assert issubclass(error, errors.HarmoniumError) != issubclass(error, Warning)
        assert error.__doc__


def test_importing_loads_no_framework_and_no_plots():
    code = "import sys; from harmonium import *; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"tensorflow", "keras", "jax", "torch"} | {"matplotlib", "pandas", "sklearn", "mlxtend", "typer", "rich"}
    assert "numpy" in loaded
    assert not loaded & heavy
    assert done.stderr == ""


def run_python(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_faces_are_loaded_when_they_are_first_asked_for():
    code = """
import sys, harmonium
assert "sklearn" not in sys.modules and "harmonium.deep" not in sys.modules
print(harmonium.deep.Stack.__name__, harmonium.sklearn.BernoulliRBM.__name__, harmonium.plot.filters.__name__)
print(all(name in dir(harmonium) for name in ("deep", "keras", "plot", "report", "sklearn", "train")))
try:
    harmonium.depp
except AttributeError as error:
    print("depp" in str(error))
"""
    assert run_python(code) == ["Stack", "BernoulliRBM", "filters", "True", "True"]


def test_without_the_extension_the_numpy_engine_works_and_the_native_one_says_what_to_do():
    code = """
import sys
sys.modules["harmonium.engines._native._kernels"] = None  # as where it was not built
import numpy as np, harmonium, harmonium.cli
from harmonium.errors import EngineUnavailable
X = np.random.default_rng(0).integers(0, 2, (20, 6))
rbm = harmonium.train(X, 3, epochs=2, engine="numpy").rbm
print(harmonium.sample(rbm, 4, sweeps=2, engine="numpy").shape == (4, 6))
print(round(harmonium.log_partition(rbm, engine="numpy").value - rbm.log_z(), 4) == 0)
print(harmonium.exact_sample(rbm, 3, engine="numpy")[0].shape == (3, 6))
for call in (
    lambda: harmonium.train(X, 3), lambda: harmonium.sample(rbm, 4), lambda: harmonium.log_partition(rbm),
    lambda: harmonium.exact_statistics(rbm),
):
    try:
        call()
    except EngineUnavailable as error:
        print('engine="numpy"' in str(error) and "Got: " in str(error))
"""
    assert run_python(code) == ["True"] * 7


LONG = {
    "complete": lambda tell: harmonium.complete(MACHINE, HOLES, sweeps=3, progress=tell),
    "log_conditional_probability": lambda tell: harmonium.log_conditional_probability(MACHINE, HOLES[0], progress=tell),
    "evaluate": lambda tell: harmonium.evaluate(MACHINE, STATES, progress=tell),
    "entropy": lambda tell: harmonium.entropy(WIDE, chains=4, sweeps=9, burn_in=3, progress=tell),
    "exact_gradient": lambda tell: harmonium.exact_gradient(MACHINE, STATES, progress=tell),
    "exact_sample": lambda tell: harmonium.exact_sample(MACHINE, 5, progress=tell),
    "exact_statistics": lambda tell: harmonium.exact_statistics(MACHINE, progress=tell),
    "free_energy_difference": lambda tell: harmonium.free_energy_difference(MACHINE, MACHINE, progress=tell),
    "impute": lambda tell: harmonium.impute(MACHINE, HOLES, method="gibbs", burn_in=1, sweeps=2, progress=tell),
    "log_likelihood": lambda tell: harmonium.log_likelihood(MACHINE, HOLES, progress=tell),
    "log_partition": lambda tell: harmonium.log_partition(MACHINE, progress=tell),
    "marginal_free_energy": lambda tell: harmonium.marginal_free_energy(MACHINE, HOLES, progress=tell),
    "moment_fit": lambda tell: harmonium.moment_fit(WIDE, random_states(20, 28), sweeps=20, progress=tell),
    "pair_moments": lambda tell: harmonium.pair_moments(MACHINE, progress=tell),
    "pseudo_log_likelihood": lambda tell: harmonium.pseudo_log_likelihood(MACHINE, STATES, progress=tell),
    "running_moments": lambda tell: harmonium.running_moments(MACHINE, chains=4, sweeps=9, burn_in=3, progress=tell),
    "sample": lambda tell: harmonium.sample(MACHINE, 4, sweeps=5, progress=tell),
    "sample_tempered": lambda tell: harmonium.sample_tempered(MACHINE, 4, sweeps=5, progress=tell),
    "thinned_sample": lambda tell: harmonium.thinned_sample(MACHINE, 4, chains=2, progress=tell),
    "train": lambda tell: harmonium.train(STATES, 3, epochs=2, batch_size=5, progress=tell),
}


@pytest.mark.parametrize("name", sorted(LONG))
def test_long_work_tells_how_far_it_is(name):
    told = []
    LONG[name](lambda done, total: told.append((done, total)))
    assert told
    assert all(a <= b for (a, _), (b, _) in itertools.pairwise(told))
    assert all(0 < done <= total for done, total in told)
    assert told[-1][0] == told[-1][1]


def test_work_can_be_stopped_from_its_progress():
    def stop(done, total):
        raise KeyboardInterrupt

    for work in LONG.values():
        with pytest.raises(KeyboardInterrupt):
            work(stop)


def test_every_function_that_can_be_long_has_progress():
    """The others walk the data once, or are iterators."""
    short = {"free_energy", "gibbs_chain", "probability_table", "reconstruction_error"}
    assert {name for name in FUNCTIONS if "progress" in inspect.signature(getattr(harmonium, name)).parameters} == (
        FUNCTIONS - short
    )
    assert set(LONG) == FUNCTIONS - short


def test_a_key_is_as_good_as_a_seed_for_training():
    def learnt(seed):
        return harmonium.train(STATES, 3, epochs=1, seed=seed).rbm.W

    np.testing.assert_array_equal(learnt(Key(1)), learnt(1))
    others = [learnt(key) for key in (Key(1).at(1), Key(1).on(1), Key(1).rows_from(1), Key(1).derive("x"))]
    for one, other in itertools.combinations([learnt(1), *others], 2):
        assert (one != other).any()
    assert harmonium.Config(3, seed=Key(1).at(1)).seed == harmonium.Config(3, seed=Key(1).at(1)).seed
