"""The torch engine on a device: which arithmetic it has there, where its verbs run, and what lack of memory means."""

from __future__ import annotations

import functools
import inspect
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

import torch

from harmonium.engines import torch_arithmetic
from harmonium.engines.engine import Engine
from harmonium.engines.torch import TorchEngine, state_dtype
from harmonium.engines.torch_kernels import KINDS, arithmetic_on
from harmonium.engines.torch_recorded import RecordedEngine
from harmonium.errors import EngineUnavailable, OutOfMemory


def description(device: str = "") -> str:
    """One line about what the engine runs on here."""
    engine = torch_engine("torch", device)
    place, states = engine.device, state_dtype(engine.device)
    what = torch.cuda.get_device_name(place) if place.type == "cuda" else f"at most {torch.get_num_threads()} threads"
    products = str(states).removeprefix("torch.")
    kernels = f", kernels: {KINDS[engine.do.__name__.rpartition('.')[2]]}" if place.type == "cuda" else ""
    return f"PyTorch {torch.__version__} on {place} ({what}), products of {products}{kernels}"


@functools.cache
def torch_engine(name: str, device: str = "") -> type[TorchEngine]:
    """The engine on a device: "cpu", "cuda", "mps", or one of several, as "cuda:1".

    Left out, it is the GPU that torch has, if it is one of NVIDIA's, and otherwise the processor.

    Raises
    ------
    EngineUnavailable
        There is no such device here.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = device.partition(":")
    n_devices = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(number or 0) >= n_devices:
        raise EngineUnavailable(
            f"Device {device} must be one that PyTorch {torch.__version__} sees. Got {n_devices or 'no'} {kind} "
            'device(s). Install a PyTorch that is built for the GPU, or choose device="cpu".'
        )
    place, base = torch.device(device), TorchEngine
    do: ModuleType = torch_arithmetic
    if kind == "cuda":
        base = RecordedEngine
        with _on(place):
            do = arithmetic_on(place)
    written = {**vars(TorchEngine), **vars(base)}
    verbs = {name: _explaining(verb, place) for name, verb in written.items() if name in vars(Engine)}
    return type("TorchEngine", (base,), {**verbs, "name": name, "device": place, "do": do})


def _on(device: torch.device) -> AbstractContextManager[object]:
    """Within, kernels are launched and recorded on that of several GPUs, even those that are not torch's own."""
    return torch.cuda.device(device) if device.type == "cuda" and device.index is not None else nullcontext()


def _explaining(verb: Any, device: torch.device) -> Any:
    """The verb on its device, and its failure for lack of memory says so."""
    if isinstance(verb, classmethod):
        return classmethod(_explaining(verb.__func__, device))
    if not inspect.isfunction(verb):
        return verb

    @functools.wraps(verb)
    def explained(*args: Any, **kwargs: Any) -> Any:
        try:
            with _on(device):
                return verb(*args, **kwargs)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(
                f"The machine, its data and its chains must fit the memory of the device. Got: {error} "
                "Take smaller batches or fewer chains, or another device; a run goes on from its last checkpoint."
            ) from None

    return explained
