"""What is said of the experiments to people: the page."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import Any

from harmonium.likelihood import Estimate
from harmonium.report import Page, Picture, Section, Table, describe_method, settings_table
from harmonium.reproduce.busy import BUSY
from harmonium.reproduce.captions import confusions, pictures_of_cd, pictures_of_samples
from harmonium.reproduce.outcome import Outcome
from harmonium.reproduce.plan import FIRST_WEIGHTS, Plan
from harmonium.reproduce.results import means
from harmonium.reproduce.scores import mean_accuracy
from harmonium.reproduce.words import FRAMEWORKS, method_of, nats, percent, share, signed, titles_of
from harmonium.training.alarms import last_alarms
from harmonium.training.config import Config

_BRACKETS = (
    "Likelihoods are brackets: annealed importance sampling bounds log Z from below, the reverse from above, each up "
    "to its error of sampling. The pseudo-log-likelihood is exact: the sum over the pixels of log p(pixel|all others)."
)


def make_page(outcome: Outcome) -> tuple[Page, dict[str, bytes]]:
    """The page, and its pictures as PNG files by name."""
    digits, plan = outcome.digits, outcome.plans[0]
    tables = confusions(outcome)
    test = {name: share(mean_accuracy(scores)["test"]) for name, scores in outcome.scores.items()}
    page = Page(
        title=f"Restricted Boltzmann machines on {digits.dataset.name}",
        lead=(
            f"Softmax regression recognises {test[plan.stack_name]} of unseen digits from the features of a stack of "
            f"machines that saw no label, {test[plan.rbm_name]} from those of a single machine, {test['raw']} from "
            f"pixels; fine-tuned, the stack reaches {test['stack_fine_tuned']}. A machine of the same size that is "
            "trained for likelihood makes up digits of its own."
        ),
        data=digits.dataset.name,
        source=digits.dataset.source,
        sections=(
            _cd_section(outcome, plan),
            _likelihood_section(outcome, plan),
            _keras_section(outcome, plan, tables),
        ),
        made_by=outcome.origin["made_by"],
        version=outcome.origin["versions"]["harmonium"],
        origin=_origin(outcome),
    )
    return page, outcome.gallery.pngs | {stem: picture.png for stem, picture in tables.items()}


def _origin(outcome: Outcome) -> dict[str, str]:
    origin = outcome.origin
    machine = origin["machine"]
    return {
        "versions": ", ".join(f"{FRAMEWORKS.get(name, name)} {x}" for name, x in origin["versions"].items()),
        "code": origin["commit"] or f"release {origin['versions']['harmonium']}",
        "date": origin["date"],
        "platform": f"{machine['processor']}, {origin['n_cores']} cores, {machine['instruction_set']} instructions, "
        f"{machine['system']}, Python {machine['python']}",
        "data, SHA-256": ", ".join(f"{split} {digest}" for split, digest in origin["data_sha256"].items()),
    }


def _cd_section(outcome: Outcome, plan: Plan) -> Section:
    digits, config, found = outcome.digits, plan.rbm.config, outcome.evaluation
    valid = f", which include the {digits.n_valid:,} of the valid split" if digits.n_valid else ""
    methods = (
        *describe_method(config, *digits.X.shape),
        f"The first weights are normal with standard deviation {FIRST_WEIGHTS:g}; the visible biases start where they "
        f"fit the means of the pixels, the hidden biases at {signed(plan.rbm.hidden_bias)}.",
        f"Learning used all {len(digits.X):,} training images{valid}, and no label. The hyper-parameters had been "
        "chosen before, by training on the train split and scoring the valid split; the test images were never used to "
        f"choose or to stop anything.{_seeds_said(outcome)}",
        _BRACKETS,
    )
    more = {"first c": {name: machine.hidden_bias for name, machine in plan.machines.items()}}
    caption = (
        "The settings of every machine, as named in harmonium.Config; those of the stack are for the last section."
    )
    scores = Table(
        f"{found.n_samples:,} test images. {_what_pixels_were(found.binarize)} log Z by the method "
        f"{found.log_z.method}.{_doubt(found.log_z)}",
        ("of the machine", "value"),
        [
            ("log-likelihood of a test image, at least (nats)", nats(found.log_likelihood.lower)),
            ("log-likelihood of a test image, at most (nats)", nats(found.log_likelihood.upper)),
            ("pseudo-log-likelihood of a test image (nats)", nats(found.pseudo_log_likelihood)),
            ("mean squared error of its reconstruction, a pixel", f"{found.reconstruction_error:.4f}"),
        ],
    )
    settings = settings_table(plan.configs(*digits.X.shape), caption, **more)
    return Section("Code from scratch", methods, settings, [scores], pictures_of_cd(outcome, plan))


def _likelihood_section(outcome: Outcome, plan: Plan) -> Section:
    digits, likely, found = outcome.digits, outcome.likely.result, outcome.likely_evaluation
    n_steering = len(likely.held_out_rows)
    alarms = last_alarms(likely.history)
    methods = (
        "Contrastive divergence is quick and makes good features, but no model of the data: its chains never leave "
        "their neighbourhood. So a machine of the same size was trained on the same images with the defaults of "
        f"harmonium.train, which aim at likelihood{_by_choice(plan.likelihood)}.",
        *describe_method(likely.config, len(digits.X) - n_steering, digits.X.shape[1]),
        *([f"{n_steering:,} of the training images were set aside, to steer."] if n_steering else []),
        f"Training raised {'these alarms: ' + '; '.join(alarms) if alarms else 'no alarm'}.",
        "Samples of both machines are drawn in the same way, by long chains of parallel tempering that begin at "
        "independent pixels.",
    )
    cd, name = method_of(plan.rbm.config), method_of(likely.config)
    columns = (outcome.thresholded, found.log_likelihood)
    scores = Table(
        f"{found.n_samples:,} test images. {_what_pixels_were('threshold')}"
        f"{_doubt(outcome.evaluation.log_z, f' of {cd}')}{_doubt(found.log_z, f' of {name}')}",
        ("of the machine", cd, name),
        [
            ("log-likelihood, at least (nats)", *(nats(x.lower) for x in columns)),
            ("log-likelihood, at most (nats)", *(nats(x.upper) for x in columns)),
            ("R-hat of Gibbs chains from its samples", *(f"{x.r_hat:.2f}" for x in outcome.gallery.draws)),
        ],
    )
    settings = settings_table({name: likely.config}, "The settings, as named in harmonium.Config.")
    return Section("Trained for likelihood", methods, settings, [scores], pictures_of_samples(outcome, plan))


def _by_choice(config: Config) -> str:
    """What a plan says that the defaults would not."""
    if config.method != "pt":
        return ""
    return ", but for parallel tempering: plain chains seldom cross from one digit to another"


def _what_pixels_were(binarize: str) -> str:
    what = {
        "threshold": "Pixels above one half are on.",
        "sample": "Pixels are drawn, with their grey levels as probabilities.",
        "none": "Grey levels stand for probabilities.",
    }
    return what[binarize]


def _doubt(log_z: Estimate, of: str = "") -> str:
    return "" if log_z.verdict == "ok" else f" The estimate of log Z{of} calls itself {log_z.verdict}: {log_z.reason}."


def _seeds_said(outcome: Outcome) -> str:
    seeds = [str(plan.seed) for plan in outcome.plans]
    if len(seeds) == 1:
        return ""
    return f" Everything was repeated with the seeds {', '.join(seeds)}; pictures and likelihoods are of the first."


def _keras_section(outcome: Outcome, plan: Plan, tables: dict[str, Picture]) -> Section:
    framework = FRAMEWORKS.get(outcome.backend, outcome.backend)
    softmax, tuning, rbm, layers = plan.softmax, plan.fine_tuning, plan.rbm.config, plan.stack
    sizes = [outcome.digits.X.shape[1], *(machine.config.n_hidden for machine in layers)]
    added = " + ".join(f"{m}\N{MULTIPLICATION SIGN}{n} + {m} + {n}" for m, n in itertools.pairwise(sizes))
    methods = (
        f"harmonium.keras.RBM is a Keras model; here {framework} computes. Its loss, mean F(v) of the data minus "
        f"mean F(v) of the ends of the chains, has the gradient of {rbm.estimator.upper()}-{rbm.n_sweeps}, which "
        "Keras' own fit follows with its optimiser SGD. The settings are those of the first table, so that only noise "
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
        f"from {tuning.learning_rate:g} to zero; {share(tuning.drop_visible)} of the pixels and "
        f"{share(tuning.drop_hidden)} of the hidden units were left out at random in each step.",
    )
    settings = Table(
        "Settings of the classifiers.",
        ("setting", "softmax", "fine-tuning"),
        _side_by_side(asdict(softmax), asdict(tuning) | {"seed": "as the machines"}, {"seed": "as the machines"}),
        numeric=False,
    )
    results = [_accuracies(outcome, plan), *_speeds(outcome, framework)]
    busy = _busy_said(outcome)
    return Section(framework, (*methods, *busy), settings, results, tuple(tables.values()))


def _side_by_side(left: dict[str, Any], right: dict[str, Any], more: dict[str, Any]) -> list[tuple[str, str, str]]:
    left = left | more
    return [(name, str(left.get(name, "")), str(right.get(name, ""))) for name in dict.fromkeys([*left, *right])]


def _accuracies(outcome: Outcome, plan: Plan) -> Table:
    names, framework = titles_of(plan), FRAMEWORKS.get(outcome.backend, outcome.backend)
    several = len(outcome.plans) > 1
    rows = []
    for name, scores in outcome.scores.items():
        own = outcome.native_scores.get(name)
        columns = [percent(mean_accuracy(scores)[split]) for split in ("train", "test")]
        columns += [percent(mean_accuracy(own)[split]) if own else "\N{EN DASH}" for split in ("train", "test")]
        if several:
            columns.append(" ".join(percent(score.accuracy["test"]) for score in scores))
        rows.append((names[name], *columns))
    caption = f"Accuracy in % on {len(outcome.digits.X):,} training and {len(outcome.digits.X_test):,} test images"
    caption += f", means over {len(outcome.plans)} seeds." if several else "."
    engine = plan.rbm.config.engine
    header = ["features", f"train, {framework}", f"test, {framework}", f"train, {engine}", f"test, {engine}"]
    return Table(caption, header + (["test, each seed"] if several else []), rows)


def _busy_said(outcome: Outcome) -> list[str]:
    """Why there are no speeds, where the machine had other work to do."""
    others, cores = outcome.cores_of_others, outcome.origin["n_cores"]
    if others is None or others <= BUSY:
        return []
    return [
        f"How fast the machines learn is not given: other programs took {others:.1f} of the {cores} cores meanwhile. "
        "Run the command on a machine that has nothing else to do."
    ]


def _speeds(outcome: Outcome, framework: str) -> list[Table]:
    """Speeds of training, where the machine had nothing else to do."""
    if _busy_said(outcome):
        return []
    engine, cores = outcome.scratch.result.config.engine, outcome.origin["n_cores"]
    native, keras = means(outcome.native_speeds), means(outcome.speeds)
    rows = [
        (name, f"{native[name]:,.0f}", f"{keras[name]:,.0f}", f"{native[name] / keras[name]:.1f}") for name in keras
    ]
    caption = (
        f"Training speed on {cores} cores, samples a second: the median over the epochs, in {framework} without the "
        f"first, which compiles. All that was done in Keras took {outcome.seconds:,.0f} seconds; the training of the "
        f"same machines by the {engine} engine took {outcome.native_seconds:,.1f}."
    )
    return [Table(caption, ("machine", f"{engine} engine", framework, "ratio"), rows)]
