"""Arguments and options that several subcommands share, and what they stand for."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from harmonium import RBM, Config, Key, datasets
from harmonium.cli.errors import options_named
from harmonium.cli.output import complain
from harmonium.datasets import Dataset
from harmonium.datasets.files import read_rows
from harmonium.engines import NAMES, on_device
from harmonium.errors import DataUnavailable, InvalidParameter
from harmonium.inputs import check_matrix
from harmonium.training.alarms import last_alarms
from harmonium.training.run_directory import read_history

# Every default has one home, the record of a run's choices.
DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Config)}

# The options of "train" that are not called as the fields of that record.
OPTIONS = {"n_hidden": "hidden", "last_statistic": "statistic"}

_NAMES = ", ".join(name for name in datasets.names() if "/" not in name)
DATA_HELP = f"A data set ({_NAMES}, ...) or a file (.npy, .npz, .csv, idx, .mat, .h5, .parquet, ...)."

Data = Annotated[str, typer.Argument(metavar="DATA", show_default=False, help=DATA_HELP)]
Model = Annotated[
    Path, typer.Argument(metavar="MODEL", show_default=False, help="A model file, or the directory of a run.")
]
Out = Annotated[Path, typer.Option(metavar="FILE", show_default=False, help="Where the result goes; see above.")]
Trajectory = Annotated[
    list[Path] | None,
    typer.Option(metavar="MODEL", help="A machine that training has passed through; once or more, earliest first."),
]
Split = Annotated[
    str | None,
    typer.Option(metavar="train|valid|test", help="Which part of DATA. [default: test, else train]"),
]


def integer(help: str, *names: str, **settings: Any) -> Any:
    """An option that takes a whole number; its range is the library's to check."""
    return typer.Option(*names, metavar="INTEGER", parser=_parse_integer, help=help, **settings)


def number(help: str) -> Any:
    """An option that takes a real number; its range is the library's to check."""
    return typer.Option(metavar="NUMBER", parser=_parse_number, help=help)


def number_or_name(text: str) -> int | str:
    """What is meant by the text of an option that takes a whole number or a word: the library checks either."""
    return int(text) if text.lstrip("+-").isdecimal() else text


def _parse_integer(text: Any) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"It must be a whole number. Got {str(text)[:40]!r}") from None


def _parse_number(text: Any) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"It must be a number. Got {str(text)[:40]!r}") from None


Binarize = Annotated[
    str,
    typer.Option(
        metavar="|".join(datasets.BINARIZATIONS),
        help="What grey levels become: on above 0.5, drawn with that probability, or left as they are.",
    ),
]
Engine = Annotated[str, typer.Option(metavar="|".join(NAMES), help="Where the numbers are computed.")]
Device = Annotated[
    str | None,
    typer.Option(metavar="cpu|cuda|mps", help="Of --engine torch. [default: cuda if there is one, else cpu]"),
]
Seed = Annotated[int, integer("Fixes all noise.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]


def engine_on(engine: str, device: str | None) -> str:
    """The engine that --engine and --device name."""
    with options_named("engine", "device"):
        return on_device(engine, device)


def load_model(path: Path) -> RBM:
    """The machine in a model file or in the directory of a run."""
    if not path.exists():
        raise DataUnavailable(
            f"MODEL must be a model file, or the directory of a run. Got {str(path)!r}, which is not there. Check the "
            "path, or train one: harmonium train digits --hidden 64 --out runs/digits"
        )
    if not path.is_dir():
        return RBM.load(path)
    if not (path / "model.safetensors").is_file():
        raise DataUnavailable(
            f"{path} must hold model.safetensors. Got a directory without. Name a run or a model file."
        )
    return RBM.load(path / "model.safetensors")


def load_trajectory(paths: list[Path] | None, tempered: bool, needed: str) -> list[RBM]:
    """The machines of --trajectory, in order; they must come with tempered chains."""
    if paths and not tempered:
        raise InvalidParameter(f"--trajectory must be used with {needed}. Got it alone. Add {needed}.")
    return [load_model(path) for path in paths or []]


def alarms_of(path: Path) -> list[str]:
    """What a run has warned of, each kind as it was said last; nothing for a model file."""
    history = path / "history.jsonl"
    return last_alarms(read_history(history)) if history.is_file() else []


def load_data(data: str, reading: dict[str, Any]) -> Dataset:
    """The data set, NaN where an entry is missing, after notes about how it was read."""
    with options_named(*reading):
        dataset = datasets.load(data, allow_nan=True, **reading)
    for note in dataset.notes:
        complain("note", f"{note}.")
    return dataset


def load_split(data: str, split: str | None, reading: dict[str, Any]) -> tuple[Dataset, str, npt.NDArray[Any]]:
    """The data set, the name of the split that was chosen, and its samples, NaN where an entry is missing.

    Without a choice it is test, and train for data that come as one piece, as files often do.
    """
    dataset = load_data(data, reading)
    if split is None and dataset.test is None:
        split = dataset.splits[0]
        complain("note", f"{dataset.name} has no test split; all numbers are for its {split} split.")
    split = split or "test"
    with options_named("split"):
        return dataset, split, dataset.split(split)[0]


def load_states(
    rbm: RBM, data: str, split: str | None, reading: dict[str, Any], binarize: str, seed: int
) -> tuple[npt.NDArray[Any], dict[str, str]]:
    """The samples of a split as visible states of a machine, binarised, and what a result says of their origin."""
    dataset, split, X = load_split(data, split, reading)
    X = check_matrix(X, n_columns=rbm.n_visible, allow_nan=True)
    with options_named("binarize", "seed"):
        X = datasets.binarize(X, binarize, Key(seed).derive("binarize"), allow_nan=True)
    return X, {"data": dataset.name, "split": split, "binarize": binarize}


def load_rows(path: Path, n_visible: int, reading: dict[str, Any]) -> npt.NDArray[Any]:
    """The rows of a file of states, NaN where a unit is free; a vector is one row."""
    if not os.path.exists(path):
        raise DataUnavailable(f"A file must exist at {path}. Got nothing there. Check the path.")
    return check_matrix(
        np.atleast_2d(read_rows(path, datasets.Reading(**reading))), n_columns=n_visible, name=str(path), allow_nan=True
    )


def data_reference(data: str, dataset: Dataset) -> str:
    """What names `dataset` from any directory: its name, or for a file the absolute path."""
    path = Path(os.path.expanduser(data))
    is_file = path.name == dataset.name and data not in datasets.names() and path.is_file()
    return str(path.absolute()) if is_file else data
