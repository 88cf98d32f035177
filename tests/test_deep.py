"""Stacks: what they compute is what their machines compute one after the other; files and bad use."""

import numpy as np
import pytest

import harmonium
from harmonium.deep import Stack, train_stack
from harmonium.errors import DataUnavailable, InvalidData, InvalidParameter, UnreadableFile

BARS = harmonium.datasets.load("bars-and-stripes-3x3").train


def random_rbm(n_hidden, n_visible):
    rng = np.random.default_rng([n_hidden, n_visible])
    return harmonium.RBM(
        *(rng.standard_normal(s).astype(np.float32) for s in ((n_hidden, n_visible), n_visible, n_hidden))
    )


@pytest.fixture
def stack():
    return Stack([random_rbm(7, 9), random_rbm(4, 7)])


def test_transform_and_reconstruct_pass_means_on(stack, engine):
    first, second = stack
    top = second.mean_h_from_v(first.mean_h_from_v(BARS))
    np.testing.assert_allclose(stack.transform(BARS, engine=engine), top, atol=1e-5)
    down = first.mean_v_from_h(second.mean_v_from_h(top))
    np.testing.assert_allclose(stack.mean_v_from_top(top, engine=engine), down, atol=1e-5)
    np.testing.assert_allclose(stack.reconstruct(BARS, engine=engine), down, atol=1e-5)


def test_many_rows_are_as_few(stack):
    many = np.tile(BARS, (300, 1))
    np.testing.assert_array_equal(stack.transform(many), np.tile(stack.transform(BARS), (300, 1)))


@pytest.mark.filterwarnings("ignore::harmonium.errors.TrainingAlarm")  # a few steps at a high rate
def test_layers_are_trained_greedily(engine):
    """The first layer is what `train` makes; the second is what `train` makes of its means."""
    seen = []
    result = train_stack(
        BARS,
        [6, 3],
        valid=BARS,
        epochs=3,
        batch_size=5,
        seed=4,
        engine=engine,
        on_epoch=lambda k, r: seen.append((k, r.epoch)),
    )
    first, second = result.layers
    alone = harmonium.train(BARS, 6, epochs=3, batch_size=5, seed=4, engine=engine)
    assert np.array_equal(first.rbm.W, alone.rbm.W)
    features = Stack([alone.rbm]).transform(BARS, engine=engine)
    above = harmonium.train(
        features, 3, epochs=3, batch_size=5, seed=second.config.seed, engine=engine, binarize="sample"
    )
    assert np.array_equal(second.rbm.W, above.rbm.W)
    assert [rbm.n_hidden for rbm in result.stack] == [6, 3]
    assert second.config.seed != first.config.seed
    assert seen == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    assert first.history[-1].valid is not None


def test_layers_may_have_options_of_their_own():
    result = train_stack(
        BARS, [6, 3], epochs=1, layers=[{"method": "cd"}, {"epochs": 2, "binarize": "none", "seed": 9}]
    )
    first, second = (layer.config for layer in result.layers)
    assert (first.method, first.epochs, second.method, second.epochs) == ("cd", 1, "pt", 2)
    assert (second.binarize, second.seed) == ("none", 9)


@pytest.mark.filterwarnings("ignore::harmonium.errors.TrainingAlarm")  # a few steps at a high rate
def test_a_trained_stack_keeps_what_matters():
    """Means passed up and down say more about bars and stripes than their means do."""
    stack = train_stack(BARS, [16, 12], epochs=400, batch_size=7, learning_rate=0.1, seed=1).stack
    error = ((stack.reconstruct(BARS) - BARS) ** 2).mean()
    assert error < 0.8 * ((BARS.mean(axis=0) - BARS) ** 2).mean()


def test_the_homeworks_stack_has_493984_parameters():
    rbms = [harmonium.RBM(np.zeros((n, m)), np.zeros(m), np.zeros(n)) for n, m in ((500, 784), (200, 500))]
    assert Stack(rbms).n_parameters == 784 * 500 + 784 + 500 + 500 * 200 + 500 + 200 == 493_984


def test_files_lose_nothing(stack, tmp_path):
    stack.save(tmp_path / "stack.safetensors", note="kept")
    again = Stack.load(tmp_path / "stack.safetensors")
    assert len(again) == 2
    for a, b in zip(stack, again, strict=True):
        assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in "Wbc")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataUnavailable):
        Stack.load(tmp_path / "nothing")
    random_rbm(3, 4).save(tmp_path / "rbm.safetensors")
    with pytest.raises(UnreadableFile, match="kind 'rbm'"):
        Stack.load(tmp_path / "rbm.safetensors")
    harmonium.io.write_tensors(tmp_path / "odd", "stack", {"0.W": np.zeros((2, 3))}, {"n_layers": 1})
    with pytest.raises(UnreadableFile, match="machines that fit"):
        Stack.load(tmp_path / "odd")


def test_machines_that_do_not_fit_are_refused():
    with pytest.raises(InvalidParameter, match="as many visible units as the one below"):
        Stack([random_rbm(7, 9), random_rbm(4, 6)])
    with pytest.raises(InvalidParameter, match="at least one RBM"):
        Stack([])
    for sizes, layers in (([], None), ([3], [{}, {}])):
        with pytest.raises(InvalidParameter, match="at least one layer"):
            train_stack(BARS, sizes, layers=layers)


def test_bad_data_are_refused(stack):
    for X, message in ((BARS[:, :8], "9 columns"), (BARS * 255.0, "Divide by 255"), (BARS[0], "2-D")):
        with pytest.raises(InvalidData, match=message):
            stack.transform(X)
        with pytest.raises(InvalidData):
            stack.reconstruct(X)
    with pytest.raises(InvalidData, match="H must have 4 columns"):
        stack.mean_v_from_top(BARS)


def test_all_layers_together_tell_how_far_they_are():
    told = []
    train_stack(BARS, [3, 2], epochs=2, batch_size=10, progress=lambda *x: told.append(x))
    done = [x for x, _ in told]
    assert done == list(range(1, len(told) + 1))
    assert told[-1] == (len(told), len(told))
    assert len({total for _, total in told}) == 2
