"""The threshold probe: decisions whose noise is known before an engine draws.

Noise is a pure function of its key, so u is known: logits are set so that p stands just above or just below u in every
cell at once, and every single decision is demanded. A wrong beta, stream, step, row, weight or comparison flips a large
share of them.
"""

import numpy as np
from oracles import dyadic_parameters, logistic, logit, random_states

from harmonium import RBM

# How far p may be from u for a decision to be demanded. It bounds the bias of any coin an engine flips.
DIRECT, THROUGH_WEIGHTS = 1e-6, 2e-5


def sides(u, gap):
    """The two targets of a probe: p above u and below it, which cells are clear of 0 and 1, and the states expected."""
    for sign in (1, -1):
        p = u + sign * gap
        clear = (p > gap) & (p < 1 - gap)
        yield np.where(clear, p, 0.5), clear, sign > 0


def probe_bernoulli(engine, n_rows, n_columns, key, beta):
    """Every decision of `bernoulli` just above and just below its threshold; returns the number of wrong ones."""
    u, wrong = key.uniform(n_rows, n_columns), 0
    for p, clear, on in sides(u, DIRECT):
        with np.errstate(divide="ignore"):
            logits = (logit(p) / np.reshape(beta, (-1, 1))).astype(np.float32)
        got = engine.decode(engine.bernoulli(logits, key, beta))
        assert got.shape == u.shape
        wrong += np.count_nonzero(clear & (got != on))
    return wrong


def probe_sample(engine_class, layer, n_rows, n_units, key, beta):
    """Every decision of `sample_h` or `sample_v`: row r of one-hot states selects weights made for that row's noise."""
    u, wrong = key.uniform(n_rows, n_units), 0
    for p, clear, on in sides(u, THROUGH_WEIGHTS):
        logits = logit(p) / np.reshape(beta, (-1, 1))
        bias = np.round(logits.mean(axis=0)) + 3
        selected = logits - bias
        if layer == "h":
            engine = engine_class(RBM(selected.T, np.zeros(n_rows), bias))
            states = engine.sample_h(engine.encode(np.eye(n_rows)), key, beta)
        else:
            engine = engine_class(RBM(selected, bias, np.zeros(n_rows)))
            states = engine.sample_v(engine.encode(np.eye(n_rows)), key, beta)
        wrong += np.count_nonzero(clear & (engine.decode(states) != on))
    return wrong


def probe_dyadic(engine_class, layer, n_rows, n_hidden, n_visible, key, beta):
    """States sampled by a machine whose logits are exact, against float64; returns the number of wrong decisions."""
    W, b, c = dyadic_parameters(n_hidden, n_visible)
    engine = engine_class(RBM(W, b, c))
    if layer == "h":
        x = random_states(n_rows, n_visible)
        logits, states = x @ W.T + c, engine.sample_h(engine.encode(x), key, beta)
    else:
        x = random_states(n_rows, n_hidden)
        logits, states = x @ W + b, engine.sample_v(engine.encode(x), key, beta)
    u, p = key.uniform(*logits.shape), logistic(np.reshape(beta, (-1, 1)) * logits)
    return np.count_nonzero((np.abs(u - p) > DIRECT) & (engine.decode(states) != (u < p)))
