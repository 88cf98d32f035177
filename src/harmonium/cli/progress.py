"""How training is shown: a bar on a terminal, a line per epoch elsewhere; on stderr, always."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from harmonium.cli.output import complain
from harmonium.cli.working import REDRAW, WithBar
from harmonium.training import EpochRecord, Scores, TrainingRun
from harmonium.training.alarms import kind_of

if TYPE_CHECKING:  # loaded where a bar is drawn, so that --help is quick
    from rich.progress import Progress, ProgressColumn

_WIDE = 72  # columns that the bar and all words need


class TrainingProgress(WithBar):
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
        self._bar = _make_bar() if sys.stderr.isatty() else None
        if self._bar is not None:
            self._task = self._bar.add_task("", total=run.n_steps, completed=run.step, epoch="", rate="", score="")

    def step(self, step: int) -> None:
        """Show that `step` mini-batches are done."""
        now = time.monotonic()
        if self._bar is not None and (now - self._drawn > REDRAW or step == self._run.n_steps):
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
        self._score = f"pll {_score(record.valid or record.train)}"
        if self._bar is not None:
            self._bar.update(self._task, completed=record.step, score=self._score)
        else:
            self._print(record)
        for alarm in record.alarms:
            kind = kind_of(alarm)
            if kind not in self._told:
                self._told.add(kind)
                complain("alarm", f"epoch {record.epoch}: {alarm}")

    def _print(self, record: EpochRecord) -> None:
        """A line of scores."""
        splits = {name: x for name, x in (("train", record.train), ("valid", record.valid)) if x is not None}
        scores = "pseudo-log-likelihood " + " ".join(f"{name} {_score(x)}" for name, x in splits.items())
        exact = [f"{name} {x.log_likelihood:.2f}" for name, x in splits.items() if x.log_likelihood is not None]
        if exact:
            scores += "  log-likelihood " + " ".join(exact)
        left = (self._run.n_steps - record.step) * (time.monotonic() - self._start) / (record.step - self._first)
        print(
            f"epoch {record.epoch}/{self._run.config.n_epochs}  {scores if splits else 'no scores'}  "
            f"{record.samples_per_second:.0f} samples/s  {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    def _samples_per_second(self, step: int) -> float:
        share = (step - self._first) / self._run.n_batches
        return share * self._n_samples / max(time.monotonic() - self._start, 1e-9)


def _make_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns: list[ProgressColumn] = [TextColumn("{task.fields[epoch]}", justify="right")]
    if console.width >= _WIDE:
        columns = [TextColumn("epoch"), *columns, BarColumn(bar_width=None)]
    columns += [
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[score]}"),
    ]
    return Progress(*columns, console=console, expand=console.width >= _WIDE)


def _score(scores: Scores | None) -> str:
    """The pseudo-log-likelihood; a dash for grey data, which have none, and where no row is complete."""
    return "-" if scores is None or scores.pseudo_log_likelihood is None else f"{scores.pseudo_log_likelihood:.2f}"


def _short(number: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return f"{number:.0f}"
