"""Every public entry point refuses every bad input, with a message of three parts: what must hold, what was got, what
to do.
"""

import re
from functools import partial

import numpy as np
import pytest
import scipy.sparse
from oracles import random_parameters

import harmonium
from harmonium import RBM, Clamp, Config, TrainingRun
from harmonium.errors import HarmoniumError, InvalidData, InvalidParameter
from harmonium.likelihood import reconstruction_error

RNG = np.random.default_rng(0)
MACHINE = RBM(*random_parameters(3, 4))
GOOD = RNG.integers(0, 2, (6, 4))

BAD_DATA = {
    "NaN": np.where(np.eye(6, 4), np.nan, GOOD),
    "infinity": np.where(np.eye(6, 4), np.inf, GOOD),
    "minus infinity": np.where(np.eye(6, 4), -np.inf, GOOD),
    "image bytes": GOOD * 255,
    "a little above one": GOOD * (1 + 1e-6),
    "negative": -1.0 * GOOD,
    "spins": 2 * GOOD - 1,
    "one dimension": GOOD[0],
    "three dimensions": GOOD[None],
    "a number": 1,
    "no rows": GOOD[:0],
    "no columns": GOOD[:, :0],
    "an empty list": [],
    "text": [["0", "1", "0", "1"]],
    "a word": "digits",
    "bytes": b"0101",
    "complex": GOOD * 1j,
    "dates": GOOD.astype("M8[D]"),
    "ragged": [[0, 1, 0, 1], [0, 1]],
    "None": None,
    "objects": [[object()] * 4],
    "a dictionary": {"X": GOOD},
    "a missing value": [[0, 1, 0, None]],
    "a structured array": np.zeros(3, [("x", "f8")]),
    "a sparse matrix of bytes": scipy.sparse.csr_matrix(GOOD * 255),
}
# What trains or evaluates takes NaN for a missing entry.
MISSING = ("NaN", "a missing value")
TAKE_MISSING = ("train, valid", "evaluate", "log_likelihood")
WRONG_WIDTH = {"too narrow": GOOD[:, :3], "too wide": np.hstack([GOOD, GOOD]), "transposed": GOOD.T}
GREY = {"grey levels": GOOD * 0.5}

ANY_WIDTH = {
    "train": lambda X: harmonium.train(X, 2, epochs=1),
    "TrainingRun": lambda X: TrainingRun(X, Config(2)),
    "RBM.initialise": lambda X: RBM.initialise(X, 2),
}
FITTING = {
    "train, valid": lambda X: harmonium.train(GOOD, 2, epochs=1, valid=[[0.5]] if X is None else X),
    "evaluate": partial(harmonium.evaluate, MACHINE),
    "log_likelihood": partial(harmonium.log_likelihood, MACHINE),
    "free_energy": partial(harmonium.free_energy, MACHINE),
    "reconstruction_error": partial(reconstruction_error, MACHINE),
    "energy": lambda X: MACHINE.energy(X, np.zeros((6, 3))),
    "logits_h": MACHINE.logits_h,
    "logits_v": MACHINE.mirror().logits_v,
    "mean_h_from_v": MACHINE.mean_h_from_v,
    "mean_v_from_h": MACHINE.mirror().mean_v_from_h,
    "log_p_h_from_v": lambda X: MACHINE.log_p_h_from_v(np.zeros((6, 3)), X),
    "log_p_v_from_h": lambda X: MACHINE.log_p_v_from_h(X, np.zeros((6, 3))),
    "RBM.free_energy": MACHINE.free_energy,
    "RBM.free_energy_h": MACHINE.mirror().free_energy_h,
    "RBM.log_likelihood": MACHINE.log_likelihood,
    "expected_statistics": MACHINE.expected_statistics,
    "log_likelihood_gradient": MACHINE.log_likelihood_gradient,
}
BINARY = {
    "pseudo_log_likelihood": partial(harmonium.pseudo_log_likelihood, MACHINE),
    "gibbs_chain": partial(harmonium.gibbs_chain, MACHINE),
    "sample, start": lambda X: harmonium.sample(MACHINE, start=[[0.5]] if X is None else X, sweeps=1),
    "sample, clamp": lambda X: harmonium.sample(MACHINE, 6, sweeps=1, clamp=Clamp(np.ones(4), X)),
}
CASES = [
    *((entry, data) for entry in ANY_WIDTH for data in BAD_DATA if data not in MISSING),
    *(
        (entry, data)
        for entry in FITTING
        for data in BAD_DATA | WRONG_WIDTH
        if not (entry in TAKE_MISSING and data in MISSING)
    ),
    ("log_likelihood", "grey levels"),
    *((entry, data) for entry in BINARY for data in BAD_DATA | WRONG_WIDTH | GREY),
]
# One row is a clamp for all chains; the text of digits is no number.
CASES.remove(("sample, clamp", "one dimension"))


def assert_three_parts(message):
    """What must hold. Got what was got. What to do."""
    must, got, rest = message.partition(" Got")
    assert re.search(r"\bmust\b", must), message
    assert got, message
    # After the finding, a sentence in the imperative.
    assert re.search(r"[.)] [A-Z][a-z]+ .*\.$", rest, re.DOTALL), message


@pytest.mark.parametrize(("entry", "data"), CASES)
def test_bad_data_are_refused_by_every_entry_point(entry, data):
    function = (ANY_WIDTH | FITTING | BINARY)[entry]
    with pytest.raises(InvalidData) as caught:
        function((BAD_DATA | WRONG_WIDTH | GREY)[data])
    assert_three_parts(str(caught.value))


def test_good_data_are_accepted_by_every_entry_point():
    """The table refuses nothing for another reason."""
    for function in (ANY_WIDTH | FITTING | BINARY).values():
        function(GOOD)


NOT_COUNTS = (-1, 1.5, "3", None, True, np.nan, [1])
NOT_SEEDS = (-1, 2**64, 1.5, "3", None, True, np.nan)
NOT_CHOICES = ("other", "", None, 3, ["cd"], np.array(["cd", "pcd"]))
NOT_POSITIVE = (0, -1, np.nan, np.inf, "0.1", None, True, 1j, [0.1])
PARAMETERS = {
    "n_hidden": (0, *NOT_COUNTS),
    "method": NOT_CHOICES,
    "sweeps": (0, *NOT_COUNTS),
    "chains": (0, *NOT_COUNTS),
    "last_statistic": NOT_CHOICES,
    "epochs": NOT_COUNTS,
    "batch_size": (0, *NOT_COUNTS),
    "learning_rate": NOT_POSITIVE,
    "schedule": NOT_CHOICES,
    "momentum": (-0.1, 1, 2, np.nan, "0.5", None, True),
    "weight_decay": (-0.1, np.nan, np.inf, "0.5", None, True),
    "binarize": NOT_CHOICES,
    "engine": NOT_CHOICES,
    "seed": NOT_SEEDS,
}


# None means: chosen for the data.
CHOSEN = {"method", "sweeps", "chains", "last_statistic", "epochs", "learning_rate", "momentum", "weight_decay"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, values in PARAMETERS.items()
        for value in values
        if value is not None or name not in CHOSEN
    ],
)
def test_bad_hyper_parameters_are_refused_by_name(name, value):
    with pytest.raises(InvalidParameter) as caught:
        harmonium.train(GOOD, **{"n_hidden": 2} | {name: value})
    assert_three_parts(str(caught.value))
    assert name in str(caught.value)


CALLS = {
    "n": (lambda x: harmonium.sample(MACHINE, x, sweeps=1), (0, *NOT_COUNTS)),
    "sweeps": (lambda x: harmonium.sample(MACHINE, 2, sweeps=x), [x for x in NOT_COUNTS if x is not None]),
    "beta": (
        lambda x: harmonium.sample(MACHINE, 2, sweeps=1, beta=x),
        (-1, np.nan, np.inf, "1", None, True, [1, np.nan], [1, -1], [1, 1, 1], [1], [["a", "b"]], ["a", "b"]),
    ),
    "seed": (lambda x: harmonium.sample(MACHINE, 2, sweeps=1, seed=x), NOT_SEEDS),
    "engine": (lambda x: harmonium.sample(MACHINE, 2, sweeps=1, engine=x), NOT_CHOICES),
    "engine of a chain": (lambda x: harmonium.gibbs_chain(MACHINE, GOOD, engine=x), NOT_CHOICES),
    "beta of a chain": (lambda x: harmonium.gibbs_chain(MACHINE, GOOD, beta=x), (-1, np.nan, [1, 2])),
    "engine of log_partition": (lambda x: harmonium.log_partition(MACHINE, engine=x), NOT_CHOICES),
    "method of log_partition": (lambda x: harmonium.log_partition(MACHINE, x), NOT_CHOICES),
    "max_units": (lambda x: harmonium.log_partition(MACHINE, max_units=x), [x for x in NOT_COUNTS if x is not None]),
    "engine of free_energy": (lambda x: harmonium.free_energy(MACHINE, GOOD, engine=x), NOT_CHOICES),
    "binarize": (lambda x: harmonium.evaluate(MACHINE, GOOD, binarize=x), NOT_CHOICES),
    "seed of evaluate": (lambda x: harmonium.evaluate(MACHINE, GOOD, seed=x), NOT_SEEDS),
    "scale": (lambda x: RBM.initialise(GOOD, 2, scale=x), (-1, np.nan, "1", None)),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (_, values) in CALLS.items() for value in values])
def test_bad_arguments_are_refused(name, value):
    with pytest.raises(InvalidParameter) as caught:
        CALLS[name][0](value)
    assert_three_parts(str(caught.value))


@pytest.mark.parametrize(
    "clamp",
    [
        Clamp(np.ones(3), np.ones(3)),
        Clamp(np.ones(4), np.ones(3)),
        Clamp(np.ones((2, 4)), np.ones(4)),
        Clamp(np.ones(4), np.ones((5, 4))),
        Clamp(np.full(4, 0.5), np.ones(4)),
        Clamp(np.ones(4), np.full(4, 0.5)),
        Clamp(np.ones(4), np.full(4, np.nan)),
        Clamp(None, np.ones(4)),
        Clamp(np.ones(4), None),
        Clamp(["a", "b", "c", "d"], np.ones(4)),
        (np.ones(4), np.ones(4)),
        np.ones(4),
    ],
    ids=str,
)
def test_bad_clamps_are_refused(clamp):
    for function in (
        lambda: harmonium.sample(MACHINE, 6, sweeps=1, clamp=clamp),
        lambda: harmonium.gibbs_chain(MACHINE, GOOD, clamp=clamp),
    ):
        with pytest.raises(HarmoniumError) as caught:
            function()
        assert_three_parts(str(caught.value))


def test_a_number_of_chains_that_contradicts_the_start_is_refused():
    with pytest.raises(InvalidData) as caught:
        harmonium.sample(MACHINE, 5, start=GOOD)
    assert_three_parts(str(caught.value))


@pytest.mark.parametrize(
    "call",
    [
        lambda: harmonium.train(np.eye(4), 2, epochs=1, progress=True),
        lambda: harmonium.log_partition(MACHINE, progress=True),
        lambda: harmonium.sample(MACHINE, 2, sweeps=1, progress=True),
    ],
)
def test_progress_is_a_function(call):
    """True was called, after the first epoch."""
    with pytest.raises(InvalidParameter, match=r"progress must be a function .* Got True\."):
        call()
