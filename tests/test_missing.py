"""Missing data and weights in training: the gradient in expectation, and what is learnt from data with holes."""

import itertools

import numpy as np
import pytest
from oracles import Exact, all_states, central_differences, free_energy, log_sum_exp, logistic, random_parameters

import harmonium
from harmonium import RBM, Config, Key, TrainingRun
from harmonium.engines import NumpyEngine
from harmonium.errors import InvalidData
from harmonium.training import load_checkpoint, save_checkpoint
from harmonium.training.batches import Batches

NAN = np.nan
BARS_AND_STRIPES = harmonium.datasets.load("bars-and-stripes-3x3").train
N_HIDDEN, N_VISIBLE = 2, 3
PARAMETERS = tuple(x.astype(np.float32) for x in random_parameters(N_HIDDEN, N_VISIBLE, seed=4, scale=1.5))
ROWS = {
    "two missing": np.array([[1, NAN, NAN]]),
    "one missing": np.array([[NAN, 1, 0.0]]),
    "two rows": np.array([[1, NAN, 0], [NAN, 1.0, 1]]),
    "grey": np.array([[0.3, NAN, NAN]]),
}


def ways_to_complete(X):
    """Every completion of all missing entries of `X` together."""
    missing = np.isnan(X)
    for states in all_states(missing.sum()):
        completed = X.copy()
        completed[missing] = states
        yield completed


def observed_log_likelihood(X, *parameters):
    """The mean over the rows of log p(observed), every state enumerated."""
    exact = Exact(*parameters)
    rows = [log_sum_exp(-free_energy(*parameters, np.concatenate(list(ways_to_complete(x[None]))))) for x in X]
    return np.mean(rows) - exact.log_z


class Forced(NumpyEngine):
    """Takes every decision from a script, and keeps the probability of having taken them all."""

    def follow(self, script):
        self.script, self.probability = list(script), 1.0

    def bernoulli(self, logits, key, beta=1.0):
        p = logistic(logits.astype(np.float64))
        states = np.array([self.script.pop(0) for _ in range(p.size)], np.float32).reshape(p.shape)
        self.probability *= np.prod(np.where(states == 1, p, 1 - p))
        return states


def expected_positive_phase(X, p_start):
    """Mean of h v', v, h over all noise of one step, when completions start with probabilities `p_start`."""
    engine, config = Forced(RBM(*PARAMETERS)), Config(N_HIDDEN, batch_size=len(X), binarize="none")
    W, _, c = PARAMETERS
    total = [0.0, 0.0, 0.0, 0.0]
    for start, p in zip(ways_to_complete(X), p_start, strict=True):
        packed = np.packbits(np.where(np.isnan(X), start, 0).astype(np.uint8), axis=1)
        for script in itertools.product((0, 1), repeat=len(X) * (N_HIDDEN + N_VISIBLE)):
            engine.follow(script)
            v = Batches(X, config, Key(0), completions=packed).at(engine, 0).v
            assert not engine.script
            h = logistic(v @ W.T + c)
            parts = h.T @ v / len(v), v.mean(axis=0), h.mean(axis=0), 1.0
            total = [t + p * engine.probability * x for t, x in zip(total, parts, strict=True)]
    assert total.pop() == pytest.approx(1, abs=1e-6)
    return total


@pytest.mark.parametrize("case", ROWS)
def test_the_expected_step_is_the_gradient_of_the_observed_log_likelihood(case):
    """All noise enumerated: completions distributed as p(missing | observed) stay so in a step, and give the gradient
    that finite differences of the enumerated observed-data log-likelihood give."""
    X = ROWS[case]
    log_p = np.array([-free_energy(*PARAMETERS, v).sum() for v in ways_to_complete(X)])
    posterior = np.exp(log_p - log_sum_exp(log_p))
    positive = expected_positive_phase(X, posterior)
    gradient = [p - q for p, q in zip(positive, Exact(*PARAMETERS).moments, strict=True)]
    parameters = [x.astype(np.float64) for x in PARAMETERS]
    slopes = central_differences(lambda *x: observed_log_likelihood(X, *x), parameters)
    for part, slope in zip(gradient, slopes, strict=True):
        np.testing.assert_allclose(part, slope, atol=2e-6)
    # The test is no tautology: completions that do not come from the posterior give another gradient.
    other = expected_positive_phase(X, np.eye(len(posterior))[0])
    assert max(np.abs(p - q).max() for p, q in zip(positive, other, strict=True)) > 1e-3


def test_a_row_without_observations_has_no_gradient():
    np.testing.assert_allclose(observed_log_likelihood(np.full((1, N_VISIBLE), NAN), *PARAMETERS), 0, atol=1e-6)


# Training -------------------------------------------------------------------------------------------------------------


def with_holes(n_rows, share, seed):
    """Rows of bars and stripes, and the same with entries missing completely at random."""
    key = Key(seed)
    X = BARS_AND_STRIPES[(key.on(0).uniform(n_rows, 1)[:, 0] * len(BARS_AND_STRIPES)).astype(int)]
    return X, np.where(key.on(1).uniform(*X.shape) < share, np.float32(NAN), X)


def exact_score(rbm):
    return harmonium.log_likelihood(rbm, BARS_AND_STRIPES).mean


def test_training_with_holes_is_better_than_filling_them_with_means():
    """Mean exact log-likelihood of all 16 complete patterns, which no row of the data need show. The runs are
    deterministic; over seeds 0 to 9 the differences were HOLES-BEFORE-DRAWN."""
    X, holes = with_holes(400, 0.2, seed=0)
    options = {"epochs": 150, "batch_size": 20, "learning_rate": 0.1, "seed": 0}
    means = np.nanmean(holes, axis=0)
    filled = np.where(np.isnan(holes), means, holes)
    scores = {
        "complete": exact_score(harmonium.train(X, 12, **options).rbm),
        "holes": exact_score(harmonium.train(holes, 12, **options).rbm),
        "means drawn": exact_score(harmonium.train(filled, 12, binarize="sample", **options).rbm),
        "means": exact_score(harmonium.train(filled, 12, binarize="none", **options).rbm),
        "means thresholded": exact_score(harmonium.train(filled, 12, **options).rbm),
    }
    best_filled = max(score for name, score in scores.items() if name.startswith("means"))
    assert scores["holes"] > best_filled + 0.3, scores
    assert scores["holes"] < scores["complete"] + 0.1, scores
