"""A training run on disk: a directory from which a stopped run continues bit for bit.

=========================  ============================================================================
``model.safetensors``      the machine, as of the last checkpoint
``checkpoint.safetensors`` the complete state, which is what a run continues from
``history.jsonl``          one JSON object per epoch
``config.toml``            the choices of the run and the name of its data, to be read and not edited
=========================  ============================================================================

The directory appears under its name only when all four are in it, and each is replaced in one step. The checkpoint is
written last, so that after a crash the others are at most one epoch ahead of it; that epoch is then done again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tomli_w

from harmonium.errors import DataUnavailable, InvalidData, InvalidParameter, UnreadableFile, UnwritableOutput
from harmonium.io import atomic_write
from harmonium.io.atomic import fsync_directory
from harmonium.io.temporary import lock, temporary_directory
from harmonium.training.checkpoint import load_checkpoint, save_checkpoint
from harmonium.training.config import Config
from harmonium.training.reports import read_reports
from harmonium.training.trainer import EpochRecord, TrainingState

_LONGEST = 2**26  # bytes of a history or a config: some ten thousands of epochs
_HEADING = "# The choices of this run, and its data. A changed file is refused when the run is continued."


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run. Made by `create` or `open`.

    Attributes
    ----------
    path : Path
    config : Config
    data : str
        What `harmonium.datasets.load` takes to load the data again.
    fingerprint : str
        Of the training data; see `fingerprint_of`.
    reading : dict
        Keyword arguments of `harmonium.datasets.load` for it.
    parent : str or None
        The directory of the finished run that this one trains on, if it does.

    Examples
    --------
    >>> import harmonium
    >>> import numpy as np
    >>> X = np.array([[1, 0], [1, 1], [0, 0]] * 10)
    >>> run = harmonium.TrainingRun(X, harmonium.Config(1, epochs=1))
    >>> directory = harmonium.training.RunDirectory.create('run', run.config, data='mine', X=X, state=run.state)
    >>> sorted(file.name for file in directory.path.iterdir())
    ['checkpoint.safetensors', 'config.toml', 'history.jsonl', 'model.safetensors']
    """

    path: Path
    config: Config
    data: str
    fingerprint: str
    reading: dict[str, Any] = field(default_factory=dict)
    parent: str | None = None

    @property
    def model_file(self) -> Path:
        """The machine."""
        return self.path / "model.safetensors"

    @property
    def checkpoint_file(self) -> Path:
        """The complete state."""
        return self.path / "checkpoint.safetensors"

    @property
    def history_file(self) -> Path:
        """One JSON object a line, one line an epoch."""
        return self.path / "history.jsonl"

    @property
    def config_file(self) -> Path:
        """The choices of the run."""
        return self.path / "config.toml"

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        config: Config,
        *,
        data: str,
        X: npt.NDArray[Any],
        state: TrainingState,
        reading: dict[str, Any] | None = None,
        parent: RunDirectory | None = None,
    ) -> RunDirectory:
        """Make a run's directory, with all its files, in one step.

        Parameters
        ----------
        path : str or path
            Must not exist, unless as an empty directory; parents are made.
        config : Config
            The choices.
        data : str
            The name of the data.
        X : ndarray
            The training data.
        state : TrainingState
            Where the run starts.
        reading : dict, optional
            How the data are read: keyword arguments of `harmonium.datasets.load`.
        parent : RunDirectory, optional
            The finished run that this one trains on (`harmonium.training.longer`); its history is copied.

        Raises
        ------
        UnwritableOutput
            Something is there already, or the place cannot be written.
        """
        path = Path(path)
        check_new(path)
        reading = reading or {}
        origin = None if parent is None else os.path.abspath(parent.path)
        toml = _to_toml(_choices(data, reading, config, origin))
        descriptor, temporary = -1, ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = temporary_directory(path)
            directory = cls(Path(temporary), config, data, fingerprint_of(X), reading, origin)
            atomic_write(directory.config_file, toml)
            atomic_write(directory.history_file, b"" if parent is None else parent.history_file.read_bytes())
            directory.save(state)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o777 & ~umask)
            os.rename(temporary, path)  # fails if another run has taken the name meanwhile
            temporary = ""
            fsync_directory(path.parent)
        except OSError as error:
            reason = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise UnwritableOutput(
                f"{path} must be a place for a new directory. Got: {reason.strerror or reason}. "
                "Choose another one, or make its parent writable and not full."
            ) from error
        finally:
            if temporary:
                shutil.rmtree(temporary, ignore_errors=True)
            if descriptor >= 0:
                os.close(descriptor)
        return cls(path, config, data, directory.fingerprint, reading, origin)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> tuple[RunDirectory, TrainingState]:
        """A run as its last checkpoint left it.

        Raises
        ------
        DataUnavailable, UnreadableFile
            No run there; or one with a damaged checkpoint, or with a ``config.toml`` that was changed.
        """
        path = Path(path)
        if not os.path.isfile(path / "checkpoint.safetensors"):
            got = "a directory without checkpoint.safetensors" if os.path.isdir(path) else "no such directory"
            raise DataUnavailable(f"{path} must be the directory of a run. Got {got}. Check the path.")
        state, config, attributes = load_checkpoint(path / "checkpoint.safetensors")
        names = "data", "fingerprint", "reading", "parent"
        data, fingerprint, reading, parent = (attributes.get(name) for name in names)
        if not isinstance(data, str) or not isinstance(fingerprint, str):
            raise UnreadableFile(
                f"{path} must hold a checkpoint that names its data. Got one without. "
                "Continue it in Python: TrainingRun(X, config, state=state) after load_checkpoint."
            )
        parent = parent if isinstance(parent, str) else None
        run = cls(path, config, data, fingerprint, reading if isinstance(reading, dict) else {}, parent)
        run._check_config()
        return run, state

    def save(self, state: TrainingState) -> None:
        """Write the machine and the checkpoint.

        Raises
        ------
        UnwritableOutput
            The disk is full or gone; the last checkpoint is untouched.
        """
        state.rbm.save(self.model_file, step=state.step, data=self.data, config=asdict(self.config))
        names: dict[str, Any] = {"data": self.data, "fingerprint": self.fingerprint}
        names |= {"reading": self.reading} if self.reading else {}
        names |= {"parent": self.parent} if self.parent else {}
        save_checkpoint(self.checkpoint_file, state, self.config, **names)

    def append(self, record: EpochRecord) -> None:
        """Add one epoch to the history; to be done before the checkpoint of that epoch is saved."""
        lines = [*self.history(before=record.step), asdict(record)]
        atomic_write(self.history_file, "".join(json.dumps(line) + "\n" for line in lines).encode())

    def history(self, before: float = float("inf")) -> list[dict[str, Any]]:
        """The epochs done so far; those that ended before step `before`, if given.

        Raises
        ------
        UnreadableFile
            The file is missing or malformed.
        """
        return read_history(self.history_file, before)

    def check_data(self, X: npt.NDArray[Any]) -> None:
        """Refuse to go on with other training data than the run began with.

        Raises
        ------
        InvalidData
            The fingerprints differ.
        """
        if fingerprint_of(X) != self.fingerprint:
            raise InvalidData(
                f"A run must continue with the data it began with. Got {self.data} with other values or another shape "
                f"{X.shape} than then. Bring back the old data, or start a new run."
            )

    def _check_config(self) -> None:
        try:
            written = tomllib.loads(_text_of(self.config_file))
        except (OSError, ValueError, RecursionError) as error:
            raise UnreadableFile(
                f"{self.config_file} must hold the choices of the run. Got: {error}. Use a copy."
            ) from None
        expected = tomllib.loads(_to_toml(_choices(self.data, self.reading, self.config, self.parent)).decode())
        # A choice that an earlier version did not know has the value that it has where nobody chooses.
        written = {
            x.name: x.default for x in fields(Config) if x.name in expected and x.default is not MISSING
        } | written
        changed = [name for name in sorted(expected | written) if expected.get(name) != written.get(name)]
        if changed:
            raise InvalidParameter(
                f"{self.config_file} must be as the run began. Got another {', '.join(changed)}. "
                "Undo that, or start a new run with it."
            )


@contextmanager
def advancing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a run, so that no other process advances it meanwhile; the kernel lets go of it when the process ends.

    Raises
    ------
    UnwritableOutput
        Another process holds it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # no run is there: `RunDirectory.open` says what is
        yield
        return
    try:
        if not lock(descriptor, wait=False):
            raise UnwritableOutput(
                f"{path} must be advanced by one process at a time. Got another one that is at it. "
                "Wait for that, or stop it."
            )
        yield
    finally:
        os.close(descriptor)


def read_history(path: Path, before: float = float("inf")) -> list[dict[str, Any]]:
    """The records of a ``history.jsonl``; see `RunDirectory.history`."""
    try:
        lines = [json.loads(line) for line in _text_of(path).splitlines()]
        read_reports(lines)
        return [line for line in lines if line["step"] < before]
    except (OSError, ValueError, AttributeError, LookupError, TypeError, RecursionError) as error:
        raise UnreadableFile(
            f"{path} must hold one JSON object a line. Got: {error}. Use a copy, or empty the file."
        ) from None


def check_new(path: Path) -> None:
    """Refuse a path for a new run where something is already.

    Raises
    ------
    UnwritableOutput
        A file, or a directory that is not empty.
    """
    if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
        is_run = (path / "checkpoint.safetensors").is_file()
        what, extra = ("a run", " continue that run with --resume,") if is_run else ("something else", "")
        raise UnwritableOutput(
            f"{path} must be a new name, as runs are never overwritten. Got {what} that exists there."
            f" Choose another name,{extra} or delete it."
        )


def fingerprint_of(X: npt.NDArray[Any]) -> str:
    """SHA-256 of an array's type, shape and bytes, in hexadecimal."""
    X = np.ascontiguousarray(X)
    digest = hashlib.sha256(f"{X.dtype.str} {X.shape} ".encode())
    digest.update(X.data)
    return digest.hexdigest()


def _text_of(path: Path) -> str:
    """What a file of a run says: no pipe is waited for, and no file read that memory may not hold."""
    if path.exists() and not path.is_file():
        raise OSError("no plain file")
    if (size := path.stat().st_size) > _LONGEST:
        raise OSError(f"{size:,} bytes, where {_LONGEST:,} are the most")
    return path.read_text("utf-8")


def _choices(data: str, reading: dict[str, Any], config: Config, parent: str | None) -> dict[str, Any]:
    source = {"data": data} | {f"data_{name}": value for name, value in reading.items()}
    return source | asdict(config) | {"parent": parent}


def _to_toml(values: dict[str, Any]) -> bytes:
    """What the file says; None is left out, as TOML has no word for it."""
    text = tomli_w.dumps({name: value for name, value in values.items() if value is not None})
    try:
        return f"{_HEADING}\n{text}".encode()
    except UnicodeEncodeError:
        raise InvalidParameter(
            f"The name of the data must be valid Unicode. Got {values['data']!r}. Rename it."
        ) from None
