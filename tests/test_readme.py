"""The README's Python prints what the README says, and its shell commands exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from harmonium.cli import app

README = (Path(__file__).parent.parent / "README.md").read_text()


def block(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_prints_what_is_shown():
    (code,), (expected,) = block("python"), block("text")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == expected


@pytest.mark.parametrize("line", [line for line in block("sh")[1].splitlines() if line])
def test_shell_lines_name_commands_and_options_that_exist(line):
    program, name, *arguments = shlex.split(line, comments=True)
    assert program == "harmonium"
    known = {option for parameter in get_command(app).commands[name].params for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("-")} <= known
