"""What is said of the experiments: the numbers for programs, and the words of the page."""

from __future__ import annotations

import itertools
import os
import platform
from dataclasses import asdict
from typing import Any

import numpy as np

from harmonium.report import Page, Picture, Section, Table, describe_method, figures, settings_table
from harmonium.reproduce.outcome import Outcome
from harmonium.reproduce.plan import FIRST_WEIGHTS, Plan
from harmonium.reproduce.scores import Score, mean_accuracy
from harmonium.reproduce.scratch import N_FILTERS, N_SAMPLES
from harmonium.training.reports import kept_record

_MINUS = "\N{MINUS SIGN}"
_FRAMEWORKS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


# Numbers ------------------------------------------------------------------------------------------------------------


def make_results(outcome: Outcome, made_by: str) -> dict[str, Any]:
    """The content of ``results.json``. Accuracies are fractions, means over the seeds."""
    trained, found = outcome.scratch, outcome.evaluation
    kept = kept_record(trained.result.history)
    return {
        "data": outcome.digits.dataset.name,
        "n_train": len(outcome.digits.X),
        "n_test": len(outcome.digits.X_test),
        "seeds": [plan.seed for plan in outcome.plans],
        "made_by": made_by,
        "versions": outcome.versions,
        "n_cores": _n_cores(),
        "settings": asdict(outcome.plans[0]),
        "from_scratch": {
            "engine": trained.result.config.engine,
            "test_log_likelihood": found.log_likelihood.as_dict(),
            "test_pseudo_log_likelihood": found.pseudo_log_likelihood,
            "test_reconstruction_error": found.reconstruction_error,
            "train_pseudo_log_likelihood": None
            if kept is None or kept.train is None
            else kept.train.pseudo_log_likelihood,
            "log_z": found.log_z.as_dict(),
            "samples_per_second": trained.samples_per_second,
            "seconds": trained.seconds,
        },
        "tensorflow": {
            "backend": outcome.backend,
            "accuracy": _accuracies(outcome.scores),
            "accuracy_by_seed": _accuracies_by_seed(outcome.scores),
            "stack_weights": outcome.stack_weights,
            "confusion": {
                name: {split: counts.tolist() for split, counts in scores[0].confusion.items()}
                for name, scores in outcome.scores.items()
            },
            "samples_per_second": _means(outcome.speeds),
            "seconds": outcome.seconds,
        },
        "native_features": {
            "engine": trained.result.config.engine,
            "accuracy": _accuracies(outcome.native_scores),
            "accuracy_by_seed": _accuracies_by_seed(outcome.native_scores),
            "samples_per_second": _means(outcome.native_speeds),
            "seconds": outcome.native_seconds,
        },
    }


def _accuracies(scores: dict[str, list[Score]]) -> dict[str, dict[str, float]]:
    return {name: mean_accuracy(repeated) for name, repeated in scores.items()}


def _accuracies_by_seed(scores: dict[str, list[Score]]) -> dict[str, dict[str, list[float]]]:
    splits = ("train", "test")
    return {name: {s: [score.accuracy[s] for score in repeated] for s in splits} for name, repeated in scores.items()}


def _means(values: dict[str, list[float]]) -> dict[str, float]:
    return {name: float(np.mean(repeated)) for name, repeated in values.items()}


def _n_cores() -> int:
    """The cores that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Words ----------------------------------------------------------------------------------------------------------------


def make_page(outcome: Outcome, made_by: str) -> tuple[Page, dict[str, bytes]]:
    """The page, and its pictures as PNG files by name."""
    digits, plan = outcome.digits, outcome.plans[0]
    confusions = _confusions(outcome)
    test = {name: 100 * mean_accuracy(scores)["test"] for name, scores in outcome.scores.items()}
    page = Page(
        title=f"Restricted Boltzmann machines on {digits.dataset.name}",
        lead=(
            f"Softmax regression recognises {test[plan.stack_name]:.1f}\N{NO-BREAK SPACE}% of unseen digits from the "
            f"features of a stack of machines that saw no label, {test[plan.rbm_name]:.1f}\N{NO-BREAK SPACE}% from "
            f"those of a single machine, {test['raw']:.1f}\N{NO-BREAK SPACE}% from pixels; fine-tuned, the stack "
            f"reaches {test['stack_fine_tuned']:.1f}\N{NO-BREAK SPACE}%."
        ),
        data=digits.dataset.name,
        source=digits.dataset.source,
        sections=(_scratch_section(outcome, plan), _keras_section(outcome, plan, confusions)),
        made_by=f"{made_by}, with {_versions(outcome)}, on {_n_cores()} cores ({platform.machine()}).",
    )
    return page, outcome.pngs | {stem: picture.png for stem, picture in confusions.items()}


def _versions(outcome: Outcome) -> str:
    return ", ".join(f"{_FRAMEWORKS.get(name, name)} {version}" for name, version in outcome.versions.items())


def _scratch_section(outcome: Outcome, plan: Plan) -> Section:
    digits, config = outcome.digits, plan.rbm.config
    machines = {name: machine.config for name, machine in plan.machines.items()}
    valid = f", which include the {digits.n_valid:,} of the valid split" if digits.n_valid else ""
    methods = (
        *describe_method(config, *digits.X.shape),
        f"The first weights are normal with standard deviation {FIRST_WEIGHTS:g}; the visible biases start where they "
        f"fit the means of the pixels, the hidden biases at {_signed(plan.rbm.hidden_bias)}.",
        f"Learning used all {len(digits.X):,} training images{valid}, and no label. The hyper-parameters had been "
        "chosen before, by training on the train split and scoring the valid split; the test images were never used to "
        f"choose or to stop anything.{_seeds_said(outcome)}",
        "Likelihoods are brackets: annealed importance sampling bounds log Z from below, the reverse from above, each "
        "up to its error of sampling. The pseudo-log-likelihood is exact: the sum over the pixels of log "
        "p(pixel|all others).",
    )
    more = {"first c": {name: machine.hidden_bias for name, machine in plan.machines.items()}}
    caption = (
        "Every setting of every machine, as named in harmonium.Config; those of the stack are for the next section."
    )
    settings = settings_table(machines, caption, **more)
    return Section("Code from scratch", methods, settings, [_scratch_scores(outcome)], _scratch_pictures(outcome, plan))


def _seeds_said(outcome: Outcome) -> str:
    seeds = [str(plan.seed) for plan in outcome.plans]
    if len(seeds) == 1:
        return ""
    return f" Everything was repeated with the seeds {', '.join(seeds)}; pictures and likelihoods are of the first."


def _scratch_scores(outcome: Outcome) -> Table:
    trained, found = outcome.scratch, outcome.evaluation
    likelihood, log_z = found.log_likelihood, found.log_z
    rows = [
        ("log-likelihood of a test image, at least (nats)", _nats(likelihood.lower)),
        ("log-likelihood of a test image, at most (nats)", _nats(likelihood.upper)),
        ("pseudo-log-likelihood of a test image (nats)", _nats(found.pseudo_log_likelihood)),
        ("mean squared error of its reconstruction, a pixel", f"{found.reconstruction_error:.4f}"),
        ("seconds of training", f"{trained.seconds:.1f}"),
        ("samples a second", f"{trained.samples_per_second:,.0f}"),
    ]
    verdict = "" if log_z.verdict == "ok" else f" The estimate of log Z calls itself {log_z.verdict}: {log_z.reason}."
    caption = (
        f"{found.n_samples:,} test images, grey levels as states by the convention \N{LEFT DOUBLE QUOTATION MARK}"
        f"{found.convention}\N{RIGHT DOUBLE QUOTATION MARK}; log Z by the method {log_z.method}.{verdict}"
    )
    return Table(caption, ("of the machine", "value"), rows)


def _scratch_pictures(outcome: Outcome, plan: Plan) -> tuple[Picture, ...]:
    pngs, n_hidden = outcome.pngs, plan.rbm.config.n_hidden
    n_filters = min(N_FILTERS, n_hidden)
    return (
        Picture(
            pngs["filters"],
            f"Weights of the first {n_filters} of {n_hidden} hidden units, in the machine's own order and on one "
            "scale: red positive, blue negative, grey zero. A pixel that is on turns the unit on where it is red, and "
            "off where it is blue.",
            f"A grid of {n_filters} images, one for the weights of each hidden unit.",
        ),
        Picture(
            pngs["samples"],
            f"Samples of the model: {N_SAMPLES} independent Gibbs chains, started from noise and run for "
            f"{plan.sweeps:,} sweeps. Shown is E[v|h], which is smoother than states are. Contrastive divergence "
            "shapes the model near the data; chains from far away show what it never looked at.",
            f"A grid of {N_SAMPLES} images that the machine generated.",
        ),
        Picture(
            pngs["reconstructions"],
            "Reconstructions. First and third line: the first test images, as states. Below each: E[v|h] for one h "
            "drawn from p(h|v).",
            "Pairs of lines of images: data, and below each image its reconstruction by the machine.",
            wide=True,
        ),
        Picture(
            pngs["curves"],
            "Scores while training, on the same images each time; held out are test images, which steered nothing. A "
            "free-energy gap that sinks is overfitting.",
            "Three curves against epochs: the pseudo-log-likelihood, the free-energy gap between training and held-out "
            "images, and the reconstruction error.",
            pixelated=False,
            wide=True,
        ),
    )


def _keras_section(outcome: Outcome, plan: Plan, confusions: dict[str, Picture]) -> Section:
    framework = _FRAMEWORKS.get(outcome.backend, outcome.backend)
    softmax, tuning, rbm, layers = plan.softmax, plan.fine_tuning, plan.rbm.config, plan.stack
    sizes = [outcome.digits.X.shape[1], *(machine.config.n_hidden for machine in layers)]
    added = " + ".join(f"{m}\N{MULTIPLICATION SIGN}{n} + {m} + {n}" for m, n in itertools.pairwise(sizes))
    methods = (
        f"harmonium.keras.RBM is a Keras model; here {framework} computes. Its loss, mean F(v) of the data minus "
        f"mean F(v) of the ends of the chains, has the gradient of {rbm.estimator.upper()}-{rbm.n_sweeps}, which "
        "Keras' own fit follows with its optimiser SGD. The settings are those of the table above, so that only noise "
        "and rounding tell these machines from those of the engine; grey levels are drawn anew in each step.",
        f"Four descriptions of an image are compared: its pixels; its first {plan.n_components} principal components; "
        f"E[h|v] of an RBM with {rbm.n_hidden} hidden units; and that of the top of a stack of RBMs "
        f"[{', '.join(str(n) for n in sizes[1:])}], trained from the bottom up, each on the expectations of the units "
        f"below. For this the machines see the grey levels as they are. The stack has {added} = "
        f"{outcome.stack_weights:,} weights W, b and c.",
        f"On each, softmax regression over {outcome.digits.n_classes} classes was trained for {softmax.epochs} epochs "
        f"in mini-batches of {softmax.batch_size} by Adam, at a learning rate that fell linearly from "
        f"{softmax.learning_rate:g} to zero, with {softmax.weight_decay:g} times the squared weights in the loss. It "
        "is linear in the features, and the same for all.",
        "Fine-tuned, stack and softmax were trained together by backpropagation from the pre-trained weights: "
        f"{tuning.epochs} epochs in mini-batches of {tuning.batch_size} by Adam, at a learning rate that fell linearly "
        f"from {tuning.learning_rate:g} to zero; {_share(tuning.drop_visible)} of the pixels and "
        f"{_share(tuning.drop_hidden)} of the hidden units were left out at random in each step.",
    )
    settings = Table(
        "Settings of the classifiers.",
        ("setting", "softmax", "fine-tuning"),
        _side_by_side(asdict(softmax), asdict(tuning) | {"seed": "as the machines"}, {"seed": "as the machines"}),
        numeric=False,
    )
    tables = [_accuracy_table(outcome, plan), _speed_table(outcome, framework)]
    return Section(framework, methods, settings, tables, tuple(confusions.values()))


def _side_by_side(left: dict[str, Any], right: dict[str, Any], more: dict[str, Any]) -> list[tuple[str, str, str]]:
    left = left | more
    return [(name, str(left.get(name, "")), str(right.get(name, ""))) for name in dict.fromkeys([*left, *right])]


def _accuracy_table(outcome: Outcome, plan: Plan) -> Table:
    names, framework = _titles(plan), _FRAMEWORKS.get(outcome.backend, outcome.backend)
    several = len(outcome.plans) > 1
    rows = []
    for name, scores in outcome.scores.items():
        own = outcome.native_scores.get(name)
        columns = [_percent(mean_accuracy(scores)[split]) for split in ("train", "test")]
        columns += [_percent(mean_accuracy(own)[split]) if own else "" for split in ("train", "test")]
        if several:
            columns.append(" ".join(_percent(score.accuracy["test"]) for score in scores))
        rows.append((names[name], *columns))
    caption = f"Accuracy in % on {len(outcome.digits.X):,} training and {len(outcome.digits.X_test):,} test images"
    caption += f", means over {len(outcome.plans)} seeds." if several else "."
    engine = plan.rbm.config.engine
    header = ["features", f"train, {framework}", f"test, {framework}", f"train, {engine}", f"test, {engine}"]
    return Table(caption, header + (["test, each seed"] if several else []), rows)


def _speed_table(outcome: Outcome, framework: str) -> Table:
    engine = outcome.scratch.result.config.engine
    native, keras = _means(outcome.native_speeds), _means(outcome.speeds)
    rows = [
        (name, f"{native[name]:,.0f}", f"{keras[name]:,.0f}", f"{native[name] / keras[name]:.1f}") for name in keras
    ]
    caption = (
        f"Training speed on {_n_cores()} cores, samples a second: the median over the epochs, in {framework} without "
        f"the first, which compiles. All that was done in Keras took {outcome.seconds:,.0f} seconds; the training of "
        f"the same machines by the {engine} engine took {outcome.native_seconds:,.1f}."
    )
    return Table(caption, ("machine", f"{engine} engine", framework, "ratio"), rows)


def _titles(plan: Plan) -> dict[str, str]:
    sizes = ", ".join(str(machine.config.n_hidden) for machine in plan.stack)
    return {
        "raw": "raw pixels",
        f"pca_{plan.n_components}": f"PCA-{plan.n_components}",
        plan.rbm_name: f"RBM-{plan.rbm.config.n_hidden}",
        plan.stack_name: f"stack [{sizes}]",
        "stack_fine_tuned": "stack, fine-tuned",
    }


def _confusions(outcome: Outcome) -> dict[str, Picture]:
    """Pictures of the confusion of the four softmax regressions, in training and test."""
    titles = _titles(outcome.plans[0])
    pictures = {}
    for name in list(outcome.scores)[:4]:
        score = outcome.scores[name][0]
        for split, counts in score.confusion.items():
            errors = counts.copy()
            np.fill_diagonal(errors, 0)
            true, taken = np.unravel_index(errors.argmax(), errors.shape)
            said = f"{titles[name]}, {split}: {_percent(score.accuracy[split])} % of {counts.sum():,} images are right."
            caption = f"{said} The most frequent error: {errors.max()} times a {true} was taken for a {taken}."
            alt = f"Confusion matrix of softmax regression on {titles[name]}, {split} images."
            png = figures.to_png(figures.confusion_matrix(counts))
            pictures[f"confusion_{name}_{split}"] = Picture(png, caption, alt, pixelated=False)
    return pictures


def _share(value: float) -> str:
    return f"{100 * value:g}\N{NO-BREAK SPACE}%"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _nats(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}".replace("-", _MINUS)


def _signed(value: float) -> str:
    return f"{value:g}".replace("-", _MINUS)
