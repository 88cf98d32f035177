"""The noise as a stream of bytes for a battery of tests, in an order in which the library uses it.

``python tests/randomness.py library | dieharder -g 200 -a``; the orders are those of `ORDERS`. TestU01's batteries read
the same by way of ``testu01.c`` (``make randomness``), and PractRand as ``| RNG_test stdin32``.
"""

import contextlib
import functools
import itertools
import os
import sys
import warnings

import numpy as np
from noise_ledger import Ledger, Repeated

import harmonium
from harmonium import RBM, Key
from harmonium.random import philox4x32

GREY = np.random.default_rng(0).random((400, 784)).astype(np.float32)
HOLES = np.where(np.random.default_rng(1).random((60, 784)) < 0.2, np.nan, GREY[:60] > 0.5)
MACHINE = RBM(0.05 * np.random.default_rng(2).standard_normal((12, 784)), np.zeros(784), np.zeros(12))


def uses():
    """The library's ways to draw, by the engine whose draws all pass through `Key`; each takes a seed."""
    common = {"engine": "numpy", "epochs": 2, "batch_size": 50}
    for method in ("cd", "pcd", "fpcd", "pt"):
        chains = {} if method == "cd" else {"chains": 60}
        ladder = {"temperatures": 5} if method == "pt" else {}
        restarts = {"restarts": 0.1} if method == "pcd" else {}
        options = {"method": method, **chains, **ladder, **restarts, **common}
        yield functools.partial(harmonium.train, GREY, 12, binarize="sample", **options)
        yield functools.partial(harmonium.train, HOLES, 12, **options)
    yield functools.partial(harmonium.sample, MACHINE, 100, sweeps=5, engine="numpy")
    yield functools.partial(harmonium.sample_tempered, MACHINE, 100, sweeps=5, temperatures=5, engine="numpy")
    yield functools.partial(harmonium.exact_sample, MACHINE, 1000, engine="numpy")
    yield functools.partial(harmonium.impute, MACHINE, HOLES, method="gibbs", chains=5, sweeps=5, engine="numpy")
    yield functools.partial(harmonium.log_partition, MACHINE, "ais", chains=50, temperatures=20, engine="numpy")
    yield functools.partial(harmonium.reconstruction_error, MACHINE, GREY > 0.5, engine="numpy")


def library():
    """Every word that `uses` draw, in the order in which they draw it, but for noise that a monitor takes once more."""
    drawn, ledger = [], Ledger()
    bits, uniform_at = Key.bits, Key.uniform_at

    def note(key, n_rows, words):
        with contextlib.suppress(Repeated):
            ledger.draw(key, n_rows, 1)
            drawn.append(words)

    def noted_bits(key, n_rows, n_columns):
        words = bits(key, n_rows, n_columns)
        note(key, n_rows, words)
        return words

    def noted_uniform_at(key, rows, columns):
        u = uniform_at(key, rows, columns)
        note(key, int(rows.max(initial=-1)) + 1, (u * 2.0**32 - 0.5).astype(np.uint32))
        return u

    Key.bits, Key.uniform_at = noted_bits, noted_uniform_at
    for seed, draw in enumerate(itertools.cycle(uses())):
        draw(seed=seed)
        yield from drawn
        drawn.clear()
        ledger.drawn.clear()


def steps(first, n):
    """``Key(4).at(step).bits(1, 4)`` for each of `n` steps."""
    counters = np.zeros((n, 4), np.uint32)
    counters[:, 2] = np.arange(first, first + n)
    return philox4x32(counters, 4)


# Each yields blocks whose numbers are written row after row.
ORDERS = {
    "library": library,
    # A batch of 100 rows of 784 units, step after step, both layers by turns: what a training run draws.
    "training": lambda: (Key(1).at(i // 2).on(i % 2).bits(100, (784, 500)[i % 2]) for i in itertools.count()),
    # One long row; and one column of many rows, as for chains of a single unit.
    "columns": lambda: (Key(2).at(i).bits(1, 2**20) for i in itertools.count()),
    "rows": lambda: (Key(3).at(i).bits(2**20, 1) for i in itertools.count()),
    # The first four numbers of one step after another; and more of neighbouring seeds, and of derived keys.
    "steps": lambda: (steps(i << 16, 1 << 16) for i in itertools.count()),
    "seeds": lambda: (Key(i).bits(4, 100) for i in itertools.count()),
    "derived": lambda: (Key(5).derive("chain", i).bits(4, 100) for i in itertools.count()),
}


def main(order: str) -> None:
    warnings.simplefilter("ignore")  # runs too short to be good ones say so
    out = sys.stdout.buffer
    try:
        for block in ORDERS[order]():
            out.write(block.astype("<u4").tobytes())
    except BrokenPipeError:
        os._exit(0)  # the tests have had enough


if __name__ == "__main__":
    main(*sys.argv[1:])
