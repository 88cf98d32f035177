"""The boundaries of the writer: every call by which a run changes the disk, before it, after it, and within a write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

CALLS = {os: ("open", "fchmod", "chmod", "fsync", "replace", "rename", "unlink"), tempfile: ("mkstemp", "mkdtemp")}


class Torn:
    """An open file whose writes pass a boundary half-way."""

    def __init__(self, file: Any, at: Callable[[str], None]) -> None:
        self._file, self._at = file, at

    def __enter__(self) -> Torn:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, content: bytes) -> None:
        self._file.write(content[: len(content) // 2])
        self._file.flush()
        self._at("write")
        self._file.write(content[len(content) // 2 :])


def watch(at: Callable[[str], None]) -> None:
    """Let `at` be called with the name of the call, in this process and from now on, at every boundary."""

    def wrapped(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def at_both_sides(*arguments: Any, **options: Any) -> Any:
            at(name)
            result = call(*arguments, **options)
            at(name)
            return result

        return at_both_sides

    for module, names in CALLS.items():
        for name in names:
            setattr(module, name, wrapped(name, getattr(module, name)))
    fdopen = os.fdopen
    os.fdopen = lambda *arguments, **options: Torn(fdopen(*arguments, **options), at)  # type: ignore[assignment]


def at_number(number: int, act: Callable[[str], None], *, stay: bool = False) -> Callable[[str], None]:
    """Act at boundary `number`, counted from 0; at all later ones too if it is to `stay`."""
    passed = -1

    def at(name: str) -> None:
        nonlocal passed
        passed += 1
        if passed == number or (stay and passed > number):
            act(name)

    return at
