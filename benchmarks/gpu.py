"""The torch engine on a GPU: whether its bits are the native engine's, and how fast it is.

python benchmarks/gpu.py [--device cuda] [--small] [--seconds 230] [--only SECTION ...] [--out gpu.json]

First every section that compares bits runs, each in a process of its own, all at once, as most of their time goes into
compiling kernels; then, one after the other, those that measure, what is required before the peers. The reference is
the native engine, or, where that is not built, the torch engine on the processor. Each section prints when it ends, and
one that fails loses no other; what has not begun when the time is up is left out, and what does not end then is ended.
At the end stands a table: what is required of 784 x 500, what is aimed at, and what was found. With --small everything
is cut short, to see that it works.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from gpu_sections.bits import BITS
from gpu_sections.peers import PEERS
from gpu_sections.setting import Row, Setting
from gpu_sections.speed import SPEED

SECTIONS = BITS | SPEED | PEERS
# A fault in a kernel that has not been tried on a device ends all that its process does there.
ALONE = ("without Triton",)


def run(name: str, at: Setting) -> Row:
    """One section; what goes wrong in it is a part of what it found."""
    start, rows, error = time.perf_counter(), [], None
    try:
        for row in SECTIONS[name](at):
            rows.append(row)
            print(f"  {name}: {as_text(row)}", flush=True)
    except Exception:
        error = traceback.format_exc()
        print(f"  {name}: {error}", flush=True)
    return {"section": name, "seconds": time.perf_counter() - start, "rows": rows, "error": error}


def run_apart(names: Iterable[str], arguments: list[str], until: float) -> Iterator[Row]:
    """Sections in processes of their own, all at once; at the time `until` they are ended."""
    command = [sys.executable, __file__, *arguments, "--only"]
    found = [(name, subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True)) for name in names]
    for name, process in found:
        try:
            text = process.communicate(timeout=max(0.0, until - time.perf_counter()))[0]
        except subprocess.TimeoutExpired:
            process.kill()
            text = process.communicate()[0]
        print(text, end="", flush=True)
        lines = [line for line in text.splitlines() if line.startswith("{")]
        error = f"exit status {process.returncode} after: {text[-500:]}"
        yield json.loads(lines[-1])["sections"][0] if lines else {"section": name, "rows": [], "error": error}


def run_all(at: Setting, arguments: list[str], until: float) -> Iterator[Row]:
    """Every section, as far as the time goes."""
    yield from run_apart(BITS, arguments, until)
    for name in SPEED | PEERS:
        if time.perf_counter() > until:
            yield {"section": name, "rows": [], "error": "not begun: no time was left"}
        elif name in ALONE:
            yield from run_apart([name], arguments, until)
        else:
            yield run(name, at)


def table(result: Row) -> str:
    """Every row with an aim, in Markdown."""
    lines = ["| | required | goal | found | met |", "|---|---|---|---|---|"]
    for section in result["sections"]:
        for row in section["rows"]:
            if "required" in row:
                numbers = (f"{row[name]:.4g}" for name in ("required", "goal", row["measure"]))
                names = ("what", "without Triton", "states", "chains", "batch")
                what = ", ".join(f"{name} {row[name]}" for name in names if name in row)
                met = "yes" if row["met"] else "**no**"
                lines.append(f"| {section['section']}, {what}: {row['measure']} | {' | '.join(numbers)} | {met} |")
    return "\n".join(lines)


def as_text(row: Row) -> str:
    return ", ".join(f"{name} {x:.4g}" if isinstance(x, float) else f"{name} {x}" for name, x in row.items())


def about(at: Setting) -> Row:
    cuda = at.device.startswith("cuda")
    found = {
        "device": torch.cuda.get_device_name(at.device) if cuda else "cpu",
        "torch": torch.__version__,
        "reference": at.reference,
        "shape": f"{at.shape[0]}x{at.shape[1]}",
    }
    with contextlib.suppress(ImportError):
        import triton

        found["triton"] = triton.__version__
    if cuda:
        from harmonium.engines.torch_devices import description

        found["engine"] = description(at.device)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION")
    parser.add_argument("--out")
    parser.add_argument("--seconds", type=float, default=230.0, help="that all of it may take")
    given = parser.parse_args()
    until = time.perf_counter() + given.seconds
    at = Setting(given.device, given.small)
    arguments = ["--device", given.device, *(["--small"] if given.small else [])]
    found = (run(name, at) for name in given.only) if given.only else run_all(at, arguments, until)
    result = {
        **about(at),
        "command": " ".join(["python", "benchmarks/gpu.py", *arguments, *(given.only or [])]),
        "sections": [],
    }
    for section in found:
        result["sections"].append(section)
        if given.out:  # after each, in case that time runs out
            Path(given.out).write_text(json.dumps(result, indent=1))
    if not given.only:
        print(table(result))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
