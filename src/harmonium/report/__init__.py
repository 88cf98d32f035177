"""Pictures of machines, and pages that show them."""

from harmonium.report.figures import filters, image_grid, reconstructions, save, training_curves
from harmonium.report.page import Page, Picture, Table
from harmonium.report.results import Results, write_results

__all__ = [
    "Page",
    "Picture",
    "Results",
    "Table",
    "filters",
    "image_grid",
    "reconstructions",
    "save",
    "training_curves",
    "write_results",
]
