"""What a failure is called on the command line, and with which exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from harmonium.errors import HarmoniumError, InvalidParameter

FAILED, USAGE, STOPPED = 1, 2, 130


class Stopped(Exception):
    """A signal has asked for an end, and what had been done is safe; no error, but no success.

    Parameters
    ----------
    signal : int
    message : str
        What was done, and how to go on.
    """

    def __init__(self, signal: int, message: str) -> None:
        super().__init__(message)
        self.signal = signal


def explain(error: Exception) -> tuple[int, str]:
    """Exit code and message of an expected failure.

    Raises
    ------
    Exception
        `error` itself, if it is none: then it is a bug, and the traceback is what its report needs.
    """
    if isinstance(error, Stopped):
        return 128 + error.signal, str(error)  # as shells count
    if isinstance(error, InvalidParameter):
        return USAGE, str(error)
    if isinstance(error, HarmoniumError):
        return FAILED, str(error)
    if isinstance(error, MemoryError) or _is_beyond_memory(error):
        return (
            FAILED,
            f"The work must fit into memory. Got: {str(error).rstrip('.')}. Ask for fewer units, chains or samples.",
        )
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return FAILED, f"Files must be readable and writable. Got: {place}{error.strerror or error}. Check the path."
    if isinstance(error, typer.Abort):
        return STOPPED, "Stopped by Ctrl-C."
    # Typer's own errors have had different classes over its versions, and always this method.
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "harmonium"
        message = error.format_message().rstrip(".")
        return USAGE, f"{message}{'' if message.endswith('?') else '.'} See: {command} --help"
    raise error


def _is_beyond_memory(error: Exception) -> bool:
    """Whether NumPy refused a size that no address space holds, which it calls a ValueError."""
    return isinstance(error, ValueError) and str(error).startswith(("array is too big", "Maximum allowed"))


def option_of(name: str) -> str:
    """The option that is called like a parameter."""
    return "--" + name.replace("_", "-")


@contextmanager
def options_named(*names: str, **others: str) -> Iterator[None]:
    """Let messages about a parameter name the option that the user typed: ``"seed"``, or ``n_hidden="--hidden"``."""
    options = {name: option_of(name) for name in names} | others
    try:
        yield
    except InvalidParameter as error:
        name, space, rest = str(error).partition(" ")
        raise InvalidParameter(options.get(name, name) + space + rest) from None
