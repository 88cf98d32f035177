"""What was taken for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import PowerNorm

from harmonium.errors import InvalidData
from harmonium.plot.figures import own_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion_matrix(counts: Any, names: Sequence[str] | None = None, *, ax: Axes | None = None) -> Axes:
    """How often each class was taken for each other: true classes down the side, predictions along the top.

    Every cell holds its count; zeros are left out. Its shade is the share of its row, with small shares darkened so
    that they can be seen.

    Parameters
    ----------
    counts : array-like of int, shape (n_classes, n_classes)
        ``counts[i, j]`` samples of class i were taken for class j.
    names : sequence of str, optional
        Of the classes; their numbers if left out.
    ax : Axes, optional
        Where to draw; a new figure if left out.

    Returns
    -------
    Axes

    Raises
    ------
    InvalidData
        `counts` is no square table of whole numbers.

    Examples
    --------
    >>> from harmonium import plot
    >>> (ax,) = plot.bare_axes(5, 5, columns=1)
    >>> len(plot.confusion_matrix([[8, 2], [0, 9]], ["cat", "dog"], ax=ax).texts)
    3
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
    if ax is None:
        (ax,) = own_axes(5.2, 5.2, columns=1)
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
    return ax
