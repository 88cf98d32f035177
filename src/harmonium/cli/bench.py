"""``harmonium bench``: speed beside the BLAS floor and other implementations, in one run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from harmonium.cli.options import Json
from harmonium.cli.output import complain, emit

HELP = """Measure speed on this machine.

The yardstick is the floor: the bare matrix products of the same step through NumPy's BLAS, on the same threads, timed
in turn with everything else. All rates belong to this machine and this run; only the ratios can be compared.
A round in which one of them had fewer cores than it uses otherwise, as the machine had other work to do, is measured
again; where that does not help, the ratio is called unreliable, and the reason says which of them waited.

\b
Examples:
  harmonium bench --quick
  harmonium bench --json > bench.json
  harmonium bench --instruction-set all
"""


def command(
    quick: Annotated[bool, typer.Option("--quick", help="One shape, in a minute or two.")] = False,
    instruction_set: Annotated[
        str | None,
        typer.Option(
            metavar="amx|avx512|avx2|portable|all",
            help="Not the best that runs here, but this; or the best, and a table of all that do.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure and print."""
    from harmonium.bench import run_suite
    from harmonium.engines.processor import use_instruction_set

    if instruction_set not in (None, "all"):
        use_instruction_set(instruction_set)
    result = run_suite(quick=quick, every_set=instruction_set == "all", progress=lambda text: complain("bench", text))
    emit(result, _rows(result), as_json=as_json)


def _rows(result: dict[str, Any]) -> list[tuple[str, Any]]:
    from harmonium.bench.table import line, ratio

    cd1, gibbs, digits = result["cd1"], result["gibbs"], result["digits"]
    rows = [
        ("processor", f"{result['machine']['processor']}, {result['machine']['instruction_set']}"),
        ("BLAS kernel of the floor", result["machine"]["blas_kernel"]),
        ("threads", result["threads"]),
        ("", "CD-1 training, 784 x 500, batch 100, samples/s"),
    ]
    names = [name for name, rate in cd1.items() if isinstance(rate, float) and not name.startswith("ratio")]
    rows += [(f"  {name}", f"{cd1[name]:,.0f} ({cd1[name] / cd1['floor']:.2f} x floor)") for name in names]
    return [
        *rows,
        ("CD-1 / floor", ratio(cd1)),
        ("  on real digits", ratio(digits["cd1"])),
        (
            "CD-1 / scikit-learn",
            f"{cd1['ratio_to_sklearn']:.1f} on 0/1 integers, {cd1['ratio_to_sklearn_float32']:.1f} on float32",
        ),
        ("Python's share", f"{100 * cd1['python_overhead']['share_of_step']:.1f} % of a step"),
        ("CD-1, batch 10 / floor", ratio(result["cd1_batch_10"])),
        ("  on real digits", ratio(digits["cd1_batch_10"])),
        ("CD-1 centred / floor", f"{cd1['ratio_to_floor_centered']:.2f}"),
        ("PCD-1 / CD-1", f"{result['methods']['ratio_pcd_to_cd']:.2f}"),
        (
            f"PT, {result['methods']['temperatures']} temperatures",
            f"{result['methods']['cost_pt_to_pcd']:.1f} x the cost of PCD-1",
        ),
        ("watching a run", f"{100 * result['monitoring']['share']:.1f} % of its time"),
        ("Gibbs, 1,000 chains / floor", f"{ratio(gibbs)} ({gibbs['flips_per_ns']:.2f} flips/ns)"),
        ("  on real digits", f"{ratio(digits['gibbs'])} ({digits['gibbs']['flips_per_ns']:.2f} flips/ns)"),
        ("enumeration", f"{result['log_partition']['ns_per_state_visible']:.3f} ns per (state, visible unit)"),
        ("memory of training, MB", result["memory_added_by_training_mb"]),
        *[(name, value) for name, _, value in (line(row).partition(": ") for row in result.get("table", ()))],
    ]
