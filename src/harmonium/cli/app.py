"""The command as a whole: its subcommands, and the one place where failures become messages and exit codes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

import harmonium
from harmonium.cli.deferred import HELP_OPTIONS, Commands
from harmonium.cli.errors import STOPPED, USAGE, Stopped, explain
from harmonium.cli.output import complain

FIRST = """A first session, of a minute:
  harmonium train digits --hidden 64 --out run
  harmonium evaluate run digits
  harmonium sample run -n 100 --out samples.png
Watch one learn:
  harmonium train digits --hidden 64 --watch
Your own table:
  harmonium train table.csv --hidden 32
All commands, and all data sets:
  harmonium --help
  harmonium train --help"""

HELP = """Train, evaluate and use restricted Boltzmann machines.

\b
A first session:
  harmonium train digits --hidden 64 --out run
  harmonium evaluate run digits
  harmonium sample run -n 100 --out samples.png

Results go to stdout (as one JSON object with --json), progress and messages to stderr.

\b
Exit codes:
  0  done
  1  failed; stderr says what to do
  2  the command line is wrong
  130, 143  stopped by Ctrl-C or SIGTERM
"""

# Plain help, not Rich's panels: it fits a terminal of 40 columns, and a pipe.
app = typer.Typer(
    name="harmonium",
    cls=Commands,
    help=HELP,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"harmonium {harmonium.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of the command as a whole."""
    if context.invoked_subcommand is None:
        print(FIRST, file=sys.stderr)
        raise typer.Exit(USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process if left out.

    Returns
    -------
    int
        The exit code.
    """
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: complain("warning", str(message))
        try:
            code = int(app(args=arguments, prog_name="harmonium", standalone_mode=False) or 0)
            if code == STOPPED:  # Typer has taken the KeyboardInterrupt, and says nothing
                complain("stopped", "by Ctrl-C.")
            sys.stdout.flush()  # a disk may be found full only now
            return code
        except BrokenPipeError:  # the reader of the results has gone, and wants no more of them
            return 1
        except Exception as error:
            code, message = explain(error)
            complain("stopped" if isinstance(error, Stopped) else "error", message)
            return code
        except KeyboardInterrupt:
            complain("stopped", "by Ctrl-C.")
            return STOPPED
        except SystemExit as exit_:  # Typer leaves this way when the reader of a pipe has gone
            return exit_.code if isinstance(exit_.code, int) else 1
        finally:
            _flush()


def _flush() -> None:
    """Leave nothing for the interpreter to write, and to fail at, in its last moments."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = None
