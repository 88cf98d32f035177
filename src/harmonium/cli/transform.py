"""``harmonium transform``: data as seen by the hidden layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harmonium import Key, datasets
from harmonium.cli.errors import options_named
from harmonium.cli.options import DEFAULTS, Binarize, Data, Engine, Json, Model, Seed, Split, load_model, load_split
from harmonium.cli.output import check_output, emit, save_array
from harmonium.deep import Stack
from harmonium.inputs import check_matrix

HELP = """Turn data into hidden features.

Writes the expectation of the hidden units, E[h|v], for each sample of DATA: what a classifier can learn from.

\b
Example:
  harmonium transform runs/digits digits --split train --out features.npy

The result is an array of probabilities (float32) of shape (n_samples, n_hidden), in the order of the data.
"""


def command(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="FILE.npy", show_default=False, help="Where the result goes.")],
    split: Split = None,
    binarize: Binarize = DEFAULTS["binarize"],
    seed: Seed = DEFAULTS["seed"],
    engine: Engine = DEFAULTS["engine"],
    as_json: Json = False,
) -> None:
    """Transform, and write the result."""
    check_output(out, (".npy",), model, data)
    rbm = load_model(model)
    dataset, split, X = load_split(data, split)
    with options_named(convention="--binarize", seed="--seed", engine="--engine"):
        X = datasets.binarize(check_matrix(X, n_columns=rbm.n_visible), binarize, Key(seed).derive("binarize"))
        features = Stack((rbm,)).transform(X, engine=engine)
    save_array(out, features)
    result = {
        "out": str(out),
        "n_samples": len(features),
        "n_hidden": rbm.n_hidden,
        "data": dataset.name,
        "split": split,
        "convention": binarize,
    }
    emit(result, result.items(), as_json=as_json)
