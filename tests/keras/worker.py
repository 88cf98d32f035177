"""One process of a distributed training, started by `test_distributed.py`; modes are recipes of docs/distributed.md.

    python worker.py MODE OUT [key=value ...]

It writes the parameters, chains and gradient step that it ends with to OUT (.npz).
"""

import os
import signal
import sys

import numpy as np

MODE, OUT = sys.argv[1:3]
OPTIONS = dict(option.split("=", 1) for option in sys.argv[3:])
METHOD = OPTIONS.get("method", "pcd")
EPOCHS = int(OPTIONS.get("epochs", 1))
PROCESS, N_PROCESSES = int(OPTIONS.get("process", 0)), int(OPTIONS.get("processes", 1))
BATCH = 16  # global

if MODE == "tensorflow-workers":
    import json

    addresses = OPTIONS["addresses"].split(",")
    os.environ["TF_CONFIG"] = json.dumps(
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": PROCESS}}
    )

import keras  # noqa: E402

if MODE == "jax-processes":
    keras.distribution.initialize(OPTIONS["addresses"], N_PROCESSES, PROCESS)

import harmonium.keras as hk  # noqa: E402

X = (np.random.default_rng(1).random((int(OPTIONS.get("rows", 48)), 12)) < 0.3).astype(np.float32)


def compiled_model():
    model = hk.RBM(8, method=METHOD, sweeps=2, chains=24, weight_decay=0.01, seed=5, monitors=False)
    model.build((None, X.shape[1]))
    model.compile(optimizer=keras.optimizers.SGD(0.5, momentum=0.5))
    return model


class DieAt(keras.callbacks.Callback):
    """Kills the victim without warning in the middle of an epoch. All processes have it: they must run in step."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.at = -1, epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.at and batch == 1 and str(PROCESS) == OPTIONS["victim"]:
            os.kill(os.getpid(), signal.SIGKILL)


def callbacks(model):
    """Checkpoints, the epoch to begin with, and the planned death of this process, if any."""
    if "checkpoints" not in OPTIONS:
        return 0, []
    checkpoints = hk.Checkpoints(OPTIONS["checkpoints"])
    first = checkpoints.restore(model)
    return first, [DieAt(int(OPTIONS["die"])), checkpoints] if "die" in OPTIONS else [checkpoints]


def write(model, **more):
    arrays = {name: keras.ops.convert_to_numpy(getattr(model, name)) for name in ("W", "b", "c")}
    if model.chain_states is not None:
        arrays["chains"] = keras.ops.convert_to_numpy(model.chain_states)
    np.savez(OUT, **arrays, **more)


def fit(model, data, **options):
    first, used = callbacks(model)
    history = model.fit(
        data, epochs=EPOCHS, initial_epoch=first, shuffle=False, verbose=0, callbacks=used, **options
    ).history
    write(model, first=first, loss=history.get("loss", []))


if MODE == "single":
    fit(compiled_model(), X, batch_size=BATCH)

elif MODE == "jax-devices":
    devices = keras.distribution.list_devices()
    assert len(devices) == 4
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    fit(compiled_model(), X, batch_size=BATCH)

elif MODE == "jax-processes":
    import tensorflow as tf

    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    share = BATCH // N_PROCESSES
    mine = X.reshape(-1, N_PROCESSES, share, X.shape[1])[:, PROCESS].reshape(-1, X.shape[1])
    fit(compiled_model(), tf.data.Dataset.from_tensor_slices(mine).batch(share))

elif MODE == "tensorflow-devices":
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = compiled_model()
    if "loop" in OPTIONS:
        hk.fit_multi_worker(model, lambda _: tf.data.Dataset.from_tensor_slices(X).batch(BATCH), epochs=EPOCHS)
        write(model)
    else:
        fit(model, X, batch_size=BATCH)

elif MODE == "tensorflow-workers":
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        model = compiled_model()

    def data(epoch):
        if OPTIONS.get("die") == str(epoch) and OPTIONS["victim"] == str(PROCESS):
            os.kill(os.getpid(), signal.SIGKILL)
        return tf.data.Dataset.from_tensor_slices(X).batch(BATCH)

    checkpoints = hk.Checkpoints(OPTIONS["checkpoints"]) if "checkpoints" in OPTIONS else None
    history = hk.fit_multi_worker(model, data, epochs=EPOCHS, checkpoints=checkpoints)
    write(model, first=EPOCHS - len(history), loss=[logs["loss"] for logs in history])

elif MODE == "tensorflow-emulated":
    # One process plays both replicas in turn, step by step, and adds up what they contribute.
    import tensorflow as tf

    from harmonium.keras import replicas

    model = compiled_model()
    replica, sizes = 0, []
    replicas.number = lambda: replica
    replicas.count = lambda: 2
    replicas._context = lambda: True  # as within a strategy
    draws = []
    for start in range(0, len(X), BATCH):
        batch = X[start : start + BATCH]
        shards = [batch[: -(-len(batch) // 2)], batch[-(-len(batch) // 2) :]]
        sizes = [len(shard) for shard in shards]
        noise, chains = model.noise.state.numpy(), None if METHOD == "cd" else model.chain_states.numpy()
        gradients, moved = [], []
        for replica, shard in enumerate(shards):  # noqa: B007 (read by `replicas.number`)
            model.noise.state.assign(noise)
            if chains is not None:
                model.chain_states.assign(chains)
            # Positive and chain rows are counted apart: their sums over the replicas differ under "pcd".
            counts = iter([sum(sizes), sum(sizes) if METHOD == "cd" else 24])
            replicas.total = lambda x, counts=counts: tf.cast(next(counts), x.dtype)
            with tf.GradientTape() as tape:
                loss = model.compute_loss(tf.constant(shard))
            gradients.append(tape.gradient(loss, [v.value for v in model.trainable_variables]))
            if chains is not None:
                moved.append(model.chain_states.numpy())
        if chains is not None:
            model.chain_states.assign(sum(moved))
        total = [a + b for a, b in zip(*gradients, strict=True)]
        model.optimizer.apply_gradients(zip(total, model.trainable_variables, strict=True))
    for replica in range(2):  # noqa: B007
        model.noise.state.assign(noise)
        draws.append(model.sample_h_from_v(np.zeros((50, 12), np.float32)).numpy())
    write(model, draws=draws)
