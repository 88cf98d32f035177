"""``harmonium transform``: data as seen by the hidden layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from harmonium import RBM, Key, datasets
from harmonium.cli.errors import options_named
from harmonium.cli.options import (
    DEFAULTS,
    Binarize,
    Data,
    Device,
    Engine,
    Json,
    Model,
    Seed,
    Split,
    engine_on,
    load_model,
    load_split,
)
from harmonium.cli.output import check_output, complain, emit
from harmonium.cli.reading import NOTHING_SAID, Reading, reads_data
from harmonium.datasets.writing import OUTPUTS, write_array
from harmonium.deep import Stack
from harmonium.inputs import check_matrix, missing_entries
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
    out: Annotated[Path, typer.Option(metavar="FILE", show_default=False, help="Where the result goes; see above.")],
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
    dataset, split, X = load_split(data, split, reading)
    with options_named(binarize="--binarize", seed="--seed", engine="--engine"):
        X = check_matrix(X, n_columns=rbm.n_visible, allow_nan=True)
        X = datasets.binarize(X, binarize, Key(seed).derive("binarize"), allow_nan=True)
        if missing_entries(X) is None:
            features = Stack((rbm,)).transform(X, engine=engine)
        else:
            features = _given_observed(rbm, X, seed, engine)
    write_array(out, features)
    result = {
        "out": str(out),
        "n_samples": len(features),
        "n_hidden": rbm.n_hidden,
        "data": dataset.name,
        "split": split,
        "binarize": binarize,
    }
    emit(result, result.items(), as_json=as_json)


def _given_observed(rbm: RBM, X: npt.NDArray[Any], seed: int, engine: str) -> npt.NDArray[np.float32]:
    """The expectation over what is missing too."""
    found = impute(rbm, X, seed=seed, engine=engine)
    if found.n_doubtful:
        complain("warning", f"the chains of {found.n_doubtful} rows have not come together.")
    return found.mean_h.astype(np.float32)
