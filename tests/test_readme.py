"""The README's Python and shell print what the README says, and its other commands exist."""

import importlib.util
import re
import shlex

import pytest
from pages import ROOT, run
from typer.main import get_command

from harmonium.cli import app

README = (ROOT / "README.md").read_text(encoding="utf-8")


LINES = [line for line in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)[1].splitlines() if line]


def test_what_is_run_prints_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = list(run(ROOT / "README.md"))
    assert len(shown) == 2
    assert [text for _, text, _ in shown] == [printed for _, _, printed in shown]


@pytest.mark.parametrize("line", LINES)
def test_shell_lines_name_commands_and_options_that_exist(line):
    program, name, *arguments = shlex.split(line, comments=True)
    assert program == "harmonium"
    known = {option for parameter in get_command(app).commands[name].load().params for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("-")} <= known


def test_the_tables_are_made_of_the_results(tmp_path):
    """`python benchmarks/readme_table.py` has been run since a result or the command changed."""
    spec = importlib.util.spec_from_file_location("readme_table", ROOT / "benchmarks" / "readme_table.py")
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    command.main(tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == README
