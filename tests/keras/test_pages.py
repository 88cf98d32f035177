"""Every block of Python on the pages about Keras runs, with one epoch for twenty, and the addresses of this machine.

Each page, or recipe of a page, is a process of its own: a process has one backend, and one set of devices.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_distributed import free_addresses, installed, needs_jax, needs_tensorflow

DOCS = Path(__file__).parents[2] / "docs"
END = '\nimport hashlib\nprint("W", hashlib.sha256(keras.ops.convert_to_numpy(model.W).tobytes()).hexdigest())\n'
DATA = 'X = (np.random.default_rng(1).random((1024, 784)) < 0.2).astype("float32")\n'
IMPORTS = "import keras, numpy as np\nimport harmonium\n"


def blocks(page, heading=None):
    """The Python of a page, or of the part below a heading."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if heading:
        text = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert found
    return "\n".join(found)


def start(code, backend, **environment):
    for was, now in (("epochs=20", "epochs=1"), ('"epochs": 20', '"epochs": 1'), ("epochs=10", "epochs=1")):
        code = code.replace(was, now)
    inherited = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    inherited["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
        env=inherited | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(*processes):
    """Wait for all, end those that wait for one that failed, and return what each printed last."""
    said = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=240)
            assert process.returncode == 0, err[-3000:]
            said.append(out.splitlines()[-1])
    finally:
        for process in processes:
            process.kill()
    return said


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_the_page_of_keras_runs(backend):
    if not installed("keras", backend):
        pytest.skip(f"needs pip install keras {backend}")
    finish(start(blocks("keras.md") + '\nprint("done")', backend))


@needs_jax
def test_several_devices_of_jax():
    code = IMPORTS + DATA + "import harmonium.keras\n" + blocks("distributed.md", "JAX: several devices") + END
    finish(start(code, "jax", XLA_FLAGS="--xla_force_host_platform_device_count=4"))


@needs_jax
@pytest.mark.skipif(not installed("tensorflow"), reason="tf.data carries the data shards")
def test_several_processes_of_jax(tmp_path):
    address = free_addresses(1)
    before = IMPORTS + DATA + "import tensorflow as tf\nmy_share = tf.data.Dataset.from_tensor_slices(X).batch(256)\n"
    code = before + blocks("distributed.md", "JAX: several processes") + END
    code = code.replace("10.0.0.1:1234", address).replace("/shared/run", str(tmp_path))
    ends = finish(*(start(code.replace("process_id=0", f"process_id={k}"), "jax") for k in range(2)))
    assert ends[0] == ends[1]
    assert list(tmp_path.iterdir())


@needs_tensorflow
def test_several_devices_of_tensorflow():
    before = IMPORTS + DATA + "import harmonium.keras\nimport tensorflow as tf\n"
    finish(start(before + blocks("distributed.md", "TensorFlow: several devices") + END, "tensorflow"))


@needs_tensorflow
def test_several_machines_of_tensorflow(tmp_path):
    before = IMPORTS + DATA + "import harmonium.keras\nimport tensorflow as tf\n"
    code = before + blocks("distributed.md", "TensorFlow: several machines") + END
    workers = free_addresses(2).split(",")
    configs = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": k}} for k in range(2)]
    code = code.replace("/shared/run", str(tmp_path))
    ends = finish(*(start(code, "tensorflow", TF_CONFIG=json.dumps(config)) for config in configs))
    assert ends[0] == ends[1]
    assert list(tmp_path.iterdir())
