"""How a gradient becomes a step: the centred gradient and fast weights, (34) and (35) of the page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harmonium.engines import Offsets
from harmonium.rbm import RBM
from harmonium.training import Config, TrainingRun
from harmonium.verify.check import DIFFERENCES, SINGLE, Check, compare
from harmonium.verify.counting import Array, Counted, number, slopes
from harmonium.verify.machines import data, machine, parameters


def checks(engines: tuple[str, ...]) -> Iterator[Check]:
    """Centring by finite differences in its own coordinates; fast weights by their recursion."""
    rbm, _ = machine()
    X = data(rbm.n_visible)
    yield _centred(rbm, X)
    for engine in engines:
        yield _fast_weights(rbm, X, engine)


def _centred(rbm: RBM, X: Array) -> Check:
    """dL/dW with the biases b0, c0 at the offsets held, which in W, b and c moves b and c too."""
    W, b, c = parameters()
    mu, lam = np.linspace(0.25, 0.75, len(b)), np.linspace(1, 0, len(c))

    def mean_log_likelihood(W: Array, b0: Array, c0: Array) -> float:
        return float(np.log(Counted(W, b0 - lam @ W, c0 - W @ mu).p_v[number(X)]).mean())

    expected = slopes(mean_log_likelihood, (W, b + lam @ W, c + W @ mu))
    found = Offsets(mu, lam).centre(rbm.log_likelihood_gradient(X))
    return compare("(34)", "engines.Offsets.centre", tuple(found), expected, tolerance=DIFFERENCES)


def _fast_weights(rbm: RBM, X: Array, engine: str) -> Check:
    """A run of eight plain steps: what W, b and c gain in each is the learning rate times its gradient."""
    config = Config(
        rbm.n_hidden, method="fpcd", chains=10, batch_size=len(X), epochs=8, learning_rate=0.25, schedule="constant",
        momentum=0.0, weight_decay=0.0, centered=False, engine=engine,
    )  # fmt: skip
    run = TrainingRun(X, config, initial=rbm)
    slow, fast = run.rbm, [np.zeros_like(x) for x in parameters()]
    for _ in run.steps():
        gains = (getattr(run.rbm, name) - getattr(slow, name) for name in "Wbc")
        slow, fast = run.rbm, [19 / 20 * x + gain for x, gain in zip(fast, gains, strict=True)]
    found = tuple(run.state.extras[f"fast.{name}"] for name in "Wbc")
    return compare("(35)", "training.negative.FastWeights", found, tuple(fast), engine=engine, tolerance=SINGLE)
