"""Write the tables of the README and of docs/results from the JSON that the benchmarks left: likelihoods with their
alarms, peers, and speed.

    python benchmarks/readme_table.py

They come from docs/results: bench.json (``harmonium bench --instruction-set all --json``), peers.json (``python
benchmarks/peers.py``), training/*.json (``python benchmarks/training.py``) and mnist/results.json (``harmonium
reproduce --data mnist``). What a file does not hold is left out. Nothing in a table is typed by hand but the published
numbers, whose sources are in docs/results/training.md.
"""

import json
import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
MINUS = "\N{MINUS SIGN}"

SPEEDS = {
    "floor": "the floor: five bare float32 products through NumPy's BLAS",
    "native": "**Harmonium, native engine**: a whole training step",
    "native_centered": "the same, centred, as by default",
    "numpy_naive": "CD-1 as a user would write it in NumPy, float32",
    "torch": "the same in eager PyTorch",
    "keras_jax": "`harmonium.keras.RBM`, `train_on_batch` on JAX",
    "keras_tensorflow": "`harmonium.keras.RBM`, `train_on_batch` on TensorFlow",
    "sklearn_float32": "scikit-learn's `BernoulliRBM.fit`, float32 data",
    "numpy": "Harmonium, NumPy engine",
    "sklearn": "scikit-learn's `BernoulliRBM.fit`, 0/1 integers",
}

# What a row is called, in which file and by what name its runs are, and what others have published of that size.
LIKELIHOODS = (
    ("MNIST, fixed binarisation, 500 hidden", "mnist500", r"binarized-mnist, 500 hidden", f"{MINUS}86.34"),
    ("MNIST, thresholded, 500 hidden", "mnist500", r"mnist, 500 hidden", f"{MINUS}84.86, from one side"),
    ("MNIST, thresholded, 16 hidden, published recipe, centred", "hidden16", r"recipe, centred, mnist, seed",
     f"{MINUS}142.56"),
    *((f"{name}, {n} hidden", "density", rf"density/{name}, {n} hidden", published if n == 23 else "")
      for name, published in (("adult", f"{MINUS}16.26"), ("mushrooms", f"{MINUS}15.15"),
                              ("ocr_letters", f"{MINUS}43.05")) for n in (23, 100)),
)  # fmt: skip


BAD = ("bytes 0 to 255", "missing entries")
SAID = {
    ("bytes 0 to 255", "trained"): "trains on them, without a word",
    ("missing entries", "trained"): "learns from what is observed",
}


def likelihoods() -> str:
    """Mean log-likelihoods of test data, the worst of the seeds, each with the alarms of its runs, and with the worst
    R-hat of fresh chains where that was looked at."""
    lines = ["| test data, nats | Harmonium | RAISE | seeds | alarms in the end | training | published RBM |"]
    lines += ["|---|---|---|---|---|---|---|"]
    dates, devices, watched = set(), set(), False
    for title, file, pattern, published in LIKELIHOODS:
        content = read(f"training/{file}.json")
        runs = [run for run in content.get("runs", ()) if re.match(pattern, run["name"]) and "test" in run]
        if not runs:
            continue
        dates.add(content["date"])
        worst = min(runs, key=lambda run: run["test"]["log_likelihood"]["lower"])
        seconds = min(run["training_seconds"] for run in runs)  # the others waited for other work on the machine
        alarms = [alarm["step"] == run["steps"] for run in runs for alarm in run["alarms"]]
        before = f" ({alarms.count(False)} before)" if False in alarms else ""
        r_hats = [run["moments"]["r_hat"] for run in runs if "moments" in run]
        watched |= bool(r_hats)
        mark = "*" if content.get("device") else ""
        told = f"{alarms.count(True)}{before}{mark}" + (f"; R-hat {max(r_hats):.1f}" if r_hats else "")
        devices |= {content["device"]} if mark else set()
        lines.append(
            f"| {title} | {bracket(worst)} | {bound(worst)} | {len(runs)} | {told} | {duration(seconds)}{mark} | "
            f"{published} |"
        )
    if accuracy := read("mnist/results.json").get("tensorflow", {}).get("accuracy"):
        names = ("rbm_200", "stack_500_200", "stack_fine_tuned")
        ours = ", ".join(f"{100 * accuracy[name]['test']:.1f}" for name in names)
        n_seeds = len(read("mnist/results.json")["seeds"])
        lines.append(
            f"| MNIST, %: RBM-200, stack [500, 200], fine-tuned | {ours} |  | {n_seeds} |  |  | 95.5, 96.2, 98.7 |"
        )
    measured = f"Measured {' and '.join(sorted(dates))}, by the code of the day; times are the shortest of the seeds'."
    if watched:
        measured += " R-hat is of 100 fresh Gibbs chains, 1,000 sweeps after as many: above 1.1 they have not mixed."
    lines += ["", measured]
    lines += [f"\\* {x}; chains are looked at every 400 steps there, and alarms are fewer." for x in sorted(devices)]
    return "\n".join(lines)


def bracket(run: dict) -> str:
    """The value, and its ends where log Z is not exact; in words where it is not to be relied on."""
    found = run["test"]["log_likelihood"]
    value = signed(found["mean"], 2)
    if found["lower"] == found["upper"]:
        return f"{value}, exact"
    doubt = "" if run["test"]["verdict"] == "ok" else f", {run['test']['verdict']}"
    return f"{value} [{signed(found['lower'], 1)}, {signed(found['upper'], 1)}]{doubt}"


def bound(run: dict) -> str:
    """The reverse annealed bound of 500 of the rows, where the likelihood is not exact."""
    found = run["test"]["log_likelihood"]
    if found["lower"] == found["upper"]:
        return ""
    if "raise" not in run["test"]:
        return "not computed"
    return f"{signed(run['test']['raise']['mean'], 2)} ± {run['test']['raise']['standard_error']:.2f}"


def peers() -> str:
    """Likelihood, seconds and what bad input does, from one run on the same data."""
    content = read("peers.json")
    if not content:
        return "Not measured: `python benchmarks/peers.py docs/results/peers.json`."
    lines = ["| | log-likelihood | seconds | bytes 0 to 255 | missing entries |", "|---|---|---|---|---|"]
    for name, found in content["found"].items():
        if "absent" in found:
            lines.append(f"| {name} | not measured: {found['absent']} | | | |")
            continue
        scores = found["test_log_likelihood"]
        alarms = f", {found['alarms']} alarms" if found["alarms"] else ""
        seconds = f"{statistics.median(found['seconds']):.1f}" if found["seconds"] else "busy"
        bad = [SAID.get((kind, said := found["bad_input"][kind].partition(":")[0]), said) for kind in BAD]
        lines.append(
            f"| {name} | {signed(min(scores), 2)} to {signed(max(scores), 2)}{alarms} "
            f"| {seconds} | {bad[0]} | {bad[1]} |"
        )
    machine, measured = content["machine"], [x for x in content["found"].values() if "absent" not in x]
    versions = {name: x for found in measured for name, x in found.get("versions", {}).items()}
    said = "".join(f", {name} {x}" for name, x in versions.items())
    return "\n".join([*lines, "", (
        f"scikit-learn's digits, thresholded, {content['n_hidden']} hidden units, all defaults but where a row says "
        f"otherwise, nats, worst to best of {len(content['seeds'])} seeds; log Z of every machine is exact. "
        + ("" if all(x["seconds"] for x in measured) else "No times: the machine had other work to do. ") +
        f"{content['date']}, threads: {content['threads']}, {machine['processor']}{said}."
    )])  # fmt: skip


def sets() -> str:
    """Ratios to the floor of every shape, per instruction set and on coins and digits."""
    rows = read("bench.json").get("table", [])
    columns = list(dict.fromkeys((row["instruction_set"], row["data"]) for row in rows))
    lines = [
        f"| × floor | {' | '.join(' '.join(column) for column in columns)} |",
        f"|---{'|---' * len(columns)}|",
    ]
    kinds = {"training": "CD-1", "sampling": "Gibbs"}
    shapes = [(row["kind"], row["n_visible"], row["n_hidden"], row["batch"]) for row in rows]
    for kind, n_visible, n_hidden, batch in dict.fromkeys(shapes):
        found = {
            (row["instruction_set"], row["data"]): f"{row['ratio_to_floor']:.2f}{'?' if row['unreliable'] else ''}"
            for row, shape in zip(rows, shapes, strict=True)
            if shape == (kind, n_visible, n_hidden, batch)
        }
        rows_of = f"batch {batch}" if kind == "training" else f"{batch:,} chains"
        cells = " | ".join(found.get(column, "") for column in columns)
        lines.append(f"| {kinds[kind]}, {n_visible} × {n_hidden}, {rows_of} | {cells} |")
    floors = dict.fromkeys(f"{row['instruction_set']} beside {row['blas_kernel']}" for row in rows)
    doubts = any(row["unreliable"] for row in rows)
    note = f"BLAS kernels of the floor: {', '.join(floors)}." + (" ?: not to be relied on." if doubts else "")
    return "\n".join([*lines, "", note]) if rows else ""


def speed() -> str:
    """Rates of a training step beside the floor."""
    bench = read("bench.json")
    cd1, gibbs, machine = bench["cd1"], bench["gibbs"], bench["machine"]
    lines = ["| CD-1, 784 × 500, batch 100 | samples/s | ÷ floor |", "|---|---|---|"]
    rates = sorted(((cd1[name], name) for name in SPEEDS if name in cd1), reverse=True)
    lines += [f"| {SPEEDS[name]} | {rate:,.0f} | {rate / cd1['floor']:.2f} |" for rate, name in rates]
    ratio = {name: f"{bench[name]['ratio_to_floor']:.2f}" for name in ("cd1", "cd1_batch_10", "gibbs")}
    centred = f", centred {cd1['ratio_to_floor_centered']:.2f}" if "ratio_to_floor_centered" in cd1 else ""
    doubts = cd1.get("unreliable")
    lines += [
        "",
        f"Round by round: {ratio['cd1']} times the floor{centred} ({ratio['cd1_batch_10']} with batches of 10), "
        f"{cd1['ratio_to_sklearn']:.1f} times scikit-learn on the same integers, "
        f"{cd1['ratio_to_sklearn_float32']:.1f} on float32; Gibbs sampling of 1,000 chains {ratio['gibbs']} times its "
        f"floor, {gibbs['flips_per_ns']:.2f} flips a nanosecond; enumeration "
        f"{bench['log_partition']['ns_per_state_visible']:.3f} ns a state and visible unit; "
        f"{bench['memory_added_by_training_mb']:.0f} MB beside the data. {bench['threads']} threads, "
        f"{machine['processor']}, {machine['instruction_set']} instructions, {machine['blas'][0]}."
        + (f" **Not to be relied on**: {', '.join(doubts)}." if doubts else ""),
    ]
    return "\n".join(lines + (["", table] if (table := sets()) else []))


BLOCKS = {"likelihoods": likelihoods, "peers": peers, "performance": speed, "sets": sets}


def read(file: str) -> dict:
    """The content of a file of results; nothing where there is none."""
    path = RESULTS / file
    return json.loads(path.read_text()) if path.exists() else {}


def signed(value: float, digits: int) -> str:
    """With a minus sign."""
    return f"{value:.{digits}f}".replace("-", MINUS)


def duration(seconds: float) -> str:
    """Seconds, or minutes where there are many."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def main(*pages: Path) -> None:
    """Replace what stands between the marks of each block that a page has."""
    for page in pages or (ROOT / "README.md", RESULTS / "README.md"):
        text = page.read_text(encoding="utf-8")
        for name, make in BLOCKS.items():
            begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
            if begin in text:
                before, rest = text.split(begin)
                text = before + begin + make() + "\n" + end + rest.split(end, 1)[1]
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
