"""What records look like at a prompt: shape, method and verdict in a line, whatever their size."""

import pickle
import re

import numpy as np
import pytest
from oracles import random_states, two_kinds

import harmonium
from harmonium import RBM, Config, TrainingRun
from harmonium.training import TrainingResult

X = harmonium.datasets.load("bars-and-stripes-3x3").train


@pytest.fixture(scope="module")
def result():
    return harmonium.train(X, 8, valid=X, epochs=2, seed=1)


def test_a_machine_shows_its_shape():
    assert repr(RBM(np.zeros((500, 784)), np.zeros(784), np.zeros(500))) == "RBM(n_hidden=500, n_visible=784, float64)"
    float32 = RBM(*(np.zeros(shape, np.float32) for shape in ((2, 3), 3, 2)))
    assert repr(float32) == "RBM(n_hidden=2, n_visible=3, float32)"


def test_a_result_shows_the_method_the_scores_and_the_alarms(result):
    last = result.history[-1]
    said = repr(result)
    assert said.startswith(f"TrainingResult({result.rbm!r}, method={result.config.method!r}, ")
    assert f"epoch {last.epoch}, train log-likelihood {last.train.log_likelihood:.2f}, valid log-likelihood " in said
    assert said.endswith(f"alarms: {'; '.join(last.alarms) or 'none'})")
    options = {"epochs": 100, "learning_rate": 0.3, "weight_decay": 0.0, "patience": 2}
    rows, valid = two_kinds(40, 12, 1), two_kinds(20, 12, 2)
    steered = harmonium.train(rows, 8, valid=valid, **options)
    best, last = steered.history[-1].best_epoch, steered.history[-1].epoch
    kept = steered.rbm.log_likelihood(valid).mean()
    assert re.search(rf"epoch {best} of {last}, .*valid log-likelihood {kept:.2f}", repr(steered))
    assert best < last
    run = TrainingRun(random_states(40, 12, 1), Config(8, **options), valid=random_states(20, 12, 2))
    history = tuple(run.epochs())
    nothing = repr(TrainingResult(run.rbm, history, run.config, run.held_out_rows))
    assert f"independent units after {history[-1].epoch}, alarms" in nothing
    empty = harmonium.train(X, 8, epochs=0)
    assert len(repr(empty)) < 200


def test_what_is_asked_of_a_result_instead_of_its_machine_says_where_that_is(result):
    with pytest.raises(AttributeError, match=r"Got 'n_visible'. Its machine has: use \.rbm\.n_visible"):
        harmonium.evaluate(result, X)
    with pytest.raises(AttributeError, match=r"Got 'nothing'\.$"):
        result.nothing  # noqa: B018
    assert pickle.loads(pickle.dumps(result)).history == result.history
    with pytest.raises(harmonium.errors.InvalidData, match=r"one split of a data set.*Pass its train"):
        harmonium.train(harmonium.datasets.load("digits"), 4)


def test_every_record_with_arrays_is_one_short_line(result):
    rbm = result.rbm
    holes = np.where(np.arange(9) == 2, np.nan, X[:3].astype(float))
    records = [
        rbm, result, rbm.model_statistics(), harmonium.log_partition(rbm), harmonium.log_likelihood(rbm, X),
        harmonium.impute(rbm, holes), harmonium.sample_tempered(rbm, 20, sweeps=20), harmonium.thinned_sample(rbm, 20),
        harmonium.probability_table(rbm), harmonium.running_moments(rbm, sweeps=20), harmonium.Key(3),
        harmonium.theory.transition_matrix(rbm), harmonium.pair_moments(rbm),
        harmonium.theory.effective_couplings(rbm), result.history[-1], rbm.to_ising()[0],
        harmonium.Clamp(holes == 0, holes), TrainingRun(X, Config(8)).state,
        harmonium.evaluate(rbm, X, conservative=True, chains=20),
    ]  # fmt: skip
    for record in records:
        assert len(repr(record)) < 300, type(record)
        assert "\n" not in repr(record)
        assert repr(record).startswith(type(record).__name__)
    assert repr(records[2]) == ("Statistics(hv=<float32 array (8, 9)>, v=<float32 array (9,)>, h=<float32 array (8,)>)")


def test_a_notebook_says_of_an_estimate_what_print_says():
    found = harmonium.log_partition(harmonium.RBM([[1.0, -1.0]], [0.0, 0.0], [0.5]))
    assert found._repr_html_() == f"<code>{found}</code>"
    assert "exact, ok" in found._repr_html_()
