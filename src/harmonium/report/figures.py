"""Pictures of machines, data and training runs, as Matplotlib figures that carry no global state.

The figures are made without pyplot, so they can be drawn in any thread, on machines without a display, and need not
be closed. Show one in a notebook by naming it; write it with `save`.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harmonium.errors import InvalidData, InvalidParameter
from harmonium.inputs import check_count, check_matrix
from harmonium.io import atomic_write
from harmonium.random import Key, as_key
from harmonium.rbm import RBM

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.floating[Any]]

DPI = 100
# The suffixes that are understood, and what keeps dates out of them: the same run writes the same files.
_NO_DATE: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
# A grid is drawn at a whole number of screen pixels a data pixel, so that all pixels come out equally large.
_GRID_INCHES = 6.4
# Zero is a light grey, apart from the white between the images, so that an empty filter is seen as an image.
_SIGNED = LinearSegmentedColormap.from_list("signed", ["#08306b", "#2b7bba", "#eeeeee", "#d9352a", "#67000d"])
_TRAIN, _HELD_OUT = "#1f77b4", "#d95f02"


def filters(rbm: RBM, shape: tuple[int, int] | None = None, n: int = 64, *, columns: int | None = None) -> Figure:
    """The weights of the first `n` hidden units, each drawn as an image of the visible layer.

    Parameters
    ----------
    rbm : RBM
    shape : (rows, columns), optional
        The shape of one image. Without it, a square where the number of visible units is one, else a strip.
    n : int
        How many units, in the machine's own order: none is picked by its looks.
    columns : int, optional
        Images in a row of the grid.

    Returns
    -------
    Figure
        Red is positive, blue negative, grey zero. All filters share one scale, whose end is the 99.5th percentile of
        the sizes of the weights shown: a few extreme weights then do not wash out all the others.
    """
    weights = rbm.W[: check_count(n, "n")]
    if len(weights) == 0:
        raise InvalidData("A machine must have hidden units for its filters to be drawn. Got none.")
    end = float(np.percentile(np.abs(weights), 99.5)) or 1.0
    return _grid(_as_images(weights, shape), columns, limits=(-end, end), colours=_SIGNED)


def image_grid(images: Any, shape: tuple[int, int] | None = None, *, columns: int | None = None) -> Figure:
    """Rows of data drawn as grey images, 0 black and 1 white.

    Parameters
    ----------
    images : array-like of shape (n_images, n_visible), values in [0, 1]
    shape : (rows, columns), optional
        As in `filters`.
    columns : int, optional
        Images in a row of the grid; nearly square if left out.

    Raises
    ------
    InvalidData
        `images` breaks the input contract, or `shape` does not fit it.
    """
    return _grid(_as_images(check_matrix(images, name="images"), shape), columns, limits=(0, 1), colours="gray")


def reconstructions(rbm: RBM, X: Any, shape: tuple[int, int] | None = None, seed: int | Key = 0) -> Figure:
    """Data, and below each its reconstruction E[v | h] from one sampled h ~ p(h | v).

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_images, n_visible), values in [0, 1]
        A few rows; they are drawn in pairs of lines, at most ten images a line.
    shape : (rows, columns), optional
        As in `filters`.
    seed : int or Key
    """
    X = check_matrix(X, n_columns=rbm.n_visible)
    columns = min(10, len(X))
    both = []
    for data, again in zip(*(_lines(x, columns) for x in (X, expected_v(rbm, X, seed))), strict=True):
        both += [data, again]
    return _grid(_as_images(np.concatenate(both), shape), columns, limits=(0, 1), colours="gray")


def expected_v(rbm: RBM, X: Any, seed: int | Key = 0) -> FloatArray:
    """E[v | h] for one h ~ p(h | v) of each row: a half-sweep that ends in probabilities, smooth to look at."""
    p = rbm.mean_h_from_v(X)
    return rbm.mean_v_from_h((as_key(seed).derive("expected_v").uniform(*p.shape) < p).astype(p.dtype))


def training_curves(history: Sequence[Any]) -> Figure:
    """Scores after each epoch: pseudo-log-likelihood, free-energy gap and reconstruction error.

    Parameters
    ----------
    history : sequence of EpochRecord
        Records without held-out scores give curves of the training data only; those without any are passed over.

    Returns
    -------
    Figure
        A free-energy gap that sinks away from zero is overfitting: the machine finds training data ever more probable
        than held-out data.
    """
    scored = [record for record in history if record.train is not None]
    if not scored:
        raise InvalidData("A history must hold at least one scored epoch. Got none. Train for an epoch or more.")
    epochs = [record.epoch for record in scored]
    pairs = [(record.train, record.valid) for record in scored]
    figure = _figure(9.6, 3.2)
    axes = figure.subplots(1, 3)
    _plot_scores(axes[0], epochs, pairs, "pseudo_log_likelihood", "Pseudo-log-likelihood", "nats a sample")
    _plot_gap(axes[1], epochs, pairs)
    _plot_scores(axes[2], epochs, pairs, "reconstruction_error", "Reconstruction error", "mean square a unit")
    for ax in axes:
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def confusion_matrix(counts: Any, names: Sequence[str] | None = None) -> Figure:
    """How often each class was taken for each other: true classes down the side, predictions along the top.

    Parameters
    ----------
    counts : array-like of int, shape (n_classes, n_classes)
        ``counts[i, j]`` samples of class i were taken for class j.
    names : sequence of str, optional
        Of the classes; their numbers if left out.

    Returns
    -------
    Figure
        Every cell holds its count; zeros are left out. Its shade is the share of its row, with small shares darkened so
        that they can be seen.
    """
    table = np.asarray(counts)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or table.dtype.kind not in "ui" or (table < 0).any():
        raise InvalidData(
            "counts must be a square table of whole numbers, none negative. "
            f"Got {table.dtype} of shape {table.shape}. Count with sklearn.metrics.confusion_matrix."
        )
    n_classes = len(table)
    labels = [str(k) for k in range(n_classes)] if names is None else list(names)
    fractions = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure = _figure(5.2, 5.2)
    ax = figure.subplots()
    ax.imshow(fractions, cmap="Blues", norm=PowerNorm(0.4, 0, 1))
    for (i, j), count in np.ndenumerate(table):
        if count:
            colour = "white" if fractions[i, j] > 0.3 else "black"
            ax.text(j, i, str(count), ha="center", va="center", fontsize="small", color=colour)
    ax.set_xticks(range(n_classes), labels)
    ax.set_yticks(range(n_classes), labels)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure in the format of the path's suffix (.png, .svg or .pdf), atomically.

    Raises
    ------
    InvalidParameter
        The suffix is none of these.
    UnwritableOutput
        The place cannot be written; an existing file is untouched.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in _NO_DATE:
        raise InvalidParameter(f"A figure must be saved as .png, .svg or .pdf. Got {str(path)!r}. Change its suffix.")
    atomic_write(path, _rendered(figure, suffix))


def to_png(figure: Figure) -> bytes:
    """The figure as the content of a PNG file."""
    return _rendered(figure, "png")


def _rendered(figure: Figure, suffix: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, metadata=_NO_DATE[suffix])
    return buffer.getvalue()


# Grids ----------------------------------------------------------------------------------------------------------------


def _as_images(rows: FloatArray, shape: tuple[int, int] | None) -> FloatArray:
    n_visible = rows.shape[1]
    if shape is None:
        side = math.isqrt(n_visible)
        shape = (side, side) if side**2 == n_visible else (1, n_visible)
    if len(shape) != 2 or shape[0] * shape[1] != n_visible:
        raise InvalidData(f"shape must be (rows, columns) of {n_visible} units. Got {shape}. Correct or omit it.")
    return rows.reshape(len(rows), *shape)


def _lines(x: FloatArray, columns: int) -> list[FloatArray]:
    """Groups of `columns` rows, the last filled up with NaN, which is drawn as nothing."""
    n_missing = -len(x) % columns
    x = np.concatenate([x.astype(np.float64), np.full((n_missing, x.shape[1]), np.nan)])
    return list(x.reshape(-1, columns, x.shape[1]))


def _grid(images: FloatArray, columns: int | None, limits: tuple[float, float], colours: Any) -> Figure:
    """All images in one picture, with gaps of NaN between them: a hundred times faster than an axes each."""
    n_images, height, width = images.shape
    if columns is None:
        columns = max(1, round(math.sqrt(n_images * height / width)))
    columns = min(check_count(columns, "columns"), n_images)
    gap = max(1, round(min(height, width) / 14))
    n_lines = -(-n_images // columns)
    canvas = np.full((n_lines * (height + gap) + gap, columns * (width + gap) + gap), np.nan)
    for k, image in enumerate(images):
        y, x = (i * (size + gap) + gap for i, size in zip(divmod(k, columns), (height, width), strict=True))
        canvas[y : y + height, x : x + width] = image
    scale = max(1, round(_GRID_INCHES * DPI / max(canvas.shape)))
    figure = _figure(canvas.shape[1] * scale / DPI, canvas.shape[0] * scale / DPI, layout=None)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.imshow(canvas, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest", aspect="auto")
    return figure


def _figure(width: float, height: float, layout: Any = "constrained") -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


# Curves ---------------------------------------------------------------------------------------------------------------


def _plot_scores(ax: Axes, epochs: list[int], pairs: list[Any], field: str, title: str, unit: str) -> None:
    train = [getattr(score, field) for score, _ in pairs]
    held_out = [None if score is None else getattr(score, field) for _, score in pairs]
    ax.set_title(title, fontsize="medium")
    ax.set_ylabel(unit)
    if None in train:
        _say(ax, "not defined for grey data")
        return
    _plot(ax, epochs, train, _TRAIN, "-", "train")
    if None not in held_out:
        _plot(ax, epochs, held_out, _HELD_OUT, "--", "held out")
        ax.legend(frameon=False)


def _plot_gap(ax: Axes, epochs: list[int], pairs: list[Any]) -> None:
    ax.set_title("Free energy, train \N{MINUS SIGN} held out", fontsize="medium")
    ax.set_ylabel("nats")
    if any(valid is None for _, valid in pairs):
        _say(ax, "no held-out data")
        return
    ax.axhline(0, color="black", linewidth=0.8)
    _plot(ax, epochs, [train.free_energy - valid.free_energy for train, valid in pairs], _HELD_OUT, "-", None)


def _plot(ax: Axes, epochs: list[int], values: list[Any], colour: str, style: str, label: str | None) -> None:
    # A single epoch would be an invisible line.
    ax.plot(epochs, values, color=colour, linestyle=style, marker="o" if len(epochs) == 1 else None, label=label)


def _say(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)
