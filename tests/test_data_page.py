"""Every block of docs/data.md runs, in order, and prints what the page shows."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from harmonium.cli import main

PAGE = (Path(__file__).parent.parent / "docs" / "data.md").read_text()


@pytest.mark.filterwarnings("ignore::UserWarning")  # three rows are few to learn from
def test_every_block_of_the_page_about_data_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
    assert {kind for kind, _ in blocks} == {"python", "text", "sh"}
    printed = ""
    for kind, content in blocks:
        if kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(content, names)
            printed = out.getvalue()
        elif kind == "text":
            assert printed == content
        else:
            for line in content.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "harmonium"
                assert main(arguments) == 0, capsys.readouterr().err
