"""What crosses between the host and a device: counted on the processor, where the way is the same."""

import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
from oracles import random_parameters, random_states

import harmonium
from harmonium import RBM, Config, Key, TrainingRun
from harmonium.engines import find_engine, make_engine
from harmonium.likelihood import two_sided
from harmonium.verify import verify

torch = pytest.importorskip("torch", reason="PyTorch: make test-torch")
torch_arithmetic = pytest.importorskip("harmonium.engines.torch_arithmetic")
TorchDispatchMode = pytest.importorskip("torch.utils._python_dispatch").TorchDispatchMode
tree_leaves = pytest.importorskip("torch.utils._pytree").tree_leaves
TorchFunctionMode = pytest.importorskip("torch.overrides").TorchFunctionMode


@pytest.fixture
def crossings(monkeypatch):
    """The sizes of all arrays that go to the device or come from it."""
    found = []
    engine = find_engine("torch:cpu")
    upload, download = engine._upload, engine._download

    def up(self, x):
        found.append(x.size)
        return upload(self, x)

    def down(x):
        found.append(x.numel())
        return download(x)

    monkeypatch.setattr(engine, "_upload", up)
    monkeypatch.setattr(engine, "_download", staticmethod(down))
    return found


class NoOtherWay(TorchFunctionMode):
    """Tensors are made of NumPy arrays, and turned into them, by the two methods that are counted, nowhere else.

    But for those with fewer than `least` numbers.
    """

    def __init__(self, least=0):
        super().__init__()
        self._least = least

    PLACES = ("_upload", "_download", "_is_exact")  # the last compares one product when an engine is made
    WAYS = ("cpu", "numpy", "tolist", "item", "__array__", "__bool__", "__float__", "__int__", "__index__")

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in self.WAYS and args[0].numel() >= self._least:
            frame = sys._getframe(1)
            assert frame.f_code.co_name in self.PLACES, f"{name} in {frame.f_code.co_name}"
        return function(*args, **(kwargs or {}))


class NothingRead(TorchDispatchMode):
    """What is computed asks for no number that a device would have to tell the host: not even how large a result is."""

    READING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if any(name in function.name() for name in self.READING) or masks(function, args):
            frames = (frame.f_code.co_name for frame, _ in traceback.walk_stack(sys._getframe(1)))
            assert "is_on" in frames, f"{function} reads"  # which does otherwise on a GPU
        return function(*args, **(kwargs or {}))


def masks(function, args):
    """Whether a mask of bools picks out entries, whose number only the device knows."""
    places = args[1] if "aten::index" in function.name() and isinstance(args[1], list | tuple) else ()
    return any(isinstance(x, torch.Tensor) and x.dtype == torch.bool for x in places)


def test_another_way_is_noticed():
    for way in (torch.Tensor.numpy, np.asarray, float, bool):
        with pytest.raises(AssertionError, match=" in "), NoOtherWay():
            way(torch.zeros(1))
    for way in (float, torch.nonzero, lambda x: x[x > 0], lambda x: x.__setitem__(x > 0, 1.0)):
        with pytest.raises(AssertionError, match="reads"), NothingRead():
            way(torch.zeros(1))


def crossed_in_training(crossings, X, n_hidden, weights, **options):
    """The sizes of what crosses in eight steps, after the first."""
    config = Config(n_hidden, epochs=2, learning_rate=0.1, patience=0, engine="torch:cpu", **options)
    run = TrainingRun(X, config, sample_weight=weights)
    run._monitor.observe = lambda *_: None
    steps = run.steps()
    next(steps)
    crossings.clear()
    with NoOtherWay(), NothingRead():
        for _ in range(8):
            next(steps)
    return crossings


# What of a step may be as large as W crosses at most so often: statistics that are enumerated on the host, gradients
# that are clipped there.
@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"method": "cd"}, 0),
        ({"method": "cd", "centered": False, "last_statistic": "mean_field"}, 0),
        ({"method": "pcd", "chains": 40, "restarts": 0.1}, 0),
        ({"method": "fpcd", "chains": 40}, 0),
        ({"method": "fpcd", "chains": 40, "optimizer": "adam"}, 0),
        ({"method": "pt", "chains": 10, "temperatures": 4}, 0),
        ({"method": "pcd", "chains": 40, "optimizer": "adam", "l1": 1e-3, "sparsity_cost": 0.1}, 0),
        ({"method": "pcd", "chains": 40, "data_moments": True, "max_norm": 100.0}, 0),
        ({"method": "cd", "binarize": "none"}, 0),
        ({"method": "cd", "binarize": "none", "optimizer": "adam"}, 0),
        ({"method": "cd", "data": "weighted"}, 0),
        ({"method": "pcd", "chains": 40, "data": "holes"}, 0),
        ({"method": "pt", "chains": 10, "temperatures": 4, "data": "holes"}, 0),
        ({"method": "cd", "binarize": "none", "data": "holes"}, 0),
        ({"method": "cd", "clip": 0.5}, 1),
        ({"method": "exact"}, 2),
    ],
    ids=lambda x: " ".join(map(str, x.values())) if isinstance(x, dict) else str(x),
)
def test_steps_of_training_take_nothing_large_across(crossings, options, most):
    n_visible, n_hidden, n_rows = 96, 8 if options["method"] == "exact" else 64, 50
    X, weights, kind = random_states(500, n_visible).astype(np.float32), None, options.get("data")
    if options.get("binarize") == "none":
        X *= 0.5
    if kind == "holes":
        X[random_states(500, n_visible, 3) > 0] = np.nan
    if kind == "weighted":
        weights = np.linspace(1, 2, 500)
    options = {key: x for key, x in options.items() if key != "data"}
    found = crossed_in_training(crossings, X, n_hidden, weights, batch_size=n_rows, **options)
    large = [size for size in found if size >= 8 * n_visible]
    assert set(large) <= {n_visible * n_hidden}
    assert len(large) <= 8 * most
    assert n_rows * n_visible not in found


def test_sweeps_take_nothing_across(crossings):
    engine = make_engine(RBM(*random_parameters(64, 96)), "torch:cpu")
    v = engine.encode(random_states(50, 96))
    crossings.clear()
    with NoOtherWay(), NothingRead():
        engine.sweeps(v, Key(0), Key(1), 5, (0.5, None), (0.5, None))
    assert crossings == []


def test_whoever_watches_chains_takes_few_of_them_across(crossings):
    config = Config(64, method="pcd", chains=40, epochs=2, batch_size=20, patience=0, engine="torch:cpu")
    run = TrainingRun(random_states(200, 96).astype(np.float32), config)
    run._monitor._window._stride = 1  # a look after each step
    steps = run.steps()
    for _ in range(2):
        next(steps)
    crossings.clear()
    for _ in range(4):
        next(steps)
    assert 16 * 64 in crossings  # of the chains that are watched
    assert max(crossings) < 40 * 64


ROWS, N_HIDDEN, N_VISIBLE = 50, 64, 96


def loops():
    """Calls with a loop whose length is given, by name."""
    rbm = RBM(*random_parameters(N_HIDDEN, N_VISIBLE))
    v = random_states(ROWS, N_VISIBLE)
    clamp = harmonium.Clamp(random_states(1, N_VISIBLE, 5), 1 - v[:1])
    holes = np.where(random_states(ROWS, N_VISIBLE, 3) > 0, np.nan, v)
    here = {"engine": "torch:cpu"}
    return {
        "sample": lambda n: harmonium.sample(rbm, start=v, sweeps=n, clamp=clamp, **here),
        "tempered": lambda n: harmonium.sample_tempered(rbm, ROWS, sweeps=n, temperatures=3, **here),
        "moments": lambda n: harmonium.running_moments(rbm, start=v, sweeps=n, burn_in=n, **here),
        "impute": lambda n: harmonium.impute(rbm, holes, method="gibbs", chains=2, sweeps=n, burn_in=n, **here),
        "complete": lambda n: harmonium.complete(rbm, holes, method="gibbs", sweeps=n, **here),
        "observed": lambda n: harmonium.marginal_free_energy(rbm, holes, chains=2, temperatures=n, **here),
        "evaluate": lambda n: harmonium.evaluate(rbm, v, chains=ROWS, temperatures=n, **here),
    }


@pytest.mark.filterwarnings("ignore::UserWarning")  # alarms of short chains
@pytest.mark.parametrize("name", loops())
def test_a_longer_loop_takes_no_more_of_its_rows_across(crossings, name, monkeypatch):
    monkeypatch.setattr(two_sided, "_N_KEPT", 3)  # states on the way that reverse chains are prepared from
    monkeypatch.setattr(two_sided, "_SWEEPS", (2,))  # of the preparation
    found = []
    for length in (8, 16):
        crossings.clear()
        with NoOtherWay(ROWS * N_HIDDEN):
            loops()[name](length)
        found.append(sum(size >= ROWS * N_HIDDEN for size in crossings))
    assert found[0] == found[1]
    assert crossings


def test_every_equation_is_proved_on_it():
    with NoOtherWay(2):
        proof = list(verify("torch:cpu"))
    assert [x for x in proof if not x.passed] == []
    assert [x.max_error for x in proof if x.name == "engines.torch, native bits"] == [0]


class OnlyWide(TorchDispatchMode):
    """For a device without double precision, as Apple's: where numbers of it are made, they are on the host."""

    PLACES = ("torch_functions.py", "torch_likelihood.py")  # which compute with what `wide` gives them

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        here = [x.dtype for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        made = [x.dtype for x in tree_leaves(found) if isinstance(x, torch.Tensor)]
        if torch.float64 in made and torch.float64 not in here:
            files = (Path(frame.f_code.co_filename) for frame, _ in traceback.walk_stack(sys._getframe(1)))
            ours = Path(torch_arithmetic.__file__).parents[1]
            place = next(file.name for file in files if file.is_relative_to(ours) or file.name == Path(__file__).name)
            assert place in self.PLACES, f"{place} makes double precision by {function}"
        return found


def test_double_precision_is_left_to_the_host_where_a_device_has_none():
    """All of it goes by `wide`, which takes it to the host there; enumeration runs there as a whole."""
    with pytest.raises(AssertionError, match=r"test_torch_transfers\.py makes double precision"), OnlyWide():
        torch.zeros(2).to(torch.float64)
    X = random_states(40, 12).astype(np.float32)
    with OnlyWide():
        for options in ({"method": "pcd"}, {"method": "fpcd", "optimizer": "adam"}, {"method": "pt", "l1": 0.01}):
            config = Config(5, epochs=2, batch_size=10, patience=0, engine="torch:cpu", **options)
            list(TrainingRun(X, config).epochs())
        list(TrainingRun(0.5 * X, Config(5, epochs=1, patience=0, binarize="none", engine="torch:cpu")).epochs())
        rbm = RBM(*random_parameters(20, 12))
        harmonium.log_partition(rbm, "ais", chains=5, temperatures=5, engine="torch:cpu")
        harmonium.evaluate(rbm, X, engine="torch:cpu")
