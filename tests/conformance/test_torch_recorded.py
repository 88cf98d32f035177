"""What is recorded for a GPU, played on the processor: clocks, tables and carries give the native engine's bits."""

import numpy as np
import pytest
from oracles import random_parameters, random_states

from harmonium import RBM, Key
from harmonium.engines import Centring, Rates, make_engine

torch = pytest.importorskip("torch", reason="PyTorch: make test-torch")
graphs = pytest.importorskip("harmonium.engines.torch_graphs")

N_HIDDEN, N_VISIBLE, ROWS = 7, 11, 9


@pytest.fixture
def engines(monkeypatch):
    """The native engine, and the recording one, which does a recording's work over again in place of playing it."""
    from harmonium.engines.torch_recorded import RecordedEngine

    def record(do):
        left = []

        def play():
            left[:] = do()

        return play, left

    monkeypatch.setattr(graphs, "record", record)
    monkeypatch.setattr(graphs, "_AT_ONCE", 3)
    monkeypatch.setattr(graphs, "_FEWEST_ROWS", 4)
    rbm = RBM(*random_parameters(N_HIDDEN, N_VISIBLE))
    return make_engine(rbm, "native"), RecordedEngine(rbm)


def test_recorded_sweeps(engines):
    rng = np.random.default_rng(0)
    offset = rng.normal(size=N_VISIBLE).astype(np.float32)
    for of_h, of_v, held in (((1.0, None), (1.0, None), False), ((0.3, None), (rng.random(ROWS), offset), True)):
        for start in (0, 100):  # the second time it is there already, and its constants are others
            left = []
            for engine in engines:
                v = engine.encode(random_states(ROWS, N_VISIBLE, start))
                free = engine.encode(random_states(ROWS, N_VISIBLE, 5 + start)) if held else None
                keys = Key(1, 0, start), Key(1, 1, 3 + start)
                left.append(engine.decode(engine.sweeps(v, *keys, 20, of_h, of_v, free)))
            np.testing.assert_array_equal(*left)


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("centred", [True, False])
def test_recorded_steps(engines, persistent, centred):
    X, left = random_states(30, N_VISIBLE, 1), []
    for engine in engines:
        data = engine.encode(X)
        h = engine.encode(random_states(ROWS, N_HIDDEN, 2)) if persistent else None
        centring = Centring(X.mean(axis=0).astype(np.float32), None, 0.01) if centred else None
        done = 0
        for n in (1, 2, 9):
            rows = engine.table(np.random.default_rng(n).integers(0, 30, (n, 5)))
            keys = Key(1, 0, done), Key(2, 0, 2 * done), Key(2, 1, 2 * done)
            rates = [Rates(0.5 / (1 + done + i), 0.5, 0.01) for i in range(n)]
            made = engine.contrasts(data, rows, h, keys, 2, rates, centring)
            h, done = made.h, done + n
            centring = None if centring is None else centring._replace(h=made.mean_h)
        rbm = engine.rbm
        reals = made.negative.mean_h, *((made.logits,) if persistent else ())  # else nobody looks at them
        states = made.negative.v, *(() if h is None else (h,))
        left.append([rbm.W, rbm.b, rbm.c, *map(engine.to_numpy, reals), *map(engine.decode, states)])
    for x, y in zip(*left, strict=True):
        np.testing.assert_array_equal(x, y)


def test_recorded_annealing(engines):
    rng, n, left = np.random.default_rng(0), 11, []
    betas = np.linspace(0, 1, n + 1, dtype=np.float32)
    y, x = (rng.normal(size=(n + 1, units)).astype(np.float32) for units in (N_HIDDEN, N_VISIBLE))
    slopes = rng.normal(size=(n, 2, N_VISIBLE)).astype(np.float32)
    for offsets in ((y, x), (None, x), (None, None)):
        left = []
        for engine in engines:
            v = engine.encode(random_states(ROWS, N_VISIBLE, 3))
            v, *sums = engine.anneal(v, (Key(1, 0), Key(1, 1)), betas, *offsets, slopes)
            left.append([engine.decode(v), *sums])
        for mine, native in zip(*left, strict=True):
            np.testing.assert_array_equal(mine, native)


def test_permutations_on_the_device(engines):
    for n in (1, 2, 1000):
        native, mine = (np.asarray(engine.permutation(Key(3), n)) for engine in engines)
        np.testing.assert_array_equal(mine, native)


def test_what_depends_on_the_step_cannot_be_recorded():
    from harmonium.random import MovingStep

    step = MovingStep(torch.tensor(5))
    assert int((step * 3 + 1).tensor()) == 16
    assert Key(1).at(2 * step - 1).step == MovingStep(step.clock, 2, -1)
    for wrong in (lambda: step % 2, lambda: step > 3, lambda: range(step), lambda: [1, 2][step]):
        with pytest.raises(TypeError):
            wrong()
