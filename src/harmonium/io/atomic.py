"""Replace a file in one step: after a crash the old content or the new one is there, never a mixture."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from harmonium.errors import UnwritableOutput


def atomic_write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` by temporary file, fsync, rename, and fsync of the directory.

    Raises
    ------
    UnwritableOutput
        The directory does not exist or cannot be written, or the disk is full. An existing file is untouched.

    References
    ----------
    Pillai et al., "All file systems are not created equal", OSDI 2014: a rename alone is not enough.
    """
    path = Path(path)
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            # mkstemp makes the file private; give it the permissions an ordinary new file would have.
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(file.fileno(), 0o666 & ~umask)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise UnwritableOutput(
            f"{path} must be a place that can be written. Got: {error.strerror or error}. "
            "Choose another path, or make the directory exist, writable and not full."
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
