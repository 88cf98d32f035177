"""Pictures of machines, data, runs and chains, by Matplotlib: each function draws into axes and returns them.

Without ``ax=`` a function makes a figure of its own through pyplot, which a notebook shows and a script shows with
``matplotlib.pyplot.show()``. On servers, in threads, and for files alone, pass `bare_axes`: pyplot is then not loaded.
"""

from harmonium.plot.chains import chains
from harmonium.plot.confusion import confusion_matrix
from harmonium.plot.curves import curves, panels_of
from harmonium.plot.figures import bare_axes, save, to_png
from harmonium.plot.grids import filters, reconstructions, samples

__all__ = [
    "bare_axes",
    "chains",
    "confusion_matrix",
    "curves",
    "filters",
    "panels_of",
    "reconstructions",
    "samples",
    "save",
    "to_png",
]
