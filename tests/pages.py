"""Run the pages of the documentation, as a reader would from top to bottom.

Blocks of ``python`` and ``sh`` are run in order, in an empty folder; a block of ``text`` that follows one shows what it
prints. What is not to be run is ``py`` or ``bash``. To put what is printed today into the pages:

    python tests/pages.py README.md docs/tutorials/*.md
"""

import contextlib
import io
import re
import shlex
import sys
import tempfile
from pathlib import Path

from harmonium.cli import main

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```(python|sh|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def run(page):
    """Yield (line, what is shown, what was printed) of each block of text; run all others."""
    names, printed, text = {"__name__": "__main__"}, None, page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        kind, content = match.groups()
        line = text.count("\n", 0, match.start()) + 2
        if kind == "text":
            assert printed is not None, f"{page.name}:{line}: nothing was run before this block"
            yield line, content, printed
            printed = None
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            if kind == "python":
                exec(compile("\n" * (line - 1) + content, str(page), "exec"), names)
            else:
                for command in content.replace("\\\n", " ").splitlines():
                    program, *arguments = shlex.split(command, comments=True)
                    assert program == "harmonium"
                    assert main(arguments) == 0, f"{page.name}:{line}: {command}"
        printed = out.getvalue()


def rewrite(page):
    """Put what is printed today into the page's blocks of text."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        printed = [today for _, _, today in run(page)]

    def replace(match):
        return f"```text\n{printed.pop(0)}```" if match[1] == "text" else match[0]

    page.write_text(_BLOCK.sub(replace, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, file=sys.stderr)
        rewrite(Path(name).absolute())
