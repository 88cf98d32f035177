"""``harmonium inspect``: what a file says about a machine, a run or this installation."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import harmonium
from harmonium import RBM, log_partition
from harmonium.cli.curves import draw_curves
from harmonium.cli.options import Device, Json, engine_on, load_data, load_model
from harmonium.cli.output import check_output, complain, emit
from harmonium.cli.running import how_to_train
from harmonium.cli.watching import PAGE, write_page
from harmonium.cli.words import nats, told, typed
from harmonium.engines import TORCH, find_engine
from harmonium.errors import InvalidParameter, OutOfReach, UnwritableOutput
from harmonium.inputs import check_choice
from harmonium.io import atomic_write
from harmonium.theory import mixing_summary
from harmonium.training import RunDirectory

HELP = """Describe a machine or a run.

A machine by its parameters; for the directory of a run also its choices, its last scores and, in a terminal, its
curves, which RUN/index.html then shows with filters and chains.

\b
Examples:
  harmonium inspect run
  harmonium inspect model.safetensors --json
  harmonium inspect --engine native
  harmonium inspect --engine torch --device cuda

A hidden unit is "always on" ("always off") if E[h|v] stays above 0.99 (below 0.01) for every v there is, and "idle" if
E[h|v] hardly depends on v; such units do no work.

"contrastive divergence" is what is known for certain about Gibbs sampling of the machine and the bias of CD-1.
"""

_ENUMERABLE_UNITS = 16  # a moment's work
_SURE = 4.595  # the logit of 0.99
_IDLE = 0.05  # logits that a unit's whole input can add or take
_NOT_COUNTED = "not counted: too large for a moment; see harmonium evaluate"
# What people read instead of names with blanks.
_LABELS = {
    "log_z": "log Z (nats)",
    "log_likelihood": "log-likelihood (nats)",
    "pseudo_log_likelihood": "pseudo-log-likelihood (nats)",
    "log_likelihood_lower": "at least",
    "log_likelihood_upper": "at most",
    "log_likelihood_estimate": "its estimate (nats)",
    "free_energy": "free energy (nats)",
    "free_energy_spread": "spread of free energies (nats)",
    "n_visible": "visible units",
    "n_hidden": "hidden units",
    "n_parameters": "parameters",
    "n_dead": "dead",
    "n_saturated": "saturated",
    "n_chains": "chains",
    "n_distinct": "distinct",
    "n_distinct_data": "distinct of as many data",
    "n_draws": "looks at them",
    "norm_mean": "mean norm",
    "norm_max": "largest norm",
    "update_ratio": "update / weights",
    "swap_acceptance": "swaps accepted",
    "swap_acceptance_min": "at least",
    "ess": "effective sample size",
    "r_hat": "R-hat",
}
_ENDS = {"log_likelihood_lower", "log_likelihood_upper"}  # beside the value that tells their unit
_NATS = {name for name, label in _LABELS.items() if "(nats)" in label} | _ENDS


def command(
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", show_default=False, help="A model file or a run's directory.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(metavar="native|torch", help="Describe it: instructions, threads, device.")
    ] = None,
    device: Device = None,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Write a model card of a run, to lie beside its model.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Inspect, and print what was found."""
    if model is None and engine is None:
        raise InvalidParameter("MODEL or --engine must be given. Got neither. See: harmonium inspect --help")
    if device is not None and engine is None:
        raise InvalidParameter(f"--device must go with --engine torch. Got {device!r} alone. Add --engine torch.")
    if card is not None:
        check_output(card, (".md",), model)
        if model is None or not model.is_dir():
            raise InvalidParameter("--card must come with the directory of a run. Got none. Name a run, not a file.")
    result: dict[str, Any] = {}
    rows: list[tuple[str, Any]] = []
    if engine is not None:
        result["engine"] = _description(engine_on(engine, device))
        rows.append((f"{engine} engine", result["engine"]))
    if model is not None:
        rbm = load_model(model)
        found = _parameters(rbm)
        result |= found
        rows += _rows(found)
    if model is not None and model.is_dir():
        found = _run(model)
        result["run"] = found
        rows += [(f"config: {name}", typed(value)) for name, value in found["config"].items() if value is not None]
        rows += [("data", found["data"]), ("steps done", found["step"])]
        rows += _rows({"last epoch": found["last"]} if found["last"] else {})
        if (page := _page(model)) is not None:
            result["page"] = str(page)
            rows.append(("page", page))
    if card is not None and model is not None:
        atomic_write(card, _card(model, rbm).encode())
        rows.append(("card", card))
    emit(result, rows, as_json=as_json)
    if model is not None and model.is_dir() and not as_json and sys.stdout.isatty():
        history = RunDirectory.open(model)[0].history()
        print(*draw_curves(history, shutil.get_terminal_size().columns - 1), sep="\n")


def _card(path: Path, rbm: RBM) -> str:
    from harmonium.report import model_card  # Matplotlib takes long to load

    directory, _ = RunDirectory.open(path)
    X = load_data(directory.data, directory.reading).split("train")[0]
    n_samples = len(X) - (directory.config.held_out or 0)
    return model_card(
        path.resolve().name, rbm, directory.config, directory.history(), data=directory.data, n_samples=n_samples,
        made_by=how_to_train(directory), version=harmonium.__version__,
    )  # fmt: skip


def _page(path: Path) -> Path | None:
    """The page of a run, made anew; None where it cannot be written."""
    directory, state = RunDirectory.open(path)
    made_by = how_to_train(directory)
    try:
        write_page(path, state, directory.config, directory.history(), data=directory.data, shape=None, made_by=made_by)
    except UnwritableOutput as error:
        complain("warning", str(error))
        return None
    return path / PAGE


def _description(engine: str) -> str:
    find_engine(engine)  # or what is missing
    family, _, device = engine.partition(":")
    if family == TORCH:
        from harmonium.engines import torch_devices

        return torch_devices.description(device)
    from harmonium.engines import NativeEngine, processor

    check_choice(family, "--engine", (NativeEngine.name, TORCH))
    return processor.description()


def _parameters(rbm: RBM) -> dict[str, Any]:
    W, b, c = (x.astype(np.float64) for x in (rbm.W, rbm.b, rbm.c))
    norms = np.linalg.norm(W, axis=1)
    # The logit of a hidden unit over all v lies between these two, and reaches both.
    lowest, highest = c + np.minimum(W, 0).sum(axis=1), c + np.maximum(W, 0).sum(axis=1)
    try:
        log_z = log_partition(rbm, "exact", max_units=_ENUMERABLE_UNITS).value
    except OutOfReach:
        log_z = None
    return {
        "n_visible": rbm.n_visible,
        "n_hidden": rbm.n_hidden,
        "n_parameters": W.size + b.size + c.size,
        "dtype": str(rbm.W.dtype),
        "weights": _summary(W),
        "weight_norms": _summary(norms),
        "visible_biases": _summary(b),
        "hidden_biases": _summary(c),
        "hidden_always_on": int((lowest > _SURE).sum()),
        "hidden_always_off": int((highest < -_SURE).sum()),
        "hidden_idle": int((highest - lowest < _IDLE).sum()),
        "log_z": log_z,
        "contrastive_divergence": mixing_summary(rbm).as_dict(),
    }


def _summary(x: Any) -> dict[str, float | None]:
    if x.size == 0:
        return dict.fromkeys(("min", "mean", "max", "std"))
    return {"min": float(x.min()), "mean": float(x.mean()), "max": float(x.max()), "std": float(x.std())}


def _run(path: Path) -> dict[str, Any]:
    directory, state = RunDirectory.open(path)
    history = directory.history()
    config = {name: getattr(directory.config, name) for name in directory.config.__dataclass_fields__}
    return {"config": config, "data": directory.data, "step": state.step, "last": history[-1] if history else None}


def _rows(found: dict[str, Any]) -> list[tuple[str, Any]]:
    """A nested dictionary in lines: its own entries, and one line for each dictionary of numbers."""
    rows: list[tuple[str, Any]] = []
    for name, value in found.items():
        label = _label(name)
        if isinstance(value, dict):
            simple = {k: v for k, v in value.items() if not isinstance(v, dict)}
            text = "  ".join(f"{_label(k)} {_told(k, v)}" for k, v in simple.items() if v is not None)
            rows.append((label, text))
            rows += _rows({f"{name}, {k}": v for k, v in value.items() if isinstance(v, dict)})
        elif isinstance(value, list):
            rows += [(label, item) for item in value]
        else:
            rows.append((label, _NOT_COUNTED if name == "log_z" and value is None else _told(name, value)))
    return rows


def _label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " "))


def _told(name: str, value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_told(name, x) for x in value) or "none"
    return nats(value) if name in _NATS else told(value)
