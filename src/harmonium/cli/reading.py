"""The options that say how the files of data are to be read, shared by all subcommands that read some."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from harmonium.cli.completion import one_of
from harmonium.cli.errors import option_of
from harmonium.cli.options import integer, number
from harmonium.datasets.reading import FORMATS

Reading = dict[str, Any]  # keyword arguments of `harmonium.datasets.load`
NOTHING_SAID: Reading = {}

_OPTIONS: dict[str, Any] = {
    "format": Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            autocompletion=one_of(FORMATS),
            help=f"Of a DATA file whose ending does not tell: {', '.join(FORMATS)}; csv is any text.",
        ),
    ],
    "array": Annotated[str | None, typer.Option(metavar="NAME", help="Array of a .npz, .mat or HDF5 file.")],
    "label_column": Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of labels in a table: a name, or a number from 0.")
    ],
    "index_column": Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column to leave out: names or numbers of the rows.")
    ],
    "spins": Annotated[bool, typer.Option("--spins", help="DATA are -1 and +1; -1 becomes 0.")],
    "divide_by": Annotated[float | None, number("Divide DATA by this: 255 for the bytes of images.")],
    "max_gigabytes": Annotated[float | None, number("Most that a DATA file may unpack to. [default: 4]")],
    "max_columns": Annotated[int | None, integer("Most columns of a DATA file. [default: 100,000]")],
}


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """A subcommand with these options in place of its parameter ``reading``, which receives those that were used."""

    @functools.wraps(command)
    def with_options(**arguments: Any) -> None:
        used = {name: arguments.pop(name) for name in _OPTIONS}
        command(**arguments, reading={name: value for name, value in used.items() if value not in (None, False)})

    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name != "reading":
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        for name, annotation in _OPTIONS.items():
            default = False if name == "spins" else None
            kind = inspect.Parameter.KEYWORD_ONLY if parameter.kind is parameter.KEYWORD_ONLY else parameter.kind
            parameters.append(inspect.Parameter(name, kind, default=default, annotation=annotation))
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def words_of(reading: Reading) -> list[str]:
    """The options as they are typed."""
    words = []
    for name, value in reading.items():
        value = int(value) if isinstance(value, float) and value.is_integer() else value
        words += [option_of(name)] if value is True else [option_of(name), str(value)]
    return words
