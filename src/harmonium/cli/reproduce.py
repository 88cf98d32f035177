"""``harmonium reproduce``: the experiments of the seeds, from nothing to a page of methods and results."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from harmonium import datasets
from harmonium.cli.options import Json, integer
from harmonium.cli.output import complain, emit
from harmonium.cli.progress import WorkProgress
from harmonium.cli.words import nats
from harmonium.errors import InvalidParameter
from harmonium.inputs import check_count
from harmonium.random import Key

HELP = """Run the experiments on digits.

Methods and results, on one page.
From scratch: a machine of 200 hidden units by contrastive divergence, its filters, reconstructions, samples and
two-sided log-likelihood. In TensorFlow: softmax regression on raw pixels, PCA-200, RBM-200 and a stack of RBMs
[500, 200], and the stack fine-tuned. Writes index.html, which needs no other file, results.json, and every picture.

\b
Examples:
  harmonium reproduce
  harmonium reproduce --data mnist --seeds 3

It takes minutes with mnist-5k, and with mnist about ten for each seed. It needs TensorFlow, a download of 0.3 GB:
pip install keras tensorflow
"""

_DATA = ("mnist-5k", "mnist")


class _Shown:
    """Stages as lines on stderr, with the seconds since the start, and a bar for each on a terminal."""

    def __init__(self) -> None:
        self._start, self._bar = time.monotonic(), WorkProgress("")

    def stage(self, text: str) -> None:
        self.close()
        complain("reproduce", f"{time.monotonic() - self._start:4.0f} s  {text}")
        self._bar = WorkProgress(text)

    def work(self, done: int, total: int) -> None:
        self._bar(done, total)

    def close(self) -> None:
        self._bar.__exit__(None, None, None)


@contextmanager
def _unheard_unless_it_fails() -> Iterator[None]:
    """Keep what TensorFlow writes past Python when it is loaded: warnings about nothing that a user could do."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            yield
        except BaseException:
            heard.seek(0)
            os.write(kept, heard.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def command(
    data: Annotated[str, typer.Option(metavar="|".join(_DATA), help="5,000 digits, or all 70,000.")] = "mnist-5k",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Made if need be; its files are replaced.")] = Path(
        "results"
    ),
    seeds: Annotated[int, integer("Repetitions, over which accuracies are averaged.")] = 1,
    seed: Annotated[int, integer("The first of them.")] = 0,
    as_json: Json = False,
) -> None:
    """Run the experiments, and say where the page is."""
    if data not in _DATA:
        raise InvalidParameter(f"--data must be one of {', '.join(_DATA)}. Got {data!r}. Choose one of these.")
    check_count(seeds, "--seeds")
    Key(seed)
    # Both must be there before the first import of Keras; what the user chose stays.
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    shown = _Shown()
    shown.stage(f"loading Keras on {os.environ['KERAS_BACKEND']}")
    with _unheard_unless_it_fails():
        import harmonium.keras  # noqa: F401 (says at once what is not installed)
    from harmonium.reproduce import PLANS, make_folder, reproduce

    make_folder(out)
    again = ["harmonium", "reproduce", "--data", data, "--seeds", str(seeds), "--seed", str(seed)]
    try:
        shown.stage(f"{data}, into {out}")
        found = reproduce(
            datasets.load(data),
            replace(PLANS[data], seed=seed),
            out,
            n_seeds=seeds,
            made_by=shlex.join(again),
            on_stage=shown.stage,
            on_work=shown.work,
        )
    finally:
        shown.close()
    rows: list[tuple[str, Any]] = [("data", data)]
    for name, accuracy in found["tensorflow"]["accuracy"].items():
        rows.append((f"test accuracy, {name.replace('_', ' ')}", f"{100 * accuracy['test']:.2f} %"))
    for title, part in (("by contrastive divergence", "from_scratch"), ("trained for likelihood", "for_likelihood")):
        scores = found[part]["test_log_likelihood_thresholded"]
        rows.append((f"log-likelihood, {title}", f"{nats(scores['lower'])} to {nats(scores['upper'])} nats"))
    rows += [("numbers", out / "results.json"), ("open", out / "index.html")]
    emit(found, rows, as_json=as_json)
