"""How work is shown on stderr: a bar on a terminal; elsewhere a line per epoch of training, else nothing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from harmonium.cli.output import complain
from harmonium.cli.quiet import is_quiet
from harmonium.cli.words import nats
from harmonium.training import EpochRecord, TrainingRun
from harmonium.training.alarms import kind_of

if TYPE_CHECKING:  # loaded where a bar is drawn, so that --help is quick
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

_REDRAW = 0.1  # seconds between two drawings; a step may take microseconds
_PATIENCE = 1.0  # seconds of work that need no bar
_WIDE = 72  # columns that the bar and all words need


class _WithBar:
    """A context manager that starts its bar, if it has one, and stops the one that it has at the end."""

    _bar: Progress | None = None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


class WorkProgress(_WithBar):
    """A callback ``(done, total)`` and context manager; stderr shows what it is told.

    Parameters
    ----------
    label : str
        What is being worked on.
    """

    def __init__(self, label: str) -> None:
        self._label, self._start, self._drawn = label, time.monotonic(), 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._drawn < _REDRAW or now - self._start < _PATIENCE or not sys.stderr.isatty() or is_quiet():
            return
        self._drawn = now
        if self._bar is None:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
            self._bar = Progress(*columns, console=stderr_console(), transient=True)
            self._task = self._bar.add_task(self._label)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)


class TrainingProgress(_WithBar):
    """Shows a run while it advances, and its alarms, each once; a context manager.

    Parameters
    ----------
    run : TrainingRun
    n_samples : int
        Samples an epoch.
    """

    def __init__(self, run: TrainingRun, n_samples: int) -> None:
        self._run, self._n_samples = run, n_samples
        self._first, self._start, self._drawn = run.step, time.monotonic(), 0.0
        self._score, self._told = "", set[str]()
        self._bar = _make_bar() if sys.stderr.isatty() and not is_quiet() else None
        if self._bar is not None:
            self._task = self._bar.add_task("", total=run.n_steps, completed=run.step, epoch="", rate="", score="")

    @property
    def bar(self) -> Progress | None:
        """The bar on a terminal; None elsewhere, and where nothing is to be shown."""
        return self._bar

    def step(self, step: int) -> None:
        """Show that `step` mini-batches are done."""
        now = time.monotonic()
        if self._bar is not None and (now - self._drawn > _REDRAW or step == self._run.n_steps):
            self._drawn = now
            run = self._run
            self._bar.update(
                self._task,
                completed=step,
                epoch=f"{min(step // run.n_batches + 1, run.config.n_epochs)}/{run.config.n_epochs}",
                rate=f"{_short(self._samples_per_second(step))}/s",
                score=self._score,
            )

    def epoch(self, record: EpochRecord) -> None:
        """Show the scores of a record, and what is new among its alarms."""
        if (scores := record.valid or record.train) is not None:
            name, score = scores.told[0]
            self._score = f"{name} {nats(score)}" if _is_wide() else f"{nats(score)} nats"
        if self._bar is not None:
            self._bar.update(self._task, completed=record.step, score=self._score)
        elif not is_quiet():
            self._print(record)
        for alarm in record.alarms:
            kind = kind_of(alarm)
            if kind not in self._told:
                self._told.add(kind)
                complain("alarm", f"epoch {record.epoch}: {alarm}")

    def _print(self, record: EpochRecord) -> None:
        """A line of scores."""
        told: dict[str, str] = {}
        for split, scores in (("train", record.train), ("valid", record.valid)):
            for name, value in scores.told if scores is not None else ():
                told[name] = f"{told.get(name, name)} {split} {nats(value)}"
        left = (self._run.n_steps - record.step) * (time.monotonic() - self._start) / (record.step - self._first)
        print(
            f"epoch {record.epoch}/{self._run.config.n_epochs}  {'  '.join(told.values()) or 'no scores'}  "
            f"{record.samples_per_second:,.0f} samples/s  {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    def _samples_per_second(self, step: int) -> float:
        epochs = (step - self._first) / self._run.n_batches
        return epochs * self._n_samples / max(time.monotonic() - self._start, 1e-9)


def stderr_console() -> Console:
    """The terminal, less the room that a ^C takes: one that wrapped would leave the bar standing there twice."""
    from rich.console import Console

    console = Console(stderr=True)
    console.width -= len("^C")
    return console


def _is_wide() -> bool:
    return stderr_console().width >= _WIDE


def _make_bar() -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[ProgressColumn] = [TextColumn("{task.fields[epoch]}", justify="right")]
    if _is_wide():
        columns = [TextColumn("epoch"), *columns, BarColumn(bar_width=None)]
    columns += [
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[score]}"),
    ]
    return Progress(*columns, console=stderr_console(), expand=_is_wide())


def _short(number: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return f"{number:.0f}"
