"""How often the bracket covers the exact log Z, over many seeds, machines and starts; and what the verdicts are worth.

python benchmarks/bracket_coverage.py [runs a case, 50 by default]

Digits machines from weakly to far too strongly trained, and machines made to mislead: modes that annealing misses,
first-order transitions. A wrong "ok" is a bracket with that verdict that does not cover; 5 % are allowed for.
"""

import sys
import time
from collections import Counter

import numpy as np

import harmonium
from harmonium import RBM, log_partition

DIGITS = harmonium.datasets.load("digits").train > 0.5


def trained(n_hidden, epochs, learning_rate, method="pcd", X=DIGITS):
    return harmonium.train(
        X, n_hidden, epochs=epochs, learning_rate=learning_rate, method=method, weight_decay=0.0, seed=n_hidden
    ).rbm


def scaled(rbm, factor):
    return RBM(factor * rbm.W, factor * rbm.b, factor * rbm.c)


def bars_and_stripes(size=4):
    bits = (np.arange(2**size)[:, None] >> np.arange(size)) & 1
    rows = np.concatenate([np.tile(bits, (1, size)), np.repeat(bits, size, axis=1)])
    return np.repeat(np.unique(rows, axis=0), 20, axis=0)


def ferromagnet(coupling, field, n_hidden=12, n_visible=60):
    rng = np.random.default_rng(0)
    v, h = rng.choice([-1.0, 1.0], n_visible), rng.choice([-1.0, 1.0], n_hidden)
    return RBM(4 * coupling * np.outer(h, v), 2 * (field - coupling * h.sum()) * v, -2 * coupling * v.sum() * h)


def holes(number, log_share, n_hidden=14, n_visible=60):
    """Patterns that one hidden unit each holds, with masses e^log_share times that of all the rest."""
    rng = np.random.default_rng(0)
    W, b, c = rng.normal(0, 0.2, (n_hidden, n_visible)), rng.normal(0, 0.3, n_visible), np.zeros(n_hidden)
    W[:number] = 5 * rng.choice([-1, 1], (number, n_visible))
    rest = log_partition(RBM(W[number:], b, c[number:])).value
    for i in range(number):
        c[i] = log_share + rest - log_partition(RBM(W[number:], b + W[i], c[number:])).value
    return RBM(W, b, c)


def cases():
    yield "digits 12, 2 epochs", trained(12, 2, 0.05), DIGITS
    yield "digits 16, 30 epochs", trained(16, 30, 0.1), DIGITS
    yield "digits 20, 300 epochs", trained(20, 300, 0.2), DIGITS
    yield "digits 18, CD-1, rate 1", trained(18, 500, 1.0, "cd"), DIGITS
    yield "digits 16, CD-1, rate 5", trained(16, 300, 5.0, "cd"), DIGITS
    yield "the one of 20, times 2", scaled(trained(20, 300, 0.2), 2), DIGITS
    X = bars_and_stripes()
    yield "bars and stripes, CD-1", trained(12, 1500, 0.2, "cd", X), X
    for coupling, field in ((0.05, 0.0), (0.1, 0.0), (0.1, 0.02), (0.3, 0.05)):
        yield f"ferromagnet {coupling}, {field}", ferromagnet(coupling, field), None
    for number in (1, 10):
        for log_share in (-2, 0, 3):
            yield f"{number} holes, log share {log_share}", holes(number, log_share), None


def main(runs=50):
    total = Counter()
    print(f"{'machine':28} start  data  covered   ok wide unreliable  wrong ok  width  seconds")
    for name, rbm, X in cases():
        exact = log_partition(rbm).value
        for start in ("exact", "chains"):
            for data in [None] if X is None else [None, X]:
                begin, verdicts, covered, wrong, widths = time.perf_counter(), Counter(), 0, 0, []
                for seed in range(runs):
                    found = log_partition(rbm, "ais", start=start, X=data, seed=seed)
                    covers = found.value is not None and found.lower <= exact <= found.upper
                    verdicts[found.verdict] += 1
                    covered, wrong = covered + covers, wrong + (found.verdict == "ok" and not covers)
                    widths.append(found.upper - found.lower if found.value is not None else np.inf)
                seconds = (time.perf_counter() - begin) / runs
                counts = [verdicts[x] for x in ("ok", "wide", "unreliable")]
                total += Counter(runs=runs, ok=counts[0], wrong=wrong, covered=covered)
                print(
                    f"{name:28} {start:6} {'yes' if data is not None else '-':4} {covered:5}/{runs} "
                    f"{counts[0]:4} {counts[1]:4} {counts[2]:10} {wrong:9} {np.median(widths):6.2f} {seconds:8.2f}",
                    flush=True,
                )
    share = total["wrong"] / max(total["ok"], 1)
    print(f"{total['runs']} runs, {total['ok']} ok, of which {total['wrong']} do not cover ({share:.1%})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
