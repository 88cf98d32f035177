"""Many small images in one picture: weights, samples, and data with their reconstructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from harmonium.errors import InvalidData
from harmonium.inputs import check_count, check_matrix
from harmonium.plot.figures import DPI, own_axes
from harmonium.random import Key, as_key
from harmonium.rbm import RBM
from harmonium.tiles import SIGNED, as_images, end_of_scale, tile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.floating[Any]]

# A grid is drawn at a whole number of screen pixels a data pixel, so that all pixels come out equally large.
_GRID_INCHES = 6.4
_SIGNED = LinearSegmentedColormap.from_list("signed", list(SIGNED))


def filters(
    rbm: RBM,
    shape: tuple[int, int] | None = None,
    n: int = 64,
    *,
    columns: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The weights of the first `n` hidden units, each drawn as an image of the visible layer.

    Red is positive, blue negative, grey zero. All filters share one scale, whose end is the 99.5th percentile of the
    sizes of the weights shown: a few extreme weights then do not wash out all the others.

    Parameters
    ----------
    rbm : RBM
    shape : (rows, columns), optional
        The shape of one image. Without it, a square where the number of visible units is one, else a strip.
    n : int
        How many units, in the machine's own order: none is picked by its looks.
    columns : int, optional
        Images in a row of the grid; nearly square if left out.
    ax : Axes, optional
        Where to draw; a new figure if left out.

    Returns
    -------
    Axes

    Raises
    ------
    InvalidData
        The machine has no hidden units, or `shape` does not fit it.

    Examples
    --------
    >>> import harmonium
    >>> from harmonium import plot
    >>> rbm = harmonium.RBM.initialise(harmonium.datasets.load("digits").train, 16, seed=1)
    >>> plot.filters(rbm, (8, 8), n=9, ax=plot.bare_axes()).images[0].get_array().shape
    (28, 28)
    """
    weights = rbm.W[: check_count(n, "n")]
    if len(weights) == 0:
        raise InvalidData("A machine must have hidden units for its filters to be drawn. Got none.")
    end = end_of_scale(weights)
    return _draw(as_images(weights, shape), columns, (-end, end), _SIGNED, ax)


def samples(
    images: Any, shape: tuple[int, int] | None = None, *, columns: int | None = None, ax: Axes | None = None
) -> Axes:
    """Rows of states, expectations or data drawn as grey images, 0 black and 1 white.

    Parameters
    ----------
    images : array-like of shape (n_images, n_visible), values in [0, 1]
    shape, columns, ax
        As in `filters`.

    Returns
    -------
    Axes

    Raises
    ------
    InvalidData
        `images` breaks the input contract, or `shape` does not fit it.

    Examples
    --------
    >>> import harmonium
    >>> from harmonium import plot
    >>> images = harmonium.datasets.load("digits").test[:12]
    >>> ax = plot.samples(images, (8, 8), columns=6, ax=plot.bare_axes())
    """
    return _draw(as_images(check_matrix(images, name="images"), shape), columns, (0, 1), "gray", ax)


def reconstructions(
    rbm: RBM, X: Any, shape: tuple[int, int] | None = None, seed: int | Key = 0, *, ax: Axes | None = None
) -> Axes:
    """Data, and below each its reconstruction E[v | h] from one sampled h ~ p(h | v).

    Parameters
    ----------
    rbm : RBM
    X : array-like of shape (n_images, n_visible), values in [0, 1]
        A few rows; they are drawn in pairs of lines, at most ten images a line.
    shape, ax
        As in `filters`.
    seed : int or Key

    Returns
    -------
    Axes

    Raises
    ------
    InvalidData
        The data do not fit the machine, or `shape` does not fit them.

    Examples
    --------
    >>> import harmonium
    >>> from harmonium import plot
    >>> X = harmonium.datasets.load("digits").test[:10]
    >>> ax = plot.reconstructions(harmonium.RBM.initialise(X, 16, seed=1), X, ax=plot.bare_axes())
    """
    X = check_matrix(X, n_columns=rbm.n_visible)
    columns, again = min(10, len(X)), rbm.mean_v_from_h(_draw_h(rbm, X, seed))
    both = []
    for above, below in zip(_lines(X, columns), _lines(again, columns), strict=True):
        both += [above, below]
    return _draw(as_images(np.concatenate(both), shape), columns, (0, 1), "gray", ax)


def _draw_h(rbm: RBM, X: FloatArray, seed: int | Key) -> npt.NDArray[np.uint8]:
    return rbm.sample_h_from_v(X, seed=as_key(seed).derive("reconstructions"))


def _lines(x: FloatArray, columns: int) -> list[FloatArray]:
    """Groups of `columns` rows, the last filled up with NaN, which is drawn as nothing."""
    n_missing = -len(x) % columns
    x = np.concatenate([x.astype(np.float64), np.full((n_missing, x.shape[1]), np.nan)])
    return list(x.reshape(-1, columns, x.shape[1]))


def _draw(images: FloatArray, columns: int | None, limits: tuple[float, float], colours: Any, ax: Axes | None) -> Axes:
    """All images in one picture, with gaps of NaN between them: a hundred times faster than an axes each."""
    canvas = tile(images, None if columns is None else check_count(columns, "columns"))
    ax = own_axes() if ax is None else ax
    aspect: Literal["auto", "equal"] = "equal"
    if isinstance(ax.figure, Figure) and ax.get_position().bounds == (0, 0, 1, 1):
        aspect = "auto"
        scale = max(1, round(_GRID_INCHES * DPI / max(canvas.shape)))
        ax.figure.set_size_inches(canvas.shape[1] * scale / DPI, canvas.shape[0] * scale / DPI)
    ax.set_axis_off()
    ax.imshow(canvas, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest", aspect=aspect)
    return ax
