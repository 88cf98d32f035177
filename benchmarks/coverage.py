"""How often the bracket of log Z covers the exact value, for trained machines with 25 hidden units.

python benchmarks/coverage.py run [--out docs/results] [--seeds 6] [--quick] [--resume]
python benchmarks/coverage.py table [docs/results]
python benchmarks/coverage.py tempered [--machines 300]

A machine for each set, method (cd, pcd, pt), sharpness (flat: few steps at a low rate; sharp: many at a high one and no
weight decay) and seed. The bracket is that of a user whose machine cannot be summed over: `log_partition` by annealing,
all defaults, chains for the starts of its reverse side; the exact value is a sum over 2^25 states. A file
OUT/training/coverage.json is written after each machine; with --resume those that are there are kept. `table` makes the
table between the marks of OUT/coverage.md. --quick takes few units and steps, to see that it works.

`tempered` says how often the interval of `log_partition(rbm, "tempered")`, by 20 ladders and 100 sweeps, covers the
exact value for drawn machines of 9 hidden and 14 visible units, flat to sharp: parameters are normal, with a standard
deviation of 0.5, 1, 2 or 3. The data, where there are some, are fair coins, which tell nothing of the machine.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from experiments.results import Results, Run, path_of
from experiments.small import MADE
from scipy.stats import beta
from training import DOCS, fill

import harmonium
from harmonium import RBM, Config, Key, TrainingRun, log_partition

HIDDEN, QUICK_HIDDEN = 25, 8
SETS = ("bars-and-stripes-5x5", "digits", "density/mushrooms", "density/adult", "density/ocr_letters", "blocks")
METHODS = ("cd", "pcd", "pt")
STARTS = ("data", "no data")  # what the annealing knows of
ROWS, COLUMNS = 1000, 64
# Steps, and the learning rate: the sharp ones are far beyond what anybody would want.
SHARPNESS = {"flat": (300, 0.05), "sharp": (1000, 0.5)}


def run(results: Results, seeds: int, quick: bool) -> None:
    for seed in range(seeds):  # of every kind one, then another: what an interruption leaves is a table
        for name in SETS:
            X = data_of(name)
            for method in METHODS:
                for sharpness, (steps, rate) in SHARPNESS.items():
                    epochs = 2 if quick else max(1, steps // -(-len(X) // 100))
                    config = Config(
                        QUICK_HIDDEN if quick else HIDDEN,
                        method,
                        epochs=epochs,
                        learning_rate=rate,
                        weight_decay=0.0,
                        patience=0,
                        seed=seed,
                    )
                    results.add(
                        f"{name}, {method}, {sharpness}, seed {seed}",
                        {"data": name, "sharpness": sharpness, "config": asdict(config)},
                        lambda x=X, c=config: _one(x, c),
                    )


def data_of(name: str) -> np.ndarray:
    """At most 1,000 rows of a set's train split, and 64 columns."""
    X = MADE[name](ROWS, Key(1)) if name in MADE else np.asarray(harmonium.datasets.load(name).train)
    rows = Key(5).derive("rows").permutation(len(X))[:ROWS]
    return (X[rows, :COLUMNS] > 0.5).astype(np.uint8)


def _one(X: np.ndarray, config: Config) -> Run:
    trained = TrainingRun(X, config)
    for _ in trained.epochs():
        pass
    rbm = trained.rbm
    exact = log_partition(rbm, "exact").value
    found: dict[str, Run] = {}
    for name, data in (("data", X), ("no data", None)):
        start = time.process_time()
        bracket = log_partition(rbm, "ais", start="chains", X=data, seed=config.seed)
        found[name] = {**bracket.as_dict(), "cpu_seconds": time.process_time() - start}
    return {"exact": exact, "norm": float(np.linalg.norm(rbm.W, axis=1).mean()), "brackets": found}


def covers(bracket: Run, exact: float) -> bool:
    return bracket["value"] is not None and bracket["lower"] <= exact <= bracket["upper"]


def interval(hits: int, n: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share, by Clopper and Pearson."""
    low = beta.ppf(0.025, hits, n - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, n - hits) if hits < n else 1.0
    return float(low), float(high)


def tempered(machines: int) -> str:
    """How many of so many intervals along tempered ladders cover, with data and without."""
    lines = []
    for with_data in (True, False):
        hits, ok = 0, 0
        for seed in range(1000, 1000 + machines):
            draw, scale = np.random.default_rng([seed, 9, 14]), (0.5, 1, 2, 3)[seed % 4]
            rbm = RBM(*(scale * draw.standard_normal(shape) for shape in ((9, 14), 14, 9)))
            X = np.random.default_rng([seed, 50, 14]).integers(0, 2, (50, 14), dtype=np.uint8) if with_data else None
            found, exact = log_partition(rbm, "tempered", X=X, chains=20, sweeps=100, seed=seed), rbm.log_z()
            hits += found.lower <= exact <= found.upper
            ok += found.verdict == "ok"
        low, high = interval(hits, machines)
        start = "data" if with_data else "no data"
        lines.append(f"{start}: {hits} of {machines} cover ({low:.1%} to {high:.1%}); {ok} are ok")
    return "\n".join(lines)


def table(content: Run) -> str:
    lines = [
        "| machines | bracket | n | verdict ok | of these cover | 95 % interval | wide | unreliable | all that cover |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    runs = content["runs"]
    groups = {"all": runs}
    for key, values in (("sharpness", SHARPNESS), ("data", SETS)):
        groups |= {value: [x for x in runs if x["settings"][key] == value] for value in values}
    groups |= {x: [y for y in runs if y["settings"]["config"]["method"] == x] for x in METHODS}
    lines += [_row(name, start, group) for name, group in groups.items() if group for start in STARTS]
    widest = sorted(x["brackets"]["data"]["upper"] - x["brackets"]["data"]["lower"] for x in runs if _ok(x, "data"))
    lines += ["", f"Median width of the brackets that are ok, with data: {np.median(widest):.3f} nats."]
    missed = [f"{x['name']} ({start})" for x in runs for start in STARTS if _ok(x, start) and _missed(x, start)]
    lines += ["", f"Ok, and not covering: {'; '.join(missed) or 'none'}."]
    return "\n".join(lines)


def _row(name: str, start: str, runs: Sequence[Run]) -> str:
    verdicts = [x["brackets"][start]["verdict"] for x in runs]
    ok = [x for x in runs if _ok(x, start)]
    hits = sum(not _missed(x, start) for x in ok)
    low, high = interval(hits, len(ok)) if ok else (0.0, 1.0)
    all_hits = sum(not _missed(x, start) for x in runs)
    return (
        f"| {name.removeprefix('density/')} | {start} | {len(runs)} | {len(ok)} | {hits} | {low:.1%} to {high:.1%} | "
        f"{verdicts.count('wide')} | {verdicts.count('unreliable')} | {all_hits} |"
    )


def _ok(run: Run, start: str) -> bool:
    return bool(run["brackets"][start]["verdict"] == "ok")


def _missed(run: Run, start: str) -> bool:
    return not covers(run["brackets"][start], run["exact"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run")
    command.add_argument("--out", type=Path, default=DOCS)
    command.add_argument("--seeds", type=int, default=6)
    command.add_argument("--quick", action="store_true")
    command.add_argument("--resume", action="store_true")
    commands.add_parser("table").add_argument("out", type=Path, nargs="?", default=DOCS)
    commands.add_parser("tempered").add_argument("--machines", type=int, default=300)
    options = parser.parse_args(arguments)
    if options.command == "tempered":
        print(tempered(options.machines))
        return
    if options.command == "run":
        results = Results(options.out, "coverage", quick=options.quick, resume=options.resume)
        run(results, options.seeds, options.quick)
        results.finish()
        return
    page, content = options.out / "coverage.md", json.loads(path_of(options.out, "coverage").read_text())
    page.write_text(fill(page.read_text(), "coverage", table(content)))


if __name__ == "__main__":
    main()
