"""Keras' `fit` beside a CD-1 step written by hand for TensorFlow, timed in turn in one process.

KERAS_BACKEND=tensorflow python benchmarks/keras_fit.py [rounds, 11 by default]

Both take the same batches through ``tf.data``, sample both layers, use E[h|v] in the statistics of both phases, move W,
b and c by momentum with weight decay in W, and return the loss mean F(v_data) - mean F(v_chain) of each step. Neither
is compiled by XLA, which on a CPU is slower for both. Each round is an epoch of each; the ratio is the median over the
rounds of seconds by hand over seconds of `fit`: above 1, `fit` is faster.

`fit` runs ten steps in a call of TensorFlow (``steps_per_execution=10``), as docs/keras.md advises; "a step a call" is
Keras' default, which leaves the processor waiting for Python between any two steps.
"""

import os
import statistics
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import harmonium.keras

ROWS, VISIBLE, RATE, MOMENTUM, DECAY = 10_000, 784, 0.05, 0.5, 1e-3
SHAPES = ((200, 50), (200, 100), (500, 100), (500, 500))


def by_hand(data, n_hidden, batch, rate=RATE, momentum=MOMENTUM, decay=DECAY):
    """A function that trains for an epoch: the gradient in closed form, one graph a step, no framework around it."""
    W = tf.Variable(tf.random.normal((VISIBLE, n_hidden), stddev=0.01))
    b, c = tf.Variable(tf.zeros(VISIBLE)), tf.Variable(tf.zeros(n_hidden))
    velocities = [tf.Variable(tf.zeros_like(x)) for x in (W, b, c)]

    @tf.function
    def step(v0):
        v0 = tf.cast(v0 > 0.5, tf.float32)
        logits0 = v0 @ W + c
        p0 = tf.sigmoid(logits0)
        h = tf.cast(tf.random.uniform(tf.shape(p0)) < p0, tf.float32)
        mean = tf.sigmoid(tf.matmul(h, W, transpose_b=True) + b)
        v1 = tf.cast(tf.random.uniform(tf.shape(mean)) < mean, tf.float32)
        logits1 = v1 @ W + c
        p1 = tf.sigmoid(logits1)
        n = tf.cast(tf.shape(v0)[0], tf.float32)
        ascents = (
            (tf.matmul(v0, p0, transpose_a=True) - tf.matmul(v1, p1, transpose_a=True)) / n - decay * W,
            tf.reduce_mean(v0 - v1, axis=0),
            tf.reduce_mean(p0 - p1, axis=0),
        )
        for variable, velocity, ascent in zip((W, b, c), velocities, ascents, strict=True):
            variable.assign_add(velocity.assign(momentum * velocity + rate * ascent))
        energies = [
            tf.reduce_mean(-tf.linalg.matvec(v, b) - tf.reduce_sum(tf.nn.softplus(logits), axis=1))
            for v, logits in ((v0, logits0), (v1, logits1))
        ]
        return energies[0] - energies[1]

    batches = tf.data.Dataset.from_tensor_slices(data).batch(batch).prefetch(tf.data.AUTOTUNE)

    def epoch():
        total = 0.0
        for v in batches:
            total += step(v)
        return float(total)

    return epoch


def by_fit(data, n_hidden, batch, **options):
    model = harmonium.keras.RBM(
        n_hidden, method="cd", weight_decay=DECAY, centered=False, monitors=options.pop("monitors", True)
    )
    model.compile(keras.optimizers.SGD(RATE, momentum=MOMENTUM), **options)
    batches = tf.data.Dataset.from_tensor_slices(data).batch(batch).prefetch(tf.data.AUTOTUNE)
    return lambda: model.fit(batches, epochs=1, verbose=0)


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(rounds):
    data = (np.random.default_rng(0).random((ROWS, VISIBLE)) < 0.2).astype(np.float32)
    for n_hidden, batch in SHAPES:
        contenders = {
            "by hand": by_hand(data, n_hidden, batch),
            "fit": by_fit(data, n_hidden, batch, steps_per_execution=10),
            "without monitors": by_fit(data, n_hidden, batch, steps_per_execution=10, monitors=False),
            "a step a call": by_fit(data, n_hidden, batch),
        }
        for epoch in contenders.values():
            epoch()  # traces
        times = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, epoch in contenders.items():
                times[name].append(seconds(epoch))
        print(f"{VISIBLE} x {n_hidden}, batch {batch}:", end="")
        for name, own in times.items():
            ratio = statistics.median(a / b for a, b in zip(times["by hand"], own, strict=True))
            print(f"  {name} {ROWS / statistics.median(own):,.0f} samples/s (x{ratio:.2f})", end="")
        print(flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 11)
