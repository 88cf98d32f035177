"""Where data lie on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path


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
