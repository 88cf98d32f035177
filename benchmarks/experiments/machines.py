"""Training and evaluation as every experiment does them, in plain numbers ready for JSON."""

import dataclasses
import time

import numpy as np

import harmonium
from experiments.results import Run, tell
from harmonium import RBM, Config, Evaluation, TrainingRun

_TELL_SECONDS = 20.0


def states(X) -> np.ndarray:
    """Grey levels above 0.5 are 1."""
    return (X > 0.5).astype(np.uint8)


def settings_of(*, config: Config, data: str, **more) -> dict:
    """What a run is defined by: every choice of the training, and which data it saw."""
    return {"data": data, **more, "config": dataclasses.asdict(config)}


def train(X, config: Config, valid=None) -> tuple[RBM, Run]:
    """Train as `harmonium train` does, monitor included; seconds are those of the training alone."""
    run = TrainingRun(X, config, valid=valid)
    told, seconds, alarms, records = time.perf_counter(), 0.0, [], 0

    def progress(step: int) -> None:
        nonlocal told
        if time.perf_counter() - told > _TELL_SECONDS:
            told = time.perf_counter()
            tell(f"    step {step:,} of {run.n_steps:,}")

    start, record = time.perf_counter(), None
    for record in run.epochs(progress):
        seconds, records = seconds + record.seconds, records + 1
        alarms += [{"step": record.step, "text": text} for text in record.alarms]
    watched = time.perf_counter() - start
    return run.rbm, {
        "steps": run.step,
        "n_visible": run.rbm.n_visible,
        "held_out_rows": len(run.held_out_rows),
        "best_epoch": run.epoch if record is None or record.best_epoch is None else record.best_epoch,
        "weight_decay": run.config.decay if record is None else record.weight_decay,
        "training_seconds": seconds,
        "monitoring_share": watched / seconds - 1,
        "records": records,
        "alarms": alarms,
    }


def evaluate(rbm: RBM, X) -> Run:
    """Scores by `harmonium.evaluate` with its defaults."""
    start = time.perf_counter()
    found = harmonium.evaluate(rbm, X)
    return {**scores(found), "evaluation_seconds": time.perf_counter() - start}


def scores(found: Evaluation) -> Run:
    known = found.log_likelihood
    return {
        "log_likelihood": {"mean": known.value, "lower": known.lower, "upper": known.upper},
        "verdict": known.verdict,
        "reason": known.reason,
        "log_z": found.log_z.as_dict(),
        "pseudo_log_likelihood": found.pseudo_log_likelihood,
        "n_samples": found.n_samples,
    }


def said(run: Run) -> str:
    """A log-likelihood with its ends and its verdict, in a few characters."""
    found = run["log_likelihood"]
    if found["mean"] is None:
        return run["verdict"]
    if found["lower"] == found["upper"]:
        return f"{found['mean']:.2f} (exact)"
    doubt = "" if run["verdict"] == "ok" else f", {run['verdict']}"
    return f"{found['mean']:.2f} [{found['lower']:.2f}, {found['upper']:.2f}{doubt}]"
