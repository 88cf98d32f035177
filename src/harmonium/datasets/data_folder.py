"""Where data lie on this machine, and how a file gets there whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO


def data_folder() -> Path | None:
    """The folder that the environment variable HARMONIUM_DATA names, or None where it is unset or empty."""
    value = os.environ.get("HARMONIUM_DATA")
    return Path(os.path.expanduser(value)) if value else None


def describe_data_folder() -> str:
    """The state of HARMONIUM_DATA, for messages."""
    folder = data_folder()
    if folder is None:
        return "HARMONIUM_DATA is not set"
    return f"HARMONIUM_DATA is {folder}" + ("" if folder.is_dir() else ", which is not a folder")


def cache_folder() -> Path:
    """The folder for downloads: HARMONIUM_CACHE, or ``harmonium`` in the platform's user cache. May not exist yet."""
    if value := os.environ.get("HARMONIUM_CACHE"):
        return Path(os.path.expanduser(value))
    if sys.platform == "darwin":
        variable, fallback = "", "~/Library/Caches"
    elif sys.platform == "win32":
        variable, fallback = "LOCALAPPDATA", "~/AppData/Local"
    else:
        variable, fallback = "XDG_CACHE_HOME", "~/.cache"
    return Path(os.environ.get(variable) or os.path.expanduser(fallback)) / "harmonium"


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that `path` holds either what it held before or all of the new content.

    Parameters
    ----------
    path : Path
        Its folder is made if need be.
    write : callable
        Receives the open binary file.

    Raises
    ------
    OSError
        The folder or the file cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
