"""What is said below each picture, and to those who cannot see it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmonium import plot
from harmonium.report import Picture
from harmonium.reproduce.draws import SWEEPS_FROM_DATA, Draws
from harmonium.reproduce.outcome import Outcome
from harmonium.reproduce.pictures import N_COMPARED, N_FILTERS, N_SAMPLES, N_WALKING
from harmonium.reproduce.plan import Plan
from harmonium.reproduce.words import listed, method_of, nats, percent, share, titles_of
from harmonium.training.reports import kept_record


def pictures_of_cd(outcome: Outcome, plan: Plan) -> tuple[Picture, ...]:
    """Of the machine of contrastive divergence."""
    pngs, seed, config = outcome.gallery.pngs, plan.seed, plan.rbm.config
    rbm = outcome.scratch.result.rbm
    n_filters = min(N_FILTERS, config.n_hidden)
    shown = rbm.W[:n_filters]
    return (
        Picture(
            pngs["filters"],
            f"Weights of the first {n_filters} of {config.n_hidden} hidden units, in the machine's own order and on "
            "one scale: red positive, blue negative, grey zero. A pixel that is on turns the unit on where it is red, "
            "and off where it is blue.",
            f"{n_filters} small images in red, blue and grey. The weights lie between {nats(float(shown.min()))} and "
            f"{nats(float(shown.max()))}; {share(float((np.abs(shown) < 0.1).mean()))} of them are below 0.1 in size.",
            seed=seed,
        ),
        Picture(
            pngs["reconstructions"],
            "Reconstructions. First and third line: the first test images, as states. Below each: E[v|h] for one h "
            "drawn from p(h|v).",
            "Pairs of lines of digits: test images, and below each its reconstruction, which differs from it by "
            f"{outcome.evaluation.reconstruction_error:.4f} in the mean square a pixel.",
            wide=True,
            seed=seed,
        ),
        Picture(
            pngs["curves"],
            "Scores while training, on the same images each time; held out are test images, which steered nothing. A "
            "free-energy gap that sinks is overfitting.",
            _curves_said(outcome),
            pixelated=False,
            wide=True,
            seed=seed,
        ),
    )


def pictures_of_samples(outcome: Outcome, plan: Plan) -> tuple[Picture, ...]:
    """Of what both machines make up."""
    pngs, seed = outcome.gallery.pngs, plan.seed
    of_cd, of_likely = outcome.gallery.draws
    cd, likely = plan.rbm.config, outcome.likely.result.config
    steps = listed(f"{k:,}" for k in SWEEPS_FROM_DATA[1:])
    shares = [share(x) for x in outcome.gallery.on_after]
    return (
        Picture(
            pngs["samples_likelihood"],
            f"Samples of the machine trained for likelihood ({method_of(likely)}), none picked. "
            f"{_how_drawn(of_likely)} {_classes_said(of_likely)} {_classes_of_data_said(outcome)} To be expected are "
            "digits of all kinds, some of them of no kind.",
            f"{N_SAMPLES} digits in ten lines. {_classes_said(of_likely)}",
            seed=seed,
        ),
        Picture(
            pngs["samples_cd"],
            f"Samples of the machine above ({method_of(cd)}), drawn and shown in the same way. "
            f"{_how_drawn(of_cd)} {_classes_said(of_cd)} Contrastive divergence shapes a model near its data only; "
            "what the model holds far from them, it never looked at. To be expected are shapes that are no digits.",
            f"{N_SAMPLES} images in ten lines. {_classes_said(of_cd)}",
            seed=seed,
        ),
        Picture(
            pngs["nearest"],
            f"Not copies. Above: {N_COMPARED} samples of the machine trained for likelihood, as states. Below each: "
            "the training image in the smallest Hamming distance. The samples differ from theirs in "
            f"{of_likely.distance:.1f} pixels in the mean; unseen test images, from theirs, in "
            f"{of_likely.distance_of_data:.1f}.",
            f"Two lines of {N_COMPARED} digits, states of 0 and 1: samples, and below each a training image that is "
            "alike and not the same.",
            wide=True,
            seed=seed,
        ),
        Picture(
            pngs["sweeps"],
            f"Why the samples of {method_of(cd)} are what they are. First line: training images, as "
            f"states. Below: Gibbs chains of that machine that set out from them, after {steps} sweeps. Training has "
            f"seen one sweep. Of the pixels, {shares[0]} are on in these images, and {listed(shares[1:])} after "
            "so many sweeps.",
            f"{len(SWEEPS_FROM_DATA)} lines of {N_WALKING} images. From line to line the digits change; the share of "
            f"pixels that are on goes from {shares[0]} to {shares[-1]}.",
            wide=True,
            seed=seed,
        ),
    )


def _how_drawn(draws: Draws) -> str:
    return (
        f"Each is E[v|h] at the end of a chain of its own, of parallel tempering at {draws.temperatures} temperatures, "
        f"{draws.sweeps:,} sweeps long; the chains went {draws.round_trips:,} times through all temperatures and back. "
        f"R-hat of Gibbs chains that go on from there is {draws.r_hat:.2f} (1 where they forget their starts)."
    )


def _classes_said(draws: Draws) -> str:
    kinds = listed(f"{count} of {digit}" for digit, count in enumerate(draws.classes))
    return f"By the training images that they are most like: {kinds}."


def _classes_of_data_said(outcome: Outcome) -> str:
    """What shares a machine would have that has learnt them, for comparison."""
    y = outcome.digits.y
    shares = np.bincount(y) / len(y)
    return f"Of the training images, each digit is {100 * shares.min():.0f} to {100 * shares.max():.0f} in a hundred."


def _curves_said(outcome: Outcome) -> str:
    history = outcome.scratch.result.history
    first, last = history[0], kept_record(history)
    if first.train is None or last is None or last.train is None:
        return "Curves against epochs; none of the rows could be scored."
    pseudo = [x.pseudo_log_likelihood for x in (first.train, last.train)]
    errors = [x.reconstruction_error for x in (first.train, last.train)]
    gap = last.free_energy_gap
    return (
        f"Curves against {last.epoch} epochs. On training images the pseudo-log-likelihood goes from {nats(pseudo[0])} "
        f"to {nats(pseudo[1])} nats and the reconstruction error from {errors[0]:.4f} to {errors[1]:.4f}; the "
        f"free-energy gap ends at {nats(gap)} nats."
    )


def confusions(outcome: Outcome) -> dict[str, Picture]:
    """Pictures of the confusion of each classifier, in training and test, by the stems of their files."""
    plan = outcome.plans[0]
    titles = titles_of(plan)
    pictures = {}
    for name, scores in outcome.scores.items():
        for split, counts in scores[0].confusion.items():
            (ax,) = plot.bare_axes(5.2, 5.2, columns=1)
            right = percent(scores[0].accuracy[split])
            title = titles[name][0].upper() + titles[name][1:]
            said = f"{title}, {split}: {right} % of {counts.sum():,} images are right."
            pictures[f"confusion_{name}_{split}"] = Picture(
                plot.to_png(plot.confusion_matrix(counts, ax=ax)),
                f"{said} {_worst(counts, 1)}",
                f"Confusion matrix, true digits down and predictions across; {np.trace(counts):,} of {counts.sum():,} "
                f"counts are on the diagonal. {_worst(counts, 3)}",
                pixelated=False,
                seed=plan.seed,
            )
    return pictures


def _worst(counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]], n: int) -> str:
    """The most frequent errors in words."""
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:n]
    said = [(errors[place], *place) for place in (np.unravel_index(k, errors.shape) for k in order)]
    return _errors_said([(int(count), int(true), int(taken)) for count, true, taken in said if count])


def _errors_said(errors: Sequence[tuple[int, int, int]]) -> str:
    if not errors:
        return "There is no error."
    said = listed(f"{count} times a {true} was taken for a {taken}" for count, true, taken in errors)
    return f"The most frequent {'error' if len(errors) == 1 else 'errors'}: {said}."
