"""Where the torch engine computes, and what it says where it cannot: no PyTorch, no GPU, too little memory."""

import contextlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from oracles import random_parameters, random_states

import harmonium
from harmonium import RBM, Config
from harmonium.cli import main
from harmonium.engines import find_engine, make_engine, on_device
from harmonium.errors import EngineUnavailable, InvalidParameter, OutOfMemory

torch = pytest.importorskip("torch", reason="PyTorch: make test-torch")
torch_arithmetic = pytest.importorskip("harmonium.engines.torch_arithmetic")


def test_devices_are_checked_by_name_and_then_by_presence(capsys):
    for wrong in ("tpu", "gpu", "cuda:x", "cpu:0", ""):
        with pytest.raises(InvalidParameter, match=r'device must be "cpu", "cuda" .* or "distributed"\. Got'):
            on_device("torch", wrong)
    with pytest.raises(InvalidParameter, match=r'device must go with engine="torch"\. Got device=\'cpu\' and engine='):
        on_device("native", "cpu")
    absent = [] if torch.backends.mps.is_available() else ["mps"]
    for device in ("cuda:99", *absent):
        with pytest.raises(EngineUnavailable, match=rf"Device {device} must be one that PyTorch .* sees\. Got"):
            find_engine(f"torch:{device}")
    assert main(["inspect", "--engine", "torch", "--device", "cuda:99"]) == 1
    assert re.fullmatch(r"error: Device cuda:99 must be .* Got .* Install .*\n", capsys.readouterr().err)
    assert Config(2, engine="torch:cuda:99").engine == "torch:cuda:99"  # a run of another machine can be read


def test_without_pytorch_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "harmonium.engines.torch_devices", None)
    with pytest.raises(EngineUnavailable, match=r"must have PyTorch\. Got: .*pip install torch, or choose"):
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
