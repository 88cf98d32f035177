"""What only the native engine can get wrong: fixed point, blocks, scratch of threads, and copies of the weights.

Each test here kills a bug that was planted in the C++ sources and that the tests of all engines let live.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sanitize
from every_engine import instruction_sets, row_betas
from oracles import logistic, logit, random_parameters, random_states
from threshold_probe import probe_dyadic

from harmonium import RBM, Key
from harmonium.engines import Centring, Engine, NativeEngine, Offsets, Phase, Rates, native
from harmonium.engines._native import _kernels
from harmonium.engines.arithmetic import exp, log, log_sum_exp, matmul, moments_block, softplus
from harmonium.engines.arithmetic import logistic as logistic64
from harmonium.rbm import all_states


@pytest.fixture(params=instruction_sets(), autouse=True)
def _instruction_set(request):
    usual = _kernels.instruction_set()
    _kernels.use(request.param)
    yield
    _kernels.use(usual)


def test_the_extension_is_sound_on_random_machines():
    for seed in range(6):
        sanitize.one_round(np.random.default_rng(seed))


def test_decisions_within_rounding_of_their_threshold_are_those_of_double_precision():
    """Logits some units in the last place around the threshold: single precision errs there, and is not trusted."""
    engine, wrong_in_single = NativeEngine(RBM(np.zeros((130, 1)), [0.0], np.zeros(130))), 0
    for seed in range(3):
        key = Key(seed)
        u = key.uniform(100, 130)
        at = logit(u).astype(np.float32)
        for ulps in (0, 1, -1, 2, -2, 5, -5, 12, -12, 25, -25, 60, -60):
            x = at + np.float32(ulps) * np.spacing(np.abs(at))
            expected = u < logistic(x.astype(np.float64))
            np.testing.assert_array_equal(engine.decode(engine.bernoulli(x, key)), expected)
            wrong_in_single += np.count_nonzero((u.astype(np.float32) < engine.mean(x)) != expected)
    assert wrong_in_single > 1000


@pytest.mark.parametrize("layer", ["h", "v"])
def test_weights_have_24_bits(layer):
    """Odd multiples of 2**-23 below one, of both signs, come out of a product as they went in."""
    rng = np.random.default_rng(0)
    q = 2 * rng.integers(2**21, 2**22, (70, 90)) + 1
    q[:, 0] = 2**23 - 1  # the scale of every unit is that of numbers below one
    W = (q * rng.choice([-1, 1], q.shape) / 2**23).astype(np.float32)
    W[0] = np.abs(W[0])
    engine = NativeEngine(RBM(W, np.zeros(90), np.zeros(70)))
    if layer == "h":
        np.testing.assert_array_equal(engine.logits_h(engine.encode(np.eye(90))), W.T)
    else:
        np.testing.assert_array_equal(engine.logits_v(engine.encode(np.eye(70))), W)


@pytest.mark.parametrize("layer", ["h", "v"])
def test_a_weight_that_rounds_up_to_the_next_power_of_two_is_held_at_the_largest_number(layer):
    """2**23 has no place among signed numbers of 24 bits; -2**23 has."""
    most = np.nextafter(np.float32(1), np.float32(0))
    W = np.full((40, 40), most) * np.where(np.arange(40) % 2, -1, 1).astype(np.float32)
    W = W if layer == "h" else W.T
    engine = NativeEngine(RBM(W, np.zeros(40), np.zeros(40)))
    states = engine.encode(np.eye(40))
    got = engine.logits_h(states) if layer == "h" else engine.logits_v(states).T
    expected = np.where(np.arange(40) % 2, -1, 1 - 2.0**-23)
    np.testing.assert_array_equal(got if layer == "h" else got.T, np.broadcast_to(expected[:, None], (40, 40)))


@pytest.mark.parametrize("n_units", [1, 31, 32, 33, 63, 65, 95, 97])
def test_states_are_zero_beyond_their_last_unit(n_units):
    """Units that are all on, in words that have room for more."""
    engine = NativeEngine(RBM(np.zeros((n_units, 3)), np.zeros(3), np.full(n_units, 50.0)))
    nothing, logits = engine.encode(np.zeros((5, 3), np.uint8)), np.full((5, n_units), 50, np.float32)
    expected = [sum(2**k for k in range(64) if 64 * word + k < n_units) for word in range((n_units + 63) // 64)]
    for states in (
        engine.sample_h(nothing, Key(0)),
        engine.bernoulli(logits, Key(0)),
        engine.draw(logits, Key(0)),
        engine.encode(np.ones((5, n_units), np.uint8)),
    ):
        assert states.words.tolist() == [expected] * 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_units", [1, 63, 64, 65, 200])
def test_real_arrays_are_packed_where_they_are_binary_and_nowhere_else(dtype, n_units):
    engine, X = NativeEngine(RBM(np.zeros((2, n_units)), np.zeros(n_units), np.zeros(2))), random_states(9, n_units)
    real = np.where(X, 1, np.array(-0.0 if n_units % 2 else 0.0)).astype(dtype)
    for binary in (real, np.asfortranarray(real), np.repeat(real, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(engine.visible(binary).words, engine.encode(X).words)
    for other in (0.5, np.nextafter(dtype(1), dtype(0)), np.nextafter(dtype(0), dtype(1)), np.nan):
        for place in ((0, 0), (8, n_units - 1)):
            grey = real.copy()
            grey[place] = other
            np.testing.assert_array_equal(engine.visible(grey), grey.astype(np.float32))


@pytest.mark.parametrize("layer", ["h", "v"])
@pytest.mark.parametrize("n_rows", [129, 300, 700])
def test_samples_of_many_rows_have_each_row_its_noise(layer, n_rows):
    """More rows than a block of the kernels holds, and more than a chunk of blocks."""
    assert probe_dyadic(NativeEngine, layer, n_rows, 40, 70, Key(3, 1, 4, 9), row_betas(n_rows)) == 0


def test_a_last_tile_of_any_width_has_all_of_its_units():
    """Sums of quarters and halves of few terms are exact."""
    states = random_states(40, 70)
    for width in range(33, 65):
        W = np.random.default_rng(width).integers(-4, 5, (width, 70)) / 8
        engine = NativeEngine(RBM(W, np.zeros(70), np.zeros(width)))
        v = engine.encode(states)
        np.testing.assert_array_equal(engine.logits_h(v), states @ W.T)
        certain = NativeEngine(RBM(1000 * W, np.zeros(70), np.full(width, 30.0)))
        np.testing.assert_array_equal(certain.decode(certain.sample_h(v, Key(0))), states @ W.T >= 0)


@pytest.mark.parametrize("n", [1, 2, 333])
def test_the_order_of_rows_is_that_of_the_key(n):
    engine, key = NativeEngine(RBM(np.zeros((1, 1)), [0.0], [0.0])), Key(2**60 + 5, 1, 2, 3)
    np.testing.assert_array_equal(engine.permutation(key, n), key.permutation(n))


@pytest.mark.parametrize("centred", [False, True])
def test_no_copy_of_the_weights_is_left_behind_by_an_update(centred):
    """Several blocks in both directions, small steps that keep every scale and large ones that change them."""
    engine = NativeEngine(RBM(*random_parameters(100, 150, scale=0.05)))
    v, h = random_states(200, 150), random_states(200, 100)
    bits_v, bits_h = engine.encode(v), engine.encode(h)
    nothing = Phase(engine.encode(np.zeros((3, 150))), np.full((3, 100), 0.25, np.float32))
    offsets = Offsets(np.full(150, 0.3, np.float32), np.full(100, 0.4, np.float32)) if centred else None
    for rate in (1e-4, 0.01, 3.0, 0.3):
        phase = Phase(bits_v, engine.mean(engine.logits_h(bits_v)))
        engine.ascend(phase, nothing, Rates(rate, 0.5, 0.01), offsets)
        fresh = NativeEngine(engine.rbm)
        np.testing.assert_array_equal(engine.logits_h(bits_v), fresh.logits_h(bits_v))
        np.testing.assert_array_equal(engine.logits_v(bits_h), fresh.logits_v(bits_h))
        grey = v[:20].astype(np.float32) / 2
        np.testing.assert_array_equal(engine.logits_h(grey), fresh.logits_h(grey))
        engine.ascend_along(engine.moments(phase), Rates(rate))
        fresh = NativeEngine(engine.rbm)
        np.testing.assert_array_equal(engine.logits_h(bits_v), fresh.logits_h(bits_v))
        np.testing.assert_array_equal(engine.logits_v(bits_h), fresh.logits_v(bits_h))


def everything(seed):
    """All that uses scratch memory, on a machine of its own."""
    rng = np.random.default_rng(seed)
    n_hidden, n_visible = int(rng.integers(40, 120)), int(rng.integers(40, 200))
    engine = NativeEngine(RBM(*random_parameters(n_hidden, n_visible, seed=seed)))
    v, grey = engine.encode(random_states(150, n_visible, seed)), rng.random((60, n_visible)).astype(np.float32)
    found = []
    for step in range(15):
        h = engine.sample_h(v, Key(seed, step=step))
        other = engine.sample_v(h, Key(seed, step=step))
        phases = [Phase(x, engine.mean(engine.logits_h(x))) for x in (v, other)]
        offsets = Offsets(np.full(n_visible, 0.5, np.float32), np.full(n_hidden, 0.5, np.float32))
        found += [*engine.moments(phases[0]), engine.logits_h(grey), matmul(grey.astype(np.float64), grey.T)]
        engine.ascend(*phases, Rates(0.05, 0.5), offsets)
        found += [h.words, engine.rbm.W, engine.rbm.b]
    return found


def test_threads_of_python_do_not_share_scratch():
    seeds = range(8)
    alone = [everything(seed) for seed in seeds]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(everything, seeds))
    for one, other in zip(alone, together, strict=True):
        for x, y in zip(one, other, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "terms", "columns"), [(1, 1, 1), (3, 7, 5), (4, 33, 70), (75, 300, 40), (5, 0, 3)])
def test_products_are_sums_in_the_order_of_their_terms(dtype, rows, terms, columns):
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((rows, terms)) * (rng.random((rows, terms)) < 0.6)).astype(dtype)
    W, expected = rng.standard_normal((terms, columns)).astype(dtype), np.zeros((rows, columns), dtype)
    for k in range(terms):
        expected = expected + x[:, k : k + 1] * W[k]
    for left in (x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
        got = matmul(left, W)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, expected)
    if rows:
        np.testing.assert_array_equal(matmul(x[0], W), expected[0])
        np.testing.assert_array_equal(matmul(x, W[:, 0]), expected[:, 0])


@pytest.mark.parametrize(
    ("n_hidden", "n_visible", "scale"),
    [
        (1, 1, 1),
        (40, 17, 0.1),
        (33, 65, 1),
        (3, 130, 5),
        (20, 30, 40),
        (9, 12, 90),
        (40, 17, 90),
        (7, 5, 1e3),
        (0, 4, 1),
    ],
)
def test_the_pseudo_likelihood_has_the_digits_of_double_precision(n_hidden, n_visible, scale):
    """Also where exponentials would leave the range of numbers, and for a row whatever rows are scored with it."""
    rbm = RBM(*(x.astype(np.float32) for x in random_parameters(n_hidden, n_visible, scale=scale)))
    v = random_states(301, n_visible)
    W, b, c = (x.astype(np.float64) for x in (rbm.W, rbm.b, rbm.c))
    a, expected = v @ W.T + c, np.zeros(len(v))
    for j in range(n_visible):
        flip = 1.0 - 2 * v[:, j]
        changes = np.logaddexp(a + flip[:, None] * W[:, j], 0) - np.logaddexp(a, 0)
        expected -= np.logaddexp(flip * b[j] + changes.sum(axis=1), 0)
    engine = NativeEngine(rbm)
    got = engine.pseudo_log_likelihood(engine.encode(v))
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12 * max(1, n_hidden * scale))
    for rows in (slice(0, 1), slice(1, 6), slice(250, 301)):
        np.testing.assert_array_equal(engine.pseudo_log_likelihood(engine.encode(v[rows])), got[rows])


def test_products_of_many_large_factors_stay_in_the_range_of_numbers():
    """A thousand factors of e^20, as many for each lane of the widest registers as no double holds."""
    n, large = 1000, np.float32(20)
    wide = RBM(np.zeros((3, n)), np.full(n, large), np.zeros(3))
    expected = 3 * np.log(2) + n * np.logaddexp(20.0, 0)
    assert NativeEngine.log_partition_block(wide, 0, 8) == pytest.approx(expected, rel=1e-13)
    tall = NativeEngine(RBM(np.zeros((n, 3)), np.zeros(3), np.full(n, large)))
    v = tall.encode(np.eye(3))
    np.testing.assert_allclose(tall.pseudo_log_likelihood(v), -3 * np.log(2), rtol=1e-9)


@pytest.mark.parametrize("scale", [0.1, 2, 60])
@pytest.mark.parametrize(("n_hidden", "n_visible"), [(0, 3), (1, 1), (2, 7), (3, 8), (3, 300), (9, 20), (11, 5)])
def test_moments_of_blocks_are_those_of_their_states(n_hidden, n_visible, scale):
    """Blocks that begin and end anywhere, of machines whose exponentials leave the range of numbers, too."""
    W, b, c = random_parameters(n_hidden, n_visible, scale=scale)
    states = all_states(n_hidden)
    x = states @ W + b
    minus_f = states @ c + np.logaddexp(x, 0).sum(axis=1)
    log_z, n = minus_f.max(), len(states)
    for first, stop in ((0, n), (n // 3, n), (n // 5, n // 5 + 1), (0, (n + 1) // 2)):
        h, part = states[first:stop], slice(first, stop)
        s, t = (np.hstack([y, np.ones((stop - first, 1))]) for y in (h, logistic(x[part])))
        expected = s.T @ (np.exp(minus_f[part] - log_z)[:, None] * t)
        got = moments_block(W, b, c, first, stop - first, log_z)
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-300)


def test_functions_are_right_to_about_a_unit_in_the_last_place():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.uniform(-700, 700, 20_000), rng.standard_normal(20_000), rng.standard_normal(2000) * 1e-9])
    exact = x.astype(np.longdouble)
    t = np.exp(-np.abs(exact))
    positive = np.concatenate([np.exp(x), 1 + rng.standard_normal(20_000) * 1e-6])
    for got, expected in (
        (exp(x), np.exp(exact)),
        (log(positive), np.log(positive.astype(np.longdouble))),
        (logistic64(x), np.where(x >= 0, 1, t) / (1 + t)),
        (softplus(x), np.maximum(exact, 0) + np.log1p(t)),
    ):
        scale = np.maximum(np.abs(expected), np.finfo(float).tiny)
        assert float((np.abs(got - expected) / scale).max()) < 2 * np.finfo(float).eps


def test_functions_have_their_limits():
    ends = np.array([-np.inf, -800.0, -0.0, 0.0, 800.0, np.inf, np.nan])
    np.testing.assert_array_equal(exp(ends), [0, 0, 1, 1, np.inf, np.inf, np.nan])
    np.testing.assert_array_equal(log([0.0, 1.0, np.inf, -1.0, np.nan]), [-np.inf, 0, np.inf, np.nan, np.nan])
    np.testing.assert_allclose(log([5e-324, 1e-310, 2.0**-1022]), np.log([5e-324, 1e-310, 2.0**-1022]), rtol=1e-15)
    np.testing.assert_array_equal(logistic64(ends), [0, 0, 0.5, 0.5, 1, 1, np.nan])
    np.testing.assert_array_equal(softplus(ends)[[0, 1, 4, 5, 6]], [0, 0, 800, np.inf, np.nan])
    assert log_sum_exp(np.array([-np.inf, -np.inf])) == -np.inf
    assert log_sum_exp(np.array([1000.0, 1000.0])) == pytest.approx(1000 + np.log(2))


@pytest.mark.parametrize("n_visible", [60, 203])
@pytest.mark.parametrize("n_hidden", [1, 2, 130])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("kind", ["states", "centred states", "grey levels"])
def test_a_step_in_one_call_is_the_step_of_its_verbs(n_visible, n_hidden, weighted, persistent, kind):
    rbm, centred = RBM(*random_parameters(n_hidden, n_visible)), kind.startswith("centred")
    whole, parts = NativeEngine(rbm), NativeEngine(rbm)
    X = random_states(37, n_visible)
    v = whole.visible(X / np.float32(3) * Key(9).uniform(37, n_visible)) if kind == "grey levels" else whole.encode(X)
    batch = Phase(v, None, np.arange(1.0, 38) if weighted else None)
    h = [whole.encode(random_states(20, n_hidden, 1)) if persistent else None] * 2
    mean_h = [None, None]
    for step in range(3):
        keys, done = (Key(1).at(step), Key(2, 0).at(3 * step), Key(2, 1).at(3 * step)), []
        for i, (engine, verb) in enumerate(((whole, NativeEngine.contrast), (parts, Engine.contrast))):
            centring = Centring(np.linspace(0, 1, n_visible), mean_h[i], 0.25) if centred else None
            done.append(verb(engine, batch, h[i], keys, 1 + 2 * (step % 2), Rates(0.1, 0.5, 0.01), centring))
            h[i], mean_h[i] = done[i].h, done[i].mean_h
        one, other = done
        assert (one.h is None, one.mean_h is None) == (not persistent, not centred)
        np.testing.assert_array_equal(one.negative.v.words, other.negative.v.words)
        np.testing.assert_array_equal(one.negative.mean_h, other.negative.mean_h)
        assert one.negative.weights is other.negative.weights
        for x, y in zip((*whole.velocity, whole.rbm.W), (*parts.velocity, parts.rbm.W), strict=True):
            np.testing.assert_array_equal(x, y)
        if persistent:
            np.testing.assert_array_equal(one.logits, other.logits)
            np.testing.assert_array_equal(one.h.words, other.h.words)
        if centred:
            np.testing.assert_array_equal(one.mean_h, other.mean_h)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("kind", ["states", "grey levels"])
@pytest.mark.parametrize("steps_a_call", [2, 5])
def test_steps_in_one_call_are_one_after_the_other(monkeypatch, persistent, kind, steps_a_call):
    monkeypatch.setattr(native, "_TERMS_A_CALL", steps_a_call * 7 * 60 * 33 * 2)
    rbm, X = RBM(*random_parameters(33, 60)), random_states(35, 60)
    whole, parts = NativeEngine(rbm), NativeEngine(rbm)
    v = whole.visible(X * Key(9).uniform(35, 60)) if kind == "grey levels" else whole.encode(X)
    h = whole.encode(random_states(20, 33, 1)) if persistent else None
    arguments = v, Key(3).permutation(35).reshape(5, 7), h, [Key(1, i, 4) for i in range(3)], 2
    rates = [Rates(0.1 / (1 + i), 0.5, 0.01) for i in range(5)]
    one, other = whole.contrasts(*arguments, rates), Engine.contrasts(parts, *arguments, rates)
    np.testing.assert_array_equal(one.negative.v.words, other.negative.v.words)
    np.testing.assert_array_equal(one.negative.mean_h, other.negative.mean_h)
    for x, y in zip((*whole.velocity, whole.rbm.W), (*parts.velocity, parts.rbm.W), strict=True):
        np.testing.assert_array_equal(x, y)
    if persistent:
        np.testing.assert_array_equal(one.h.words, other.h.words)


@pytest.mark.parametrize("n", [0, 1, 4])
@pytest.mark.parametrize("beta", [1.0, 0.5, "rows"])
@pytest.mark.parametrize("clamped", [False, True])
def test_sweeps_in_one_call_are_those_of_their_verbs(n, beta, clamped):
    engine = NativeEngine(RBM(*random_parameters(70, 130)))
    beta = row_betas(33) if beta == "rows" else beta
    v, free = (engine.encode(random_states(33, 130, seed)) for seed in range(2))
    of_h, of_v = (beta, np.linspace(-1, 1, 3 * 70).reshape(3, 70)), (beta, np.linspace(-1, 1, 130))
    arguments = (v, Key(5, 0, 7), Key(5, 1, 9, 2), n, of_h, of_v, free if clamped else None)
    before = v.words.copy()
    np.testing.assert_array_equal(engine.sweeps(*arguments).words, Engine.sweeps(engine, *arguments).words)
    np.testing.assert_array_equal(v.words, before)
