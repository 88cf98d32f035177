"""The extremes: sigma, softplus and log-sum-exp in units in the last place, huge weights and logits, runs that diverge.

``python tests/ulps.py`` does the first with ten million numbers.
"""

import json

import numpy as np
import pytest
import ulps
from conftest import TORCH
from oracles import random_states

import harmonium
from harmonium import RBM, Key
from harmonium.cli import main
from harmonium.engines import make_engine
from harmonium.training import RunDirectory

EVERY, MANY = ulps.float16(), ulps.float32(20_000)
SIGNED = np.concatenate([sign * np.logspace(-45, 30, 76) for sign in (-1, 1)]).astype(np.float32)


@pytest.fixture(params=["native", "numpy", TORCH])
def engine(request):
    return request.param


def test_the_yardstick_is_a_hundredth_of_a_unit():
    assert max(ulps.yardstick(EVERY[::20]).values()) < 0.01
    assert max(ulps.yardstick(MANY[::10]).values()) < 0.01


@pytest.mark.parametrize("inputs", [EVERY, MANY], ids=["float16", "float32"])
def test_sigma_and_softplus_of_engines_are_right_to_units_in_the_last_place(engine, inputs):
    for units, tiny in ulps.of_engine(engine, inputs).values():
        assert units < 4
        assert tiny < 2e-38


def test_the_functions_of_doubles_are_right_to_units_in_the_last_place():
    for units, tiny in ulps.of_doubles(MANY).values():
        assert units < 3
        assert tiny < 1e-50
    assert ulps.log_sum_exps(60) < 3


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_weights_and_logits_leave_everything_finite(engine, size):
    """Log-odds of both signs up to 60 times `size`, in every function that scores, draws or summarises."""
    signs = np.where(random_states(5, 12) > 0, 1.0, -1.0)
    rbm = RBM(size * signs, size * signs[0], -size * signs[:, 0])
    X = random_states(30, 12)
    machine = make_engine(rbm, engine)
    for logits in (machine.logits_h(machine.encode(X)), machine.encode(np.tile(SIGNED, (2, 1)), real=True)):
        p = machine.to_numpy(machine.mean(logits))
        assert ((p >= 0) & (p <= 1)).all()
        assert np.isfinite(machine.softplus_sum(logits)).all()
    draws = machine.decode(machine.bernoulli(machine.encode(SIGNED[None], real=True), Key(0)))[0]
    certain = np.abs(SIGNED) > 100
    np.testing.assert_array_equal(draws[certain], SIGNED[certain] > 0)
    numbers = [
        harmonium.free_energy(rbm, X, engine=engine),
        harmonium.pseudo_log_likelihood(rbm, X, engine=engine),
        harmonium.log_partition(rbm, engine=engine).value,
        harmonium.log_likelihood(rbm, X, engine=engine).per_sample,
        harmonium.reconstruction_error(rbm, X, engine=engine),
        harmonium.sample(rbm, 20, sweeps=3, engine=engine),
        harmonium.log_partition(rbm, "ais", chains=10, temperatures=10, engine=engine).value,
    ]
    assert all(np.isfinite(x).all() for x in numbers)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("rate", ["1e35", "1e38"])
def test_a_run_that_diverges_stops_with_the_reason_and_leaves_a_sound_checkpoint(
    tmp_path, monkeypatch, capsys, engine, rate
):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.eye(9)[np.arange(20) % 9])
    options = ["--method", "cd", "--learning-rate", rate, "--momentum", "0.9", "--schedule", "constant"]
    assert (
        main(["train", "x.npy", "--hidden", "3", *options, "--epochs", "60", "--engine", engine, "--out", "run"]) != 0
    )
    err = capsys.readouterr().err
    assert "must be finite. Got NaN or infinity. Lower the learning rate" in err
    assert "Traceback" not in err
    directory, state = RunDirectory.open("run")
    assert all(np.isfinite(x).all() for x in (state.rbm.W, state.rbm.b, state.rbm.c, *state.velocity))
    records = directory.history()
    assert state.step == (records[-1]["step"] if records else 0)
    json.dumps(records, allow_nan=False)
    assert main(["inspect", "run", "--json"]) == 0
