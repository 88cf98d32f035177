"""``harmonium impute``: probabilities of what is missing, given what is observed."""

from __future__ import annotations

import inspect
import io
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from harmonium import Key, datasets
from harmonium.cli.errors import options_named
from harmonium.cli.options import (
    DEFAULTS,
    Binarize,
    Data,
    Engine,
    Json,
    Model,
    Seed,
    Split,
    integer,
    load_model,
    load_split,
)
from harmonium.cli.output import check_output, complain, emit, save_array
from harmonium.inputs import check_matrix
from harmonium.io import atomic_write
from harmonium.sampling.conditional import impute

HELP = """Fill in what is missing.

Writes DATA with each missing entry, which is NaN, replaced by its probability to be 1 given the observed ones.

\b
Examples:
  harmonium impute runs/digits holes.npy --out filled.npy
  harmonium impute runs/digits holes.csv --sweeps 1000 --out filled.npz

Small machines and few holes are summed up exactly; else chains of Gibbs sampling are averaged. Rows whose chains have
not come together (R-hat above 1.1) are counted as doubtful: raise --sweeps.
The result is an array (float32) of the shape of the data. A .npz file holds it as X, and beside it standard_error,
which is zero where nothing was missing or the sum is exact. "harmonium train" learns from data with holes.
"""

_SETTINGS = {name: x.default for name, x in inspect.signature(impute).parameters.items()}


def command(
    model: Model,
    data: Data,
    out: Annotated[
        Path, typer.Option(metavar="FILE", show_default=False, help="Where the result goes: .npy, or .npz.")
    ],
    split: Split = None,
    binarize: Binarize = DEFAULTS["binarize"],
    method: Annotated[
        str, typer.Option(metavar="auto|exact|gibbs", help="Sums or chains; auto is exact where that is quick.")
    ] = _SETTINGS["method"],
    chains: Annotated[int, integer("Chains a row.")] = _SETTINGS["chains"],
    burn_in: Annotated[int, integer("Sweeps of a chain before it counts.")] = _SETTINGS["burn_in"],
    sweeps: Annotated[int, integer("Sweeps of a chain that count.")] = _SETTINGS["sweeps"],
    seed: Seed = DEFAULTS["seed"],
    engine: Engine = DEFAULTS["engine"],
    as_json: Json = False,
) -> None:
    """Impute, and write the result."""
    check_output(out, (".npy", ".npz"), model, data)
    rbm = load_model(model)
    dataset, split, X = load_split(data, split, allow_nan=True)
    names = {name: "--" + name.replace("_", "-") for name in _SETTINGS}
    with options_named(convention="--binarize", **names):
        X = check_matrix(X, n_columns=rbm.n_visible, allow_nan=True)
        X = datasets.binarize(X, binarize, Key(seed).derive("binarize"), allow_nan=True)
        found = impute(rbm, X, method=method, chains=chains, burn_in=burn_in, sweeps=sweeps, seed=seed, engine=engine)
    if found.n_doubtful:
        complain("warning", f"the chains of {found.n_doubtful} rows have not come together. Raise --sweeps.")
    mean, standard_error = (x.astype(np.float32) for x in (found.mean, found.standard_error))
    if out.suffix.lower() == ".npy":
        save_array(out, mean)
    else:
        buffer = io.BytesIO()
        np.savez(buffer, X=mean, standard_error=standard_error)
        atomic_write(out, buffer.getvalue())
    result = {
        "out": str(out),
        "n_samples": len(X),
        "n_visible": rbm.n_visible,
        "n_missing": int(np.isnan(X).sum()),
        "n_exact_rows": int(found.exact.sum()),
        "n_doubtful_rows": found.n_doubtful,
        "largest_standard_error": float(found.standard_error.max()),
        "data": dataset.name,
        "split": split,
        "convention": binarize,
    }
    emit(result, result.items(), as_json=as_json)
