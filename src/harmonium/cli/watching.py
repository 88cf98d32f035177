"""A run to look at while it learns: filters, chains and curves, in the terminal and in a page that renews itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

import harmonium
from harmonium import Config, TrainingRun
from harmonium.cli.curves import draw_curves
from harmonium.cli.drawing import picture
from harmonium.cli.output import complain
from harmonium.cli.progress import TrainingProgress, stderr_console
from harmonium.datasets import Dataset
from harmonium.errors import UnwritableOutput
from harmonium.tiles import as_images, end_of_scale, signed_colours, tile
from harmonium.training import EpochRecord, TrainingState

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

PAGE = "index.html"  # of a run that is watched or inspected, in its directory
_SHARE = 0.05  # of the time, at most, goes into drawing
_SECONDS = 2.0  # between two drawings, at least
_CHAINS = 64
_LINES = 14  # of the terminal, that a picture takes


class Watching:
    """Shows a run while it advances, in more than words; a context manager like `TrainingProgress`, which it holds.

    Parameters
    ----------
    run : TrainingRun
    dataset : Dataset
    n_samples : int
        Samples an epoch.
    path : Path
        The directory of the run, for the page.
    made_by : str
        The command, for the page.
    history : sequence of records
        Those of a run that goes on.
    """

    def __init__(
        self, run: TrainingRun, dataset: Dataset, n_samples: int, path: Path, made_by: str, history: Sequence[Any] = ()
    ) -> None:
        self._run, self._dataset, self._path, self._made_by = run, dataset, path, made_by
        self._history: list[Any] = list(history)
        self._progress = TrainingProgress(run, n_samples)
        self._live: Live | None = None
        self._next = time.monotonic() + _SECONDS

    def __enter__(self) -> Self:
        if self._progress.bar is None:
            self._progress.__enter__()
        else:
            from rich.console import Group
            from rich.live import Live

            console = stderr_console()
            self._live = Live(Group(self._progress.bar), console=console, refresh_per_second=4)
            self._live.start()
        self._draw()
        complain("watch", f"open {self._path / PAGE} in a browser")
        return self

    def __exit__(self, *_: object) -> None:
        self._draw(done=True)
        if self._live is not None:
            self._live.stop()
        else:
            self._progress.__exit__()

    def step(self, step: int) -> None:
        """Show that `step` mini-batches are done, and draw now and then."""
        self._progress.step(step)
        if time.monotonic() >= self._next:
            self._draw()

    def epoch(self, record: EpochRecord) -> None:
        """Show a record."""
        self._history.append(record)
        self._progress.epoch(record)

    def _draw(self, done: bool = False) -> None:
        start = time.monotonic()
        state = self._run.state
        chains = visible_chains(state, _CHAINS)
        if self._live is not None:
            self._live.update(self._in_terminal(state, chains))
        try:
            refresh = 0 if done else int(_SECONDS)
            write_page(
                self._path, state, self._run.config, self._history, data=self._dataset.name, shape=self._dataset.shape,
                made_by=self._made_by, refresh=refresh,
            )  # fmt: skip
        except UnwritableOutput as error:  # a page is not worth a run
            complain("warning", str(error))
        now = time.monotonic()
        self._next = now + max(_SECONDS, (now - start) / _SHARE)

    def _in_terminal(self, state: TrainingState, chains: npt.NDArray[Any] | None) -> RenderableType:
        from rich.columns import Columns
        from rich.console import Group

        width = stderr_console().width
        parts = width // 2 - 2 if chains is not None else width - 1
        shape = self._dataset.shape
        shown = [("filters", picture(_fitted(state.rbm.W, shape, parts, signed=True)))] if state.rbm.W.size else []
        if chains is not None:
            shown.append(("chains", picture(_fitted(chains, shape, parts, signed=False))))
        pictures = Columns([Group(title, image) for title, image in shown], padding=(0, 2))
        curves = "\n".join(draw_curves(self._history, width - 1))
        return Group(pictures, curves, self._progress.bar or "")


def visible_chains(state: TrainingState, n: int) -> npt.NDArray[Any] | None:
    """What the first `n` persistent chains are at: E[v|h], or of tempered ones v at beta = 1; None without chains."""
    if state.chains is not None:
        return state.rbm.mean_v_from_h(state.chains[:n])
    if (packed := state.extras.get("tempered.v")) is None:
        return None
    n_ladders = state.extras["tempered.replica"].shape[1]
    return np.unpackbits(packed[-n_ladders:][:n], axis=1, count=state.rbm.n_visible)


def write_page(
    path: Path,
    state: TrainingState,
    config: Config,
    history: Sequence[Any],
    *,
    data: str,
    shape: tuple[int, int] | None,
    made_by: str,
    refresh: int = 0,
) -> None:
    """Put the page of a run into its directory, in one step."""
    from harmonium.report import run_page  # Matplotlib takes long to load

    version = harmonium.__version__
    page = run_page(
        path.name, state.rbm, config, history, data=data, chains=visible_chains(state, _CHAINS), shape=shape,
        made_by=made_by, version=version, origin={"version": f"Harmonium {version}"}, refresh=refresh,
    )  # fmt: skip
    page.save(path / PAGE)


def _fitted(
    rows: npt.NDArray[Any], shape: tuple[int, int] | None, width: int, *, signed: bool
) -> npt.NDArray[np.uint8]:
    """As many images as have room, as colours."""
    images = as_images(rows, shape)
    _, height, across = images.shape
    gap = max(1, round(min(height, across) / 14))
    columns = max(1, (width - gap) // (across + gap))
    lines = max(1, (2 * _LINES - gap) // (height + gap))
    canvas = tile(images[: columns * lines], columns)[:, :width]
    if signed:
        return signed_colours(canvas, end_of_scale(rows))
    grey = np.where(np.isnan(canvas), 96, 255 * np.nan_to_num(canvas))
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
