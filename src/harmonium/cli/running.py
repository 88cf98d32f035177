"""A run under way: begun or reopened, advanced with checkpoints, and stopped where nothing is lost."""

from __future__ import annotations

import re
import shlex
import signal
import time
from pathlib import Path
from typing import Any

from harmonium import Config, TrainingRun
from harmonium.cli.errors import Stopped, options_named
from harmonium.cli.options import DEFAULTS, OPTIONS, data_reference, load_data
from harmonium.cli.output import complain
from harmonium.cli.progress import TrainingProgress
from harmonium.cli.reading import NOTHING_SAID, Reading, words_of
from harmonium.cli.stopping import StopWish, deferred_signals
from harmonium.cli.watching import Watching
from harmonium.datasets import Dataset
from harmonium.engines import TORCH
from harmonium.training import RunDirectory, longer
from harmonium.training.longer import CHANGEABLE
from harmonium.training.run_directory import check_new

_STEPS_IN_ONE_GO = 64  # on a device that is faster at several
_CHECKPOINT_SECONDS = 300.0  # the most that a crash within a long epoch may cost


def begin(
    data: str, config: Config, out: Path | None, reading: Reading = NOTHING_SAID
) -> tuple[RunDirectory, TrainingRun, Dataset]:
    """A fresh run in a new directory."""
    name = re.sub(r"[^\w.]+", "-", Path(data).stem if Path(data).suffix else data).strip("-.")
    if out is not None:
        check_new(out)
    dataset = load_data(data, reading)
    X = dataset.split("train")[0]
    config = config.for_data(*X.shape, valid=dataset.valid is not None)
    path = out or Path("runs") / f"{name}-{config.method}-{config.n_hidden}-{config.seed}"
    check_new(path)
    run = TrainingRun(X, config, valid=dataset.valid)
    if run.blank is not None:
        complain("warning", run.blank)
    reference = data_reference(data, dataset)
    directory = RunDirectory.create(path, run.config, data=reference, reading=reading, X=X, state=run.state)
    n_valid = len(run.held_out_rows) if dataset.valid is None else len(dataset.valid)
    valid = f", {n_valid} held out" if n_valid else ""
    size = f"{run.rbm.n_visible} visible and {config.n_hidden} hidden units"
    complain("train", f"{dataset.name} ({len(X)} samples{valid}), {size}, into {path}")
    return directory, run, dataset


def reopen(path: Path, engine: str | None = None) -> tuple[RunDirectory, TrainingRun, Dataset]:
    """A run as its last checkpoint left it, to go on with on its own or another engine of the same bits."""
    directory, state = RunDirectory.open(path)
    dataset = load_data(directory.data, directory.reading)
    X = dataset.split("train")[0]
    directory.check_data(X)
    history = directory.history(before=state.step + 1)
    config = directory.config if engine is None else directory.config.moved_to(engine)
    run = TrainingRun(X, config, valid=dataset.valid, state=state, history=history)
    rest = "which is complete" if run.finished else f"from step {run.step} of {run.n_steps}"
    complain("resume", f"{path} on {dataset.name}, {rest}")
    return directory, run, dataset


def train_on(
    path: Path, more_epochs: int, changes: dict[str, Any], out: Path | None
) -> tuple[RunDirectory, TrainingRun, Dataset]:
    """A new run, in a directory of its own, that goes on where a finished one has ended."""
    out = Path(f"{path}-more-{more_epochs}") if out is None else out
    check_new(out)
    parent, finished, dataset = reopen(path)
    with options_named(*CHANGEABLE, "more_epochs"):
        config, state = longer(finished, more_epochs, **changes)
    X = dataset.split("train")[0]
    run = TrainingRun(X, config, valid=dataset.valid, state=state, history=parent.history())
    directory = RunDirectory.create(
        out, run.config, data=parent.data, reading=parent.reading, X=X, state=run.state, parent=parent
    )
    falls = {"constant": "stays", "linear": "falls linearly to zero", "cosine": "falls to zero by a cosine"}
    kept = ""
    if config.patience:
        kept = f", and so does the best machine by held-out data, of epoch {state.extras['steering.counts'][0]}"
    complain(
        "train",
        f"{more_epochs} epochs more after {finished.epoch}, into {out}: the learning rate begins at {config.rate:g} "
        f"and {falls[config.schedule]}; chains, momentum and averages go on{kept}",
    )
    return directory, run, dataset


def advance(run: TrainingRun, directory: RunDirectory, dataset: Dataset, *, watch: bool = False) -> None:
    """Advance a run to its end, keeping its directory up to date; with `watch` it is drawn on the way."""
    n_samples = len(dataset.split("train")[0])
    with deferred_signals() as stop:
        try:
            if watch:
                history, made_by = directory.history(before=run.step + 1), how_to_train(directory)
                with Watching(run, dataset, n_samples, directory.path, made_by, history) as watching:
                    _advance(run, directory, watching, stop)
            else:
                with TrainingProgress(run, n_samples) as progress:
                    _advance(run, directory, progress, stop)
        except KeyboardInterrupt:
            how = f"Go on with: {_how_to_resume(directory)}"
            number = stop.signal or signal.SIGINT
            raise Stopped(number, f"at once; the last checkpoint is sound. {how}") from None


def _advance(run: TrainingRun, directory: RunDirectory, shown: TrainingProgress | Watching, stop: StopWish) -> None:
    saved = time.monotonic()

    def after_step(step: int) -> None:
        nonlocal saved
        shown.step(step)
        # At the end of an epoch that is recorded its record comes first, then its checkpoint.
        if run.due:
            return
        if stop.signal is not None or time.monotonic() - saved > _CHECKPOINT_SECONDS:
            directory.save(run.state)
            saved = time.monotonic()
        if stop.signal is not None:
            raise _stopped(stop.signal, run, directory)

    # On the processor the clock and the signals are heeded after each step.
    every = _STEPS_IN_ONE_GO if run.config.engine.startswith(TORCH) else 1
    for record in run.epochs(after_step, every):
        directory.append(record)
        directory.save(run.state)
        saved = time.monotonic()
        shown.epoch(record)
        if stop.signal is not None and not run.finished:
            raise _stopped(stop.signal, run, directory)


def _stopped(number: int, run: TrainingRun, directory: RunDirectory) -> Stopped:
    how = f"Go on with: {_how_to_resume(directory)}"
    return Stopped(number, f"after step {run.step} of {run.n_steps}; its state is saved. {how}")


def how_to_train(directory: RunDirectory) -> str:
    """The command that makes the same run anew, with every choice that has no fixed default."""
    if directory.parent is not None:
        return f"{shlex.join(['harmonium', 'train', '--from', directory.parent])} --more-epochs ..."
    words = ["harmonium", "train", directory.data, "--hidden", str(directory.config.n_hidden)]
    for name, default in DEFAULTS.items():
        value = getattr(directory.config, name)
        if name == "n_hidden" or value is None or value == default:
            continue
        option = OPTIONS.get(name, name.replace("_", "-"))
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", str(value).replace("mean_field", "mean-field")]
    return shlex.join([*words, *words_of(directory.reading)])


def _how_to_resume(directory: RunDirectory) -> str:
    return shlex.join(["harmonium", "train", "--resume", str(directory.path)])
