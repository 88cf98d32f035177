"""How a gradient becomes a step: the centred gradient and fast weights, (34) and (35) of the page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harmonium.engines import Offsets, Phase, make_engine
from harmonium.random import Key
from harmonium.rbm import RBM, Statistics
from harmonium.training import Config
from harmonium.training.estimators import make_estimator
from harmonium.training.negative import Negative
from harmonium.verify.check import DIFFERENCES, SINGLE, Check, compare
from harmonium.verify.counting import Array, Counted, number, slopes, subtract
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


def _fast_weights(rbm: RBM, X: Array, name: str) -> Check:
    """Three steps along a gradient that stays: fast = g (1 + 19/20 + (19/20)**2) times the learning rate."""
    engine = make_engine(rbm, name)
    config = Config(rbm.n_hidden, method="fpcd", chains=len(X), learning_rate=0.25)
    first = (Key(2026).derive("verify fast").uniform(len(X), rbm.n_hidden) < 0.5).astype(np.uint8)
    estimator = make_estimator(config, Key(2026), engine, X.mean(axis=0), len(X), {"chains": first})
    other = 1 - X
    phases = [Phase(v, engine.mean(engine.logits_h(v))) for v in (engine.encode(X), engine.encode(other))]
    for _ in range(3):
        estimator.learn(engine, phases[0], Negative(phases[1]), 0.125)
    kept = estimator.arrays(engine)
    found = tuple(kept[f"fast.{part}"] for part in "Wbc")
    counted = Counted(*parameters())
    slow = subtract(counted.moments_of(counted.law_of(X)), counted.moments_of(counted.law_of(other)))
    forgotten = 0.25 * (1 + 19 / 20 + (19 / 20) ** 2)
    expected = Statistics(*(forgotten * part for part in slow))
    return compare("(35)", "training.negative.FastWeights", found, tuple(expected), engine=name, tolerance=SINGLE)
