"""The scores of a run as curves in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from harmonium.cli.drawing import chart
from harmonium.training.reports import Report, read_reports

_HEIGHT, _LABEL, _WIDEST = 4, 9, 72


def draw_curves(history: Sequence[Any], width: int) -> list[str]:
    """Lines of text: each score from its first value to its last, held-out ones where there are any.

    Parameters
    ----------
    history : sequence of records
        Objects, or dictionaries as ``history.jsonl`` holds them.
    width : int
        Of the terminal, in characters.
    """
    reports = read_reports(history)
    lines = []
    for title, values in _series(reports):
        if len(values) > 1:
            lines += _titled(title, values, min(width, _WIDEST))
    return lines


def _series(reports: list[Report]) -> Iterable[tuple[str, list[float]]]:
    split = "valid" if any(x.valid is not None for x in reports) else "train"
    scores = [getattr(x, split) for x in reports]
    named = "held out" if split == "valid" else "train"
    for field, title in (
        ("log_likelihood", "log-likelihood"),
        ("log_likelihood_estimate", "estimated log-likelihood"),
        ("pseudo_log_likelihood", "pseudo-log-likelihood"),
    ):
        found = [getattr(score, field) for score in scores if score is not None]
        yield f"{title}, {named} (nats)", [x for x in found if x is not None]
    gaps = [x.free_energy_gap for x in reports]
    yield "free energy, train less held out (nats)", [x for x in gaps if x is not None]
    yield (
        "R-hat of the chains",
        [x.chains.r_hat for x in reports if x.chains is not None and x.chains.r_hat is not None],
    )


def _titled(title: str, values: list[float], width: int) -> list[str]:
    drawn = chart(values, max(8, width - _LABEL - 1), _HEIGHT)
    labels = [f"{max(values):.2f}", *[""] * (_HEIGHT - 2), f"{min(values):.2f}"]
    return [
        f"{title}, now {values[-1]:.2f}",
        *(f"{label:>{_LABEL}} {line}".rstrip() for label, line in zip(labels, drawn, strict=True)),
    ]
