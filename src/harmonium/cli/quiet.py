"""``--quiet``, which every subcommand has: nothing on stderr but warnings, alarms and errors."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any, get_type_hints

import typer

_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)  # of the command that runs
_Option = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes; warnings and errors stay.")]


def is_quiet() -> bool:
    """Whether the command that runs was asked to be."""
    return _QUIET.get()


def can_be_quiet(command: Callable[..., None]) -> Callable[..., None]:
    """The same subcommand with this option more."""

    @functools.wraps(command)
    def with_quiet(*, quiet: bool, **arguments: Any) -> None:
        token = _QUIET.set(quiet)
        try:
            command(**arguments)
        finally:
            _QUIET.reset(token)

    hints = get_type_hints(command, include_extras=True)
    parameters = [
        x.replace(annotation=hints[name], kind=x.KEYWORD_ONLY)
        for name, x in inspect.signature(command).parameters.items()
    ]
    parameters.append(inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_Option))
    with_quiet.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_quiet.__annotations__ = {x.name: x.annotation for x in parameters}
    return with_quiet
