"""The same data to Harmonium and to what people use instead: seconds, exact likelihood, and what bad input does.

    python benchmarks/peers.py docs/results/peers.json

Scikit-learn's 8 x 8 digits, thresholded; 16 hidden units, so that log Z of every machine is exact, whoever trained it.
All defaults but where a row says otherwise, three seeds. All of it needs keras, tensorflow-cpu, rbms and torch; what is
not installed has a row that says so. It takes some minutes, most of them rbms'.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
import warnings
from datetime import date
from importlib.metadata import packages_distributions, version
from pathlib import Path

import numpy as np

import harmonium
from harmonium.bench.contenders import installed
from harmonium.bench.machine import describe_machine, n_threads
from harmonium.reproduce.busy import BUSY, Others
from harmonium.reproduce.provenance import commit

N_HIDDEN, SEEDS, EPOCHS = 16, (0, 1, 2), 10  # EPOCHS is scikit-learn's default, which machines from scratch share
N_BAD = 200  # rows of bad input


def by_harmonium(X, seed):
    return harmonium.train(X, N_HIDDEN, seed=seed).rbm


def by_sklearn(X, seed):
    from sklearn.neural_network import BernoulliRBM

    found = BernoulliRBM(N_HIDDEN, random_state=seed).fit(X)
    return found.components_, found.intercept_visible_, found.intercept_hidden_


def by_sklearn_long(X, seed):
    """As many steps as Harmonium takes."""
    from sklearn.neural_network import BernoulliRBM

    found = BernoulliRBM(N_HIDDEN, n_iter=150, batch_size=10, random_state=seed).fit(X)
    return found.components_, found.intercept_visible_, found.intercept_hidden_


def by_numpy(X, seed):
    """CD-1 as a user would write it."""
    rng = np.random.default_rng(seed)
    W, b, c = 0.01 * rng.standard_normal((N_HIDDEN, X.shape[1])), np.zeros(X.shape[1]), np.zeros(N_HIDDEN)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    for _ in range(EPOCHS):
        for batch in np.array_split(rng.permutation(X), len(X) // 10):
            p0 = sigmoid(batch @ W.T + c)
            v = sigmoid((rng.random(p0.shape) < p0) @ W + b)
            v = (rng.random(v.shape) < v).astype(float)
            p1 = sigmoid(v @ W.T + c)
            W += 0.1 * (p0.T @ batch - p1.T @ v) / len(batch)
            b += 0.1 * (batch - v).mean(axis=0)
            c += 0.1 * (p0 - p1).mean(axis=0)
    return W, b, c


def by_keras(X, seed):
    """The same as a Keras user would write it: a model with a train_step of its own, on TensorFlow."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)

    class Machine(keras.Model):
        def __init__(self):
            super().__init__()
            self.W = self.add_weight(shape=(N_HIDDEN, X.shape[1]), initializer=keras.initializers.RandomNormal(0, 0.01))
            self.b = self.add_weight(shape=(X.shape[1],), initializer="zeros")
            self.c = self.add_weight(shape=(N_HIDDEN,), initializer="zeros")

        def train_step(self, v0):
            def draw(p):
                return tf.cast(tf.random.uniform(tf.shape(p)) < p, tf.float32)

            p0 = tf.sigmoid(v0 @ tf.transpose(self.W) + self.c)
            v1 = draw(tf.sigmoid(draw(p0) @ self.W + self.b))
            p1 = tf.sigmoid(v1 @ tf.transpose(self.W) + self.c)
            n = tf.cast(tf.shape(v0)[0], tf.float32)
            gradients = [
                (tf.transpose(p1) @ v1 - tf.transpose(p0) @ v0) / n,
                tf.reduce_mean(v1 - v0, axis=0),
                tf.reduce_mean(p1 - p0, axis=0),
            ]
            self.optimizer.apply(gradients, [self.W, self.b, self.c])
            return {"error": tf.reduce_mean((v0 - v1) ** 2)}

    model = Machine()
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    model.fit(X.astype("float32"), epochs=EPOCHS, batch_size=10, verbose=0)
    return model.W.numpy(), model.b.numpy(), model.c.numpy()


def by_rbms(X, seed):
    """What ``rbms train`` does with 10,000 updates, its default; 100 rows, 1 sweep of 100 chains in each.

    By default it takes 2,000 rows and 100 sweeps of 2,000 chains, which is meant for a GPU and takes hours here.
    """
    import h5py
    import torch
    from rbms.scripts.train_rbm import create_parser, match_args_dtype, train_rbm

    torch.set_num_threads(n_threads())
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002, its generator
    with tempfile.TemporaryDirectory() as folder:
        data, model = f"{folder}/data.h5", f"{folder}/model.h5"
        with h5py.File(data, "w") as file:
            file["samples"] = X
        words = f"--num_hiddens {N_HIDDEN} --gibbs_steps 1 --num_chains 100 --batch_size 100 --seed {seed} --device cpu"
        given = ["-d", data, "--test_dataset", data, "--filename", model, *words.split()]  # else it sets rows aside
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            train_rbm(match_args_dtype(vars(create_parser().parse_args(given))))
        with h5py.File(model) as file:
            found = file["update_10000/params"]
            return found["weight_matrix"][()].T, found["vbias"][()], found["hbias"][()]


# What it is called, how it trains, and the packages that it needs.
CONTENDERS = (
    ("Harmonium", by_harmonium, ()),
    ("scikit-learn", by_sklearn, ("sklearn",)),
    ("scikit-learn, as many steps as Harmonium", by_sklearn_long, ("sklearn",)),
    ("rbms, 1 sweep of 100 chains a step", by_rbms, ("rbms", "torch")),
    ("from scratch in NumPy", by_numpy, ()),
    ("from scratch in Keras", by_keras, ("keras", "tensorflow")),
)


def measure(fit, X, X_test):
    """Seconds and likelihoods of three seeds, and what two kinds of bad input do."""
    seconds, scores, alarms = [], [], 0
    for seed in SEEDS:
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            found = fit(X, seed)
        seconds.append(time.perf_counter() - start)
        alarms += sum(not issubclass(x.category, DeprecationWarning | FutureWarning) for x in heard)
        rbm = found if isinstance(found, harmonium.RBM) else harmonium.RBM(*found)
        scores.append(harmonium.log_likelihood(rbm, X_test).value)
    some = X[:N_BAD].astype(float)
    holes = some.copy()
    holes[::2, 0] = np.nan
    bad = {"bytes 0 to 255": what_happens(fit, 255 * some), "missing entries": what_happens(fit, holes)}
    return {"seconds": seconds, "test_log_likelihood": scores, "alarms": alarms, "bad_input": bad}


def what_happens(fit, X):
    """Whether a fit refuses, warns, trains soundly, or gives numbers that are none, without a word."""
    try:
        with warnings.catch_warnings(record=True) as heard, contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("always")
            found = fit(X, 0)
    except Exception as error:
        return f"refused: {error}"[:200]
    arrays = (found.W, found.b, found.c) if isinstance(found, harmonium.RBM) else found
    if not all(np.isfinite(x).all() for x in arrays):
        return "NaN, without a word" if not heard else "NaN, with a warning"
    return "a warning" if any("X" in str(x.message) or "255" in str(x.message) for x in heard) else "trained"


def main(file):
    data = harmonium.datasets.load("digits")
    X, X_test = ((x > 0.5).astype(np.uint8) for x in (np.concatenate([data.train, data.valid]), data.test))
    found, others = {}, Others()
    for name, fit, packages in CONTENDERS:
        if missing := [package for package in packages if not installed(package)]:
            found[name] = {"absent": f"{' and '.join(missing)} not installed"}
        else:
            versions = {package: version(packages_distributions()[package][0]) for package in packages}
            found[name] = {"versions": versions, **measure(fit, X, X_test)}
        print(name, found[name], file=sys.stderr)
    busy = others.cores()
    if busy is not None and busy > BUSY:  # what was taken beside other programs is no result
        found = {name: x if "absent" in x else {**x, "seconds": None} for name, x in found.items()}
    content = {
        "data": "digits, thresholded", "n_hidden": N_HIDDEN, "seeds": SEEDS, "date": date.today().isoformat(),
        "commit": commit(), "machine": describe_machine(), "threads": n_threads(), "found": found,
    }  # fmt: skip
    Path(file).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
