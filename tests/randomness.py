"""The noise as a stream of bytes for a battery of tests, in an order in which the library uses it.

``python tests/randomness.py columns | dieharder -g 200 -a``; the orders are those of `ORDERS`. PractRand takes the same
(``| RNG_test stdin32``).
"""

import itertools
import os
import sys

from harmonium import Key

# Each yields blocks whose numbers are written row after row.
ORDERS = {
    # A batch of 100 rows of 784 units, step after step, both layers by turns: what a training run draws.
    "training": lambda: (Key(1).at(i // 2).on(i % 2).bits(100, (784, 500)[i % 2]) for i in itertools.count()),
    # One long row; and one column of many rows, as for chains of a single unit.
    "columns": lambda: (Key(2).at(i).bits(1, 2**20) for i in itertools.count()),
    "rows": lambda: (Key(3).at(i).bits(2**20, 1) for i in itertools.count()),
    # The first four numbers of one step after another, of neighbouring seeds, and of derived keys.
    "steps": lambda: (Key(4 + (i >> 32)).at(i % 2**32).bits(1, 4) for i in itertools.count()),
    "seeds": lambda: (Key(i).bits(1, 4) for i in itertools.count()),
    "derived": lambda: (Key(5).derive("chain", i).bits(1, 4) for i in itertools.count()),
}


def main(order: str) -> None:
    out = sys.stdout.buffer
    try:
        for block in ORDERS[order]():
            out.write(block.astype("<u4").tobytes())
    except BrokenPipeError:
        os._exit(0)  # the tests have had enough


if __name__ == "__main__":
    main(*sys.argv[1:])
