"""Subcommands that are loaded when one of them is used: ``--help`` and completion wait for none of what they import."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from harmonium.cli.completion import offers_values
from harmonium.cli.quiet import can_be_quiet

# Each a module of this package, which has a function `command` and a `HELP` that begins with these words.
COMMANDS = {
    "train": "Train a machine.",
    "evaluate": "Score a machine on data.",
    "sample": "Draw samples from a machine.",
    "transform": "Turn data into hidden features.",
    "impute": "Fill in what is missing.",
    "inspect": "Describe a machine or a run.",
    "reproduce": "Run the experiments on digits.",
    "bench": "Measure speed on this machine.",
    "verify": "Prove the equations here.",
}
HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


class Commands(TyperGroup):
    """The command as a whole, which knows its subcommands by name."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands.update({name: Deferred(name, words) for name, words in COMMANDS.items()})


class Deferred(TyperCommand):
    """A subcommand by its name and a few words, until it is asked for more."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(name, help=words, rich_markup_mode=None)

    def load(self) -> Any:
        """The subcommand itself."""
        module = importlib.import_module(f"harmonium.cli.{self.name}")
        alone = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=HELP_OPTIONS)
        alone.command(self.name, help=module.HELP)(offers_values(can_be_quiet(module.command)))
        return get_command(alone)

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        """What runs, helps or completes: the subcommand's own context."""
        return self.load().make_context(*arguments, **settings)
