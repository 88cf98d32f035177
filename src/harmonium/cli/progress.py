"""How training is shown: a bar on a terminal, a line per epoch elsewhere; on stderr, always."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from harmonium.training import EpochRecord, Scores, TrainingRun

_REDRAW = 0.1  # seconds; a step may take microseconds
_WIDE = 72  # columns that the bar and all words need


class TrainingProgress:
    """Shows a run while it advances; a context manager.

    Parameters
    ----------
    run : TrainingRun
    n_samples : int
        Samples an epoch.
    """

    def __init__(self, run: TrainingRun, n_samples: int) -> None:
        self._run, self._n_samples = run, n_samples
        self._first, self._start, self._drawn = run.step, time.monotonic(), 0.0
        self._score = ""
        self._bar = _make_bar() if sys.stderr.isatty() else None
        if self._bar is not None:
            self._task = self._bar.add_task("", total=run.n_steps, completed=run.step, epoch="", rate="", score="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, step: int) -> None:
        """Show that `step` mini-batches are done."""
        now = time.monotonic()
        if self._bar is not None and (now - self._drawn > _REDRAW or step == self._run.n_steps):
            self._drawn = now
            run = self._run
            self._bar.update(
                self._task,
                completed=step,
                epoch=f"{min(step // run.n_batches + 1, run.config.epochs)}/{run.config.epochs}",
                rate=f"{_short(self._samples_per_second(step))}/s",
                score=self._score,
            )

    def epoch(self, record: EpochRecord) -> None:
        """Show the scores of an epoch."""
        held_out = record.valid or record.train
        self._score = f"pll {_score(held_out)}"
        if self._bar is not None:
            self._bar.update(self._task, completed=record.step, score=self._score)
            return
        scores = f"train {_score(record.train)}" + (f" valid {_score(record.valid)}" if record.valid else "")
        left = (self._run.n_steps - record.step) * (time.monotonic() - self._start) / (record.step - self._first)
        print(
            f"epoch {record.epoch}/{self._run.config.epochs}  pseudo-log-likelihood {scores}  "
            f"{record.samples_per_second:.0f} samples/s  {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    def _samples_per_second(self, step: int) -> float:
        share = (step - self._first) / self._run.n_batches
        return share * self._n_samples / max(time.monotonic() - self._start, 1e-9)


def _make_bar() -> Progress:
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


def _score(scores: Scores) -> str:
    """The pseudo-log-likelihood; for grey data, which have none, a dash."""
    return "-" if scores.pseudo_log_likelihood is None else f"{scores.pseudo_log_likelihood:.2f}"


def _short(number: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return f"{number:.0f}"
