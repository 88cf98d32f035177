"""Where pictures are drawn, and how they become files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from harmonium.errors import InvalidParameter
from harmonium.io import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 100
# The suffixes that are understood, and what keeps dates out of them: the same run writes the same files.
_NO_DATE: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def bare_axes(width: float = 6.4, height: float = 4.8, *, rows: int = 1, columns: int = 0) -> Any:
    """Axes on a figure that pyplot knows nothing of: for files, threads, and machines without a display.

    Parameters
    ----------
    width, height : float
        Of the figure, in inches.
    rows, columns : int
        How many axes stand below and beside each other. Without columns it is a single one that fills the figure, as
        grids of images want it.

    Returns
    -------
    Axes, or array of Axes of shape (rows * columns,)

    Examples
    --------
    >>> import harmonium
    >>> from harmonium import plot
    >>> rbm = harmonium.RBM.initialise(harmonium.datasets.load("digits").train, 16, seed=1)
    >>> ax = plot.filters(rbm, ax=plot.bare_axes())
    >>> plot.save(ax, "filters.png")                                                  # doctest: +SKIP
    """
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained" if columns else None, facecolor="white")
    FigureCanvasAgg(figure)
    return np.ravel(figure.subplots(rows, columns)) if columns else figure.add_axes((0, 0, 1, 1))


def own_axes(width: float = 6.4, height: float = 4.8, *, columns: int = 0) -> Any:
    """The same on a figure of pyplot's, which shows itself in a notebook."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(width, height), dpi=DPI, layout="constrained" if columns else None)
    return np.ravel(figure.subplots(1, columns)) if columns else figure.add_axes((0, 0, 1, 1))


def save(axes: Any, path: str | os.PathLike[str]) -> None:
    """Write the figure of axes in the format of the path's suffix (.png, .svg or .pdf), atomically and without a date.

    Parameters
    ----------
    axes : Axes, or sequence of Axes of one figure
        What a function of `harmonium.plot` has returned.
    path : path

    Raises
    ------
    InvalidParameter
        The suffix is none of these.
    UnwritableOutput
        The place cannot be written; an existing file is untouched.

    Examples
    --------
    >>> from harmonium import plot
    >>> plot.save(plot.samples([[0, 1], [1, 0]], ax=plot.bare_axes()), "two.png")     # doctest: +SKIP
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in _NO_DATE:
        raise InvalidParameter(f"A figure must be saved as .png, .svg or .pdf. Got {str(path)!r}. Change its suffix.")
    atomic_write(path, _rendered(axes, suffix))


def to_png(axes: Any) -> bytes:
    """The figure of axes as the content of a PNG file.

    Parameters
    ----------
    axes : Axes, or sequence of Axes of one figure

    Examples
    --------
    >>> from harmonium import plot
    >>> plot.to_png(plot.samples([[0, 1], [1, 0]], ax=plot.bare_axes()))[1:4]
    b'PNG'
    """
    return _rendered(axes, "png")


def say(ax: Axes, text: str) -> None:
    """A few words where a picture would be."""
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)


def tidy(ax: Axes) -> None:
    """The look of every picture with curves."""
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)


def _rendered(axes: Any, suffix: str) -> bytes:
    buffer = io.BytesIO()
    np.ravel(np.asarray(axes, object))[0].figure.savefig(buffer, format=suffix, metadata=_NO_DATE[suffix])
    return buffer.getvalue()
