"""Replace a file in one step: after a crash the old content or the new one is there, never a mixture."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from harmonium.errors import UnwritableOutput
from harmonium.io.temporary import temporary_file


def atomic_write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` by temporary file, fsync, rename, and fsync of the directory.

    What writers of `path` that were killed have left beside it is removed (`harmonium.io.temporary`).

    Raises
    ------
    UnwritableOutput
        The directory does not exist or cannot be written, or the disk is full. An existing file is untouched.

    References
    ----------
    Pillai et al., "All file systems are not created equal", OSDI 2014: a rename alone is not enough.

    Examples
    --------
    >>> import pathlib
    >>> import harmonium
    >>> harmonium.io.atomic_write('note', b'all or nothing')
    >>> pathlib.Path('note').read_text()
    'all or nothing'
    """
    path = Path(path)
    temporary = None
    try:
        descriptor, temporary = temporary_file(path)
        with os.fdopen(descriptor, "wb") as file:
            # mkstemp makes the file private; give it the permissions an ordinary new file would have.
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(file.fileno(), 0o666 & ~umask)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)  # still open, and so still locked
        temporary = None
        fsync_directory(path.parent)
    except OSError as error:
        raise UnwritableOutput(
            f"{path} must be a place that can be written. Got: {error.strerror or error}. "
            "Choose another path, or make the directory exist, writable and not full."
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def fsync_directory(path: str | os.PathLike[str]) -> None:
    """Let the names in a directory be on the disk before anything else is done."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
