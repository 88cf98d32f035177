"""The experiments in order, and the files in which they end."""

from __future__ import annotations

import importlib.metadata
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from harmonium.datasets import Dataset
from harmonium.deep import Stack
from harmonium.errors import UnwritableOutput
from harmonium.inputs import check_count
from harmonium.io import atomic_write, to_json
from harmonium.progress import Progress
from harmonium.random import Key
from harmonium.reproduce import scratch
from harmonium.reproduce.busy import Others
from harmonium.reproduce.digits import Digits
from harmonium.reproduce.outcome import Outcome
from harmonium.reproduce.page import make_page
from harmonium.reproduce.pictures import make_gallery
from harmonium.reproduce.plan import Plan
from harmonium.reproduce.provenance import describe_origin
from harmonium.reproduce.results import make_results

FloatArray = npt.NDArray[np.float32]


def reproduce(
    dataset: Dataset,
    plan: Plan,
    out: str | os.PathLike[str],
    *,
    n_seeds: int = 1,
    made_by: str = "",
    on_stage: Callable[[str], None] | None = None,
    on_work: Progress | None = None,
) -> dict[str, Any]:
    """Run all experiments, and write them up.

    Parameters
    ----------
    dataset : Dataset
        With labelled train and test splits.
    plan : Plan
    out : path
        A directory; it is made if need be. Written there are ``index.html``, ``results.json``, the machines of the
        first and of the second part as ``model.safetensors`` and ``model-likelihood.safetensors``, and the pictures of
        the page as PNG files.
    n_seeds : int
        Repetitions, with seeds from that of the plan on; accuracies are means over them. Pictures, confusion matrices
        and the likelihood are of the first.
    made_by : str
        The command that makes the same again, for the page.
    on_stage : callable, optional
        Called with a few words when a piece of work begins.
    on_work : callable, optional
        Called with how much of the piece is done, and how much there is.

    Returns
    -------
    dict
        What ``results.json`` holds.

    Raises
    ------
    MissingExtra
        Keras or its framework is not installed; nothing has been done then.
    InvalidData
        The data set lacks a split or labels.
    UnwritableOutput
        The directory cannot be made or written.
    """
    from harmonium.reproduce import networks  # first of all: without Keras, there is no need to begin

    say, tell = on_stage or (lambda _: None), on_work or (lambda _done, _total: None)
    folder = make_folder(out)
    plans = [plan.with_seed(plan.seed + k) for k in range(check_count(n_seeds, "n_seeds"))]
    outcome = Outcome(Digits.of(dataset), plans)
    name, version = networks.backend()
    outcome.backend = name
    versions = {
        "harmonium": importlib.metadata.version("harmonium"),
        name: version,
        "keras": importlib.metadata.version("keras"),
        "numpy": np.__version__,
    }
    outcome.origin, others = describe_origin(made_by, versions, outcome.digits), Others()
    for number, own in enumerate(plans, 1):
        if n_seeds > 1:
            say(f"seed {own.seed}, {number} of {n_seeds}")
        _run_native(outcome, own, say, tell)
        _run_keras(outcome, own, say, tell)
    outcome.cores_of_others = others.cores()
    say("writing")
    results = make_results(outcome)
    page, pictures = make_page(outcome)
    for stem, png in pictures.items():
        atomic_write(folder / f"{stem}.png", png)
    for stem, trained in (("model", outcome.scratch), ("model-likelihood", outcome.likely)):
        result = trained.result
        result.rbm.save(folder / f"{stem}.safetensors", config=asdict(result.config), data=dataset.name)
    text = to_json(results, indent=1)
    atomic_write(folder / "results.json", f"{text}\n".encode())
    page.save(folder / "index.html")
    found: dict[str, Any] = json.loads(text)
    return found


def _run_native(outcome: Outcome, plan: Plan, say: Callable[[str], None], tell: Progress) -> None:
    """The experiments without a framework, but for the softmax, which is to be the same for all features."""
    from harmonium.reproduce import networks

    digits, engine = outcome.digits, plan.rbm.config.engine
    say(f"training {_named(plan, 0)} on the {engine} engine")
    trained = scratch.train_machine(digits.X, plan.rbm, digits.X_test, tell)
    if plan is outcome.plans[0]:
        _compare_with_likelihood(outcome, plan, trained, say, tell)
    say(f"training the stack on the {engine} engine")
    stack, layers = scratch.train_layers(digits, plan.stack, tell)
    for name, machine in zip(plan.machines, [trained, *layers], strict=True):
        outcome.native_speeds.setdefault(name, []).append(machine.samples_per_second)
        outcome.native_seconds += machine.seconds
    networks.start(plan.seed)
    say("softmax regression on features of that engine")
    for name, machines in ((plan.rbm_name, (trained.result.rbm,)), (plan.stack_name, tuple(stack))):
        F, F_test = (Stack(machines).transform(x, engine=engine) for x in (digits.X, digits.X_test))
        score = networks.score_softmax(F, F_test, digits, plan.softmax, tell)
        outcome.native_scores.setdefault(name, []).append(score)


def _compare_with_likelihood(
    outcome: Outcome, plan: Plan, trained: scratch.Trained, say: Callable[[str], None], tell: Progress
) -> None:
    """What the machine is worth as a model of its data, beside one that is trained to be that."""
    digits = outcome.digits
    outcome.scratch = trained
    say("bracketing its log-likelihood")
    outcome.evaluation = scratch.evaluate_machine(trained, digits, tell)
    outcome.thresholded = scratch.thresholded_likelihood(trained.result.rbm, outcome.evaluation.log_z, digits)
    say("training a machine for likelihood")
    outcome.likely = scratch.train_for_likelihood(digits.X, plan.likelihood, tell)
    say("bracketing its log-likelihood")
    outcome.likely_evaluation = scratch.evaluate_machine(outcome.likely, digits, tell)
    say("sampling from both")
    outcome.gallery = make_gallery(trained, outcome.likely, digits, plan, tell)


def _run_keras(outcome: Outcome, plan: Plan, say: Callable[[str], None], tell: Progress) -> None:
    """The experiments in Keras."""
    from harmonium.reproduce import networks

    begun, digits, machines = time.perf_counter(), outcome.digits, plan.machines
    networks.start(plan.seed)

    def score(name: str, F: FloatArray, F_test: FloatArray) -> None:
        say(f"softmax regression on {name.replace('_', ' ')} in Keras on {outcome.backend}")
        found = networks.score_softmax(F, F_test, digits, plan.softmax, tell)
        outcome.scores.setdefault(name, []).append(found)

    def train(k: int, X: FloatArray) -> Any:
        say(f"training {_named(plan, k)} in Keras on {outcome.backend}")
        name = list(machines)[k]
        model, speed = networks.train_machine(X, machines[name], tell)
        outcome.speeds.setdefault(name, []).append(speed)
        return model

    score("raw", digits.X, digits.X_test)
    pca = PCA(plan.n_components, random_state=Key(plan.seed).derive("pca").seed % 2**32).fit(digits.X)
    score(f"pca_{plan.n_components}", *(pca.transform(x).astype(np.float32) for x in (digits.X, digits.X_test)))
    model = train(0, digits.X)
    score(plan.rbm_name, *(networks.transform(model, x) for x in (digits.X, digits.X_test)))
    F, F_test, layers = digits.X, digits.X_test, []
    for k in range(1, len(machines)):
        layers.append(train(k, F))
        F, F_test = (networks.transform(layers[-1], x) for x in (F, F_test))
    score(plan.stack_name, F, F_test)
    say(f"fine-tuning the stack in Keras on {outcome.backend}")
    tuned, outcome.stack_weights = networks.score_fine_tuned(layers, digits, plan.fine_tuning, plan.seed, tell)
    outcome.scores.setdefault("stack_fine_tuned", []).append(tuned)
    outcome.seconds += time.perf_counter() - begun


def _named(plan: Plan, k: int) -> str:
    return list(plan.machines)[k]


def make_folder(out: str | os.PathLike[str]) -> Path:
    """Make the directory `out` and its parents; before all work, which is then not lost for want of a place.

    Raises
    ------
    UnwritableOutput
        It is something else, or cannot be made or written.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK | os.X_OK) else "Permission denied"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise UnwritableOutput(
            f"{folder} must be a directory, new or there, that can be written. Got: {reason}. Choose another."
        )
    return folder
