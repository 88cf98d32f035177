"""Digests of what the native engine computes, to be compared with those of the version that first computed it.

The inputs are made of integers and of Philox alone, so that they are the same numbers everywhere. Run as a script it
writes `golden_bits.json` anew, which a change of the kernels must not need.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from harmonium import RBM, Key
from harmonium.engines import NativeEngine, Offsets, Phase, Rates
from harmonium.engines._native import _kernels

FILE = Path(__file__).with_suffix(".json")

# name: (n_visible, n_hidden, rows, weights, share of units that are on)
CASES = {
    "coins": (784, 500, 100, "trained", 0.5),
    "digits": (784, 500, 100, "trained", 0.13),
    "few rows": (784, 500, 10, "trained", 0.13),
    "some rows": (300, 130, 30, "trained", 0.3),
    "small": (64, 256, 100, "trained", 0.5),
    "ragged": (129, 37, 130, "trained", 0.4),
    "more rows than a chunk": (130, 70, 700, "trained", 0.3),
    "one of each": (1, 1, 3, "trained", 0.5),
    "edges": (31, 65, 33, "trained", 0.5),
    "long sums": (4100, 40, 60, "trained", 0.5),
    "sums that fill their registers": (1100, 70, 40, "large", 1.0),
    "sums that fill them with few rows": (1100, 70, 5, "large", 1.0),
    "nothing on": (200, 90, 64, "trained", 0.0),
    "scales far apart": (150, 90, 65, "scaled", 0.5),
}


def machine(n_visible, n_hidden, kind):
    """Weights around zero; near the largest number of 24 bits, all of one sign in a unit; of many magnitudes."""
    uniform = Key(1).uniform(n_hidden, n_visible)
    W = uniform - 0.5
    if kind == "large":
        W = (0.5 + uniform / 2) * np.where(np.arange(n_visible) % 5 == 1, -1, 1)
    elif kind == "scaled":
        W = W * 2.0 ** -(np.arange(n_hidden)[:, None] % 7 * 3 + np.arange(n_visible) % 11)
    b, c = (Key(2, stream).uniform(1, n)[0] - 0.5 for stream, n in enumerate((n_visible, n_hidden)))
    return RBM(W, b, c)


def results(case):
    """Every array that the verbs give, one after the other."""
    n_visible, n_hidden, rows, kind, density = CASES[case]
    engine = NativeEngine(machine(n_visible, n_hidden, kind))
    key = Key(3, 1, 2, 5)
    v, h, other = (
        engine.encode(Key(4, stream).uniform(rows, n) < density)
        for stream, n in enumerate((n_visible, n_hidden, n_visible))
    )
    betas = 0.25 + np.arange(rows) / rows
    weights = 1.0 + np.arange(rows) % 3
    for beta in (1.0, 0.01, 40.0, betas):
        yield engine.sample_h(v, key, beta).words
        yield engine.sample_v(h, key, beta).words
    logits = engine.logits_h(v)
    mean_h, mean_other = engine.mean(logits), engine.mean(engine.logits_h(other))
    yield from (logits, engine.logits_v(h), mean_h, engine.softplus_sum(logits))
    yield engine.bernoulli(logits, key, betas).words
    yield engine.draw(mean_h, key).words
    for share in (None, weights):
        statistics = engine.moments(Phase(v, mean_h, share))
        yield from (statistics.hv, statistics.v, statistics.h)
    offsets = Offsets(np.full(n_visible, 0.25, np.float32), np.full(n_hidden, 0.5, np.float32))
    for rate, share, offset in ((0.01, None, None), (0.5, weights, None), (0.1, None, offsets)):
        phases = Phase(v, mean_h, share), Phase(other, mean_other)
        engine.ascend(*phases, Rates(rate, 0.5, 0.001), offset)
        yield from (engine.rbm.W, engine.rbm.b, engine.rbm.c, engine.velocity.W)
        v1 = engine.sample_v(engine.sample_h(v, key), key)
        yield from (v1.words, engine.logits_h(v1))


def digest(case):
    found = hashlib.blake2b(digest_size=8)
    for array in results(case):
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def noise_digest():
    words = [_kernels.random_bits((seed, 1, 2, row), rows, 75) for seed, row, rows in ((7, 0, 5), (2**63 + 9, 3, 8))]
    return hashlib.blake2b(b"".join(x.tobytes() for x in words), digest_size=8).hexdigest()


if __name__ == "__main__":
    digests = {case: digest(case) for case in CASES} | {"noise": noise_digest()}
    FILE.write_text(json.dumps(digests, indent=1) + "\n")
