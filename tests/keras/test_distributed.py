"""The recipes of docs/distributed.md, each with real processes on the loopback interface.

Every process is a run of `worker.py`. The data, the seed and the global batches are the same in all modes, so that
what is trained on many devices can be compared with what is trained on one.
"""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

WORKER = Path(__file__).with_name("worker.py")
PARAMETERS = ("W", "b", "c")


def installed(*modules):
    # A directory called keras is not Keras: only a package with a file of its own counts.
    specs = [importlib.util.find_spec(module) for module in modules]
    return all(spec is not None and spec.origin is not None for spec in specs)


needs_jax = pytest.mark.skipif(not installed("keras", "jax"), reason="needs pip install keras jax")
needs_tensorflow = pytest.mark.skipif(not installed("keras", "tensorflow"), reason="needs pip install keras tensorflow")


def free_addresses(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    return ",".join(addresses)


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test():
    yield
    while Worker.running:
        process = Worker.running.pop().process
        process.kill()
        process.wait()


class Worker:
    """One process; `result` waits for it and returns the arrays that it wrote."""

    running: ClassVar[list["Worker"]] = []

    def __init__(self, directory, mode, **options):
        name = "-".join([mode, *(f"{k}={v}" for k, v in options.items() if k not in ("addresses", "checkpoints"))])
        self.out, self.log = directory / f"{name}.npz", directory / f"{name}.log"
        backend = "tensorflow" if mode.startswith("tensorflow") else "jax"
        environment = os.environ | {
            "KERAS_BACKEND": options.pop("backend", backend),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "OMP_NUM_THREADS": "1",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        }
        if mode == "jax-devices":
            environment["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
        arguments = [sys.executable, str(WORKER), mode, str(self.out), *(f"{k}={v}" for k, v in options.items())]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log)
        Worker.running.append(self)

    def result(self):
        assert self.process.wait(timeout=240) == 0, self.log.read_text()[-4000:]
        return dict(np.load(self.out))


def cluster(directory, mode, n=2, addresses=1, **options):
    """Start `n` processes that train together."""
    shared = {"processes": n, "addresses": free_addresses(addresses)} | options
    return [Worker(directory, mode, process=k, **shared) for k in range(n)]


def assert_same_step(a, b):
    """Equal up to the order of float32 additions, and the chains exactly: the noise is the same."""
    for name in PARAMETERS:
        np.testing.assert_allclose(a[name], b[name], atol=1e-5)
    if "chains" in a:
        np.testing.assert_array_equal(a["chains"], b["chains"])


def assert_identical(a, b):
    for name in set(a) - {"first", "loss"}:
        np.testing.assert_array_equal(a[name], b[name])


def train_through_a_death(directory, mode, addresses, victim=1):
    """Both processes start; one is killed in the third of four epochs; all are started again."""
    checkpoints = directory / "checkpoints"
    options = {"epochs": 4, "checkpoints": checkpoints}
    shared = {"processes": 2, "addresses": free_addresses(addresses)} | options
    doomed = [Worker(directory, mode, process=k, **shared, die=2, victim=victim) for k in range(2)]
    assert doomed[victim].process.wait(timeout=240) == -9, doomed[victim].log.read_text()[-4000:]
    survivor = doomed[1 - victim].process
    survivor.kill()  # it cannot go on alone; a job scheduler ends it
    survivor.wait()
    assert max(x.name for x in checkpoints.glob("*.h5")) == "epoch-00000002.weights.h5"
    return [worker.result() for worker in cluster(directory, mode, addresses=addresses, **options)]


# JAX ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    """Four epochs, on one device of one process."""
    if not installed("keras", "jax"):
        pytest.skip("needs pip install keras jax")
    return Worker(tmp_path_factory.mktemp("single"), "single", epochs=4).result()


@needs_jax
@pytest.mark.skipif(not installed("tensorflow"), reason="tf.data carries the data shards")
def test_jax_devices_and_processes_train_as_one(tmp_path, on_one_device):
    """One program draws the noise for all rows, so every step is the single device's."""
    results = [worker.result() for worker in cluster(tmp_path, "jax-processes", epochs=4)]
    assert_identical(*results)
    assert_same_step(Worker(tmp_path, "jax-devices", epochs=4).result(), on_one_device)
    assert_same_step(results[0], on_one_device)


@needs_jax
@pytest.mark.skipif(not installed("tensorflow"), reason="tf.data carries the data shards")
def test_jax_continues_after_a_worker_was_killed(tmp_path, on_one_device):
    results = train_through_a_death(tmp_path, "jax-processes", addresses=1)
    assert [int(r["first"]) for r in results] == [2, 2]
    assert_identical(*results)
    assert_same_step(results[0], on_one_device)


# TensorFlow -----------------------------------------------------------------------------------------------------------


@needs_tensorflow
@pytest.mark.parametrize("method", ["cd", "pcd"])
def test_mirrored_step_is_the_sum_of_its_replicas(tmp_path, method):
    """27 rows in batches of 16: the last has 11, six for one replica and five for the other."""
    mirrored = Worker(tmp_path, "tensorflow-devices", method=method, rows=27)
    emulated = Worker(tmp_path, "tensorflow-emulated", method=method, rows=27)
    a, b = mirrored.result(), emulated.result()
    assert_same_step(a, b)
    # From the same data and the same first states, the replicas' draws differ.
    assert (b["draws"][0] != b["draws"][1]).mean() > 0.2


@needs_tensorflow
def test_workers_train_as_the_devices_of_one(tmp_path):
    devices = Worker(tmp_path, "tensorflow-devices", epochs=4, loop=1).result()
    results = [worker.result() for worker in cluster(tmp_path, "tensorflow-workers", addresses=2, epochs=4)]
    assert_identical(*results)
    assert_same_step(results[0], devices)
    died = train_through_a_death(tmp_path, "tensorflow-workers", addresses=2)
    assert [int(r["first"]) for r in died] == [2, 2]
    assert_identical(*died)
    assert_identical(died[0], results[0])
