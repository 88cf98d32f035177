"""The torch engine against the native one, bit for bit, on the CPU: what a GPU computes is the same plain torch."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import golden_results
import numpy as np
import pytest
import results
from oracles import random_parameters, random_states

from harmonium import RBM, Config, Key, TrainingRun
from harmonium.engines import Centring, Offsets, Phase, Rates, find_engine, make_engine
from harmonium.errors import EngineUnavailable, InvalidParameter

torch = pytest.importorskip("torch", reason="PyTorch: make test-torch")
torch_arithmetic = pytest.importorskip("harmonium.engines.torch_arithmetic")


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
        {"method": "pcd", "optimizer": "adam", "sparsity_cost": 0.1, "data": "holes"},
        {"method": "fpcd", "weight_decay": 0.01},
        {"method": "pt", "centered": False},
        {"method": "pcd", "tempered_share": 0.4},
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
