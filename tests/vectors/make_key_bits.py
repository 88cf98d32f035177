"""Writes key_bits.csv from the plain implementation in the tests: ``python tests/vectors/make_key_bits.py``."""

import csv
import itertools
import sys
from pathlib import Path

here = Path(__file__).parent
sys.path.insert(0, str(here.parent))

from test_random import VECTORS, plain_bits  # noqa: E402

SEEDS = (0, 1, 2**32 - 1, 2**32, 0x0123456789ABCDEF, 2**64 - 1)
STREAMS_AND_STEPS = ((0, 0), (1, 0), (0, 1), (2, 1000), (2**32 - 1, 2**32 - 1))
ROWS_AND_COLUMNS = ((0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (99, 783), (2**32 - 1, 5))

with VECTORS.open("w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["seed", "stream", "step", "row", "column", "bits"])
    for seed, (stream, step), (row, column) in itertools.product(SEEDS, STREAMS_AND_STEPS, ROWS_AND_COLUMNS):
        bits = plain_bits(seed, stream, step, row, column)
        writer.writerow([seed, stream, step, row, column, f"0x{bits:08x}"])
