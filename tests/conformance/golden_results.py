"""Digests of the results of every public function, on each engine, as they were when they last changed on purpose.

Run as a script it writes `golden_results.json` anew: a change of bits is then a change of that file, to be explained.
Those of the native engine hold on every machine. Those of the NumPy engine are the BLAS library's, and hold where
`fingerprint` finds the library and the processor that they were made with.
"""

import contextlib
import hashlib
import json
from pathlib import Path

import numpy as np
import results
import scipy.special
from threadpoolctl import threadpool_limits

from harmonium.engines import ENGINES

FILE = Path(__file__).with_suffix(".json")


@contextlib.contextmanager
def default_engine(engine):
    """Every public function computes on this class of engines, unless it is told otherwise."""
    usual = ENGINES["native"]
    ENGINES["native"] = engine
    results.estimator.cache_clear()
    try:
        yield
    finally:
        ENGINES["native"] = usual
        results.estimator.cache_clear()


def fingerprint():
    """What the libraries' own functions give here."""
    x = np.random.default_rng(0).standard_normal((200, 200))
    y = x.astype(np.float32)
    found = [y @ y, y @ y[0], x @ x, x[0] @ x, scipy.special.expit(y), np.exp(x), np.log1p(x * x), np.linalg.svd(x)[1]]
    return hashlib.blake2b(b"".join(z.tobytes() for z in found), digest_size=8).hexdigest()


def digests_on(engine):
    with threadpool_limits(1, "blas"), default_engine(engine):
        return {"fingerprint": fingerprint(), **results.digests()}


if __name__ == "__main__":
    found = {name: digests_on(engine) for name, engine in ENGINES.items()}
    del found["native"]["fingerprint"]
    FILE.write_text(json.dumps(found, indent=1) + "\n")
