"""Under load: threads that share models or have their own, many models, and settings of threads that are none.

Processes that are forked, spawned or pooled after use stand in ``conformance/test_processes.py``.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import TORCH
from many_models import PARAMETERS
from oracles import random_parameters, random_states

import harmonium
from harmonium import RBM, Config, TrainingRun

X = random_states(60, 70)
MACHINE = RBM(*random_parameters(40, 70))


def digest(*arrays):
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def use(engine, seed):
    """Everything of one model that only reads it."""
    return digest(
        harmonium.sample(MACHINE, 200, sweeps=3, seed=seed, engine=engine),
        harmonium.free_energy(MACHINE, X, engine=engine),
        harmonium.pseudo_log_likelihood(MACHINE, X, engine=engine),
    )


def train(engine, seed):
    """A model of its own."""
    run = TrainingRun(X, Config(10 + seed, "pcd", chains=20, epochs=2, batch_size=20, seed=seed, engine=engine))
    list(run.epochs())
    return digest(run.rbm.W, run.rbm.b, run.rbm.c)


@pytest.mark.parametrize("engine", ["native", "numpy", TORCH])
@pytest.mark.parametrize("work", [use, train])
def test_eight_threads_give_what_one_gives(engine, work):
    alone = [work(engine, seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert list(pool.map(lambda seed: work(engine, seed), range(8))) == alone


BITS = """
import hashlib, sys
import numpy as np
import harmonium
X = (np.arange(6000).reshape(60, 100) * 7 % 3 == 0).astype(np.uint8)
rbm = harmonium.train(X, 30, method="pcd", chains=200, epochs=2).rbm
print(hashlib.sha256(rbm.W.tobytes() + harmonium.free_energy(rbm, X).tobytes()).hexdigest())
"""


def test_any_number_of_threads_and_what_is_no_number():
    """64 on however few processors, and 0, a word and nothing, which OpenMP does not heed: the same bits."""
    found = set()
    for threads in ("1", "64", "0", "many", ""):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", BITS], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, (threads, done.stderr)
        found.add(done.stdout)
    assert len(found) == 1


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory of a process as Linux says it")
def test_models_that_are_forgotten_take_no_memory_and_others_what_they_are():
    """1,000 by ``python tests/many_models.py 1000``."""
    script = Path(__file__).with_name("many_models.py")
    done = subprocess.run([sys.executable, script, "120"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["forgotten"] < PARAMETERS / 8
    assert found["kept"] < 1.3 * PARAMETERS
