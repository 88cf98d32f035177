"""Runs whose last steps have tempered chains: when these count, how they go on, and what they are for."""

from dataclasses import replace

import numpy as np
import pytest
from oracles import random_states

import harmonium
from harmonium import Config, TrainingRun
from harmonium.errors import UnreadableFile
from harmonium.training import load_checkpoint, longer, save_checkpoint


def test_machines_too_large_for_tempering_end_with_it_unless_a_method_was_asked_for():
    assert Config(500).for_data(50_000, 784).tempered_share == 0.05
    assert Config(500).for_data(4_000, 784).tempered_share == 0.075  # 1,500 of 20,000 steps
    assert Config(500, epochs=10).for_data(40_000, 784).tempered_share == 0.075
    assert Config(500, epochs=0).for_data(40_000, 784).tempered_share == 0.05
    assert Config(500, "pcd").for_data(50_000, 784).tempered_share == 0
    assert Config(500, tempered_share=0.2).for_data(50_000, 784).tempered_share == 0.2
    assert Config(16).for_data(1000, 64).method == "pt"
    assert Config(16).for_data(1000, 64).tempered_share is None


@pytest.mark.parametrize("end", [0.0, 0.3])
def test_tempered_chains_give_modes_their_weights(end):
    """Two modes, of which a quarter of the data are in one. Persistent chains hardly leave theirs: five runs
    without tempering had 17 to 51 % of the machine's units on, where 26 % are on in the data; five with had 23 to 29.
    """
    rng = np.random.default_rng(0)
    X = ((rng.random(1000) < 0.2)[:, None] ^ (rng.random((1000, 16)) < 0.1)).astype(np.uint8)
    options = {"chains": 40, "epochs": 200, "weight_decay": 0.0, "learning_rate": 0.05, "patience": 0, "held_out": 0}
    run = harmonium.train(X, 8, method="pcd", tempered_share=end, seed=3, **options)
    far = abs(harmonium.sample(run.rbm, 20_000, seed=1).mean() - X.mean())
    assert far < 0.06 if end else far > 0.06


def run_of(**options):
    config = Config(5, "pcd", chains=6, epochs=4, batch_size=8, learning_rate=0.3, **options)
    return TrainingRun(random_states(43, 9), config)


def test_steps_made_in_one_go_are_those_made_one_by_one():
    """Also where some of them would be tempered: 24 steps, of which 5 run along and 5 count."""
    one_by_one, together = run_of(tempered_share=0.2), run_of(tempered_share=0.2)
    for _ in one_by_one.steps():
        pass
    list(together.epochs())
    np.testing.assert_array_equal(one_by_one.rbm.W, together.rbm.W)


def test_ladders_run_along_before_they_count():
    run, plain = run_of(tempered_share=0.2), run_of()
    held = []
    for step in run.steps():
        next(plain.steps())
        held.append(("tempered.v" in run.state.extras, bool((run.rbm.W == plain.rbm.W).all())))
        assert run.step == step
    assert [x for x, _ in held] == [False] * 14 + [True] * 10
    assert [x for _, x in held] == [True] * 19 + [False] * 5


def test_what_the_chains_are_said_to_do_is_of_the_tempered_ones():
    *_, before, last = run_of(tempered_share=0.25).epochs()
    assert (before.chains.n_chains, last.chains.n_chains) == (6, 3)
    assert before.chains.swap_acceptance is None
    assert 0 < last.chains.swap_acceptance <= 1


@pytest.mark.parametrize("name", ["v", "ladder", "sweep"])
def test_a_checkpoint_that_lacks_a_part_of_the_ladders_is_refused(tmp_path, name):
    run = run_of(tempered_share=0.25)
    list(run.epochs())
    extras = {key: x for key, x in run.state.extras.items() if key != f"tempered.{name}"}
    save_checkpoint(tmp_path / "state", replace(run.state, extras=extras), run.config)
    with pytest.raises(UnreadableFile, match=r"tempered\.\w+ (is missing|of .* does not fit)"):
        load_checkpoint(tmp_path / "state")


def test_a_run_that_is_trained_on_ends_so_again():
    """Its persistent chains go on where they were, and its ladders where they ended."""
    run = run_of(tempered_share=0.25)
    list(run.epochs())
    config, state = longer(run, 4)
    on = TrainingRun(random_states(43, 9), config, state=state)
    records = list(on.epochs())
    assert [x.chains.swap_acceptance is None for x in records] == [True, True, True, False]
    assert on.state.extras["tempered.sweep"] == 2 * run.state.extras["tempered.sweep"]
