"""``harmonium evaluate``: the scores of a machine on data."""

from __future__ import annotations

from harmonium import evaluate
from harmonium.cli.errors import options_named
from harmonium.cli.options import DEFAULTS, Binarize, Data, Engine, Json, Model, Seed, Split, load_model, load_split
from harmonium.cli.output import emit

HELP = """Score a machine on data.

Prints log Z, the log-likelihood, the pseudo-log-likelihood (nats per sample) and the reconstruction error.

\b
Examples:
  harmonium evaluate runs/digits digits
  harmonium evaluate model.safetensors data.npy --split train --json

A likelihood under one convention of --binarize cannot be compared with one under another; the result names it.
Where log Z is out of reach there is no likelihood, and the verdict says why.
"""


def command(
    model: Model,
    data: Data,
    split: Split = None,
    binarize: Binarize = DEFAULTS["binarize"],
    seed: Seed = DEFAULTS["seed"],
    engine: Engine = DEFAULTS["engine"],
    as_json: Json = False,
) -> None:
    """Evaluate, and print the scores."""
    rbm = load_model(model)
    dataset, split, X = load_split(data, split)
    with options_named(policy="--binarize", seed="--seed", engine="--engine"):
        found = evaluate(rbm, X, convention=binarize, seed=seed, engine=engine)
    log_z, likelihood = found.log_z, found.log_likelihood
    rows = [
        ("machine", f"{found.n_visible} visible, {found.n_hidden} hidden units"),
        ("data", f"{dataset.name}, {split}, {found.n_samples} samples"),
        ("convention", found.convention),
        ("log Z", _bracket(log_z.value, log_z.lower, log_z.upper)),
        ("log Z method", log_z.method),
        ("log Z verdict", log_z.verdict),
        ("log-likelihood", _bracket(likelihood.mean, likelihood.lower, likelihood.upper)),
        ("pseudo-log-likelihood", found.pseudo_log_likelihood),
        ("reconstruction error", found.reconstruction_error),
    ]
    emit(found.as_dict(), rows, as_json=as_json)


def _bracket(value: float | None, lower: float | None, upper: float | None) -> str | None:
    if value is None or lower is None or upper is None:
        return None
    return f"{value:.4f}" if lower == upper else f"{value:.4f} [{lower:.4f}, {upper:.4f}]"
