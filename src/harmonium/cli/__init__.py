"""The ``harmonium`` command: a thin face over the library, one file a subcommand."""

from harmonium.cli.app import app, main

__all__ = ["app", "main"]
