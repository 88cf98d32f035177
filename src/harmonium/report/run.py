"""The page of a single run: its curves, filters and chains, while it is going on or when it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from harmonium import plot
from harmonium.rbm import RBM
from harmonium.report.method import settings_table
from harmonium.report.page import Page, Picture, Section, Table
from harmonium.training import Config
from harmonium.training.alarms import last_alarms
from harmonium.training.reports import read_reports

_FILTERS = 64


def run_page(
    title: str,
    rbm: RBM,
    config: Config,
    history: Sequence[Any],
    *,
    data: str,
    chains: npt.NDArray[Any] | None = None,
    shape: tuple[int, int] | None = None,
    made_by: str = "",
    version: str = "",
    origin: Mapping[str, str] | None = None,
    refresh: int = 0,
) -> Page:
    """What is to be seen of a run.

    Parameters
    ----------
    title : str
    rbm : RBM
        As it is now.
    config : Config
        Of the run.
    history : sequence of records
        So far; objects, or dictionaries as ``history.jsonl`` holds them.
    data : str
        The name of the data.
    chains : array of shape (n_chains, n_visible), values in [0, 1], optional
        What the persistent chains are at.
    shape : (rows, columns), optional
        Of an image, where a sample is one.
    made_by : str
        The command.
    version : str
        Of Harmonium.
    origin : mapping of str to str, optional
        Versions and so on.
    refresh : int
        Seconds after which a browser loads the page anew; 0 when the run is done.

    Examples
    --------
    >>> import harmonium
    >>> from harmonium.report import run_page
    >>> X = harmonium.datasets.load("bars-and-stripes-3x3").train
    >>> run = harmonium.train(X, 4, epochs=3, patience=0, held_out=0)
    >>> run_page("Bars", run.rbm, run.config, run.history, data="bars").html().count("<img ")
    2
    """
    reports = read_reports(history)
    last = history[-1] if history else None
    epoch = (last["epoch"] if isinstance(last, Mapping) else last.epoch) if last is not None else 0
    so_far = f"Epoch {epoch:,} of {config.n_epochs:,}." if config.epochs is not None else f"Epoch {epoch:,}."
    alarms = last_alarms(history)
    said = f"Alarms: {'; '.join(alarms)}." if alarms else "No alarms."
    scores = [_scores(reports)] if reports and reports[-1].train is not None else []
    pictures = tuple(_pictures(rbm, reports, history, chains, shape, config))
    now = Section("Now", (f"{so_far} {said}",), None, scores, pictures)
    settings = Section("Settings", (), settings_table({"run": config}, "As named in harmonium.Config."), (), ())
    lead = f"{rbm.n_visible:,} visible and {rbm.n_hidden:,} hidden units, by {config.estimator.upper()}."
    return Page(
        title, lead, data, "", (now, settings), made_by=made_by, version=version, origin=origin or {}, refresh=refresh
    )


def _scores(reports: Sequence[Any]) -> Table:
    last = reports[-1]
    names = {"train": last.train, "held out": last.valid}
    columns = [name for name, score in names.items() if score is not None]
    rows = []
    for field, title, digits in (
        ("log_likelihood", "log-likelihood (nats)", 2),
        ("log_likelihood_estimate", "estimated log-likelihood (nats)", 2),
        ("pseudo_log_likelihood", "pseudo-log-likelihood (nats)", 2),
        ("free_energy", "free energy (nats)", 2),
        ("reconstruction_error", "reconstruction error, a unit", 4),
    ):
        values = [getattr(names[name], field) for name in columns]
        if None not in values:
            rows.append((title, *(f"{x:.{digits}f}".replace("-", "\N{MINUS SIGN}") for x in values)))
    return Table("Scores now.", ("score", *columns), rows)


def _pictures(
    rbm: RBM, reports: Sequence[Any], history: Sequence[Any], chains: Any, shape: Any, config: Config
) -> list[Picture]:
    found = []
    n = min(_FILTERS, rbm.n_hidden)
    if any(x.train is not None for x in reports):
        axes = plot.bare_axes(9.6, 3.2, columns=plot.panels_of(history))
        found.append(
            Picture(
                plot.to_png(plot.curves(history, axes=axes)),
                "Scores so far.",
                "Curves against epochs; the last values are in the table above.",
                pixelated=False,
                wide=True,
                seed=config.seed,
            )
        )
    if n:
        found.append(
            Picture(
                plot.to_png(plot.filters(rbm, shape, n, ax=plot.bare_axes())),
                f"Weights of the first {n} of {rbm.n_hidden} hidden units: red positive, blue negative.",
                f"{n} images of weights between {rbm.W[:n].min():.2f} and {rbm.W[:n].max():.2f}.",
                seed=config.seed,
            )
        )
    if chains is not None:
        found.append(
            Picture(
                plot.to_png(plot.samples(chains, shape, ax=plot.bare_axes())),
                f"Where {len(chains)} of the persistent chains are.",
                f"{len(chains)} images, {100 * float(chains.mean()):.1f} % on in the mean.",
                seed=config.seed,
            )
        )
    return found
