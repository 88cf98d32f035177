"""Pages that show machines and what came of them."""

from harmonium.report.method import describe_method, settings_table
from harmonium.report.page import Page, Picture, Section, Table

__all__ = [
    "Page",
    "Picture",
    "Section",
    "Table",
    "describe_method",
    "settings_table",
]
