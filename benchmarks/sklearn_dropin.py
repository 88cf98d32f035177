"""The drop-in beside scikit-learn's class: accuracy of features, and milliseconds of every method.

    python benchmarks/sklearn_dropin.py accuracy docs/results/sklearn.json    # goes on where it was stopped
    python benchmarks/sklearn_dropin.py time docs/results/sklearn.json        # on an idle machine; some minutes
    python benchmarks/sklearn_dropin.py page docs/results/sklearn.json        # what the file holds, anew

Each part replaces its own entry of the file, and writes the page beside it (docs/results/sklearn.md) and the table in
docs/sklearn.md. Accuracies are those of a logistic regression that has converged, trained on the features of 60 per
cent of the rows, on a fifth for validation and on a fifth for the test. The default of `binarize` is "none", which is
what the class that it replaces does and which is within a point of it here; "sample" is ahead on one set, behind on
none in this table, and was behind on the example's own split.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import sklearn
from scipy.ndimage import shift
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import BernoulliRBM as Theirs

from harmonium.bench.machine import describe_machine, n_threads
from harmonium.sklearn import BernoulliRBM as Ours

SEEDS = range(3)
PASSES = (5, 10, 20)
CHOICES = {
    "scikit-learn": (Theirs, {}),
    'binarize="none"': (Ours, {"binarize": "none"}),
    'binarize="sample"': (Ours, {"binarize": "sample"}),
    'binarize="none", centered=True': (Ours, {"binarize": "none", "centered": True}),
}
DOCS = Path(__file__).parents[1] / "docs"
METHODS = ("transform", "gibbs", "score_samples", "free_energy", "partial_fit", "fit", "fit_transform")
PRIVATE = {"free_energy": "_free_energy"}  # what scikit-learn's class calls it
SHAPES = ((64, 100), (784, 500))
ROWS = (1, 40, 1000)
ROUNDS, PAUSE = 5, 0.1  # seconds


def sets():
    """Names, data, labels, parameters, and a head: stopped early, heads differ by more than the features do."""
    digits, labels = load_digits(return_X_y=True)
    grey = (digits / 16).astype(np.float32)
    images = grey.reshape(-1, 8, 8)
    moves = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    nudged = np.concatenate([shift(images, (0, *move), order=0).reshape(-1, 64) for move in moves])
    example = {"n_components": 100, "learning_rate": 0.06}
    head = LogisticRegression(C=6000, solver="newton-cholesky", max_iter=200)
    yield "its example: nudged digits, 100 components, rate 0.06, C = 6000", nudged, np.tile(labels, 5), example, head
    head = LogisticRegression(C=1, tol=1e-6, max_iter=10_000)
    yield "digits/16, all defaults, C = 1", grey, labels, {}, head


def accuracies(done):
    rows = list(done)
    for name, X, y, parameters, head in sets():
        rest, test, y_rest, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
        train, validation, y_train, y_validation = train_test_split(rest, y_rest, test_size=0.25, random_state=0)
        for n_iter in PASSES:
            for choice, (cls, extra) in CHOICES.items():
                row = {"data": name, "passes": n_iter, "class": choice, "validation": [], "test": []}
                if any(all(row[key] == old[key] for key in ("data", "passes", "class")) for old in done):
                    continue
                for seed in SEEDS:
                    machine = cls(n_iter=n_iter, random_state=seed, **parameters, **extra).fit(train)
                    head.fit(machine.transform(train).astype(float), y_train)
                    for part, data, answers in (("validation", validation, y_validation), ("test", test, y_test)):
                        score = head.score(machine.transform(data).astype(float), answers)
                        row[part].append(round(100 * score, 1))
                print(row, flush=True)
                rows.append(row)
                yield rows


def median_times(calls, repeats):
    """Medians in ms of calls in rounds that take turns.

    Each round begins after a pause, with a call that is not timed: the threads of the other class's library wait for
    work on a core of their own for a while after their last call, which is no part of this one's.
    """
    taken = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            time.sleep(PAUSE)
            call()
            for _ in range(repeats):
                start = time.perf_counter()
                call()
                taken[name].append(time.perf_counter() - start)
    return {name: round(1e3 * float(np.median(x)), 4) for name, x in taken.items()}


def times():
    rng, rows = np.random.default_rng(0), []
    for n_features, n_components in SHAPES:
        grey = rng.random((1000, n_features))
        for kind, data in (("binary", (grey < 0.3).astype(float)), ("grey", grey)):
            for n_rows in ROWS:
                X = data[:n_rows]
                for method in METHODS:
                    # As many updates in both: theirs takes the rows of one partial_fit as one batch.
                    parameters = {"n_iter": 1, "random_state": 0}
                    if method == "partial_fit":
                        parameters["batch_size"] = n_rows
                    theirs, ours = (cls(n_components, **parameters).fit(X) for cls in (Theirs, Ours))
                    bound = {"theirs": getattr(theirs, PRIVATE.get(method, method)), "ours": getattr(ours, method)}
                    calls = {name: partial(call, X) for name, call in bound.items()}
                    slow = n_rows == 1000 or method.startswith("fit")
                    found = median_times(calls, 2 if slow else 15)
                    shape = f"{n_features}×{n_components}"
                    rows.append({"shape": shape, "data": kind, "rows": n_rows, "method": method, **found})
                    print(rows[-1], "SLOWER" if found["ours"] > found["theirs"] else "", flush=True)
    slower = [row for row in rows if row["ours"] > row["theirs"]]
    print(f"{len(slower)} of {len(rows)} cells above scikit-learn's time:")
    for row in slower:
        cell = ", ".join(str(row[key]) for key in ("shape", "data", "rows", "method"))
        print(f"  {cell}: {row['ours'] / row['theirs']:.2f} times ({row['theirs']} ms, {row['ours']} ms)")
    return rows


def accuracy_table(found):
    """Lines: a row for each way and part of the data, a column for each number of passes."""
    lines = []
    for data in dict.fromkeys(row["data"] for row in found["accuracy"]):
        rows = [row for row in found["accuracy"] if row["data"] == data]
        passes = sorted({row["passes"] for row in rows})
        lines += [f"| {data}: after passes | {' | '.join(map(str, passes))} |", "|---" * (len(passes) + 1) + "|"]
        for name in CHOICES:
            cells = {row["passes"]: row for row in rows if row["class"] == name}
            means = [
                ", ".join(f"{np.mean(cells[n][part]):.1f}" for part in ("validation", "test")) if n in cells else ""
                for n in passes
            ]
            lines += [f"| {name if name == 'scikit-learn' else f'`{name}`'} | {' | '.join(means)} |"]
        lines += [""]
    return lines


def page(found):
    lines = [
        "# The drop-in beside scikit-learn's class",
        "",
        f"scikit-learn {sklearn.__version__}; `python benchmarks/sklearn_dropin.py`, which says what is measured; "
        "numbers in [sklearn.json](sklearn.json).",
        "",
    ]
    if "accuracy" in found:
        lines += [
            "## Accuracy of logistic regression on the features",
            "",
            f"In per cent, on the rows for validation and for the test; means of {len(SEEDS)} seeds.",
            "",
            *accuracy_table(found),
        ]
    if "time" in found:
        lines += [
            f"## Milliseconds a call on {found['machine']}: scikit-learn, Harmonium (medians of interleaved rounds)",
            "",
        ]
        lines += ["| shape, data, rows | " + " | ".join(METHODS) + " |", "|---" * (len(METHODS) + 1) + "|"]
        groups = {}
        for row in found["time"]:
            key = f"{row['shape']}, {row['data']}, {row['rows']:,}"
            groups.setdefault(key, []).append(f"{row['theirs']:.3g}, {row['ours']:.3g}")
        lines += [f"| {key} | {' | '.join(cells)} |" for key, cells in groups.items()]
        lines += [
            "",
            "`score_samples` does more here: all features of each row in place of a random one. `partial_fit` has "
            "batches of all rows, so that both make one update. `free_energy` is beside `_free_energy`, which checks "
            "nothing.",
            "",
        ]
    return "\n".join(lines)


def write(found, file):
    file.write_text(json.dumps(found, indent=1) + "\n")
    file.with_suffix(".md").write_text(page(found))
    begin, end = "<!-- accuracy: begin -->\n", "<!-- accuracy: end -->"
    docs = DOCS / "sklearn.md"
    before, _, rest = docs.read_text().partition(begin)
    docs.write_text(before + begin + "\n".join(accuracy_table(found)) + end + rest.partition(end)[2])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["accuracy", "time", "page"])
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    found = json.loads(arguments.file.read_text()) if arguments.file.exists() else {}
    if arguments.part == "accuracy":
        for rows in accuracies(found.get("accuracy", [])):
            found |= {"accuracy": rows}
            write(found, arguments.file)
    elif arguments.part == "time":
        machine = describe_machine()
        found["time"] = times()
        found["machine"] = f"{machine['processor']}, {machine['instruction_set']}, {n_threads()} threads"
    write(found, arguments.file)


if __name__ == "__main__":
    main()
