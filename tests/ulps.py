"""sigma, softplus and log-sum-exp of every engine in units in the last place: ``python tests/ulps.py [COUNT]``.

The inputs are all finite float16 and COUNT float32 numbers (10,000,000 if left out), spread over all exponents and both
signs, and beside them the double functions of `harmonium.engines.arithmetic` on as many doubles. The yardstick is
NumPy's long double, eleven bits longer than a double on x86-64, which is itself measured against mpmath with 200 bits.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from harmonium import RBM
from harmonium.engines import ENGINES, NAMES, arithmetic, make_engine
from harmonium.special import softplus

Array = np.ndarray[Any, Any]
PLAIN = RBM(np.zeros((1, 1)), [0.0], [0.0])
PIECE = 100_000
TINY = 2.0**-125  # below, the native kernels stay at exp(-87), which is no larger
UNITS = "ulps, and the error of tiny results"

mpmath.mp.prec = 200


def float16() -> Array:
    """All finite ones."""
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    return x[np.isfinite(x)]


def float32(count: int, seed: int = 0) -> Array:
    """Half of them with equally many for each exponent, half where the functions bend, from -110 to 110."""
    rng = np.random.default_rng(seed)
    bits = (
        rng.integers(0, 255 << 23, count // 2, dtype=np.uint32) | rng.integers(0, 2, count // 2, dtype=np.uint32) << 31
    )
    return np.concatenate([bits.view(np.float32), rng.uniform(-110, 110, count - count // 2).astype(np.float32)])


def long_sigma(x: Array) -> Array:
    e = np.exp(-np.abs(x.astype(np.longdouble)))
    return np.where(x >= 0, 1, e) / (1 + e)


def long_softplus(x: Array) -> Array:
    x = x.astype(np.longdouble)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def true_sigma(x: float) -> Any:
    return 1 / (1 + mpmath.exp(-mpmath.mpf(x)))


def true_softplus(x: float) -> Any:
    x = mpmath.mpf(x)
    return max(x, mpmath.mpf(0)) + mpmath.log1p(mpmath.exp(-abs(x)))


def true_log_sum_exp(x: Array) -> Any:
    return mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(float(value))) for value in x))


def to_long(x: Any) -> np.longdouble:
    return np.longdouble(mpmath.nstr(x, 30)) if x > mpmath.mpf("1e-4000") else np.longdouble(0)


def errors(got: Array, expected: Array, unit: type = np.float32) -> tuple[float, float]:
    """The largest error in units in the last place of a type where the result is above TINY, and the largest one below;
    infinite if one is not finite."""
    if not np.isfinite(got).all():
        return float("inf"), float("inf")
    off, large = np.abs(got - expected), np.abs(expected) >= TINY
    spacing = np.spacing(np.abs(expected[large]).astype(unit)).astype(np.longdouble)
    return float((off[large] / spacing).max(initial=0)), float(off[~large].max(initial=0))


def in_pieces(
    function: Callable[[Array], Array], reference: Callable[[Array], Array], x: Array, unit: type = np.float32
) -> tuple[float, float]:
    pieces = [x[i : i + PIECE] for i in range(0, len(x), PIECE)]
    found = np.max([errors(function(piece), reference(piece), unit) for piece in pieces], axis=0)
    return float(found[0]), float(found[1])


def yardstick(x: Array) -> dict[str, float]:
    """How far the long doubles are from mpmath, in units of a double: less than a hundredth."""
    pairs = {"sigma": (long_sigma, true_sigma), "softplus": (long_softplus, true_softplus)}
    found = {}
    for name, (function, true) in pairs.items():
        expected = np.array([to_long(true(float(value))) for value in x])
        large = expected >= TINY
        spacing = np.spacing(expected[large].astype(np.float64)).astype(np.longdouble)
        found[name] = float((np.abs(function(x)[large] - expected[large]) / spacing).max())
    return found


def of_engine(name: str, x: Array) -> dict[str, tuple[float, float]]:
    """`mean` and `softplus_sum` of one unit, both in units of a float32."""
    engine = make_engine(PLAIN, name)

    def mean(piece: Array) -> Array:
        return engine.to_numpy(engine.mean(engine.encode(piece[:, None], real=True))).ravel()

    def softplus_sum(piece: Array) -> Array:
        return np.asarray(engine.softplus_sum(engine.encode(piece[:, None], real=True)))

    return {
        "sigma": in_pieces(mean, long_sigma, x.astype(np.float32)),
        "softplus": in_pieces(softplus_sum, long_softplus, x.astype(np.float32)),
    }


def of_doubles(x: Array) -> dict[str, tuple[float, float]]:
    """The double functions that scores and log Z are made of."""
    x = x.astype(np.float64)
    return {
        "sigma": in_pieces(arithmetic.logistic, long_sigma, x, np.float64),
        "softplus": in_pieces(arithmetic.softplus, long_softplus, x, np.float64),
        "softplus of the machine on paper": in_pieces(softplus, long_softplus, x, np.float64),
    }


def log_sum_exps(count: int, seed: int = 0) -> float:
    """Of 2 to 40 terms of all sizes, in units of the last place of the larger of the result and the largest term."""
    rng, worst = np.random.default_rng(seed), 0.0
    for _ in range(count):
        x = rng.normal(0, 10.0 ** rng.uniform(-3, 30), rng.integers(2, 41)) + rng.choice([0, -700, 700])
        error = abs(mpmath.mpf(arithmetic.log_sum_exp(x)) - true_log_sum_exp(x))
        worst = max(worst, float(error / np.spacing(max(abs(x.max()), abs(float(true_log_sum_exp(x))), 1))))
    return worst


def main(count: str = "10000000") -> None:
    every, many = float16(), float32(int(count))
    print(json.dumps({"yardstick": yardstick(np.concatenate([every, many[:: max(1, len(many) // 20_000)]]))}))
    for name in NAMES if importlib.util.find_spec("torch") else ENGINES:
        for kind, x in {"float16": every, "float32": many}.items():
            found = {"engine": name, "inputs": kind, "n": len(x), UNITS: of_engine(name, x)}
            print(json.dumps(found), flush=True)
    print(json.dumps({"arithmetic": "float64", "n": len(many), UNITS: of_doubles(many)}))
    print(json.dumps({"log_sum_exp": 2000, "ulps": log_sum_exps(2000)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
