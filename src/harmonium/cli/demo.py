"""``harmonium demo``: from nothing to pictures of a trained machine in one command."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harmonium import Config, TrainingResult, TrainingRun, datasets
from harmonium.cli.errors import options_named
from harmonium.cli.options import DATA_HELP, DEFAULTS, Engine, Json, Seed
from harmonium.cli.output import complain, emit
from harmonium.cli.progress import TrainingProgress
from harmonium.inputs import check_count

HELP = """Train on real digits, score held-out ones, and draw what was learnt.

Writes filters.png, samples.png, reconstructions.png, curves.png, model.safetensors and, with all of these and the
method, index.html, which needs no other file.

\b
Examples:
  harmonium demo
  harmonium demo --data digits --hidden 64 --epochs 300 --out digits-demo
"""

_NOTE = "The default settings were chosen on the valid split of mnist-5k; no test split was looked at for them."


def command(
    data: Annotated[str, typer.Option(metavar="DATA", help=DATA_HELP)] = "mnist-5k",
    out: Annotated[Path, typer.Option(metavar="DIRECTORY", help="Made if need be; its files are replaced.")] = Path(
        "demo"
    ),
    hidden: Annotated[int, typer.Option(metavar="INTEGER", help="Number of hidden units.")] = 200,
    epochs: Annotated[int, typer.Option(metavar="INTEGER", help="Passes over the data.")] = DEFAULTS["epochs"],
    seed: Seed = DEFAULTS["seed"],
    engine: Engine = DEFAULTS["engine"],
    as_json: Json = False,
) -> None:
    """Train, write the results, and say where they are."""
    from harmonium.report.results import make_folder, write_results  # Matplotlib takes long to load

    check_count(epochs, "--epochs")
    with options_named(n_hidden="--hidden", engine="--engine", seed="--seed"):
        config = Config(hidden, epochs=epochs, seed=seed, engine=engine)
    folder = make_folder(out)
    dataset = datasets.load(data)
    run = TrainingRun(dataset.train, config, valid=dataset.valid)
    complain("demo", f"{dataset.name}: {len(dataset.train):,} samples, {hidden:,} hidden units, into {folder}")
    with TrainingProgress(run, len(dataset.train)) as progress:
        history = []
        for record in run.epochs(progress.step):
            progress.epoch(record)
            history.append(record)
    again = shlex.join(
        ["harmonium", "demo", "--data", data, "--hidden", str(hidden), "--epochs", str(epochs), "--seed", str(seed)]
    )
    found = write_results(
        TrainingResult(run.rbm, tuple(history), config),
        dataset,
        folder,
        notes=[_NOTE],
        made_by=f"{again} --engine {engine}",
        on_stage=lambda stage: complain("demo", stage),
    )
    seconds = sum(record.seconds for record in history)
    scores, baseline = found.evaluation, found.baseline
    emit(
        {
            "data": found.data,
            "split": found.split,
            "config": asdict(config),
            "seconds": seconds,
            "evaluation": scores.as_dict(),
            "baseline": baseline.as_dict(),
            "files": {name: str(path) for name, path in found.files.items()},
        },
        [
            ("data", f"{found.data}, {scores.n_samples:,} {found.split} samples"),
            ("pseudo-log-likelihood", scores.pseudo_log_likelihood),
            ("  of independent units", baseline.pseudo_log_likelihood),
            ("reconstruction error", scores.reconstruction_error),
            ("  of independent units", baseline.reconstruction_error),
            ("seconds of training", seconds),
            ("files", ", ".join(path.name for path in found.files.values())),
            ("open", found.files["page"]),
        ],
        as_json=as_json,
    )
