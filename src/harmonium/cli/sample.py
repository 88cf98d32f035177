"""``harmonium sample``: states that a machine dreams, all of them or those that complete given ones."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from harmonium import RBM, Clamp, Key, sample
from harmonium.cli.errors import options_named
from harmonium.cli.options import (
    DEFAULTS,
    Device,
    Engine,
    Json,
    Model,
    Seed,
    Trajectory,
    alarms_of,
    engine_on,
    integer,
    load_data,
    load_model,
    load_rows,
    load_trajectory,
    number_or_name,
)
from harmonium.cli.output import check_output, complain, emit
from harmonium.cli.pictures import parse_shape, save_picture
from harmonium.cli.progress import WorkProgress
from harmonium.cli.reading import NOTHING_SAID, Reading, reads_data
from harmonium.cli.words import told, typed
from harmonium.datasets.writing import OUTPUTS, write_array
from harmonium.enumeration.exact import is_quick
from harmonium.errors import InvalidData, InvalidParameter, SamplingAlarm
from harmonium.sampling import Samples, sample_tempered
from harmonium.sampling.gibbs import JUDGED_SWEEPS

HELP = """Draw samples from a machine.

They are the last states of independent chains of Gibbs sampling, or with --tempered of parallel tempering. The verdict
says whether the chains have forgotten where they were; it is "unknown" of --start, of fewer than 20 sweeps, and where
--clamp has several rows.

\b
Examples:
  harmonium sample run -n 100 --out samples.png
  harmonium sample run --sweeps 5000 --out s.npy
  harmonium sample run --clamp half.npy \\
    --out completed.npy
  harmonium sample run --tempered --out s.npy

--clamp holds visible units fixed and draws the others given them. Its file holds 0, 1 and NaN (an empty field in a
table) with one column per visible unit: 0 or 1 where a unit is held, NaN where it is free. One row holds for all
chains; several rows make one chain each. --start gives the first states, 0 and 1 with a row a chain. Both may be files
of all kinds that DATA may be; docs/tutorials/completing.md makes half.npy.
--tempered runs every chain at several temperatures that exchange their states, which reaches modes that Gibbs
sampling does not. Half of the sweeps places the temperatures; then the acceptance of the swaps and the round trips
through all temperatures are counted. Without round trips the samples are not to be trusted. --data brings the
temperatures closer: the means of the data a machine has learnt are where the hottest chains begin. --trajectory, once
or more, names machines that training has passed through, earliest first: the chains then go through these in place of
temperatures.
The result is an array of 0 and 1 of shape (n, n_visible), or with --expectation of probabilities, in a file that
ends in .npy, .npz, .csv, .csv.gz, .tsv, .mat, .h5, .parquet or .feather; .png is a picture.
"""

_CHAINS = 100  # a picture of 10 by 10
_SWEEPS: int = inspect.signature(sample_tempered).parameters["sweeps"].default


@reads_data
def command(
    model: Model,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", show_default=False, help="Where the samples go; see above."),
    ],
    n: Annotated[
        int | None,
        integer(f"Chains. [default: rows of --start or --clamp, or {_CHAINS}]", "-n"),
    ] = None,
    sweeps: Annotated[
        int | None,
        integer(f"Gibbs sweeps of each chain. [default: none where exact samples are quick, else {_SWEEPS}]"),
    ] = None,
    clamp: Annotated[Path | None, typer.Option(metavar="FILE", help="Units to hold fixed; see above.")] = None,
    start: Annotated[Path | None, typer.Option(metavar="FILE", help="First states. [default: noise]")] = None,
    tempered: Annotated[bool, typer.Option("--tempered", help="Parallel tempering.")] = False,
    temperatures: Annotated[
        str | None,
        typer.Option(metavar="INTEGER|adaptive", help="Of --tempered: how many, or as needed. [default: 10]"),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Of --tempered: a data set, or a file. Its train split is used.")
    ] = None,
    trajectory: Trajectory = None,
    expectation: Annotated[
        bool,
        typer.Option("--expectation", help="Write E[v|h] of each sample, for one h drawn given it."),
    ] = False,
    shape: Annotated[
        str | None, typer.Option(metavar="ROWSxCOLUMNS", help="Of one image in a .png. [default: square]")
    ] = None,
    reading: Reading = NOTHING_SAID,
    seed: Seed = DEFAULTS["seed"],
    engine: Engine = DEFAULTS["engine"],
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Sample, and write the states."""
    engine = engine_on(engine, device)
    check_output(out, (*OUTPUTS, ".png"), model, clamp, start)
    _check_tempering(tempered, {"--clamp": clamp, "--start": start}, {"--temperatures": temperatures, "--data": data})
    rbm, passed = load_model(model), load_trajectory(trajectory, tempered, "--tempered")
    image_shape = parse_shape(shape, rbm.n_visible) if out.suffix.lower() == ".png" else None
    result: dict[str, Any] = {"out": str(out), "n": n, "n_visible": rbm.n_visible, "sweeps": sweeps, "seed": seed}
    shown: dict[str, Any] = {"seed": typed(seed)}
    if tempered:
        result["sweeps"] = sweeps = _SWEEPS if sweeps is None else sweeps
        found = _sample_tempered(rbm, n, sweeps, temperatures, passed, data, reading, seed, engine)
        samples: npt.NDArray[Any] = found.samples
        acceptance = [float(x) for x in found.acceptance]
        result |= {"betas": found.betas.tolist(), "acceptance": acceptance, "round_trips": found.round_trips}
        shown |= {
            "betas": f"{len(found.betas)} {'machines' if passed else 'temperatures'}",
            "acceptance": f"{min(acceptance):.2f} to {max(acceptance):.2f}",
            "round_trips": f"{found.round_trips:,} ({told(found.round_trips / len(samples))} a sample)",
        }
        result["verdict"] = found.verdict
        if found.verdict == "unreliable":
            complain("warning", "few states have been through all temperatures and back. Raise --sweeps.")
    else:
        exactly = sweeps is None and start is None and clamp is None and is_quick(rbm)
        result["sweeps"] = sweeps = _SWEEPS if sweeps is None and not exactly else sweeps
        shown |= {"sweeps": "none, as samples are exact"} if exactly else {}
        samples, result["verdict"] = _sample(rbm, n, sweeps, start, clamp, reading, seed, engine)
    if expectation:
        samples = _expected(rbm, samples, seed, None if clamp is None else _read_clamp(clamp, rbm.n_visible, reading))
        result["expectation"] = True
    if image_shape is None:
        write_array(out, samples)
    else:
        save_picture(out, samples, image_shape)
    result["n"] = len(samples)
    if model.is_dir():
        result["alarms"] = alarms = alarms_of(model)
        shown["alarms"] = "; ".join(alarms) or "none"
    emit(result, (result | shown).items(), as_json=as_json)


def _check_tempering(tempered: bool, gibbs_only: dict[str, Any], tempered_only: dict[str, Any]) -> None:
    """Refuse options of the other kind of sampling."""
    for name, value in (gibbs_only if tempered else tempered_only).items():
        if value is not None and tempered:
            raise InvalidParameter(f"--tempered must be used without {name}. Got both. Leave one of them out.")
        if value is not None:
            raise InvalidParameter(f"{name} must be used with --tempered. Got it alone. Add --tempered.")


def _sample(
    rbm: RBM,
    n: int | None,
    sweeps: int | None,
    start: Path | None,
    clamp: Path | None,
    reading: Reading,
    seed: int,
    engine: str,
) -> tuple[npt.NDArray[np.uint8], str]:
    """The samples, and "unreliable" where they are warned of, "unknown" where nothing could have been seen, or "ok"."""
    first = None if start is None else load_rows(start, rbm.n_visible, reading)
    held = None if clamp is None else _read_clamp(clamp, rbm.n_visible, reading)
    if n is not None and first is not None and n != len(first):
        raise InvalidParameter(f"-n must be the number of rows of --start, {len(first)}. Got {n}. Leave it out.")
    if n is None and first is None:
        n = len(held.where) if held is not None and len(held.where) > 1 else _CHAINS
    with options_named("sweeps", "seed", "engine", n="-n"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SamplingAlarm)
        samples = sample(rbm, n, sweeps=sweeps, start=first, seed=seed, clamp=held, engine=engine)
    for warning in caught:
        complain("warning", str(warning.message).replace("sample_tempered", "--tempered"))
    enough = sweeps is None or sweeps >= JUDGED_SWEEPS
    judged = first is None and enough and (held is None or len(held.where) == 1)
    return samples, "unreliable" if caught else "ok" if judged else "unknown"


def _expected(rbm: RBM, v: npt.NDArray[Any], seed: int, held: Clamp | None) -> npt.NDArray[np.float32]:
    """E[v | h], and what is held as it is."""
    mean = rbm.mean_v_from_h(rbm.sample_h_from_v(v, seed=Key(seed).derive("expectation"))).astype(np.float32)
    return mean if held is None else np.where(held.where, v, mean).astype(np.float32)


def _sample_tempered(
    rbm: RBM,
    n: int | None,
    sweeps: int,
    temperatures: str | None,
    trajectory: list[RBM],
    data: str | None,
    reading: Reading,
    seed: int,
    engine: str,
) -> Samples:
    X = None if data is None else load_data(data, reading).split("train")[0]
    named = options_named("sweeps", "temperatures", "data", "seed", "engine", n="-n")
    with named, WorkProgress("sampling") as progress:
        return sample_tempered(
            rbm,
            _CHAINS if n is None else n,
            sweeps=sweeps,
            temperatures=None if temperatures is None else number_or_name(temperatures),
            trajectory=trajectory,
            X=X,
            seed=seed,
            engine=engine,
            progress=progress,
        )


def _read_clamp(path: Path, n_visible: int, reading: Reading) -> Clamp:
    array = load_rows(path, n_visible, reading)
    free = np.isnan(array)
    if not np.isin(array[~free], (0, 1)).all():
        raise InvalidData(f"{path} must hold only 0, 1 and NaN (free). Got other values. Binarise it first.")
    if not free.any():
        raise InvalidData(f"{path} must leave a unit free. Got no NaN. Set the units to be drawn to NaN.")
    return Clamp(~free, np.where(free, 0, array))
