"""What a look at a run finds, in one record; and how it is read back from a history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from harmonium.training.health import WeightHealth
from harmonium.training.mixing import ChainHealth
from harmonium.training.scores import Scores

Part = TypeVar("Part", Scores, WeightHealth, ChainHealth)


@dataclass(frozen=True)
class Report:
    """A look at a run.

    Attributes
    ----------
    train : Scores or None
        None if no row of the data is complete.
    valid : Scores or None
        None without complete held-out rows.
    weights : WeightHealth or None
        None only in records of earlier versions.
    chains : ChainHealth or None
        None for a method without persistent chains.
    alarms : tuple of str
        What is wrong and what to do, in words; empty if nothing is.
    """

    train: Scores | None
    valid: Scores | None = None
    weights: WeightHealth | None = None
    chains: ChainHealth | None = None
    alarms: tuple[str, ...] = ()

    @property
    def free_energy_gap(self) -> float | None:
        """Mean F of training data minus that of held-out data, in nats: it sinks where a machine overfits."""
        if self.train is None or self.valid is None:
            return None
        return self.train.free_energy - self.valid.free_energy

    def scores_in_words(self) -> list[str]:
        """The likelihood of each split, or its pseudo-likelihood where there is no other."""
        words = []
        for name, scores in (("train", self.train), ("valid", self.valid)):
            if scores is None:
                continue
            kind, score = "log-likelihood", scores.log_likelihood
            if score is None:
                kind, score = "pseudo-log-likelihood", scores.pseudo_log_likelihood
            if score is not None:
                words.append(f"{name} {kind} {score:.2f}")
        return words


def read_reports(history: Iterable[Any]) -> list[Report]:
    """The reports in a run's records, which are objects, or dictionaries as ``history.jsonl`` holds them.

    What a record lacks is None; fields that are not known here are passed over.
    """
    return [
        Report(
            _part(Scores, record, "train"),
            _part(Scores, record, "valid"),
            _part(WeightHealth, record, "weights"),
            _part(ChainHealth, record, "chains"),
            tuple(_field(record, "alarms") or ()),
        )
        for record in history
    ]


def kept_record(history: Sequence[Any]) -> Any | None:
    """The record of the machine that a finished run has kept, out of its records, as `read_reports` takes them.

    That of `best_epoch` where held-out data steer, the last one elsewhere; None where the run ended with the machine
    that it began with, or with independent units, and where there are no records.
    """
    if not history or _field(history[-1], "independent"):
        return None
    best = _field(history[-1], "best_epoch")
    kept = history[-1:] if best is None else [x for x in history if _field(x, "epoch") == best]
    return kept[-1] if kept else None


def _field(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)


def _part(kind: type[Part], record: Any, name: str) -> Part | None:
    part = _field(record, name)
    if isinstance(part, Mapping):
        return kind(**{field.name: part[field.name] for field in fields(kind) if field.name in part})
    return part if isinstance(part, kind) else None
