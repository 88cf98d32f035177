"""Command lines: subcommands with options and values that fit or do not."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import typer
from damaged import BITS, HOLES
from hypothesis import strategies as st

from harmonium import RBM
from harmonium.cli.app import app

# What takes minutes whatever it is told is left out; "train" is kept short unless it only explains.
LONG = ("bench", "verify", "reproduce")
SHORT = {"train": ["--epochs", "1", "--chains", "3", "--patience", "0"], "evaluate": ["--chains", "3"]}
COMMANDS: dict[str, click.Command] = {
    name: command.load() for name, command in typer.main.get_command(app).commands.items() if name not in LONG
}
NUMBERS = [
    "-1",
    "0",
    "1",
    "2",
    "3",
    "0.5",
    "1e-3",
    "nan",
    "inf",
    "-0",
    "1e400",
    "0x2",
    "½",
    "²",
    " 1",
    "1_0",
    "True",
    "",
]
HUGE = ["9" * 30, "9" * 5000, str(2**31), str(2**64), "1e308", "-1e308"]
NAMES = [
    "x.npy",
    "holes.csv",
    "model",
    "run",
    "no",
    ".",
    "",
    "bars-and-stripes-2x2",
    "out.npy",
    "out.png",
    "a\tb",
    "é",
    "-",
]
WORDS = [
    "a",
    "none",
    "pcd",
    "cd",
    "pt",
    "exact",
    "gibbs",
    "ais",
    "auto",
    "adaptive",
    "native",
    "numpy",
    "sample",
    "train",
]
WORDS += ["valid", "test", "2x3", "3x2", "9x9", "csv", "npy", "X", "constant", "adam", "mean-field", "likelihood"]


def furnish(folder: Path) -> None:
    """The files that command lines may name."""
    RBM(np.ones((2, 5)), np.zeros(5), np.zeros(2)).save(folder / "model")
    np.save(folder / "x.npy", BITS)
    np.savetxt(folder / "holes.csv", HOLES, delimiter=",")
    (folder / "run").mkdir()


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Words for `harmonium.cli.main`; with numbers that would take long only where nothing is computed."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    explain = name == "train" and draw(st.booleans())
    values = st.sampled_from([*NUMBERS, *NAMES, *WORDS, *(HUGE if explain else ())])
    parameters = COMMANDS[name].params
    places = sum(isinstance(x, click.Argument) or not x.opts[0].startswith("-") for x in parameters)
    good = [*(["model"] if name != "train" else []), "x.npy"][:places]
    words = [draw(st.sampled_from([x, x, x, *NAMES])) for x in good]
    options = sorted(o for x in parameters for o in (*x.opts, *x.secondary_opts) if o.startswith("-"))
    given = [] if explain else list(SHORT.get(name, []))
    if name == "train":
        given += ["--hidden", "3"]
    if name in ("sample", "transform", "impute"):
        given += ["--out", "out.npy"]
    for option in draw(st.lists(st.sampled_from(options), max_size=4)):
        given += [option] if draw(st.integers(0, 3)) == 0 else [option, draw(values)]
    line = [name, *words, *given, *(["--explain"] if explain else [])]
    if draw(st.integers(0, 9)) == 0:
        line.insert(draw(st.integers(0, len(line))), draw(st.text(max_size=5)))
    return line
