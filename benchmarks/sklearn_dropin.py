"""The drop-in beside scikit-learn's class: accuracy of features, and milliseconds of every method.

    python benchmarks/sklearn_dropin.py accuracy docs/results/sklearn.json
    python benchmarks/sklearn_dropin.py time docs/results/sklearn.json      # on an idle machine

Each part replaces its own entry of the file, and writes the page beside it (docs/results/sklearn.md).
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
CHOICES = {
    "scikit-learn": (Theirs, {}),
    "harmonium": (Ours, {}),
    'harmonium, binarize="none"': (Ours, {"binarize": "none"}),
    "harmonium, centered=True": (Ours, {"centered": True}),
}
METHODS = ("transform", "gibbs", "score_samples", "free_energy", "partial_fit", "fit", "fit_transform")
PRIVATE = {"free_energy": "_free_energy"}  # what scikit-learn's class calls it
SHAPES = ((64, 100), (784, 500))
ROWS = (1, 40, 1000)


def sets():
    digits, labels = load_digits(return_X_y=True)
    grey = (digits / 16).astype(np.float32)
    images = grey.reshape(-1, 8, 8)
    moves = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    nudged = np.concatenate([shift(images, (0, *move), order=0).reshape(-1, 64) for move in moves])
    example = {"n_components": 100, "learning_rate": 0.06}
    yield "nudged digits, 100 components, rate 0.06", (nudged, np.tile(labels, 5)), example, 6000.0, (5, 10, 20)
    yield "digits/16, all defaults", (grey, labels), {}, 1.0, (5, 10, 20)


def accuracies():
    rows = []
    for name, (X, y), parameters, C, passes in sets():
        train, test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
        for n_iter in passes:
            for choice, (cls, extra) in CHOICES.items():
                found = []
                for seed in SEEDS:
                    machine = cls(n_iter=n_iter, random_state=seed, **parameters, **extra).fit(train)
                    # Converged: stopped early, heads differ by more than the features do.
                    head = LogisticRegression(C=C, solver="newton-cholesky", max_iter=100)
                    head.fit(machine.transform(train).astype(float), y_train)
                    found.append(head.score(machine.transform(test).astype(float), y_test))
                rows.append({"data": name, "passes": n_iter, "class": choice, "accuracy": [round(x, 4) for x in found]})
                print(rows[-1], flush=True)
    return rows


def median_times(calls, repeats):
    """Medians in ms of calls that take turns."""
    taken = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    return {name: round(1e3 * float(np.median(x[1:])), 4) for name, x in taken.items()}


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
                    found = median_times(calls, 7 if slow else 51)
                    shape = f"{n_features}×{n_components}"
                    rows.append({"shape": shape, "data": kind, "rows": n_rows, "method": method, **found})
                    print(rows[-1], flush=True)
    return rows


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
            "## Accuracy of logistic regression on the features, in per cent: mean (lowest to highest) of 3 seeds",
            "",
        ]
        table, columns = {}, []
        for row in found["accuracy"]:
            column = (row["data"], row["passes"])
            columns += [column] * (column not in columns)
            x = 100 * np.array(row["accuracy"])
            table.setdefault(row["class"], {})[column] = f"{x.mean():.1f} ({x.min():.1f} to {x.max():.1f})"
        for data in dict.fromkeys(name for name, _ in columns):
            passes = [n for name, n in columns if name == data]
            lines += [f"**{data}**, after so many passes:", "", f"| | {' | '.join(map(str, passes))} |"]
            lines += ["|---" * (len(passes) + 1) + "|"]
            lines += [f"| {name} | {' | '.join(cells[data, n] for n in passes)} |" for name, cells in table.items()]
            lines += [""]
    if "time" in found:
        lines += [
            f"## Milliseconds a call on {found['machine']}: scikit-learn, Harmonium (medians of calls in turns)",
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["accuracy", "time", "page"])
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    found = json.loads(arguments.file.read_text()) if arguments.file.exists() else {}
    if arguments.part == "accuracy":
        found["accuracy"] = accuracies()
    elif arguments.part == "time":
        machine = describe_machine()
        found["time"] = times()
        found["machine"] = f"{machine['processor']}, {machine['instruction_set']}, {n_threads()} threads"
    arguments.file.write_text(json.dumps(found, indent=1) + "\n")
    arguments.file.with_suffix(".md").write_text(page(found))


if __name__ == "__main__":
    main()
