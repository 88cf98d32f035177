"""The numbers that the experiments found, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from harmonium.likelihood import Estimate, Evaluation
from harmonium.reproduce.draws import Draws
from harmonium.reproduce.outcome import Outcome
from harmonium.reproduce.scores import Score, mean_accuracy
from harmonium.reproduce.scratch import Trained
from harmonium.training.alarms import last_alarms
from harmonium.training.reports import kept_record


def make_results(outcome: Outcome) -> dict[str, Any]:
    """The content of ``results.json``. Accuracies are fractions, means over the seeds."""
    trained = outcome.scratch
    of_cd, of_likely = outcome.gallery.draws
    return {
        "data": outcome.digits.dataset.name,
        "n_train": len(outcome.digits.X),
        "n_test": len(outcome.digits.X_test),
        "seeds": [plan.seed for plan in outcome.plans],
        **outcome.origin,
        "cores_of_others": outcome.cores_of_others,
        "settings": asdict(outcome.plans[0]),
        "from_scratch": _machine(trained, outcome.evaluation, outcome.thresholded, of_cd),
        "for_likelihood": _machine(
            outcome.likely, outcome.likely_evaluation, outcome.likely_evaluation.log_likelihood, of_likely
        )
        | {"alarms": last_alarms(outcome.likely.result.history)},
        "tensorflow": {
            "backend": outcome.backend,
            "accuracy": _accuracies(outcome.scores),
            "accuracy_by_seed": _accuracies_by_seed(outcome.scores),
            "stack_weights": outcome.stack_weights,
            "confusion": {
                name: {split: counts.tolist() for split, counts in scores[0].confusion.items()}
                for name, scores in outcome.scores.items()
            },
            "samples_per_second": means(outcome.speeds),
            "seconds": outcome.seconds,
        },
        "native_features": {
            "engine": trained.result.config.engine,
            "accuracy": _accuracies(outcome.native_scores),
            "accuracy_by_seed": _accuracies_by_seed(outcome.native_scores),
            "samples_per_second": means(outcome.native_speeds),
            "seconds": outcome.native_seconds,
        },
    }


def _machine(trained: Trained, found: Evaluation, thresholded: Estimate, draws: Draws) -> dict[str, Any]:
    kept = kept_record(trained.result.history)
    return {
        "engine": trained.result.config.engine,
        "method": trained.result.config.method,
        "test_log_likelihood": found.log_likelihood.as_dict(),
        "test_log_likelihood_thresholded": thresholded.as_dict(),
        "test_pseudo_log_likelihood": found.pseudo_log_likelihood,
        "test_reconstruction_error": found.reconstruction_error,
        "train_pseudo_log_likelihood": None if kept is None or kept.train is None else kept.train.pseudo_log_likelihood,
        "log_z": found.log_z.as_dict(),
        "samples": {
            "sweeps": draws.sweeps,
            "temperatures": draws.temperatures,
            "round_trips": draws.round_trips,
            "r_hat": draws.r_hat,
            "classes_of_nearest_images": draws.classes.tolist(),
            "distance_to_nearest_image": draws.distance,
            "distance_of_unseen_images": draws.distance_of_data,
        },
        "samples_per_second": trained.samples_per_second,
        "seconds": trained.seconds,
    }


def _accuracies(scores: dict[str, list[Score]]) -> dict[str, dict[str, float]]:
    return {name: mean_accuracy(repeated) for name, repeated in scores.items()}


def _accuracies_by_seed(scores: dict[str, list[Score]]) -> dict[str, dict[str, list[float]]]:
    splits = ("train", "test")
    return {name: {s: [score.accuracy[s] for score in repeated] for s in splits} for name, repeated in scores.items()}


def means(values: dict[str, list[float]]) -> dict[str, float]:
    """The mean over repetitions of each."""
    return {name: float(np.mean(repeated)) for name, repeated in values.items()}
