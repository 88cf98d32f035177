"""The words of the page of results: the one place where captions and explanations are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harmonium.datasets import Dataset
from harmonium.likelihood import Evaluation
from harmonium.report.method import describe_method, settings_table
from harmonium.report.page import Page, Picture, Table
from harmonium.training import Scores, TrainingResult

MONITORED = 500  # samples at most that are scored after each epoch
_WORDS = {"test": "test (held out)", "valid": "valid (held out)", "train": "train"}
_SCORES_EXPLAINED = (
    "The pseudo-log-likelihood is exact: the sum over the visible units of log p(unit|all others), in nats, averaged "
    "over the samples. The reconstruction error is the mean squared difference, per visible unit, between the data and "
    "E[v|h] for one sampled h; a low one is no proof of a good model."
)
_MINUS = "\N{MINUS SIGN}"


def make_page(
    result: TrainingResult,
    dataset: Dataset,
    split: str,
    evaluation: Evaluation,
    baseline: Evaluation,
    pngs: dict[str, bytes],
    *,
    n_filters: int,
    n_samples: int,
    sweeps: int,
    notes: Sequence[str],
    made_by: str,
) -> Page:
    """The page that `harmonium.report.write_results` writes; its parameters are what that function found."""
    config = result.config
    n_train, n_visible = dataset.train.shape
    seconds = sum(record.seconds for record in result.history)
    influence = "" if split == "train" else "The training saw no held-out sample."
    return Page(
        title=f"A restricted Boltzmann machine trained on {dataset.name}",
        lead=f"{config.n_hidden:,} hidden units, {n_train:,} samples, {seconds:.1f} seconds of training.",
        data=dataset.name,
        source=dataset.source,
        method=(*describe_method(config, n_train, n_visible), f"{_SCORES_EXPLAINED} {influence}".strip(), *notes),
        settings=settings_table(config),
        scores=_scores(result, dataset, split, evaluation, baseline),
        pictures=_pictures(result, split, pngs, n_filters, n_samples, sweeps),
        made_by=made_by,
    )


def _scores(
    result: TrainingResult, dataset: Dataset, split: str, evaluation: Evaluation, baseline: Evaluation
) -> Table:
    last = result.history[-1]
    rows = [_monitored("train, a part", dataset.train, last.train)]
    if last.valid is not None:
        rows.append(_monitored("valid (held out)", dataset.valid, last.valid))
    rows.append(_evaluated(_WORDS[split], evaluation))
    rows.append(_evaluated(f"independent units, {_WORDS[split]}", baseline))
    caption = (
        f"Scores of the machine with {result.config.n_hidden:,} hidden units, and of independent units with the means "
        f"of the training data, which every model has to beat. Data convention: {evaluation.convention}."
    )
    header = ("data", "samples", "pseudo-log-likelihood (nats)", "reconstruction error", "log-likelihood (nats)")
    if evaluation.log_z.value is None:
        # The last column would be empty but for the baseline, whose likelihood is its pseudo-likelihood.
        caption += (
            " There is no log-likelihood, as log Z is out of reach of exact enumeration at this size; "
            "'harmonium evaluate' brackets it."
        )
        return Table(caption, header[:-1], [row[:-1] for row in rows])
    return Table(caption, header, rows)


def _monitored(name: str, X: Any, scores: Scores) -> tuple[str, ...]:
    return (
        name,
        f"{min(len(X), MONITORED):,}",
        _nats(scores.pseudo_log_likelihood),
        f"{scores.reconstruction_error:.4f}",
        "",
    )


def _evaluated(name: str, found: Evaluation) -> tuple[str, ...]:
    log_likelihood, pseudo = _nats(found.log_likelihood.mean), _nats(found.pseudo_log_likelihood)
    return name, f"{found.n_samples:,}", pseudo, f"{found.reconstruction_error:.4f}", log_likelihood


def _nats(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}".replace("-", _MINUS)


def _pictures(
    result: TrainingResult, split: str, pngs: dict[str, bytes], n_filters: int, n_samples: int, sweeps: int
) -> tuple[Picture, ...]:
    config, last = result.config, result.history[-1].train
    ending = f", ending at {_nats(last.pseudo_log_likelihood)} nats on training data"
    return (
        Picture(
            pngs["filters"],
            f"Weights of the first {n_filters} of {config.n_hidden} hidden units, in the machine's own order and on "
            "one scale: red positive, blue negative, grey zero. Pixels that are on turn the unit on where it is red, "
            "and off where it is blue.",
            f"A grid of {n_filters} images, one for the weights of each hidden unit.",
        ),
        Picture(
            pngs["samples"],
            f"Samples of the model: {n_samples} independent Gibbs chains, started from noise (each visible unit on "
            f"with the probability that its bias alone gives) and run for {sweeps:,} sweeps. Shown is E[v|h], the "
            "probability of each visible unit given the hidden states that come next; it is smoother than states are.",
            f"A grid of {n_samples} images that the machine generated.",
        ),
        Picture(
            pngs["reconstructions"],
            f"Reconstructions. First and third line: the first samples of {_WORDS[split]}. Below each: E[v|h] for "
            "one h drawn from p(h|v).",
            "Pairs of lines of images: data, and below each image its reconstruction by the machine.",
            wide=True,
        ),
        Picture(
            pngs["curves"],
            "Scores after each epoch, on the same samples each time. A free-energy gap that sinks is overfitting: the "
            "machine finds training data ever more probable than held-out data. Nothing was steered by these scores.",
            f"Three curves against epochs 1 to {config.n_epochs}: the pseudo-log-likelihood"
            f"{'' if last.pseudo_log_likelihood is None else ending}; the free-energy gap between training and "
            f"held-out data; and the reconstruction error, ending at {last.reconstruction_error:.4f}.",
            pixelated=False,
            wide=True,
        ),
    )
