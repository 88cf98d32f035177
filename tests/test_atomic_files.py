"""Nothing on disk is lost by a failed write: a file is there as it was, or whole."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harmonium import RBM
from harmonium.errors import UnwritableOutput
from harmonium.io import atomic_write, temporary
from harmonium.io.temporary import temporary_directory, temporary_file

THREE_PARTS = r"(?s)must .*\. Got.*\. .*\.$"


def test_writing_replaces_the_content_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "file"
    for content in (b"first", b"", b"x" * 100_000):
        atomic_write(path, content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["file"]


def test_new_files_have_ordinary_permissions(tmp_path):
    atomic_write(tmp_path / "ours", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("call", ["replace", "fsync", "fchmod"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, call, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(UnwritableOutput, match=THREE_PARTS) as caught:
        atomic_write(path, b"new")
    assert os.strerror(error) in str(caught.value)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_an_interrupt_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_reported():
    """The limit on file sizes stands for the disk: writing stops half-way, inside the real system call."""
    code = """
import resource, signal, sys, tempfile, pathlib
from harmonium.errors import UnwritableOutput
from harmonium.io import atomic_write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = pathlib.Path(tempfile.mkdtemp()) / "file"
path.write_bytes(b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic_write(path, b"x" * 100_000)
except UnwritableOutput:
    assert path.read_bytes() == b"old" and len(list(path.parent.iterdir())) == 1
    print("refused")
path.unlink()
path.parent.rmdir()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


@pytest.mark.parametrize("target", ["missing/file", ".", "file/below"])
def test_places_that_cannot_be_written(tmp_path, target):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(UnwritableOutput, match=THREE_PARTS):
        RBM([[0.0]], [0.0], [0.0]).save(tmp_path / target)
    assert os.listdir(tmp_path) == ["file"]


def test_the_name_is_on_the_disk_before_the_writer_returns(tmp_path, monkeypatch):
    """The file, then its name, then the directory that holds the name: a crash in between keeps the old file."""
    order, fsync, replace = [], os.fsync, os.replace

    def fsync_and_tell(descriptor):
        order.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def replace_and_tell(source, target):
        order.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync_and_tell)
    monkeypatch.setattr(os, "replace", replace_and_tell)
    atomic_write(tmp_path / "file", b"content")
    assert order == ["file", "name", "directory"]


def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path):
    path, inside = tmp_path / "model", tmp_path / "other"
    left = [temporary_file(path), temporary_file(path), temporary_directory(path)]
    (Path(left[2][1]) / "below").write_text("x")
    foreign = [tmp_path / name for name in (".model.abcdefgh", ".model.abc.tmp", ".model.ABCDEFGH.tmp", "model.tmp")]
    foreign += [tmp_path / ".model.x.abcdefgh.tmp", tmp_path / "xmodel.abcdefgh.tmp"]
    for file in foreign:
        file.write_text("mine")
    inside.mkdir()
    (tmp_path / ".model.aaaaaaaa.tmp").symlink_to(inside)
    os.mkfifo(tmp_path / ".model.bbbbbbbb.tmp")
    atomic_write(path, b"1")  # all three are locked: their writers live
    assert all(os.path.lexists(name) for _, name in left)
    for descriptor, _ in left:
        os.close(descriptor)
    atomic_write(tmp_path / "mode", b"another's")
    assert all(os.path.lexists(name) for _, name in left)
    atomic_write(path, b"2")
    assert not any(os.path.lexists(name) for _, name in left)
    assert all(file.read_text() == "mine" for file in foreign)
    assert inside.is_dir()
    assert path.read_bytes() == b"2"


def test_a_temporary_taken_for_abandoned_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    """Between the making of a temporary and its lock another process may find it without one."""
    taken, lock = [], temporary.lock

    def lock_too_late(descriptor, *, wait):
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        return lock(descriptor, wait=wait)

    monkeypatch.setattr(temporary, "lock", lock_too_late)
    atomic_write(tmp_path / "file", b"content")
    assert len(taken) == 1
    assert (tmp_path / "file").read_bytes() == b"content"
    assert os.listdir(tmp_path) == ["file"]


def test_without_locks_files_are_written_and_nothing_is_removed(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("harmonium.io.temporary.fcntl.flock", refuse)
    (tmp_path / ".file.abcdefgh.tmp").write_text("left")
    atomic_write(tmp_path / "file", b"content")
    assert sorted(os.listdir(tmp_path)) == [".file.abcdefgh.tmp", "file"]
