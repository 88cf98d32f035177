"""The command on terminals and pipes: help, progress, full disks, Ctrl-C, and failures in one line."""

import os
import subprocess

import command_runs
import pytest
from command_runs import COMMAND, DATA, in_terminal

import harmonium
from harmonium.cli import main

run = command_runs.run  # the fixture
splits = command_runs.splits  # the fixture


def test_progress_off_a_terminal_is_a_line_per_epoch_on_stderr(tmp_path, capsys, splits):
    assert main(["train", splits, "--hidden", "3", "--epochs", "4", "--out", str(tmp_path / "a")]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[1] for line in err.splitlines() if line.startswith("epoch")] == ["1/4", "2/4", "3/4", "4/4"]
    assert "\x1b" not in out + err
    assert "epoch " not in out


@pytest.mark.parametrize("command", ["train", "evaluate", "sample", "transform", "inspect"])
def test_help_has_an_example_and_fits_a_narrow_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"harmonium {command} " in out
    assert "--json" in out


def test_version_and_bare_command(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"harmonium {harmonium.__version__}\n"
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "A first session" in err


@pytest.mark.parametrize("columns", [40, 100])
def test_progress_on_a_terminal_is_a_bar_that_fits(tmp_path, columns, splits):
    text = in_terminal(columns, "train", splits, "--hidden", "3", "--epochs", "3", "--out", str(tmp_path / "a"))
    assert "3/3" in text
    assert ("pseudo-log-likelihood -" if columns == 100 else " nats") in text
    assert "Traceback" not in text
    assert ("━" in text) == (columns == 100)


def test_a_reader_that_leaves_early_is_no_accident(run):
    process = subprocess.Popen([*COMMAND, "inspect", str(run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.wait(timeout=600)
    process.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_stdout_is_a_failure(run, unbuffered):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "inspect", str(run)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment,
        )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_ctrl_c_is_no_traceback(run, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("harmonium.cli.evaluate.evaluate", interrupted)
    assert main(["evaluate", str(run), DATA]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("stopped: by Ctrl-C.\n")


@pytest.mark.parametrize("error", [MemoryError("lots"), PermissionError(13, "Permission denied", "x")])
def test_failures_of_the_system_are_one_line(run, capsys, monkeypatch, error):
    def failing(*_, **__):
        raise error

    monkeypatch.setattr("harmonium.cli.evaluate.evaluate", failing)
    assert main(["evaluate", str(run), DATA]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")


def test_bugs_keep_their_traceback(run, monkeypatch):
    monkeypatch.setattr("harmonium.cli.evaluate.evaluate", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["evaluate", str(run), DATA])
