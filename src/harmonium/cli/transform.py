"""``harmonium transform``: data as seen by the hidden layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium import RBM
from harmonium.cli.errors import options_named
from harmonium.cli.options import (
    DEFAULTS,
    Binarize,
    Data,
    Device,
    Engine,
    Json,
    Model,
    Out,
    Seed,
    Split,
    engine_on,
    load_model,
    load_states,
)
from harmonium.cli.output import check_output, complain, emit
from harmonium.cli.reading import NOTHING_SAID, Reading, reads_data
from harmonium.datasets.writing import OUTPUTS, write_array
from harmonium.deep import Stack
from harmonium.inputs import missing_entries
from harmonium.sampling.conditional import impute

HELP = """Turn data into hidden features.

Writes the expectation of the hidden units, E[h|v], for each sample of DATA: what a classifier can learn from. Where
entries are missing it is the expectation given those that are observed.

\b
Example:
  harmonium transform run digits --split train \\
    --out features.npy

The result is an array of probabilities (float32) of shape (n_samples, n_hidden), in the order of the data, in a file
that ends in .npy, .npz, .csv, .csv.gz, .tsv, .mat, .h5, .parquet or .feather.
"""


@reads_data
def command(
    model: Model,
    data: Data,
    out: Out,
    split: Split = None,
    binarize: Binarize = DEFAULTS["binarize"],
    reading: Reading = NOTHING_SAID,
    seed: Seed = DEFAULTS["seed"],
    engine: Engine = DEFAULTS["engine"],
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Transform, and write the result."""
    engine = engine_on(engine, device)
    check_output(out, OUTPUTS, model, data)
    rbm = load_model(model)
    X, origin = load_states(rbm, data, split, reading, binarize, seed)
    with options_named("seed", "engine"):
        if missing_entries(X) is None:
            features = Stack((rbm,)).transform(X, engine=engine)
        else:
            features = _given_observed(rbm, X, seed, engine)
    write_array(out, features)
    result = {"out": str(out), "n_samples": len(features), "n_hidden": rbm.n_hidden, **origin}
    emit(result, result.items(), as_json=as_json)


def _given_observed(rbm: RBM, X: npt.NDArray[Any], seed: int, engine: str) -> npt.NDArray[np.float32]:
    """The expectation over what is missing too."""
    found = impute(rbm, X, seed=seed, engine=engine)
    if found.n_doubtful:
        complain("warning", f"the chains of {found.n_doubtful} rows have not come together.")
    return found.mean_h.astype(np.float32)
