"""Pictures of machines, and pages that show them."""

from harmonium.report.figures import (
    confusion_matrix,
    filters,
    image_grid,
    reconstructions,
    save,
    to_png,
    training_curves,
)
from harmonium.report.method import describe_method, settings_table
from harmonium.report.page import Page, Picture, Section, Table

__all__ = [
    "Page",
    "Picture",
    "Section",
    "Table",
    "confusion_matrix",
    "describe_method",
    "filters",
    "image_grid",
    "reconstructions",
    "save",
    "settings_table",
    "to_png",
    "training_curves",
]
