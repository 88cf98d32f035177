"""The scikit-learn face from call to call: randomness, what goes wrong in theirs, and how training goes on."""

import numpy as np
import pytest
import sklearn_models
from sklearn_models import BINARY, COINS, GREY, model

from harmonium.errors import InvalidParameter

fitted = sklearn_models.fitted  # the fixture


# Randomness ----------------------------------------------------------------------------------------------------------


def test_an_int_fixes_everything_and_successive_draws_differ():
    one, two, other = model().fit(COINS), model().fit(COINS), model(random_state=1).fit(COINS)
    np.testing.assert_array_equal(one.components_, two.components_)
    assert not np.array_equal(one.components_, other.components_)
    first, second = one.gibbs(COINS), one.gibbs(COINS)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, two.gibbs(COINS))
    np.testing.assert_array_equal(second, two.gibbs(COINS))
    np.testing.assert_array_equal(one.sample(5, sweeps=3), two.sample(5, sweeps=3))
    assert not np.array_equal(one.sample(50, sweeps=3), one.sample(50, sweeps=3))
    np.testing.assert_array_equal(one.fit(COINS).gibbs(COINS), first)  # a fit starts the sequence again


def test_random_state_instances_and_none_follow_scikit_learn():
    def weights(random_state):
        return model(random_state=random_state, n_iter=0).fit(COINS).components_

    state = np.random.RandomState(3)
    first, second = weights(state), weights(state)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, weights(np.random.RandomState(3)))
    assert not np.array_equal(weights(None), weights(None))


def test_looking_at_samples_does_not_disturb_the_training():
    looked, trained = model().fit(COINS), model().fit(COINS)
    looked.gibbs(COINS)
    looked.sample(2, sweeps=1)
    np.testing.assert_array_equal(looked.partial_fit(COINS).components_, trained.partial_fit(COINS).components_)


# Bug museum: what goes wrong in theirs -------------------------------------------------------------------------------


def test_partial_fit_returns_self():
    m = model()
    assert m.partial_fit(COINS) is m
    assert m.partial_fit(COINS) is m


def test_partial_fit_with_more_rows_than_a_batch_stays_balanced():
    # Theirs, 200 calls: visible biases near +10, every p(h|v) at 1.000.
    m = model(batch_size=10)
    for _ in range(20):
        m.partial_fit(COINS)
    assert np.abs(m.intercept_visible_).max() < 2
    H = m.transform(COINS)
    assert H.mean(axis=0).min() > 0.02
    assert H.mean(axis=0).max() < 0.98


def test_partial_fit_learns_as_fit_does():
    m = model(n_components=16)
    for _ in range(5):
        m.partial_fit(BINARY)
    assert m.score(BINARY) == pytest.approx(model(n_components=16, n_iter=5).fit(BINARY).score(BINARY), abs=1.0)


@pytest.mark.parametrize("n_rows", [1, 3, 13])
def test_a_short_batch_counts_as_a_batch(n_rows):
    # Both phases are means, so no step moves a bias by more than the learning rate; theirs sums over 10 chains.
    m = model(batch_size=10, learning_rate=0.1).fit(COINS)
    b, c = m.intercept_visible_, m.intercept_hidden_
    m.partial_fit(COINS[:n_rows])
    steps = -(-n_rows // 10)
    assert np.abs(m.intercept_visible_ - b).max() <= 0.1 * steps + 1e-6
    assert np.abs(m.intercept_hidden_ - c).max() <= 0.1 * steps + 1e-6


def test_a_short_last_batch_does_not_bias_a_fit():
    m = model(batch_size=10, n_iter=100).fit(COINS[:101])
    assert np.abs(m.intercept_visible_).max() < 2
    assert m.transform(COINS).mean(axis=0).max() < 0.98


def test_score_samples_is_deterministic(fitted):
    for X in (BINARY, GREY):
        np.testing.assert_array_equal(fitted.score_samples(X), fitted.score_samples(X))
    fitted_without_seed = model(random_state=None).fit(BINARY)
    np.testing.assert_array_equal(fitted_without_seed.score_samples(GREY), fitted_without_seed.score_samples(BINARY))


def test_fit_shuffles():
    # In a fixed order, batches of one class each would come in turn; here the order of rows decides nothing but noise.
    X = np.repeat([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], 500, axis=0)
    m = model(n_components=4, n_iter=20).fit(X)
    scores = m.score_samples(X)
    assert abs(scores[0] - scores[-1]) < 1
    assert scores.mean() > -1


# Continuing ----------------------------------------------------------------------------------------------------------


def test_partial_fit_goes_on_from_fit():
    m = model(momentum=0.9).fit(BINARY)
    before = m.score(BINARY)
    for _ in range(3):
        m.partial_fit(BINARY)
    assert m.score(BINARY) > before - 0.5
    assert m.components_.shape == (8, 64)


def test_partial_fit_follows_changed_parameters():
    m = model(learning_rate=0.1).partial_fit(COINS)
    W = m.components_
    m.set_params(learning_rate=1e-12).partial_fit(COINS)
    np.testing.assert_allclose(m.components_, W, atol=1e-6)
    m.set_params(method="cd").partial_fit(COINS)
    assert m.h_samples_.shape == (0, 8)
    m.set_params(method="pcd").partial_fit(COINS)
    assert m.h_samples_.shape == (10, 8)
    m.set_params(batch_size=100).partial_fit(COINS)
    assert m.h_samples_.shape == (10, 8)
    with pytest.raises(InvalidParameter, match="n_components must stay 8"):
        m.set_params(n_components=9).partial_fit(COINS)


def test_partial_fit_keeps_the_dtype_it_began_with():
    m = model().partial_fit(COINS.astype(np.float32)).partial_fit(COINS.astype(np.float64))
    assert m.components_.dtype == m.h_samples_.dtype == np.float32


def test_chains_move_and_persist():
    m = model().partial_fit(COINS)
    chains = m.h_samples_
    assert set(np.unique(chains)) <= {0, 1}
    assert not np.array_equal(m.partial_fit(COINS).h_samples_, chains)


def test_momentum_goes_on_from_call_to_call():
    m = model(momentum=0.9).fit(BINARY)
    W = m.components_
    m.set_params(learning_rate=1e-12).partial_fit(BINARY)
    assert np.abs(m.components_ - W).max() > 1e-3


def test_calls_of_partial_fit_share_no_noise():
    m = model(learning_rate=1e-12).fit(COINS)
    chains = []
    for _ in range(2):
        m.h_samples_ = np.zeros((10, 8))
        chains.append(m.partial_fit(COINS[:10]).h_samples_)
    assert not np.array_equal(*chains)


def test_no_iterations_leave_a_fresh_machine():
    m = model(n_iter=0).fit(BINARY)
    assert np.abs(m.components_).max() < 0.1
    assert np.isfinite(m.score(BINARY))


def test_an_interrupted_fit_keeps_the_last_whole_pass(monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    m = model(verbose=1, n_iter=3)
    monkeypatch.setattr("builtins.print", interrupt)
    with pytest.raises(KeyboardInterrupt):
        m.fit(BINARY)
    monkeypatch.undo()
    np.testing.assert_array_equal(m.components_, model(n_iter=1).fit(BINARY).components_)


def test_a_training_that_diverges_says_so():
    with np.errstate(all="ignore"), pytest.raises(InvalidParameter, match="Lower the learning rate"):
        model(learning_rate=1e39).fit(COINS)


def test_verbose_prints_a_line_each_pass(capsys):
    m = model(verbose=1, n_iter=2).fit(GREY)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["[BernoulliRBM] Iteration 1", "[BernoulliRBM] Iteration 2"]
    score = float(lines[-1].split("pseudo-likelihood = ")[1].split(",")[0])
    assert score == pytest.approx(m.score(GREY), abs=1.0)  # the line is computed on 500 rows
    model().fit(COINS)
    assert capsys.readouterr().out == ""
