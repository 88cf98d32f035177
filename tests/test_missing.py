"""Missing data and weights in training: the gradient in expectation, and what is learnt from data with holes."""

import itertools
import json

import numpy as np
import pytest
from oracles import Exact, all_states, central_differences, free_energy, log_sum_exp, logistic, random_parameters
from training_runs import Forced

import harmonium
from harmonium import RBM, Config, Key, TrainingRun
from harmonium.cli import main
from harmonium.datasets import binarize
from harmonium.errors import InvalidData
from harmonium.inputs import check_matrix, check_rows
from harmonium.sampling.conditional import impute
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


def expected_positive_phase(X, p_start):
    """Mean of h v', v, h over all noise of one step, when completions start with probabilities `p_start`."""
    engine, config = Forced(RBM(*PARAMETERS)), Config(N_HIDDEN, batch_size=len(X), binarize="none")
    W, _, c = PARAMETERS
    total = [0.0, 0.0, 0.0, 0.0]
    for start, p in zip(ways_to_complete(X), p_start, strict=True):
        packed = np.packbits(np.where(np.isnan(X), start, 0).astype(np.uint8), axis=1)
        for script in itertools.product((0, 1), repeat=len(X) * (N_HIDDEN + N_VISIBLE)):
            engine.follow(script)
            v = Batches(check_rows(X), config, Key(0), packed).at(engine, 0).v
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


COMMON = {"weight_decay": 1e-3, "momentum": 0.5}
PCD = {"method": "pcd", "chains": 100, **COMMON}


def with_holes(n_rows, share, seed):
    """Rows of bars and stripes, and the same with entries missing completely at random."""
    key = Key(seed)
    X = BARS_AND_STRIPES[(key.on(0).uniform(n_rows, 1)[:, 0] * len(BARS_AND_STRIPES)).astype(int)]
    return X, np.where(key.on(1).uniform(*X.shape) < share, np.float32(NAN), X)


def exact_score(rbm):
    return harmonium.log_likelihood(rbm, BARS_AND_STRIPES).value


def test_training_with_holes_is_better_than_filling_them_with_means():
    """Mean exact log-likelihood of all 16 complete patterns. The runs are deterministic; over seeds 0 to 9 of the data,
    complete rows gave -2.78 to -2.71 nats, holes -2.83 to -2.77, and the best filling -3.83 to -3.66."""
    X, holes = with_holes(400, 0.2, seed=0)
    options = {**PCD, "epochs": 300, "batch_size": 20, "learning_rate": 0.1, "seed": 0}
    filled = np.where(np.isnan(holes), np.nanmean(holes, axis=0), holes)
    complete = exact_score(harmonium.train(X, 12, **options).rbm)
    score = exact_score(harmonium.train(holes, 12, **options).rbm)
    best_filled = max(
        exact_score(harmonium.train(filled, 12, binarize=how, **options).rbm) for how in ("sample", "threshold")
    )
    assert score > best_filled + 0.5
    assert score == pytest.approx(complete, abs=0.2)


def finished(X, **options):
    """A run at its end, with what else it needs said in `options`."""
    more = {name: options.pop(name) for name in ("sample_weight", "initial", "state") if name in options}
    common = PCD if options.get("method", "pcd") == "pcd" else COMMON
    run = TrainingRun(
        X, Config(**{**common, "n_hidden": 3, "epochs": 4, "batch_size": 6, "binarize": "none"} | options), **more
    )
    for _ in run.steps():
        pass
    return run


def assert_same_machine(one, two, **tolerance):
    for name in "Wbc":
        a, b = getattr(one.rbm, name), getattr(two.rbm, name)
        np.testing.assert_allclose(a, b, **tolerance) if tolerance else np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("method", ["pcd", "cd"])
def test_a_run_with_holes_and_weights_resumes_bit_for_bit(method, grey, engine, tmp_path):
    _, holes = with_holes(31, 0.3, seed=1)
    holes = holes * 0.8 if grey else holes
    weights = 1.0 + np.arange(31) % 3
    options = {**(PCD if method == "pcd" else COMMON), "method": method, "binarize": "sample", "engine": engine}
    config = Config(3, epochs=3, batch_size=6, **options)
    whole, part = (TrainingRun(holes, config, sample_weight=weights) for _ in range(2))
    for _ in whole.steps():
        pass
    steps = part.steps()
    for _ in range(8):  # into the second epoch
        next(steps)
    save_checkpoint(tmp_path / "c.safetensors", part.state, config)
    state, read, _ = load_checkpoint(tmp_path / "c.safetensors")
    rest = TrainingRun(holes, read, sample_weight=weights, state=state)
    for _ in rest.steps():
        pass
    assert_same_machine(whole, rest)
    np.testing.assert_array_equal(whole.state.extras["completions"], rest.state.extras["completions"])


def test_a_weight_of_two_is_a_duplicated_row(engine):
    """With all rows in one batch the steps differ by rounding only: the persistent chains never see the rows."""
    X = BARS_AND_STRIPES[[1, 5, 9]]
    options = {"epochs": 6, "batch_size": 10, "engine": engine}
    weighted = finished(X, sample_weight=[2, 1, 1], **options)
    assert_same_machine(weighted, finished(X[[0, 0, 1, 2]], **options), rtol=1e-4, atol=5e-6)
    plain = finished(X, **options)
    assert np.abs(plain.rbm.b - weighted.rbm.b).max() > 1e-3


def test_a_weight_of_zero_is_a_row_less(engine):
    _, holes = with_holes(31, 0.3, seed=1)
    weights = np.arange(31) % 3
    for X in (np.nan_to_num(holes), holes):
        for method in ("pcd", "cd"):
            options = {"method": method, "engine": engine, "initial": RBM(*random_parameters(3, 9))}
            one = finished(X, sample_weight=weights, **options)
            assert_same_machine(one, finished(X[weights > 0], sample_weight=weights[weights > 0], **options))


def test_the_scale_of_weights_does_not_matter():
    X, weights = BARS_AND_STRIPES, 1.0 + np.arange(16) % 3
    shares = weights / weights.sum()
    assert_same_machine(
        finished(X, sample_weight=shares), finished(X, sample_weight=shares / 1000), rtol=1e-4, atol=1e-6
    )
    assert_same_machine(finished(X, sample_weight=[7] * 16), finished(X))


def test_chains_of_contrastive_divergence_weigh_as_their_rows(engine):
    """A machine whose sweep leads every row back to itself has a CD gradient of zero, whatever the weights."""
    initial = RBM(80 * np.eye(3, dtype=np.float32), np.full(3, -40, np.float32), np.full(3, -40, np.float32))
    X = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    options = {"method": "cd", "weight_decay": 0.0, "engine": engine, "batch_size": 3, "initial": initial}
    for weights in ([1, 2, 3, 4], [5, 1, 1, 1]):
        run = finished(X, sample_weight=weights, **options)
        for name in "Wbc":
            np.testing.assert_allclose(getattr(run.rbm, name), getattr(initial, name), atol=1e-5)


def test_small_batches_follow_weights_as_they_follow_duplicates():
    """Two patterns, one nine times as heavy, in batches of 4 with the exact negative phase: the odds of the two on the
    way. Over seeds 0 to 3 weighted and duplicated rows differed by 0.06 nats at most; steps that are as long for light
    batches as for heavy ones differed by 6."""
    X = np.repeat([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], 10, axis=0)
    weights = np.repeat([9, 1], 10)
    options = {"n_hidden": 2, "method": "exact", "batch_size": 4, "learning_rate": 0.05, "momentum": 0.0}
    one = finished(X, epochs=400, sample_weight=weights, **options)
    two = finished(np.repeat(X, weights, axis=0), epochs=80, **options)
    odds = [np.subtract(*run.rbm.log_likelihood(X[[0, -1]])) for run in (one, two)]
    assert odds[0] == pytest.approx(odds[1], abs=0.5)


@pytest.mark.parametrize("weights", [[1, 2], np.ones((16, 2)), [NAN] * 16, [-1] + [1] * 15, np.zeros(16), ["a"] * 16])
def test_bad_weights_are_refused(weights):
    with pytest.raises(InvalidData, match=r"^sample_weight must .* Got .*\. "):
        TrainingRun(BARS_AND_STRIPES, Config(2), sample_weight=weights)


# The input contract ---------------------------------------------------------------------------------------------------


def test_nan_passes_only_where_it_is_asked_for():
    X = np.array([[NAN, 0.4], [1.0, 0.6]])
    for function in (check_matrix, lambda X: binarize(X, "threshold"), lambda X: binarize(X, "none")):
        with pytest.raises(InvalidData, match=r"X must be finite\. Got NaN\. Remove"):
            function(X)
    assert check_matrix(X, allow_nan=True) is X
    assert np.isnan(check_matrix([[NAN, None]], allow_nan=True)).all()
    np.testing.assert_array_equal(check_matrix([[NAN, 1]], binary=True, allow_nan=True), [[NAN, 1]])
    with pytest.raises(InvalidData, match="only 0 and 1"):
        check_matrix(X, binary=True, allow_nan=True)
    for bad, message in ((np.inf, "must be finite, or NaN where missing. Got infinity"), (-0.1, "from -0.1 to 1")):
        with pytest.raises(InvalidData, match=message):
            check_matrix(np.where(X == 0.4, bad, X), allow_nan=True)


def test_binarisation_leaves_missing_entries_and_the_noise_of_the_others():
    X = np.random.default_rng(0).random((30, 4))
    holes = np.where(X < 0.2, NAN, X)
    for how in ("threshold", "sample", "none"):
        expected = np.where(np.isnan(holes), NAN, binarize(X, how, Key(1)))
        np.testing.assert_array_equal(binarize(holes, how, Key(1), allow_nan=True), expected)
    assert binarize(X, "threshold", allow_nan=True).dtype == np.uint8


# The command ----------------------------------------------------------------------------------------------------------


def test_the_command_trains_on_holes_and_fills_them(tmp_path, capsys):
    X, holes = with_holes(60, 0.2, seed=3)
    np.save(tmp_path / "holes.npy", holes)
    arguments = ["--hidden", "4", "--epochs", "3", "--out", str(tmp_path / "run")]
    assert main(["train", str(tmp_path / "holes.npy"), *arguments]) == 0
    rbm = RBM.load(tmp_path / "run" / "model.safetensors")
    assert_same_machine(harmonium.train(holes, 4, epochs=3), TrainingRun(X, Config(4, epochs=0), initial=rbm))
    capsys.readouterr()
    command = ["impute", str(tmp_path / "run"), str(tmp_path / "holes.npy"), "--json", "--out"]
    assert main([*command, str(tmp_path / "f.npy")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["n_missing"], result["n_exact_rows"], result["n_doubtful_rows"]) == (np.isnan(holes).sum(), 60, 0)
    found = np.load(tmp_path / "f.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, impute(rbm, holes).mean.astype(np.float32))
    gibbs = ["--method", "gibbs", "--chains", "5", "--burn-in", "3", "--sweeps", "9", "--seed", "2"]
    assert main([*command, str(tmp_path / "f.npz"), *gibbs]) == 0
    expected = impute(rbm, holes, method="gibbs", chains=5, burn_in=3, sweeps=9, seed=2)
    with np.load(tmp_path / "f.npz") as arrays:
        np.testing.assert_array_equal(arrays["X"], expected.mean.astype(np.float32))
        np.testing.assert_array_equal(arrays["standard_error"], expected.standard_error.astype(np.float32))
    assert json.loads(capsys.readouterr().out)["largest_standard_error"] == expected.standard_error.max()
    assert harmonium.datasets.load(tmp_path / "f.npz").train.shape == holes.shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chains", "0"], "--chains must"),
        (["--method", "ais"], "--method must"),
        (["--burn-in", "-1"], "--burn-in must"),
        (["--binarize", "x"], "--binarize must"),
        (["--out", "f.png"], "--out must"),
    ],
)
def test_bad_options_of_impute(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    np.save("holes.npy", np.full((2, N_VISIBLE), NAN))
    RBM(*PARAMETERS).save("m.safetensors")
    assert main(["impute", "m.safetensors", "holes.npy", "--out", "f.npy", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "f.npy").exists()


def test_data_sets_refuse_holes_unless_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("holes.npy", np.array([[1, NAN, 0]]))
    with pytest.raises(InvalidData, match=r"holes\.npy\[train\] must be finite\. Got NaN\. .* allow_nan=True"):
        harmonium.datasets.load("holes.npy")
    assert np.isnan(harmonium.datasets.load("holes.npy", allow_nan=True).train).sum() == 1
