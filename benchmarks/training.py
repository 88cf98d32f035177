"""The experiments of docs/results/training.md, and its tables.

python benchmarks/training.py bars|hidden16|density|mnist500|curves|small|all [--out docs/results] [--quick] [--resume]
python benchmarks/training.py tables [docs/results]

Each experiment writes OUT/training/EXPERIMENT.json after every run; with --resume it keeps the runs that it finds there
with the same settings. `tables` makes the tables between the marks of OUT/training.md (of "small":
OUT/training-small.md), and the figures beside the JSON;
what methods cost is read from OUT/training/cost.json (``harmonium bench --quick --json``). MNIST and the density sets
come from HARMONIUM_DATA. --quick cuts everything short to see that it works: to be written elsewhere (a temporary
folder by default), as its numbers mean nothing.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import experiments
import matplotlib as mpl
from experiments.results import Results, path_of, tell

from harmonium import plot

mpl.rcParams["svg.hashsalt"] = "harmonium"  # the same results give the same file

DOCS = Path(__file__).parent.parent / "docs" / "results"


def experiment(name: str, out: Path, *, quick: bool, resume: bool, engine: str) -> None:
    for each in experiments.ALL if name == "all" else [name]:
        tell(f"== {each}")
        results = Results(out, each, quick=quick, resume=resume, engine=engine)
        experiments.ALL[each].run(results, quick)
        results.finish()
        tell(f"wrote {results.path}")


def tables(out: Path) -> None:
    """Replace what stands between the marks of each experiment whose results are there, and draw its figure."""
    for name, module in experiments.ALL.items():
        path = path_of(out, name)
        if not path.exists():
            tell(f"{name}: no results yet")
            continue
        content = json.loads(path.read_text())
        page = out / getattr(module, "PAGE", "training.md")
        page.write_text(fill(page.read_text(), name, f"{module.table(content)}\n\n{_made(content)}"))
        if hasattr(module, "figure"):
            plot.save(module.figure(content).axes, path.with_suffix(".svg"))
        tell(f"{name}: {len(content['runs'])} runs")
    bench = path_of(out, "cost")
    if bench.exists() and "methods" in (content := json.loads(bench.read_text())):
        page = out / "training.md"
        page.write_text(fill(page.read_text(), "cost", experiments.cost.table(content)))


def fill(text: str, name: str, table: str) -> str:
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    return before + begin + re.sub(r"(?<=[ \[|])-(?=\d)", "−", table) + "\n" + rest[rest.index(end) :]


def _made(content: dict) -> str:
    machine = content["machine"]
    quick = "**A quick run: these numbers mean nothing.** " if content["quick"] else ""
    processor = content.get("device") or f"{machine['processor']}, {machine['instruction_set']}"
    return (
        f"{quick}{content['date']}, {content['threads']} threads, {processor}; "
        f"harmonium {content['harmonium']}, NumPy {machine['numpy']}, Python {machine['python']}."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in (*experiments.ALL, "all"):
        command = commands.add_parser(name)
        command.add_argument("--out", type=Path)
        command.add_argument("--quick", action="store_true")
        command.add_argument("--resume", action="store_true")
        if name == "mnist500":
            command.add_argument("--engine", default="native")
    commands.add_parser("tables").add_argument("out", type=Path, nargs="?", default=DOCS)
    options = parser.parse_args(arguments)
    if options.command == "tables":
        tables(options.out)
        return
    out = options.out or (Path(tempfile.mkdtemp()) if options.quick else DOCS)
    experiment(
        options.command, out, quick=options.quick, resume=options.resume, engine=getattr(options, "engine", "native")
    )


if __name__ == "__main__":
    main()
