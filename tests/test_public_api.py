"""What `import harmonium` promises: its names, its order, and that it loads no framework."""

import inspect
import json
import subprocess
import sys

import pytest

import harmonium
from harmonium import errors

FUNCTIONS = {
    "complete",
    "log_conditional_probability",
    "evaluate",
    "exact_gradient",
    "exact_sample",
    "exact_statistics",
    "free_energy",
    "gibbs_chain",
    "impute",
    "log_likelihood",
    "log_partition",
    "marginal_free_energy",
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
    "Evaluation",
    "Key",
    "LogLikelihood",
    "Imputation",
    "LogPartition",
    "LogProbability",
    "Moments",
    "Statistics",
    "TemperedSamples",
    "ThinnedSamples",
    "TrainingResult",
    "TrainingRun",
}
MODULES = {"datasets", "errors", "theory"}


def test_the_public_names_are_the_documented_ones():
    assert set(harmonium.__all__) == FUNCTIONS | RECORDS | MODULES
    assert len(harmonium.__all__) == len(set(harmonium.__all__))
    visible = {
        name for name, value in vars(harmonium).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert visible | MODULES == set(harmonium.__all__)


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
    code = "import json, sys, harmonium; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    heavy = {"tensorflow", "keras", "jax", "torch"} | {"matplotlib", "pandas", "sklearn", "mlxtend", "typer", "rich"}
    assert "numpy" in loaded
    assert not loaded & heavy
    assert done.stderr == ""
