"""On every backend: the equations, the gradient and the noise of the Keras face.

The references are `harmonium.RBM` in float64 and NumPy. Where noise matters it is recorded or injected, so that the
tests are deterministic; the two statistical ones state their false-alarm rate.
"""

import dataclasses
import itertools
import math

import keras
import keras_models
import numpy as np
import pytest
from keras_models import BACKEND, BARS, BITS, GREY, compiled, numbers, random_rbm

import harmonium
import harmonium.keras as hk
from harmonium.keras import equations

injected = keras_models.injected  # the fixture
# Keras and the frameworks use what NumPy and each other have deprecated; that is theirs to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def gradients(model, x, **options):
    """The gradient of `compute_loss` in W, b and c by the backend's own differentiation."""
    x = keras.ops.convert_to_tensor(x)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, **options)
        return [numbers(g) for g in tape.gradient(loss, [v.value for v in (model.W, model.b, model.c)])]
    if BACKEND == "torch":
        model.compute_loss(x, **options).backward()
        return [numbers(v.value.grad) for v in (model.W, model.b, model.c)]
    import jax

    def loss(trainable):
        fixed = [v.value for v in model.non_trainable_variables], [v.value for v in model.metrics_variables]
        value, (_, other, _) = model.stateless_compute_loss(trainable, *fixed, x, **options)
        return value, other

    slopes, other = jax.grad(loss, has_aux=True)([v.value for v in model.trainable_variables])
    for variable, value in zip(model.non_trainable_variables, other, strict=True):
        variable.assign(value)
    by_path = dict(zip((v.path for v in model.trainable_variables), slopes, strict=True))
    return [np.asarray(by_path[v.path]) for v in (model.W, model.b, model.c)]


# The equations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("centered", [False, True])
def test_equations_are_those_of_the_record(centered):
    rbm = random_rbm()
    model = hk.RBM.from_rbm(rbm, centered=centered)
    h = (np.random.default_rng(1).random((7, 4)) < 0.5).astype(np.float32)
    for v in (BITS, GREY):
        np.testing.assert_allclose(numbers(model.free_energy(v)), rbm.free_energy(v), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(numbers(model(v)), rbm.mean_h_from_v(v), atol=1e-6)
        np.testing.assert_allclose(model.predict(v, verbose=0), rbm.mean_h_from_v(v), atol=1e-6)
        np.testing.assert_allclose(numbers(model.mean_h_from_v(v)), rbm.mean_h_from_v(v), atol=1e-6)
    np.testing.assert_allclose(numbers(model.mean_v_from_h(h)), rbm.mean_v_from_h(h), atol=1e-6)


def test_huge_logits_stay_finite():
    rbm = random_rbm(scale=1000.0)
    model = hk.RBM.from_rbm(rbm)
    np.testing.assert_allclose(numbers(model.free_energy(BITS)), rbm.free_energy(BITS), rtol=1e-5)
    mean = numbers(model(BITS))
    assert np.isfinite(mean).all()
    assert mean.min() == 0
    assert mean.max() == 1
    assert all(np.isfinite(g).all() for g in gradients(model, BITS))


def test_exchange_loses_nothing():
    rbm = harmonium.RBM(*(x.astype(np.float32) for x in (random_rbm().W, random_rbm().b, random_rbm().c)))
    again = hk.RBM.from_rbm(rbm, centered=False).to_rbm()
    assert all(np.array_equal(x, y) for x, y in ((rbm.W, again.W), (rbm.b, again.b), (rbm.c, again.c)))
    centered = hk.RBM.from_rbm(rbm, centered=True).to_rbm()
    np.testing.assert_allclose(centered.log_likelihood(BITS), rbm.log_likelihood(BITS), rtol=1e-5)


def test_the_start_is_that_of_the_core():
    model = hk.RBM(5, seed=7, method="pcd", chains=10)
    model.adapt(BARS)
    first = harmonium.RBM.initialise(BARS, 5, seed=7)
    np.testing.assert_array_equal(numbers(model.W), first.W)
    start = model.to_rbm()
    np.testing.assert_allclose(start.b, first.b, atol=1e-6)
    np.testing.assert_allclose(start.c, first.c, atol=1e-6)
    core = harmonium.TrainingRun(BARS, harmonium.Config(5, method="pcd", chains=10, seed=7, engine="numpy"))
    np.testing.assert_array_equal(numbers(model.chain_states), core.state.chains)


def test_defaults_are_those_of_the_core():
    model, chosen = hk.RBM(5), harmonium.Config(5, method="pcd").for_data(len(BARS), 9)
    names = {field.name for field in dataclasses.fields(harmonium.Config)} & set(model.get_config())
    assert names == {"n_hidden", "method", "sweeps", "chains", "last_statistic", "weight_decay", "binarize", "centered",
                     "seed"}  # fmt: skip
    model.adapt(BARS)
    assert {name: getattr(model, name) for name in names} == {name: getattr(chosen, name) for name in names}
    fitted, unknown = hk.RBM(5), hk.RBM(5)
    for x in (fitted, unknown):
        x.compile(optimizer="sgd")
    fitted.fit(BARS, epochs=1, verbose=0)
    assert fitted.weight_decay == chosen.decay
    unknown.fit(((BARS,) for _ in itertools.count()), steps_per_epoch=1, verbose=0, shuffle=False)  # of no known length
    assert unknown.weight_decay is None
    assert hk.RBM.from_config(unknown.get_config()).weight_decay is None


def test_adapt_takes_batches_too():
    whole, parts = hk.RBM(5), hk.RBM(5)
    whole.adapt(BARS)
    parts.adapt([BARS[:4], BARS[4:]][k] for k in range(2))
    np.testing.assert_array_equal(numbers(whole.b), numbers(parts.b))


def test_pseudo_log_likelihood_is_unbiased():
    """Averaged over the choice of the unit, the estimate is the exact value."""
    rbm = random_rbm()
    model = hk.RBM.from_rbm(rbm, centered=False)
    parameters = model._tensors()
    logits = equations.logits_h(BITS, parameters)
    estimates = [
        numbers(equations.pseudo_log_likelihood(BITS, logits, np.full(7, (j + 0.5) / 6, np.float32), parameters))
        for j in range(6)
    ]
    exact = harmonium.pseudo_log_likelihood(rbm, BITS, engine="numpy")
    np.testing.assert_allclose(np.mean(estimates, axis=0), exact, rtol=1e-5)
    grey = equations.pseudo_log_likelihood(GREY, logits, np.zeros(7, np.float32), parameters)
    assert np.isnan(numbers(grey)).all()


# The gradient --------------------------------------------------------------------------------------------------------


def explicit_gradient(model, rbm, v, drawn, weights=None):
    """The same step in NumPy, from the same noise: the difference of the statistics, and where the chains end."""
    draws = iter(drawn)

    def on(mean):
        u = next(draws)
        assert np.abs(u - mean).min() > 1e-6, "the noise leaves the decision to rounding"
        return (u < mean).astype(np.float64)

    pcd = model.method == "pcd"
    h = numbers(model.chain_states) if pcd else on(rbm.mean_h_from_v(v))
    for sweep in range(model.sweeps):
        if sweep:
            h = on(rbm.mean_h_from_v(states))  # noqa: F821
        mean_v = rbm.mean_v_from_h(h)
        states = on(mean_v)
    ends = on(rbm.mean_h_from_v(states)) if pcd else None
    last = mean_v if model.last_statistic == "mean_field" else states

    def statistics(x, weights):
        weights = np.ones(len(x)) if weights is None else weights
        p, w = rbm.mean_h_from_v(x), weights[:, None] / weights.sum()
        return (w * p).T @ x, (w * x).sum(0), (w * p).sum(0)

    phases = statistics(v, weights), statistics(last, None if pcd else weights)
    return [positive - negative for positive, negative in zip(*phases, strict=True)], ends


CASES = list(itertools.product(["cd", "pcd"], [1, 3], ["sampled", "mean_field"], [False, True]))


@pytest.mark.parametrize(("method", "sweeps", "last_statistic", "centered"), CASES)
def test_gradient_is_the_difference_of_the_statistics(injected, method, sweeps, last_statistic, centered):
    rbm = random_rbm()
    options = {"method": method, "sweeps": sweeps, "last_statistic": last_statistic, "centered": centered}
    model = hk.RBM.from_rbm(rbm, chains=10, weight_decay=0.125, binarize="none", monitors=False, **options)
    start = hk.RBM.from_rbm(rbm, chains=10, **options)  # whose chains have not moved
    got = gradients(model, GREY)
    (W, b, c), ends = explicit_gradient(start, rbm, GREY, injected)
    if centered:  # by the chain rule from W, b and c to the centered coordinates, with both offsets 1/2
        W = W - 0.5 * b[None, :] - 0.5 * c[:, None]
    for slope, expected in zip(got, (0.125 * rbm.W - W, -b, -c), strict=True):
        np.testing.assert_allclose(slope, expected, atol=2e-6)
    if method == "pcd":
        np.testing.assert_array_equal(numbers(model.chain_states), ends)


@pytest.mark.parametrize("method", ["cd", "pcd"])
def test_sample_weights_weigh(injected, method):
    rbm, weights = random_rbm(), np.array([0, 1, 2, 3, 0.5, 1, 1], np.float32)
    options = {"method": method, "chains": 10, "weight_decay": 0, "binarize": "none"}
    options |= {"monitors": False, "centered": False}
    model, start = (hk.RBM.from_rbm(rbm, **options) for _ in range(2))
    got = gradients(model, GREY, sample_weight=weights)
    expected, _ = explicit_gradient(start, rbm, GREY, injected, weights)
    for slope, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(slope, -e, atol=2e-6)


@pytest.mark.parametrize("make", [np.asarray, list, keras.ops.convert_to_tensor])
def test_fit_and_evaluate_weigh_rows_without_labels(make):
    """Keras drops the weights where there is no y."""
    weights = np.arange(len(BARS), dtype=np.float32) % 3
    by_fit, by_batch = compiled(), compiled()
    by_fit.fit(BARS, sample_weight=make(weights), batch_size=len(BARS), shuffle=False, verbose=0)
    by_batch.train_on_batch(BARS, sample_weight=weights)
    np.testing.assert_allclose(numbers(by_fit.W), numbers(by_batch.W), atol=1e-6)
    weighted = by_fit.evaluate(BARS, sample_weight=make(weights), batch_size=len(BARS), verbose=0)
    assert np.isfinite(weighted).all()
    valid = (BARS, None, make(weights))
    assert "val_loss" in by_fit.fit(BARS, validation_data=valid, verbose=0).history


@pytest.mark.parametrize("method", ["cd", "pcd"])
def test_a_batch_without_weight_teaches_nothing(method):
    model = compiled(keras.optimizers.SGD(0.1), method=method, weight_decay=0)
    before = numbers(model.W)
    model.fit(BARS, sample_weight=np.arange(len(BARS)) < 1, batch_size=5, shuffle=False, verbose=0)
    assert np.isfinite(numbers(model.W)).all()
    assert not np.array_equal(numbers(model.W), before)
    for slope in gradients(model, BARS, sample_weight=np.zeros(len(BARS), np.float32)):
        assert not slope.any()


def test_grey_levels_are_binarised_as_asked(injected):
    rbm = random_rbm()
    for binarize in ("threshold", "sample", "none"):
        model = hk.RBM.from_rbm(rbm, binarize=binarize)
        got = numbers(model._binarized(GREY))
        expected = {"threshold": BITS, "none": GREY, "sample": injected[-1] < GREY if injected else None}[binarize]
        np.testing.assert_array_equal(got, expected)


# Noise ---------------------------------------------------------------------------------------------------------------


def test_conditional_sampling_has_the_right_frequencies():
    """Hoeffding: each of 10 frequencies is off by more than 0.011 with probability below 1e-10; 1e-9 in all."""
    n, rbm = 100_000, random_rbm()
    model = hk.RBM.from_rbm(rbm, seed=2)
    bound = math.sqrt(math.log(2 / 1e-10) / (2 * n))
    v, h = np.tile(BITS[:1], (n, 1)), np.tile(np.float32([[1, 0, 1, 1]]), (n, 1))
    for sample, mean in (
        (model.sample_h_from_v(v), rbm.mean_h_from_v(BITS[:1])),
        (model.sample_v_from_h(h), rbm.mean_v_from_h(h[:1])),
    ):
        sample = numbers(sample)
        assert set(np.unique(sample)) <= {0, 1}
        assert np.abs(sample.mean(axis=0) - mean[0]).max() < bound


def test_units_and_draws_are_uncorrelated():
    """Products of fair coins, +1 and -1: Hoeffding with 1e-9 over all pairs of 8 columns."""
    n = 50_000
    rbm = harmonium.RBM(np.zeros((4, 6)), np.zeros(6), np.zeros(4))
    model = hk.RBM.from_rbm(rbm)
    v = np.zeros((n, 6), np.float32)
    coins = np.hstack([2 * numbers(model.sample_h_from_v(v)) - 1 for _ in range(2)])
    products = np.abs(coins.T @ coins / n)[np.triu_indices(8, 1)]
    assert products.max() < math.sqrt(2 * math.log(2 * 28 / 1e-9) / n)
    assert np.abs((coins[1:] * coins[:-1]).mean(axis=0)).max() < math.sqrt(2 * math.log(16 / 1e-9) / n)


def test_seeds_fix_the_noise_and_differ():
    def draws(seed):
        model = hk.RBM(4, seed=seed)
        model.build((None, 6))
        return [numbers(model.sample_v_from_h(np.zeros((50, 4), np.float32))).tobytes() for _ in range(3)]

    assert draws(1) == draws(1)
    # Keras on PyTorch adds seed and counter; the second draw of a seed must not be the first of the next.
    assert len(set(draws(1) + draws(2) + draws(3))) == 9
