"""Temporary files and directories beside what they are to become, and what is left of them when a process is killed.

The temporary of ``name`` is called ``.name.XXXXXXXX.tmp``. Its maker holds a lock on it (flock), which the kernel lifts
when the process ends, however it ends: a temporary whose lock can be had is abandoned, and the next writer of ``name``
removes it. One that a living process works on is left alone, and so is everything of another name. Where there are no
locks, as on some network file systems, nothing is removed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

_SUFFIX = ".tmp"


def temporary_file(path: Path) -> tuple[int, str]:
    """A new file beside `path`, open for writing and locked while its descriptor is: the descriptor and the name."""

    def make(prefix: str) -> tuple[int, str]:
        return tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=_SUFFIX)

    return _make(path, make)


def temporary_directory(path: Path) -> tuple[int, str]:
    """A new directory beside `path`, locked while its descriptor is open: the descriptor and the name."""

    def make(prefix: str) -> tuple[int, str]:
        name = tempfile.mkdtemp(dir=path.parent, prefix=prefix, suffix=_SUFFIX)
        return os.open(name, os.O_RDONLY), name

    return _make(path, make)


def lock(descriptor: int, *, wait: bool) -> bool:
    """Take the lock of an open file or directory; False if another holds it, True also where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _make(path: Path, make: Callable[[str], tuple[int, str]]) -> tuple[int, str]:
    _remove_abandoned(path)
    while True:
        descriptor, name = make(f".{path.name}.")
        lock(descriptor, wait=True)
        # Before the lock was taken, another process may have thought it abandoned.
        if os.path.lexists(name):
            return descriptor, name
        os.close(descriptor)


def _remove_abandoned(path: Path) -> None:
    ours = re.compile(re.escape(f".{path.name}.") + "[a-z0-9_]{8}" + re.escape(_SUFFIX))
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.path for entry in entries if ours.fullmatch(entry.name)]
    except OSError:  # whoever writes there will say so
        return
    for name in names:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(mode):
                shutil.rmtree(name, ignore_errors=True)
            elif stat.S_ISREG(mode):
                os.unlink(name)
        except OSError:  # in use, or not ours to remove
            pass
        finally:
            os.close(descriptor)
