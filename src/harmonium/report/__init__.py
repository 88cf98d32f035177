"""Pages that show machines and what came of them."""

from harmonium.report.card import model_card
from harmonium.report.method import describe_method, settings_table
from harmonium.report.page import Page, Picture, Section, Table
from harmonium.report.run import run_page

__all__ = [
    "Page",
    "Picture",
    "Section",
    "Table",
    "describe_method",
    "model_card",
    "run_page",
    "settings_table",
]
