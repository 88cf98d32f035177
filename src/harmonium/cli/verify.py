"""``harmonium verify``: the proof of the mathematics on this installation."""

from __future__ import annotations

from typing import Annotated

import typer

from harmonium.cli.errors import FAILED, options_named
from harmonium.cli.options import Device, Json, engine_on
from harmonium.cli.output import emit, tell
from harmonium.engines import ENGINES, NAMES
from harmonium.errors import InvalidParameter

HELP = """Prove the equations here.

Small machines are counted out, configuration by configuration, and every function is compared with that: energies,
probabilities and log Z; gradients with finite differences; decisions just above and below their thresholds; transition
matrices and contrastive divergence; noise with published vectors; engines with the machine on paper, and with
themselves on every instruction set and with 1 to 4 threads. It takes some seconds.

"(n)" are the equations of docs/mathematics.md, "seed 1" and "seed 2" the texts it goes back to. The exit code is 1 if a
check fails.

\b
Examples:
  harmonium verify
  harmonium verify --engine native --json
  harmonium verify --engine torch --device cuda
"""


def command(
    engine: Annotated[
        str | None,
        typer.Option(metavar="|".join(NAMES), help="Look at this engine only.", show_default=" and ".join(ENGINES)),
    ] = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Prove, print, and fail if a check does."""
    from harmonium.verify import verify

    found = []
    if engine is None and device is not None:
        raise InvalidParameter("--device must come with --engine torch. Got no --engine. Pass both, or neither.")
    engine = None if engine is None else engine_on(engine, device)
    with options_named("engine"):
        for check in verify(engine):
            found.append(check)
            if not as_json:
                verdict = "ok" if check.passed else f"FAILED (at most {check.tolerance:.0e})"
                where = f" [{check.engine}]" if check.engine else ""
                tell(f"{check.equation:<29} {check.max_error:.0e}  {verdict}  {check.name}{where}")
    failed = sum(not check.passed for check in found)
    result = {"checks": [check.as_dict() for check in found], "passed": len(found) - failed, "failed": failed}
    emit(result, [("checks", f"{len(found) - failed} passed, {failed} failed")], as_json=as_json)
    if failed:
        raise typer.Exit(FAILED)
