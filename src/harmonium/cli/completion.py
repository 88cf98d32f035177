"""What a shell offers when the tab key is pressed: the values of an option, and the names of data sets.

Values are those that the help names: ``metavar="auto|exact|ais"``.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints


def offers_values(command: Callable[..., None]) -> Callable[..., None]:
    """The same subcommand, whose options and arguments complete what is typed."""
    for hint in get_type_hints(command, include_extras=True).values():
        for info in getattr(hint, "__metadata__", ()):
            metavar = getattr(info, "metavar", None) or ""
            if metavar == "DATA":
                info.autocompletion = _data
            elif "|" in metavar:
                info.autocompletion = one_of([word for word in metavar.split("|") if word != word.upper()])
    return command


def one_of(values: Sequence[str]) -> Callable[[str], list[str]]:
    """What offers those of the values that begin as what is typed."""

    def offer(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return offer


def _data(incomplete: str) -> list[str]:
    from harmonium import datasets  # loads NumPy, which `--help` does without

    names: list[Any] = [name for name in datasets.names() if name.startswith(incomplete)]
    return [*names, *sorted(glob.glob(glob.escape(incomplete) + "*"))]
