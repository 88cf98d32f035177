"""The torch engine against the native one, bit for bit, on the CPU: what a GPU computes is the same plain torch."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import golden_results
import numpy as np
import pytest
import results
from oracles import random_parameters, random_states

import harmonium
from harmonium import RBM, Config, Key, TrainingRun
from harmonium.cli import main
from harmonium.engines import Centring, Offsets, Phase, Rates, find_engine, make_engine, on_device
from harmonium.errors import EngineUnavailable, InvalidParameter, OutOfMemory

torch = pytest.importorskip("torch", reason="PyTorch: make test-torch")
torch_arithmetic = pytest.importorskip("harmonium.engines.torch_arithmetic")
TorchDispatchMode = pytest.importorskip("torch.utils._python_dispatch").TorchDispatchMode
tree_leaves = pytest.importorskip("torch.utils._pytree").tree_leaves
TorchFunctionMode = pytest.importorskip("torch.overrides").TorchFunctionMode


@pytest.fixture(params=[1, 2, 4])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def engines(n_hidden, n_visible, scale=1.0):
    rbm = RBM(*(x.astype(np.float32) for x in random_parameters(n_hidden, n_visible, scale=scale)))
    return [make_engine(rbm, name) for name in ("native", "torch:cpu")]


def same(both, got):
    """Both engines give the same bits."""
    native, ours = (np.asarray(got(engine)) for engine in both)
    assert native.dtype == ours.dtype
    np.testing.assert_array_equal(native, ours)


@pytest.mark.parametrize(("n_hidden", "n_visible", "n_rows"), [(500, 784, 100), (1, 1, 1), (1, 5, 33), (37, 130, 33)])
def test_a_sweep_and_a_step_have_the_native_bits(threads, n_hidden, n_visible, n_rows):
    both, X = engines(n_hidden, n_visible), random_states(n_rows, n_visible)
    mu = np.linspace(0.1, 0.9, n_visible).astype(np.float32)
    keys = [Key(2**63 + 7, stream, 2**32 - 5, 3) for stream in range(3)]
    same(both, lambda e: e.to_numpy(e.logits_h(e.encode(X))))
    same(
        both,
        lambda e: e.decode(e.sweeps(e.encode(X), keys[0], keys[1], 3, (np.linspace(0, 2, n_rows), None), (0.7, mu))),
    )
    same(both, lambda e: e.softplus_sum(e.logits_h(e.encode(X)), 0.7))
    same(both, lambda e: e.dot(e.encode(X), mu))
    for h in (None, random_states(7, n_hidden)):
        mean_h = None
        for step in range(3):
            rates = Rates(0.1 / (1 + step), 0.5, 0.01)
            done = []
            for engine in both:
                start = None if h is None else engine.encode(h)
                centring = Centring(mu, None if mean_h is None else mean_h[len(done)], 0.01)
                done.append(engine.contrast(Phase(engine.encode(X), None), start, keys, 2, rates, centring))
            mean_h = [x.mean_h for x in done]
            for part in "Wbc":
                same(both, lambda e, part=part: getattr(e.rbm, part))
                same(both, lambda e, part=part: getattr(e.velocity, part))
    assert np.isfinite(both[0].rbm.W).all()


def test_sums_of_more_terms_than_float32_holds_are_exact():
    """Beyond 8,192 terms partial sums leave float32: of a product, and of the rows of a gradient."""
    both = engines(3, 20_000)
    X = random_states(2, 20_000)
    same(both, lambda e: e.to_numpy(e.logits_h(e.encode(X))))
    both, X, ones = engines(5, 4), random_states(9000, 4), np.ones((1, 4))
    for engine in both:
        phases = [Phase(v, engine.mean(engine.logits_h(v))) for v in (engine.encode(X), engine.encode(ones))]
        engine.ascend(*phases, Rates(0.5), Offsets(np.full(4, 0.5, np.float32), np.full(5, 0.25, np.float32)))
    same(both, lambda e: e.rbm.W)
    same(both, lambda e: e.rbm.c)


@pytest.mark.parametrize("scale", [0.3, 40.0])
def test_enumeration_and_pseudo_likelihoods_have_the_native_bits(scale):
    """At the larger scale exponentials would overflow, so that both take their other way."""
    both = engines(9, 13, scale)
    same(both, lambda e: e.pseudo_log_likelihood(e.encode(random_states(20, 13))))
    rbm = both[0].rbm
    for first, count in ((0, 512), (3, 77), (511, 1)):
        blocks = [find_engine(name).log_partition_block(rbm, first, count) for name in ("native", "torch:cpu")]
        assert blocks[0] == blocks[1]


def test_every_result_is_that_of_the_native_engine():
    """All public functions and training methods, as `golden_results.json` has them."""
    golden = json.loads(golden_results.FILE.read_text())["native"]
    got = golden_results.digests_on(find_engine("torch:cpu"))
    assert {name: got[name] for name in results.CALLS} == golden


@pytest.mark.filterwarnings("ignore::UserWarning")  # alarms of small examples
@pytest.mark.parametrize(
    "options",
    [
        {"method": "cd"},
        {"method": "pcd", "optimizer": "adam", "sparsity_cost": 0.1},
        {"method": "fpcd", "weight_decay": 0.01},
        {"method": "pt"},
        {"method": "exact", "data": "holes"},
        {"method": "cd", "data": "grey", "binarize": "none", "clip": 0.1, "max_norm": 0.5},
        {"method": "pcd", "data": "grey", "binarize": "sample", "restarts": 0.2},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_a_run_moves_between_engines_bit_for_bit(options):
    X = random_states(40, 12).astype(np.float32)
    data = options.pop("data", "states")
    if data == "holes":
        X[random_states(40, 12, 3) > 0] = np.nan
    if data == "grey":
        X *= 0.7
    config = Config(5, epochs=4, batch_size=10, learning_rate=0.1, patience=0, seed=3, **options)
    whole = TrainingRun(X, config)
    records = list(whole.epochs())
    state, names = None, ["torch", "native", "torch:cpu", "native"]
    for number, name in enumerate(names):
        run = TrainingRun(X, config.moved_to(name), state=state)
        steps = run.steps()
        while run.step < 4 * number + 3 and not run.finished:
            next(steps)
        state = run.state
    list(run.steps())
    for part in "Wbc":
        np.testing.assert_array_equal(getattr(run.rbm, part), getattr(whole.rbm, part))
    theirs = TrainingRun(X, replace(config, engine="torch")).epochs()
    for ours, other in zip(records, theirs, strict=True):
        assert (ours.train, ours.weights, ours.chains) == (other.train, other.weights, other.chains)


def test_a_run_does_not_move_to_an_engine_of_other_bits():
    with pytest.raises(InvalidParameter, match=r"engine must be one whose bits.*Got 'numpy' for a run on 'torch:cuda'"):
        Config(2, engine="torch:cuda").moved_to("numpy")


# Gradients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_hidden", "n_visible"), [(1, 1), (1, 300), (300, 1), (7, 9), (150, 300), (300, 143)])
def test_steps_along_a_gradient_have_the_native_bits(n_hidden, n_visible):
    """With the sums of what the biases make up for in NumPy's order, whose parts are of 8 and of 128 terms."""
    both, rng = engines(n_hidden, n_visible), np.random.default_rng(0)
    X, h = (rng.random((20, units)).astype(np.float32) for units in (n_visible, n_hidden))
    mu, lam = X.mean(axis=0), h.mean(axis=0)
    for grey in (True, False):
        sums = []
        for engine in both:
            v = engine.encode(X, real=True) if grey else engine.encode((X > 0.5).astype(np.uint8))
            phases = Phase(v, engine.encode(h, real=True)), Phase(v, engine.encode(h**2, real=True))
            offsets = Offsets(mu, engine.encode(lam, real=True))
            gradient = engine.moments(phases[0]) - engine.moments(phases[1])
            engine.ascend_along(gradient, Rates(0.1, 0.5, 0.01), offsets)
            engine.ascend(*phases, Rates(0.3, 0.5), offsets)
            own = offsets.own(engine)
            moved = engine.moved(own.centre(gradient)).rbm
            sums.append([engine.to_numpy(x) for x in engine.offset_sums(own.centre(gradient).hv, own)])
            sums[-1] += [moved.W, moved.b, moved.c]
        for mine, native in zip(*sums, strict=True):
            np.testing.assert_array_equal(mine, native)
        for part in "Wbc":
            same(both, lambda e, part=part: getattr(e.rbm, part))
            same(both, lambda e, part=part: getattr(e.velocity, part))


# What crosses -------------------------------------------------------------------------------------------------------


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
    """Tensors are made of NumPy arrays, and turned into them, by the two methods that are counted, nowhere else."""

    WAYS = ("numpy", "tolist", "item", "__array__", "__bool__", "__float__", "__int__", "__index__")

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in self.WAYS:
            frame = sys._getframe(1)
            assert frame.f_code.co_name in ("_upload", "_download"), f"{name} in {frame.f_code.co_name}"
        return function(*args, **(kwargs or {}))


def test_another_way_is_noticed():
    for way in (torch.Tensor.numpy, np.asarray, float, bool):
        with pytest.raises(AssertionError, match=" in "), NoOtherWay():
            way(torch.zeros(1))


def crossed_in_training(crossings, X, n_hidden, **options):
    """The sizes of what crosses in eight steps, after the first."""
    config = Config(n_hidden, epochs=2, learning_rate=0.1, patience=0, engine="torch:cpu", **options)
    run = TrainingRun(X, config)
    run._monitor.observe = lambda *_: None
    steps = run.steps()
    next(steps)
    crossings.clear()
    with NoOtherWay():
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
        ({"method": "cd", "clip": 0.5}, 1),
        ({"method": "exact"}, 2),
    ],
    ids=lambda x: " ".join(map(str, x.values())) if isinstance(x, dict) else str(x),
)
def test_steps_of_training_take_nothing_large_across(crossings, options, most):
    n_visible, n_hidden, n_rows = 96, 8 if options["method"] == "exact" else 64, 50
    X = random_states(500, n_visible).astype(np.float32)
    if options.get("binarize") == "none":
        X *= 0.5
    found = crossed_in_training(crossings, X, n_hidden, batch_size=n_rows, **options)
    large = [size for size in found if size >= 8 * n_visible]
    assert set(large) <= {n_visible * n_hidden}
    assert len(large) <= 8 * most
    assert n_rows * n_visible not in found


def test_sweeps_take_nothing_across(crossings):
    engine = make_engine(RBM(*random_parameters(64, 96)), "torch:cpu")
    v = engine.encode(random_states(50, 96))
    crossings.clear()
    with NoOtherWay():
        engine.sweeps(v, Key(0), Key(1), 5, (0.5, None), (0.5, None))
    assert crossings == []


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
    with pytest.raises(AssertionError, match=r"test_torch\.py makes double precision"), OnlyWide():
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


# Messages -----------------------------------------------------------------------------------------------------------


def test_devices_are_checked_by_name_and_then_by_presence():
    for wrong in ("tpu", "cuda:x", "cpu:0", ""):
        with pytest.raises(InvalidParameter, match=r'device must be "cpu", "cuda" .* or "distributed"\. Got'):
            on_device("torch", wrong)
    with pytest.raises(InvalidParameter, match=r'device must go with engine="torch"\. Got device=\'cpu\' and engine='):
        on_device("native", "cpu")
    with pytest.raises(EngineUnavailable, match=r"Device cuda:99 must be one that PyTorch .* sees\. Got"):
        find_engine("torch:cuda:99")
    assert Config(2, engine="torch:cuda:99").engine == "torch:cuda:99"  # a run of another machine can be read


def test_without_pytorch_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "harmonium.engines.torch_devices", None)
    with pytest.raises(
        EngineUnavailable, match=r'must have PyTorch\. Got: .*pip install "harmonium\[torch\]", or choose'
    ):
        find_engine("torch:cpu")


def test_verbs_run_on_their_own_of_several_gpus(monkeypatch):
    """Kernels are launched, and graphs recorded, on the device that is current: that of the engine, not the first."""
    devices = pytest.importorskip("harmonium.engines.torch_devices")
    on = []

    @contextlib.contextmanager
    def current(device):
        on.append(device)
        yield
        on.pop()

    monkeypatch.setattr(torch.cuda, "device", current)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices, "arithmetic_on", lambda _: (torch_arithmetic, on[-1])[0])
    engine = devices.torch_engine.__wrapped__("torch:cuda:1", "cuda:1")
    seen = []
    monkeypatch.setattr(torch_arithmetic, "log_partition_block", lambda *_: seen.append(on[-1]))
    monkeypatch.setattr(torch.Tensor, "to", lambda x, *_: x)
    engine.log_partition_block(RBM(*random_parameters(3, 4)), 0, 8)
    assert seen == [torch.device("cuda:1")]
    assert on == []


def test_too_little_memory_is_said(monkeypatch):
    engine = make_engine(RBM(*random_parameters(3, 4)), "torch:cpu")

    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(torch_arithmetic, "logits", fail)
    with pytest.raises(OutOfMemory, match=r"must fit the memory of the device\. Got: CUDA out.*smaller batch"):
        engine.logits_h(engine.encode(random_states(2, 4)))


@pytest.mark.filterwarnings("ignore::UserWarning")  # alarms of small examples
def test_a_run_out_of_memory_goes_on_elsewhere(tmp_path, capsys, monkeypatch):
    """From the last checkpoint, by the command, and ends where it would have ended."""
    options = [
        "train",
        "bars-and-stripes-3x3",
        "--hidden",
        "3",
        "--method",
        "pcd",
        "--epochs",
        "12",
        "--batch-size",
        "4",
    ]
    whole, stopped, learn, left = tmp_path / "whole", tmp_path / "stopped", torch_arithmetic.learn, [30]

    def tire(*args):
        left[0] -= 1
        if left[0] < 0:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        learn(*args)

    assert main([*options, "--out", str(whole)]) == 0
    monkeypatch.setattr(torch_arithmetic, "learn", tire)
    assert main([*options, "--out", str(stopped), "--engine", "torch", "--device", "cpu"]) == 1
    error = capsys.readouterr().err
    assert "Got: CUDA out of memory." in error
    assert "Traceback" not in error
    assert main(["train", "--resume", str(stopped), "--engine", "numpy"]) == 2
    assert main(["train", "--resume", str(stopped), "--engine", "native"]) == 0
    np.testing.assert_array_equal(*(RBM.load(run / "model.safetensors").W for run in (whole, stopped)))


def test_products_that_are_rounded_are_noticed(monkeypatch):
    """Half precision in place of the device's: the engine says so, or takes the wider type."""
    from harmonium.engines import torch as module

    product = torch_arithmetic.product
    monkeypatch.setattr(torch_arithmetic, "product", lambda x, y: product(x.to(torch.bfloat16), y.to(torch.bfloat16)))
    assert not module._is_exact(torch.device("cpu"), torch.float32)
    with pytest.raises(EngineUnavailable, match=r"must be exact for integers of 11 bits"):
        make_engine(RBM(*random_parameters(3, 4)), "torch:cpu")


def test_results_say_on_which_device_they_are_asked_for():
    rbm, X = RBM(*random_parameters(4, 6)), random_states(9, 6)
    for call in (
        lambda **where: harmonium.sample(rbm, 5, sweeps=3, **where),
        lambda **where: harmonium.log_partition(rbm, **where).value,
        lambda **where: harmonium.evaluate(rbm, X, **where).pseudo_log_likelihood,
        lambda **where: harmonium.train(X, 3, epochs=2, **where).rbm.W,
        lambda **where: harmonium.sklearn.BernoulliRBM(3, n_iter=2, random_state=0, **where).fit(X).components_,
    ):
        np.testing.assert_array_equal(call(), call(engine="torch", device="cpu"))


@pytest.mark.filterwarnings("ignore::UserWarning")  # alarms of small examples
def test_the_page_about_gpus_runs_on_a_processor():
    page = Path(__file__).parents[2] / "docs" / "gpu.md"
    code = re.search(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL).group(1)
    for there, here in (("cuda", "cpu"), ("10_000, sweeps=1000", "10, sweeps=2"), ("X, 500, ", "X, 5, epochs=1, ")):
        assert there in code
        code = code.replace(there, here)
    X = random_states(30, 8).astype(np.float32)
    exec(code, {"harmonium": harmonium, "rbm": RBM(*random_parameters(4, 8)), "X": X})


# Several processes --------------------------------------------------------------------------------------------------

SHARED = ("sample", "sample:clamped", "running_moments", "impute:gibbs", "evaluate", "train", "train:pcd", "train:grey")
SHARED += ("train:weighted", "train:holes", "train:fast weights", "TrainingRun:pt", "BernoulliRBM.transform")


def test_two_processes_compute_what_one_does():
    """Each with half of the rows, over a real connection; every process ends with every result."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    worker = Path(__file__).with_name("distributed_worker.py")
    workers = []
    for rank in range(2):
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": str(rank)}
        environment = {**os.environ, **address, "OMP_NUM_THREADS": "1"}
        arguments = [sys.executable, str(worker), *SHARED]
        workers.append(subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    golden = json.loads(golden_results.FILE.read_text())["native"]
    for process in workers:
        out, error = process.communicate(timeout=600)
        assert process.returncode == 0, error.decode()
        assert json.loads(out) == {name: golden[name] for name in SHARED}


def test_the_distributed_engine_wants_a_process_group(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(EngineUnavailable, match=r'device="distributed" must be used in a process'):
        find_engine("torch:distributed")
