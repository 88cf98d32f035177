"""How Sphinx builds the documentation: `make docs`."""

import importlib
from types import SimpleNamespace
from typing import Any

from docutils import nodes
from sphinx.ext.autodoc.mock import mock
from sphinx.util.docutils import SphinxDirective

import harmonium

project = "Harmonium"
author = copyright = "The Harmonium developers"
version = release = harmonium.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = "Harmonium"
html_static_path = ["_static"]
html_css_files = ["harmonium.css"]
copybutton_exclude = ".linenos, .gp, .go"

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # the shapes in the docstrings say more
autosummary_generate = True
numpydoc_show_class_members = False  # the template of a class lists them

# The Keras face is read without Keras, which is large, and without ONNX.
with mock(["keras", "skl2onnx", "onnx", "onnxconverter_common"]):
    keras: Any = importlib.import_module("keras")
    keras.__version__ = "3."
    keras.backend = SimpleNamespace(backend=lambda: "tensorflow")
    importlib.import_module("harmonium.keras")
    importlib.import_module("harmonium.sklearn.onnx")


class Help(SphinxDirective):
    """What ``harmonium NAME --help`` prints."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        from typer.main import get_command

        from harmonium.cli import app

        (name,) = self.arguments
        command = get_command(app).commands[name]  # type: ignore[attr-defined]
        context = command.make_context(f"harmonium {name}", [], resilient_parsing=True, max_content_width=100)
        return [nodes.literal_block("", context.get_help(), language="text")]


def leave_out(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """What describes itself elsewhere: fields of named tuples in their class, requests for metadata in scikit-learn."""
    is_request = name.startswith("set_") and name.endswith("_request")
    return True if is_request or type(obj).__name__ == "_tuplegetter" else None


def setup(app: Any) -> None:
    app.add_directive("help", Help)
    app.connect("autodoc-skip-member", leave_out)
