"""``harmonium impute``: probabilities of what is missing, given what is observed."""

from __future__ import annotations

import inspect
from typing import Annotated

import numpy as np
import typer

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
    integer,
    load_model,
    load_states,
)
from harmonium.cli.output import check_output, complain, emit
from harmonium.cli.reading import NOTHING_SAID, Reading, reads_data
from harmonium.datasets.writing import OUTPUTS, write_array
from harmonium.sampling.conditional import impute

HELP = """Fill in what is missing.

Writes DATA with each missing entry, which is NaN, replaced by its probability to be 1 given the observed ones.

\b
Examples:
  harmonium impute run holes.csv --out full.csv
  harmonium impute run holes.npy --sweeps 1000 \\
    --out filled.npz

Small machines and few holes are summed up exactly; else chains of Gibbs sampling are averaged. Rows whose chains have
not come together (R-hat above 1.1) are counted as doubtful: raise --sweeps.
The result is an array (float32) of the shape of the data, in a file that ends in .npy, .npz, .csv, .csv.gz, .tsv,
.mat, .h5, .parquet or .feather. In .npz, .mat and .h5 it is called X, and beside it is standard_error, which is zero
where nothing was missing or the sum is exact. "harmonium train" learns from data with holes;
docs/tutorials/completing.md makes holes.npy.
"""

_SETTINGS = {name: x.default for name, x in inspect.signature(impute).parameters.items()}


@reads_data
def command(
    model: Model,
    data: Data,
    out: Out,
    split: Split = None,
    binarize: Binarize = DEFAULTS["binarize"],
    method: Annotated[
        str, typer.Option(metavar="auto|exact|gibbs", help="Sums or chains; auto is exact where that is quick.")
    ] = _SETTINGS["method"],
    chains: Annotated[int, integer("Chains a row.")] = _SETTINGS["chains"],
    burn_in: Annotated[int, integer("Sweeps of a chain before it counts.")] = _SETTINGS["burn_in"],
    sweeps: Annotated[int, integer("Sweeps of a chain that count.")] = _SETTINGS["sweeps"],
    reading: Reading = NOTHING_SAID,
    seed: Seed = DEFAULTS["seed"],
    engine: Engine = DEFAULTS["engine"],
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Impute, and write the result."""
    engine = engine_on(engine, device)
    check_output(out, OUTPUTS, model, data)
    rbm = load_model(model)
    X, origin = load_states(rbm, data, split, reading, binarize, seed)
    with options_named(*_SETTINGS):
        found = impute(rbm, X, method=method, chains=chains, burn_in=burn_in, sweeps=sweeps, seed=seed, engine=engine)
    if found.n_doubtful:
        what = "have not come together. Raise --sweeps" if chains > 1 else "cannot be compared. Raise --chains"
        complain("warning", f"the chains of {found.n_doubtful} rows {what}.")
    mean, standard_error = (x.astype(np.float32) for x in (found.mean, found.standard_error))
    write_array(out, mean, standard_error=standard_error)
    result = {
        "out": str(out),
        "n_samples": len(X),
        "n_visible": rbm.n_visible,
        "n_missing": int(np.isnan(X).sum()),
        "n_exact_rows": int(found.exact.sum()),
        "n_doubtful_rows": found.n_doubtful,
        "largest_standard_error": float(found.standard_error.max()),
        **origin,
    }
    emit(result, result.items(), as_json=as_json)
