"""Scores along a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from harmonium.errors import InvalidData
from harmonium.plot.figures import own_axes, say, tidy
from harmonium.training.reports import Report, read_reports

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRAIN, _HELD_OUT = "#1f77b4", "#d95f02"
_PSEUDO = "pseudo_log_likelihood", "Pseudo-log-likelihood"
_IN_ITS_PLACE = {
    "log-likelihood": ("log_likelihood", "Log-likelihood"),
    "estimated log-likelihood": ("log_likelihood_estimate", "Log-likelihood, estimated"),
}
_DOUBT = 1.1  # R-hat above which chains have not been to the same places


def curves(history: Any, *, axes: Any = None) -> npt.NDArray[np.object_]:
    """Scores along a run: pseudo-log-likelihood, free-energy gap, reconstruction error and, of chains, R-hat.

    A free-energy gap that sinks away from zero is overfitting: the machine finds training data ever more probable than
    held-out data. An R-hat above the dotted line says that the persistent chains have not been to the same places.

    Parameters
    ----------
    history : TrainingResult, or sequence of EpochRecord or of dictionaries as in a run's ``history.jsonl``
        Records without held-out scores give curves of the training data only; those without any are passed over.
    axes : sequence of Axes, optional
        One for each of `panels_of` the history; a new figure if left out.

    Returns
    -------
    array of Axes

    Raises
    ------
    InvalidData
        No epoch has been scored.

    Examples
    --------
    >>> import harmonium
    >>> from harmonium import plot
    >>> X = harmonium.datasets.load("bars-and-stripes-3x3").train
    >>> run = harmonium.train(X, n_hidden=4, method="cd", epochs=5, held_out=0, patience=0, seed=1)
    >>> axes = plot.curves(run, axes=plot.bare_axes(9.6, 3.2, columns=3))
    >>> [ax.get_ylabel() for ax in axes]
    ['nats a sample', 'nats', 'mean square a unit']
    """
    records = _scored(history)
    if not records:
        raise InvalidData("A history must hold at least one scored epoch. Got none. Train for an epoch or more.")
    panels = _panels(records)
    axes = own_axes(3.2 * len(panels), 3.2, columns=len(panels)) if axes is None else np.ravel(np.asarray(axes, object))
    for ax, draw in zip(axes, panels, strict=True):
        draw(ax, records)
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        tidy(ax)
    return axes


def panels_of(history: Any) -> int:
    """How many axes `curves` draws into: three, and one more for the chains of a run that has some.

    Parameters
    ----------
    history
        As in `curves`.

    Examples
    --------
    >>> from harmonium import plot
    >>> plot.panels_of([])
    3
    """
    return len(_panels(_scored(history)))


def _scored(history: Any) -> list[tuple[int, Report]]:
    """Epochs and records, of those that have scores."""
    try:
        records = list(getattr(history, "history", history))
    except TypeError:
        raise InvalidData(
            f"A history must be what train returned, or its records. Got {type(history).__name__}. Pass that."
        ) from None
    epochs = [x["epoch"] if isinstance(x, dict) else x.epoch for x in records]
    return [(epoch, x) for epoch, x in zip(epochs, read_reports(records), strict=True) if x.train is not None]


def _panels(records: list[tuple[int, Report]]) -> list[Callable[[Axes, list[tuple[int, Report]]], None]]:
    with_chains = any(x.chains is not None and x.chains.r_hat is not None for _, x in records)
    return [_pseudo, _gap, _error, *([_r_hat] if with_chains else [])]


def _pseudo(ax: Axes, records: list[tuple[int, Report]]) -> None:
    """The pseudo-log-likelihood, or where there is none what is told in its place."""
    told = {x.train.told[0][0] for _, x in records if x.train is not None}
    field, title = _IN_ITS_PLACE.get(told.pop(), _PSEUDO) if len(told) == 1 else _PSEUDO
    _scores(ax, records, field, title, "nats a sample")


def _error(ax: Axes, records: list[tuple[int, Report]]) -> None:
    _scores(ax, records, "reconstruction_error", "Reconstruction error", "mean square a unit")


def _scores(ax: Axes, records: list[tuple[int, Report]], field: str, title: str, unit: str) -> None:
    epochs = [epoch for epoch, _ in records]
    train = [getattr(x.train, field) for _, x in records]
    held_out = [None if x.valid is None else getattr(x.valid, field) for _, x in records]
    ax.set_title(title, fontsize="medium")
    ax.set_ylabel(unit)
    if None in train:
        say(ax, "not defined for grey data\nand rows with missing entries")
        return
    _line(ax, epochs, train, _TRAIN, "-", "train")
    if None not in held_out:
        _line(ax, epochs, held_out, _HELD_OUT, "--", "held out")
        ax.legend(frameon=False)


def _gap(ax: Axes, records: list[tuple[int, Report]]) -> None:
    ax.set_title("Free energy, train \N{MINUS SIGN} held out", fontsize="medium")
    ax.set_ylabel("nats")
    gaps = [x.free_energy_gap for _, x in records]
    if None in gaps:
        say(ax, "no held-out data")
        return
    ax.axhline(0, color="black", linewidth=0.8)
    _line(ax, [epoch for epoch, _ in records], gaps, _HELD_OUT, "-", None)


def _r_hat(ax: Axes, records: list[tuple[int, Report]]) -> None:
    ax.set_title("R-hat of the chains", fontsize="medium")
    ax.set_ylabel("spread of all \N{DIVISION SIGN} of each")
    seen = [(epoch, x.chains.r_hat) for epoch, x in records if x.chains is not None and x.chains.r_hat is not None]
    ax.axhline(_DOUBT, color="black", linewidth=0.8, linestyle=":")
    _line(ax, [epoch for epoch, _ in seen], [value for _, value in seen], _TRAIN, "-", None)


def _line(ax: Axes, epochs: list[int], values: Iterable[Any], colour: str, style: str, label: str | None) -> None:
    # A single epoch would be an invisible line.
    marker = "o" if len(epochs) == 1 else None
    ax.plot(epochs, list(values), color=colour, linestyle=style, marker=marker, label=label)
