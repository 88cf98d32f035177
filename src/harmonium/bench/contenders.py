"""What is timed: each function returns a call that does one unit of work on fair coins or on real digits.

`floor` is the yardstick: the bare float32 products that every RBM built on a matrix-multiply library must do, through
NumPy's BLAS, without the sampling, the sums and the update that a real step needs as well.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.bench.digits import digits, trained_machine
from harmonium.chains.gibbs import GibbsState, step
from harmonium.engines import make_engine
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.training import Config, TrainingRun

Call = Callable[[], object]
ENDLESS = 10**6  # epochs of a run that is stopped by leaving it


@dataclass(frozen=True)
class Shape:
    """One setting of the benchmark: layer sizes, rows at a time, Gibbs sweeps a step, and "coins" or "digits"."""

    n_visible: int
    n_hidden: int
    batch: int
    sweeps: int = 1
    data: str = "coins"

    def rows(self, n: int | None = None) -> npt.NDArray[np.float32]:
        """Visible states, (n or batch, n_visible)."""
        return digits(self.n_visible, n or self.batch) if self.data == "digits" else self.binary(self.n_visible, n)

    def binary(self, n_units: int, rows: int | None = None, stream: int = 0) -> npt.NDArray[np.float32]:
        """Fair coins, (rows, n_units)."""
        coins = Key(1, stream).bits(rows or self.batch, n_units) >> np.uint32(31)
        return coins.astype(np.float32)

    def machine(self) -> RBM:
        """A machine trained on the digits, or for coins random weights of the size that training finds."""
        if self.data == "digits":
            return trained_machine(self.n_visible, self.n_hidden)
        return _random_machine(self.n_visible, self.n_hidden)


@functools.lru_cache(maxsize=1)
def _random_machine(n_visible: int, n_hidden: int) -> RBM:
    W = 0.1 * Key(2).normal(n_hidden, n_visible).astype(np.float32)
    return RBM(W, np.zeros(n_visible, np.float32), np.zeros(n_hidden, np.float32))


def cd_floor(shape: Shape) -> Call:
    """The products of a CD-k step: 2k + 1 between the layers, and two of the gradient."""
    W, v, h = shape.machine().W, shape.binary(shape.n_visible), shape.binary(shape.n_hidden)

    def products() -> None:
        for _ in range(shape.sweeps):
            v @ W.T
            h @ W
        v @ W.T
        h.T @ v
        h.T @ v

    return products


def training(
    shape: Shape, *, method: str = "cd", centered: bool = False, temperatures: int = 10, engine: str = "native"
) -> Call:
    """A step of training as `harmonium.train` does it: gathering, sampling, gradient, momentum, decay.

    It has as many chains as rows in a batch. Left as they are here the choices are plain CD-k, which is what the floor
    and the peers do.
    """
    chains: dict[str, Any] = {} if method == "cd" else {"chains": shape.batch}
    if method == "pt":
        chains["temperatures"] = temperatures
    config = Config(
        shape.n_hidden,
        method=method,
        centered=centered,
        **chains,
        batch_size=shape.batch,
        sweeps=shape.sweeps,
        epochs=ENDLESS,
        learning_rate=0.01,
        momentum=0.5,
        weight_decay=1e-4,
        engine=engine,
    )
    return _step_of(shape, config)


def default_training(shape: Shape) -> Call:
    """A step with every choice left to the library, whatever number of chains it takes."""
    return _step_of(shape, Config(shape.n_hidden, batch_size=shape.batch, epochs=ENDLESS))


def _step_of(shape: Shape, config: Config) -> Call:
    initial = shape.machine() if shape.data == "digits" else None
    steps = TrainingRun(shape.rows(max(2000, 4 * shape.batch)), config, initial=initial).steps()
    return lambda: next(steps)


def cd_numpy_naive(shape: Shape) -> Call:
    """CD-k as a user would write it in NumPy, in single precision."""
    machine, rng = shape.machine(), np.random.default_rng(0)
    W, b, c = machine.W.copy(), machine.b.copy(), machine.c.copy()
    X, rate = shape.binary(shape.n_visible), np.float32(0.01)

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    def draw(p: Any) -> Any:
        return (rng.random(p.shape, dtype=np.float32) < p).astype(np.float32)

    def cd() -> None:
        p0 = sigmoid(X @ W.T + c)
        h = draw(p0)
        for k in range(shape.sweeps):
            v = draw(sigmoid(h @ W + b))
            p = sigmoid(v @ W.T + c)
            if k < shape.sweeps - 1:
                h = draw(p)
        W[:] += rate * (p0.T @ X - p.T @ v) / len(X)
        b[:] += rate * (X - v).mean(axis=0)
        c[:] += rate * (p0 - p).mean(axis=0)

    return cd


def cd_sklearn(shape: Shape, dtype: type) -> Call:
    """``sklearn.neural_network.BernoulliRBM.fit`` for one pass over ten batches.

    It computes in single precision where the data have it; 0 and 1 as integers become double precision.
    """
    from sklearn.neural_network import BernoulliRBM

    X: npt.NDArray[Any] = shape.binary(shape.n_visible, 10 * shape.batch).astype(dtype)
    model = BernoulliRBM(shape.n_hidden, learning_rate=0.01, batch_size=shape.batch, n_iter=1, random_state=0)
    return lambda: model.fit(X)


def cd_torch(shape: Shape) -> Call:
    """CD-k in eager PyTorch."""
    import torch

    machine = shape.machine()
    W, b, c = (torch.tensor(x) for x in (machine.W, machine.b, machine.c))
    X = torch.tensor(shape.binary(shape.n_visible))

    def cd() -> None:
        with torch.inference_mode():
            p0 = torch.sigmoid(X @ W.T + c)
            h = torch.bernoulli(p0)
            for k in range(shape.sweeps):
                v = torch.bernoulli(torch.sigmoid(h @ W + b))
                p = torch.sigmoid(v @ W.T + c)
                if k < shape.sweeps - 1:
                    h = torch.bernoulli(p)
            W.add_((p0.T @ X - p.T @ v) / len(X), alpha=0.01)
            b.add_((X - v).mean(0), alpha=0.01)
            c.add_((p0 - p).mean(0), alpha=0.01)

    return cd


def cd_keras(shape: Shape) -> tuple[str, Call]:
    """CD-k by `harmonium.keras.RBM` on Keras' backend: the backend's name, and a call of ``train_on_batch``."""
    import keras

    from harmonium.keras import RBM as KerasRBM

    X = shape.binary(shape.n_visible)
    model = KerasRBM(shape.n_hidden, method="cd", sweeps=shape.sweeps, seed=0)
    model.compile(optimizer=keras.optimizers.SGD(0.01, momentum=0.5))
    return keras.backend.backend(), lambda: model.train_on_batch(X)


def gibbs_floor(shape: Shape) -> Call:
    """The two products of a Gibbs sweep."""
    W, v, h = shape.machine().W, shape.binary(shape.n_visible), shape.binary(shape.n_hidden)

    def products() -> None:
        v @ W.T
        h @ W

    return products


def gibbs_harmonium(shape: Shape, engine: str) -> Call:
    """One sweep of every chain, as `harmonium.sample` does it."""
    engine_ = make_engine(shape.machine(), engine)
    state, key = GibbsState(engine_.encode(shape.rows()), 0), Key(3)

    def sweep() -> None:
        nonlocal state
        state, _ = step(engine_, state, key)

    return sweep


def installed(name: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return importlib.util.find_spec(name) is not None
