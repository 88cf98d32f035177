"""``harmonium evaluate``: the scores of a machine on data."""

from __future__ import annotations

from typing import Annotated

import typer

from harmonium import evaluate
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
    Trajectory,
    alarms_of,
    engine_on,
    integer,
    load_model,
    load_split,
    load_trajectory,
    number_or_name,
)
from harmonium.cli.output import complain, emit
from harmonium.cli.progress import WorkProgress
from harmonium.cli.reading import NOTHING_SAID, Reading, reads_data
from harmonium.cli.words import nats
from harmonium.likelihood.conservative import ConservativeLogLikelihood
from harmonium.likelihood.estimate import Estimate

HELP = """Score a machine on data.

Prints log Z, the log-likelihood, the pseudo-log-likelihood (nats per sample) and the reconstruction error.

\b
Examples:
  harmonium evaluate run digits
  harmonium evaluate run digits --split train
  harmonium evaluate model.safetensors data.npy
  harmonium evaluate run mnist --conservative

A likelihood under one choice of --binarize cannot be compared with one under another; the result names it.
log Z is exact where that takes seconds, else a bracket of annealed importance sampling with a verdict: "ok", "wide"
(more than 1 nat) or "unreliable". --log-z tempered takes chains at many temperatures that exchange their states, with
a 95 % interval and the same verdicts: for machines whose bracket is unreliable. Where log Z is out of reach there is no
likelihood, and the verdict says why.
Rows with missing entries (NaN) are scored by the likelihood of what is observed in them.
"""

LogZ = Annotated[
    str,
    typer.Option(
        "--log-z", metavar="auto|exact|ais|tempered", help="How log Z is found; auto is exact where that is quick."
    ),
]
Chains = Annotated[
    int | None, integer("Annealed chains in each direction, or tempered ladders. [default: 500, or 100]")
]
Temperatures = Annotated[
    str, typer.Option(metavar="INTEGER|adaptive|salakhutdinov", help="How many, or as many as are needed, or 14,503.")
]

Conservative = Annotated[
    bool,
    typer.Option(
        "--conservative",
        help="Add the reverse annealed bound of --chains rows: it errs downwards on rows like the machine's own.",
    ),
]


@reads_data
def command(
    model: Model,
    data: Data,
    split: Split = None,
    binarize: Binarize = DEFAULTS["binarize"],
    log_z: LogZ = "auto",
    chains: Chains = None,
    temperatures: Temperatures = "adaptive",
    trajectory: Trajectory = None,
    conservative: Conservative = False,
    reading: Reading = NOTHING_SAID,
    seed: Seed = DEFAULTS["seed"],
    engine: Engine = DEFAULTS["engine"],
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Evaluate, and print the scores."""
    engine = engine_on(engine, device)
    rbm, alarms = load_model(model), alarms_of(model)
    dataset, split, X = load_split(data, split, reading)
    named = options_named("binarize", "log_z", "chains", "temperatures", "seed", "engine")
    with named, WorkProgress("log Z") as progress:
        found = evaluate(
            rbm,
            X,
            binarize=binarize,
            log_z=log_z,
            chains=chains,
            temperatures=number_or_name(temperatures),
            trajectory=load_trajectory(trajectory, log_z == "tempered", "--log-z tempered"),
            conservative=conservative,
            seed=seed,
            engine=engine,
            progress=progress,
        )
    z, likelihood = found.log_z, found.log_likelihood
    if likelihood.verdict == "unreliable":
        complain("warning", f"{likelihood.reason}.")
    rows = [
        ("machine", f"{found.n_visible} visible, {found.n_hidden} hidden units"),
        ("data", f"{dataset.name}, {split}, {found.n_samples:,} samples"),
        ("binarize", found.binarize),
        ("log Z (nats)", _bracket(z.value, z.lower, z.upper)),
        ("log Z method", _method(z)),
        ("log Z verdict", f"{z.verdict}: {z.reason}" if z.reason else z.verdict),
        ("log-likelihood (nats)", _bracket(likelihood.value, likelihood.lower, likelihood.upper)),
        *(
            [("of", f"what is observed, missing entries being summed out: {likelihood.n_missing:,}")]
            if likelihood.n_missing
            else []
        ),
        *(
            [("conservative bound (nats)", _bound(found.conservative, likelihood.n_missing or 0))]
            if found.conservative
            else []
        ),
        *(("alarm of the run", alarm) for alarm in alarms),
        ("pseudo-log-likelihood (nats)", nats(found.pseudo_log_likelihood)),
        ("reconstruction error a unit", found.reconstruction_error),
    ]
    emit(found.as_dict() | ({"alarms": alarms} if alarms else {}), rows, as_json=as_json)


def _method(z: Estimate) -> str:
    if z.method == "tempered":
        return f"tempered, {z.n_chains} ladders"
    return z.method if z.ess is None else f"{z.method}, ESS {z.ess:.0f}/{z.n_chains}, from {z.start}"


def _bound(found: ConservativeLogLikelihood, n_missing: int) -> str:
    rows = "complete samples" if n_missing else "samples"
    if found.n_samples == 1:
        return f"{nats(found.mean)}, of a single one of the {rows}, which tells no error"
    return f"{nats(found.mean)} \N{PLUS-MINUS SIGN} {nats(found.standard_error)}, of {found.n_samples:,} {rows}"


def _bracket(value: float | None, lower: float | None, upper: float | None) -> str | None:
    if value is None or lower is None or upper is None:
        return None
    return nats(value) if lower == upper else f"{nats(value)} [{nats(lower)}, {nats(upper)}]"
