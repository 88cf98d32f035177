"""``harmonium train``: a new run, or the rest of a stopped one."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from harmonium import Config, Key, MomentFit, TrainingRun, moment_fit
from harmonium.cli.errors import option_of, options_named
from harmonium.cli.options import (
    DATA_HELP,
    DEFAULTS,
    OPTIONS,
    Binarize,
    Device,
    Engine,
    Json,
    Seed,
    engine_on,
    integer,
    load_data,
    number,
    number_or_name,
)
from harmonium.cli.output import emit
from harmonium.cli.progress import WorkProgress
from harmonium.cli.reading import NOTHING_SAID, Reading, reads_data, words_of
from harmonium.cli.running import advance, begin, reopen, train_on
from harmonium.cli.watching import PAGE
from harmonium.cli.words import nats, typed
from harmonium.datasets import Dataset
from harmonium.datasets.binarize import states_of
from harmonium.errors import InvalidParameter
from harmonium.inputs import check_matrix
from harmonium.training import RunDirectory
from harmonium.training.alarms import last_alarms
from harmonium.training.config import METHODS
from harmonium.training.explain import Choice, explain
from harmonium.training.longer import CHANGEABLE
from harmonium.training.reports import kept_record, read_reports
from harmonium.training.run_directory import advancing

HELP = """Train a machine.

It learns from the train split of DATA; everything about the run is kept in one directory.

\b
Examples:
  harmonium train digits --hidden 64
  harmonium train mnist --hidden 500 --explain
  harmonium train mnist-5k --hidden 200 --watch
  harmonium train table.csv --hidden 32
  harmonium train --resume run
  harmonium train --from run --more-epochs 15

A run that was stopped (Ctrl-C, SIGTERM, a crash) goes on with --resume from its last checkpoint, and ends with the
very bits that it would have ended with. A checkpoint is made after each epoch, every few minutes within one, and when
the run is stopped. --watch draws the run while it learns, in the terminal and in RUN/index.html, which a browser loads
anew every two seconds; "harmonium inspect RUN" makes the same page later.
A finished run is trained on with --from RUN --more-epochs N: a new run, in a new directory, whose machine, chains and
averages are those that RUN ended with. Beside it may stand --learning-rate, --schedule, --sweeps, --momentum,
--weight-decay, --l1, --max-norm, --clip, --monitor and --engine; all else stays.
Scores are shown for the valid split of DATA where there is one, else for a part of a small set that is set aside; in
small sets they decide how tightly weights are held and which machine is kept (see --patience).
A DATA file may hold NaN, NA or empty fields where entries are missing. Files of many kinds are read; where the ending
of the name does not tell which it is, --format does.
"""

_NAMES = {name: option_of(OPTIONS.get(name, name)) for name in DEFAULTS}
_MOMENT_ROWS = 10_000  # of the training data whose moments are looked at
_NARROWEST = 30  # columns for a reason
_BESIDE_RESUME = ("resume", "as_json", "quiet", "watch")  # options that change nothing about a run
_BESIDE_FROM = (*_BESIDE_RESUME[1:], "source", "more_epochs", "out")


@reads_data
def command(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            show_default=False,
            help=DATA_HELP,
        ),
    ] = None,
    hidden: Annotated[int | None, integer("Number of hidden units; needed.", show_default=False)] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(METHODS),
            help="Negative chains go on where they ended, start at the data, go on with fast weights, go on at several "
            "temperatures; or there are none, but enumeration. [default: pt for small machines, else pcd]",
        ),
    ] = DEFAULTS["method"],
    sweeps: Annotated[int | None, integer("Gibbs sweeps a step: k of CD-k. [default: 1]")] = DEFAULTS["sweeps"],
    chains: Annotated[
        int | None, integer("Persistent chains; of pt at each temperature. [default: 500, and 100 of pt]")
    ] = DEFAULTS["chains"],
    restarts: Annotated[
        float | None, number("Share of the chains of pcd and fpcd that start anew at data, each step. [default: 0]")
    ] = DEFAULTS["restarts"],
    temperatures: Annotated[
        str | None,
        typer.Option(
            metavar="INTEGER|adaptive", help="Temperatures of pt, or 10 and more as needed. [default: adaptive]"
        ),
    ] = DEFAULTS["temperatures"],
    statistic: Annotated[
        str | None,
        typer.Option(
            metavar="sampled|mean-field", help="The last v of a chain, or its expectation. [default: sampled]"
        ),
    ] = DEFAULTS["last_statistic"],
    tempered_share: Annotated[
        float | None,
        number(
            "Share of the steps of pcd, the last, on tempered chains. [default: 0.05 to 0.075, or 0 of --method pcd]"
        ),
    ] = DEFAULTS["tempered_share"],
    epochs: Annotated[
        int | None, integer("Passes over the data. [default: as many as make 20,000 to 60,000 steps]")
    ] = DEFAULTS["epochs"],
    batch_size: Annotated[int, integer("Samples a step.")] = DEFAULTS["batch_size"],
    learning_rate: Annotated[float | None, number("Step along the gradient. [default: 0.1, and 0.2 of pt]")] = DEFAULTS[
        "learning_rate"
    ],
    schedule: Annotated[
        str, typer.Option(metavar="constant|linear|cosine", help="How the learning rate falls.")
    ] = DEFAULTS["schedule"],
    optimizer: Annotated[str, typer.Option(metavar="sgd|adam", help="How the gradient makes a step.")] = DEFAULTS[
        "optimizer"
    ],
    momentum: Annotated[
        float | None, number("Share of the last update in the next, of sgd. [default: 0.5]")
    ] = DEFAULTS["momentum"],
    centered: Annotated[
        bool, typer.Option("--centered/--no-centered", help="Whether the gradient is of states less their means.")
    ] = DEFAULTS["centered"],
    data_moments: Annotated[
        bool, typer.Option("--data-moments/--no-data-moments", help="The gradient of b from the means of all data.")
    ] = DEFAULTS["data_moments"],
    weight_decay: Annotated[
        float | None, number("Pull of the weights to zero (L2). [default: from the numbers of weights and samples]")
    ] = DEFAULTS["weight_decay"],
    l1: Annotated[float, number("Pull of the weights to zero by their sign (L1).")] = DEFAULTS["l1"],
    max_weight_decay: Annotated[
        float | None, number("How far held-out data may raise it. [default: 0.3, or weight decay where that is given]")
    ] = DEFAULTS["max_weight_decay"],
    max_norm: Annotated[float, number("Largest norm of a hidden unit's weights; 0 for none.")] = DEFAULTS["max_norm"],
    sparsity_target: Annotated[
        float | None, number("Mean activation that hidden units are drawn to. [default: 0.1]")
    ] = DEFAULTS["sparsity_target"],
    sparsity_cost: Annotated[float, number("How strongly they are; 0 for not at all.")] = DEFAULTS["sparsity_cost"],
    clip: Annotated[float, number("Largest norm of a gradient; 0 for none.")] = DEFAULTS["clip"],
    binarize: Binarize = DEFAULTS["binarize"],
    monitor: Annotated[
        str, typer.Option(metavar="pseudo|likelihood", help="Whether the likelihood is bracketed now and then.")
    ] = DEFAULTS["monitor"],
    patience: Annotated[
        int | None,
        integer("Records that may overfit, before the weight decay is raised or the run stops. [default: 2, or 0]"),
    ] = DEFAULTS["patience"],
    held_out: Annotated[
        int | None, integer("Rows to set aside where DATA has no valid split. [default: a tenth of a small set]")
    ] = DEFAULTS["held_out"],
    reading: Reading = NOTHING_SAID,
    engine: Engine = DEFAULTS["engine"],
    device: Device = None,
    seed: Seed = DEFAULTS["seed"],
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Directory to make. [default: runs/DATA-METHOD-HIDDEN-SEED]")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", show_default=False, help="Go on with this run, here or on another --engine."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", show_default=False, help="Train this finished run on, in a new one."),
    ] = None,
    more_epochs: Annotated[
        int | None, integer("Passes over the data beside those of --from.", "--more-epochs", show_default=False)
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Draw filters, chains and curves, here and in RUN/index.html.")
    ] = False,
    explaining: Annotated[
        bool, typer.Option("--explain", help="Print what a run would use and why, and do nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train, and say where the result is."""
    if (source is None) != (more_epochs is None):
        raise InvalidParameter(
            "--from and --more-epochs must stand together. Got one of them. Run for example: "
            "harmonium train --from runs/a --more-epochs 15"
        )
    if source is not None and more_epochs is not None:
        changes = _changes(context)
        if "engine" in changes or "device" in changes:
            changes = {k: x for k, x in changes.items() if k != "device"} | {"engine": engine_on(engine, device)}
        directory, run, dataset = train_on(source, more_epochs, changes, out)
        with advancing(directory.path):
            advance(run, directory, dataset, watch=watch)
    elif resume is not None:
        given = _refuse_others(context)
        with advancing(resume):
            directory, run, dataset = reopen(resume, engine_on(engine, device) if given else None)
            advance(run, directory, dataset, watch=watch)
    else:
        if data is None or hidden is None:
            missing = " nor ".join(name for name, x in (("DATA", data), ("--hidden", hidden)) if x is None)
            example = f"harmonium train {data or 'digits'} --hidden {hidden or 64}"
            raise InvalidParameter(
                f"DATA and --hidden must be given for a new run. Got no {missing}. Run for example: {example}"
            )
        engine = engine_on(engine, device)
        with options_named(**_NAMES):
            config = Config(
                hidden,
                method=method,
                sweeps=sweeps,
                chains=chains,
                restarts=restarts,
                temperatures=None if temperatures is None else number_or_name(temperatures),
                last_statistic=None if statistic is None else statistic.replace("-", "_"),
                tempered_share=tempered_share,
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                schedule=schedule,
                optimizer=optimizer,
                momentum=momentum,
                centered=centered,
                data_moments=data_moments,
                weight_decay=weight_decay,
                max_weight_decay=max_weight_decay,
                l1=l1,
                max_norm=max_norm,
                sparsity_target=sparsity_target,
                sparsity_cost=sparsity_cost,
                clip=clip,
                binarize=binarize,
                monitor=monitor,
                patience=patience,
                held_out=held_out,
                engine=engine,
                seed=seed,
            )
        if explaining:
            dataset = load_data(data, reading)
            choices = explain(config, *dataset.split("train")[0].shape, valid=dataset.valid is not None)
            _print_choices(choices, as_json)
            return
        directory, run, dataset = begin(data, config, out, reading)
        with advancing(directory.path):
            advance(run, directory, dataset, watch=watch)
    _report(run, directory, dataset, as_json)


def _report(run: TrainingRun, directory: RunDirectory, dataset: Dataset, as_json: bool) -> None:
    history, fit = directory.history(), _moments(run, dataset)
    alarms = last_alarms(history)
    last, kept = history[-1] if history else {}, kept_record(history)
    best, independent = last.get("best_epoch"), bool(last.get("independent"))
    result = {"run": str(directory.path), "model": str(directory.model_file), "data": directory.data}
    counts = {"n_visible": run.rbm.n_visible, "n_hidden": run.rbm.n_hidden, "epochs": run.epoch, "steps": run.step}
    scores = {split: (kept or {}).get(split) for split in ("train", "valid")}
    rows: list[tuple[str, Any]] = [("run", directory.path), ("model", directory.model_file), ("epochs", run.epoch)]
    if best is not None:
        rows += [("kept", "independent units" if independent else f"the machine of epoch {best}")]
    for report in read_reports([kept] if kept else []):
        for split, found in (("train", report.train), ("valid", report.valid)):
            rows += [(f"{name}, {split} (nats)", nats(value)) for name, value in found.told[:1]] if found else []
    rows += [("moments of the machine", fit)]
    rows += [("alarm", alarm) for alarm in alarms] or [("alarms", "none")]
    words = ["harmonium", "evaluate", str(directory.path), directory.data, *words_of(directory.reading)]
    rows += [("page", page)] if (page := directory.path / PAGE).is_file() else []
    rows += [("next", shlex.join(words))]
    ends = {"best_epoch": best, "independent": independent, "alarms": alarms}
    ends["moments"] = fit.as_dict()
    emit(result | counts | ends | scores, rows, as_json=as_json)


def _moments(run: TrainingRun, dataset: Dataset) -> MomentFit:
    """The machine's moments beside those of the training data."""
    config, X = run.config, dataset.split("train")[0]
    rows = np.linspace(0, len(X) - 1, min(len(X), _MOMENT_ROWS)).astype(int)  # files can be in order of classes
    X = X[rows]
    key = Key(config.seed).derive("moments")
    states = states_of(check_matrix(X, allow_nan=True), config.binarize, key.derive("binarize"))
    with WorkProgress("moments") as progress:
        return moment_fit(run.rbm, states, seed=key, engine=config.engine, progress=progress)


def _print_choices(choices: list[Choice], as_json: bool) -> None:
    """A table of names, values and reasons; on a narrow terminal the reasons stand below."""
    if as_json:
        emit({c.name: {"value": c.value, "why": c.why} for c in choices}, [], as_json=True)
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    names, values = max(len(_NAMES[c.name]) for c in choices), max(len(typed(c.value)) for c in choices)
    indent = names + values + 4
    for name, value, why in choices:
        if width - indent < _NARROWEST:
            print(f"{_NAMES[name]} {typed(value)}", _wrapped(why, width, 4), sep="\n")
        else:
            reason = _wrapped(why, width, indent).lstrip()
            print(f"{_NAMES[name]:<{names}}  {typed(value):<{values}}  {reason}")


def _wrapped(text: str, width: int, indent: int) -> str:
    return textwrap.fill(text, width, initial_indent=" " * indent, subsequent_indent=" " * indent)


def _changes(context: typer.Context) -> dict[str, Any]:
    """The options beside --from and --more-epochs, by the names of their fields."""
    found, refused = {}, []
    for parameter in context.command.params:
        name, source = str(parameter.name), context.get_parameter_source(str(parameter.name))
        if source is None or source.name != "COMMANDLINE" or name in _BESIDE_FROM:
            continue
        if name in (*CHANGEABLE, "device"):
            found[name] = context.params[name]
        else:
            refused.append(parameter.opts[0] if parameter.opts[0].startswith("-") else "DATA")
    if refused:
        raise InvalidParameter(
            f"What changes in a run that is trained on must be one of {', '.join(_NAMES[x] for x in CHANGEABLE)}. Got "
            f"{', '.join(refused)}. Leave that out, or start a new run."
        )
    return found


def _refuse_others(context: typer.Context) -> bool:
    """A run goes on with its own choices: an option beside --resume would be ignored, or make another run.

    But it may go on elsewhere; whether --engine or --device say so is returned.
    """
    given, elsewhere = [], False
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if source is None or source.name != "COMMANDLINE" or parameter.name in _BESIDE_RESUME:
            continue
        if parameter.name in ("engine", "device"):
            elsewhere = True
        else:
            given.append(parameter.opts[0] if parameter.opts[0].startswith("-") else "DATA")
    if given:
        raise InvalidParameter(
            f"--resume must stand alone, as a run holds its own choices. Got also {', '.join(given)}. "
            "Leave that out, or start a new run."
        )
    return elsewhere
