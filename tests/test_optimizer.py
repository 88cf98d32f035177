"""How gradients become steps: centring, penalties, clipping, Adam; each against its definition."""

import numpy as np
import pytest
from oracles import dyadic_parameters, logistic, random_parameters, random_states

import harmonium
from harmonium import RBM, Config, TrainingRun
from harmonium.engines import ENGINES, NumpyEngine, Phase, Rates, make_engine
from harmonium.errors import InvalidParameter
from harmonium.statistics import Statistics
from harmonium.training.config import METHODS
from harmonium.training.negative import Positive
from harmonium.training.optimizer import Optimizer, _clipped, _limit_norms

N_HIDDEN, N_VISIBLE = 4, 7
MEANS = np.linspace(0.1, 0.9, N_VISIBLE).astype(np.float32)


def phases(engine, seed=0):
    """Two sides with different numbers of rows."""
    rng, sides = np.random.default_rng(seed), []
    for n_rows in (6, 3):
        v = engine.encode(random_states(n_rows, N_VISIBLE, seed + n_rows))
        sides.append(Phase(v, rng.random((n_rows, N_HIDDEN)).astype(np.float32)))
    return sides


def side(engine, optimizer, phase):
    """The data's side of a step."""
    return Positive(phase, phase.mean_h, optimizer.offsets(engine, phase))


def steps(engine_name, n=1, rate=0.1, **options):
    """The change of W, b and c over `n` steps along the same gradient, that gradient, and the start."""
    if options.get("optimizer") != "adam":
        options = {"momentum": 0.0} | options
    config = Config(N_HIDDEN, **{"weight_decay": 0.0, "centered": False} | options)
    start = RBM(*(x.astype(np.float32) for x in random_parameters(N_HIDDEN, N_VISIBLE)))
    engine, optimizer = make_engine(start, engine_name), Optimizer(config, MEANS, {})
    positive, negative = phases(engine)
    gradient = engine.moments(positive) - engine.moments(negative)
    for step in range(n):
        optimizer.ascend(engine, side(engine, optimizer, positive), negative, rate, step)
    end = engine.rbm
    return [end.W - start.W, end.b - start.b, end.c - start.c], gradient, start


def close(got, expected, atol=2e-6):
    for one, two in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, two, atol=atol)


def test_plain_ascent_follows_the_gradient(engine):
    change, gradient, _ = steps(engine)
    close(change, [0.1 * x for x in gradient])


def test_the_fused_and_the_general_way_are_the_same_step(engine):
    """A clip that is never reached forces the general way."""
    options = {"centered": True, "momentum": 0.7, "weight_decay": 0.05}
    close(steps(engine, 3, **options)[0], steps(engine, 3, clip=1e6, **options)[0], atol=5e-6)


def test_l1_is_the_sign_of_the_weights(engine):
    change, gradient, start = steps(engine, l1=0.3)
    close(change, [0.1 * (gradient.hv - 0.3 * np.sign(start.W)), 0.1 * gradient.v, 0.1 * gradient.h])


def test_data_moments_replace_the_batch_in_the_gradient_of_b(engine):
    change, gradient, start = steps(engine, data_moments=True)
    engine_ = make_engine(start, engine)
    model = engine_.moments(phases(engine_)[1]).v
    close(change, [0.1 * gradient.hv, 0.1 * (MEANS - model), 0.1 * gradient.h])


def test_sparsity_pulls_the_hidden_biases_to_the_target(engine):
    change, gradient, start = steps(engine, sparsity_cost=0.5, sparsity_target=0.2)
    engine_ = make_engine(start, engine)
    activity = engine_.moments(phases(engine_)[0]).h
    close(change, [0.1 * gradient.hv, 0.1 * gradient.v, 0.1 * (gradient.h - 0.5 * (activity - 0.2))])


def test_the_activity_is_a_moving_average(engine):
    """q = 0.95 q + 0.05 E[h|v], from the first batch on, over batches that differ."""
    config = Config(N_HIDDEN, momentum=0.0, weight_decay=0.0, centered=False, sparsity_cost=0.5, sparsity_target=0.2)
    start = RBM(*(x.astype(np.float32) for x in random_parameters(N_HIDDEN, N_VISIBLE)))
    engine_, optimizer, activity = make_engine(start, engine), Optimizer(config, MEANS, {}), None
    for step in range(4):
        positive, negative = phases(engine_, seed=step)
        data, before = engine_.moments(positive).h, engine_.rbm.c
        activity = data if activity is None else 0.95 * activity + 0.05 * data
        slope = data - engine_.moments(negative).h - 0.5 * (activity - 0.2)
        optimizer.ascend(engine_, side(engine_, optimizer, positive), negative, 0.1, step)
        np.testing.assert_allclose(engine_.rbm.c - before, 0.1 * slope, atol=1e-6)


@pytest.mark.parametrize("clip", [1e-2, 1e2])
def test_clipping_shortens_long_gradients_only(engine, clip):
    change, gradient, _ = steps(engine, clip=clip)
    norm = np.sqrt(sum((x.astype(np.float64) ** 2).sum() for x in gradient))
    close(change, [0.1 * min(1, clip / norm) * x for x in gradient])
    assert (clip < norm) == (clip == 1e-2)


def test_max_norm_scales_the_weights_of_a_unit_and_keeps_directions(engine):
    change, _, start = steps(engine, max_norm=0.5)
    free, _, _ = steps(engine)
    wanted, got = start.W + free[0], start.W + change[0]
    norms = np.linalg.norm(wanted, axis=1)
    assert (norms > 0.5).any()
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), np.minimum(norms, 0.5), rtol=1e-5)
    np.testing.assert_allclose(got * (norms / np.minimum(norms, 0.5))[:, None], wanted, atol=1e-5)


def test_norms_whose_squares_overflow_are_norms(engine):
    """Numbers from 1e19 on have no square in float32: an infinite norm would leave nothing of them."""
    W = np.outer([1e30, 1e36, 2.0], np.linspace(-1, 1, N_VISIBLE)).astype(np.float32)
    machine = make_engine(RBM(W, np.zeros(N_VISIBLE), np.zeros(3)), engine)
    _limit_norms(machine, 10.0, None)
    norms = np.linalg.norm(W.astype(np.float64), axis=1)
    np.testing.assert_allclose(machine.rbm.W, np.minimum(1, 10 / norms)[:, None] * W, rtol=1e-6)
    gradient = Statistics(W, np.zeros(N_VISIBLE, np.float32), np.full(3, 1e35, np.float32))
    norm = np.sqrt((norms**2).sum() + 3e70)
    for got, whole in zip(_clipped(machine, gradient, 5.0), gradient, strict=True):
        np.testing.assert_allclose(got, 5 / norm * whole, rtol=1e-6, atol=1e-44)


def test_adam_is_that_of_its_authors(engine):
    """Three steps along one gradient, in float64, with decay beside the scaled gradient."""
    change, gradient, start = steps(engine, 3, optimizer="adam", weight_decay=0.02, rate=0.05)
    for part, g, x in zip(change, gradient, (start.W, start.b, start.c), strict=True):
        g, x, first, second = g.astype(np.float64), x.astype(np.float64), 0.0, 0.0
        begin = x
        for step in range(1, 4):
            first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
            direction = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
            x = x + 0.05 * (direction - (0.02 * x if part.ndim == 2 else 0))
        np.testing.assert_allclose(part, x - begin, atol=2e-6)


def test_a_gradient_that_is_known_without_chains_is_used_as_it_is(engine):
    start = RBM(*(x.astype(np.float32) for x in random_parameters(N_HIDDEN, N_VISIBLE)))
    engine_ = make_engine(start, engine)
    positive, negative = phases(engine_)
    known = engine_.moments(negative)
    config = Config(N_HIDDEN, momentum=0.0, weight_decay=0.0)
    optimizer = Optimizer(config, MEANS, {})
    optimizer.ascend(engine_, side(engine_, optimizer, positive), Statistics(*known), 0.1, 0)
    other = make_engine(start, engine)
    optimizer = Optimizer(config, MEANS, {})
    optimizer.ascend(other, side(other, optimizer, positive), negative, 0.1, 0)
    close([engine_.rbm.W, engine_.rbm.b, engine_.rbm.c], [other.rbm.W, other.rbm.b, other.rbm.c], atol=5e-6)


# Centring ------------------------------------------------------------------------------------------------------------


class Mirrored(NumpyEngine):
    """Draws flipped visible units with the noise 1 - u: what the unflipped machine would have drawn, flipped."""

    name = "mirrored"
    flipped = np.zeros(N_VISIBLE, bool)

    def bernoulli(self, logits, key, beta=1.0, offset=None):
        u = key.uniform(*logits.shape)
        if logits.shape[1] == N_VISIBLE:
            u = np.where(self.flipped, 1 - u, u)
        return (u < logistic((beta * logits).astype(np.float64))).astype(np.float32)


def trained(X, initial, flipped, **options):
    Mirrored.flipped = flipped
    run = TrainingRun(X, Config(N_HIDDEN, epochs=5, batch_size=10, engine="mirrored", **options), initial=initial)
    for _ in run.steps():
        pass
    return run.rbm


@pytest.mark.parametrize("method", ["cd", "pcd", "fpcd"])
@pytest.mark.parametrize("options", [{}, {"max_norm": 1.5}, {"weight_decay": 0.1, "momentum": 0.9}], ids=str)
def test_centred_training_does_not_care_which_state_is_called_one(method, options, monkeypatch):
    """Flip any visible units, keep the noise: the result is the flipped result; without centring it is not."""
    monkeypatch.setitem(ENGINES, "mirrored", Mirrored)
    X = random_states(60, N_VISIBLE, 5).astype(float)
    initial = RBM(*dyadic_parameters(N_HIDDEN, N_VISIBLE))
    options = {"method": method, "learning_rate": 0.3, "chains": None if method == "cd" else 20} | options
    for mask in (0b1111111, 0b0010011, 0b1000000):
        flipped = ((mask >> np.arange(N_VISIBLE)) & 1).astype(bool)
        X_flipped = np.where(flipped, 1 - X, X)
        apart = []
        for centered in (True, False):
            one = trained(X, initial, np.zeros(N_VISIBLE, bool), centered=centered, **options)
            two = trained(X_flipped, initial.flip_visible(flipped)[0], flipped, centered=centered, **options)
            expected = one.flip_visible(flipped)[0]
            apart.append(max(np.abs(getattr(two, name) - getattr(expected, name)).max() for name in "Wbc"))
        assert apart[0] < 1e-4
        assert apart[1] > 1e-2


def test_offsets_are_the_means_of_the_data_and_a_moving_average_of_the_hidden_units():
    config = Config(N_HIDDEN, centered=True, weight_decay=0.0)
    optimizer, engine = Optimizer(config, MEANS, {}), make_engine(RBM(*random_parameters(N_HIDDEN, N_VISIBLE)))
    expected = None
    for step in range(3):
        positive, negative = phases(engine, step)
        optimizer.ascend(engine, side(engine, optimizer, positive), negative, 1e-3, step)
        mean = positive.mean_h.mean(axis=0)
        expected = mean if expected is None else 0.99 * expected + 0.01 * mean
        np.testing.assert_allclose(optimizer.arrays(engine)["hidden_means"], expected, atol=1e-6)


def test_every_choice_survives_a_checkpoint(engine):
    """The second half of a run, begun anew from the state in the middle, ends with the same bits."""
    X = random_states(40, N_VISIBLE)
    choices = [
        {"optimizer": "adam", "learning_rate": 0.01},
        {"sparsity_cost": 0.1, "max_norm": 2.0, "clip": 0.5, "l1": 1e-3},
        {"method": "fpcd"},
        {"method": "pt", "temperatures": 4, "chains": 5},
        {"method": "pcd", "restarts": 0.2},
        {"method": "exact"},
    ]
    for options in choices:
        config = Config(N_HIDDEN, **{"epochs": 6, "batch_size": 8, "engine": engine} | options)
        whole, first = TrainingRun(X, config), TrainingRun(X, config)
        for _ in whole.steps():
            pass
        for step in first.steps():
            if step == 13:
                break
        second = TrainingRun(X, config, state=first.state)
        for _ in second.steps():
            pass
        for name in "Wbc":
            np.testing.assert_array_equal(getattr(second.rbm, name), getattr(whole.rbm, name))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("l1", -1), ("max_norm", -1), ("clip", np.nan), ("sparsity_target", 0), ("sparsity_target", 1)],
        *[("momentum", 1.0), ("momentum", -0.1), ("sweeps", 0), ("last_statistic", "mean")],
        *[("restarts", 1.5), ("centered", "yes"), ("data_moments", 2), ("optimizer", "rmsprop"), ("method", "ml")],
        *[("temperatures", 1), ("patience", -1), ("monitor", "all")],
    ],
)
def test_a_choice_out_of_range_is_refused(name, value):
    with pytest.raises(InvalidParameter, match=rf"^{name} must .*Got .*\. "):
        Config(3, **{name: value})


EVERY = {
    "sweeps": 3,
    "chains": 7,
    "restarts": 0.1,
    "temperatures": 4,
    "last_statistic": "mean_field",
    "tempered_share": 0.5,
}
OF_METHODS = {
    "cd": {"sweeps", "last_statistic"},
    "pcd": {"sweeps", "chains", "restarts", "last_statistic", "tempered_share"},
    "fpcd": {"sweeps", "chains", "restarts", "last_statistic"},
    "pt": {"sweeps", "chains", "temperatures"},
    "exact": set(),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", EVERY)
def test_an_option_of_a_method_changes_its_result_or_is_refused(method, name):
    """Also where the method is chosen for the data: then by `for_data`."""

    def learnt(**options):
        X = random_states(30, N_VISIBLE)
        options = {"batch_size": 10, "epochs": 2, "seed": 3} | options
        return harmonium.train(X, N_HIDDEN, method=method, **options).rbm.W

    if name in OF_METHODS[method]:
        assert (learnt(**{name: EVERY[name]}) != learnt()).any()
        return
    with pytest.raises(InvalidParameter, match=rf'^{name} must come with method ".*Got it with "{method}".*Leave it'):
        Config(3, method, **{name: EVERY[name]})
    if method == "pt":
        with pytest.raises(InvalidParameter, match=rf"^{name} must come with"):
            Config(3, **{name: EVERY[name]}).for_data(10, 10)


@pytest.mark.parametrize("value", [0.5, 0.9])
def test_momentum_is_of_gradient_ascent_alone(value):
    with pytest.raises(InvalidParameter, match=r'^momentum must come with optimizer "sgd"\. Got it with "adam"'):
        Config(3, optimizer="adam", momentum=value)


@pytest.mark.parametrize("value", [0.1, 0.3])
def test_a_target_needs_a_cost(value):
    with pytest.raises(InvalidParameter, match=r"^sparsity_target must come with a sparsity_cost above 0\."):
        Config(3, sparsity_target=value)


def test_a_largest_decay_needs_held_out_data_that_steer():
    with pytest.raises(InvalidParameter, match=r"^max_weight_decay must come with patience above 0\."):
        Config(3, patience=0, max_weight_decay=0.1)
    with pytest.raises(InvalidParameter, match=r"^max_weight_decay must come with patience above 0\."):
        Config(3, epochs=2, max_weight_decay=0.1).for_data(50, 10)
    assert Config(3, max_weight_decay=0.1).for_data(50, 10).most_decay == 0.1


def test_what_was_left_out_is_chosen_where_it_is_of_use_and_nowhere_else():
    for method in METHODS:
        chosen = Config(3, method).for_data(50, 10)
        for name in EVERY:
            assert (getattr(chosen, name) is not None) == (name in OF_METHODS[method])
        assert chosen == chosen.for_data(50, 10)
        assert chosen.momentum == 0.5
        assert chosen.sparsity_target is None
    assert Config(3, optimizer="adam").for_data(50, 10).momentum is None
    assert Config(3, sparsity_cost=1.0).for_data(50, 10).sparsity_target == 0.1


def test_rates_of_nothing_change_nothing(engine):
    start = RBM(*random_parameters(N_HIDDEN, N_VISIBLE))
    engine_ = make_engine(start, engine)
    engine_.ascend(*phases(engine_), Rates(0.0))
    np.testing.assert_array_equal(engine_.rbm.W, start.W.astype(np.float32))
