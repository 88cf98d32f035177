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


def evaluate(rbm: RBM, X, *, bounded: bool = False, **how) -> Run:
    """Scores by `harmonium.evaluate`; where log Z is no sum, `bounded` adds the reverse annealed bound (RAISE)."""
    start = time.perf_counter()
    found = scores(harmonium.evaluate(rbm, X, **how))
    seconds = time.perf_counter() - start
    if bounded and found["log_likelihood"]["lower"] != found["log_likelihood"]["upper"]:
        found["raise"] = bound_of(rbm, X, found["log_z"]["value"], how.get("engine", "native"))
    return {**found, "evaluation_seconds": seconds}


def bound_of(rbm: RBM, X, log_z: float, engine: str) -> Run:
    """RAISE of 500 rows, and by how much it falls short of their log p under `log_z`, with standard errors."""
    start = time.perf_counter()
    bound = harmonium.likelihood.conservative_log_likelihood(rbm, X, X_train=X, engine=engine)
    gaps = -harmonium.free_energy(rbm, X[bound.rows]) - log_z - bound.per_sample
    gap = {"gap": float(gaps.mean()), "gap_error": float(gaps.std(ddof=1) / len(gaps) ** 0.5)}
    return {**bound.as_dict(), **gap, "seconds": time.perf_counter() - start}


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


def bound_said(run: Run) -> str:
    """The bound and its gap; that none is needed beside an exact likelihood, or that there is none."""
    if run["log_likelihood"]["lower"] == run["log_likelihood"]["upper"]:
        return "exact" if run["log_likelihood"]["mean"] is not None else run["verdict"]
    if "raise" not in run:
        return "not computed"
    bound = run["raise"]
    return f"{bound['mean']:.2f} ± {bound['standard_error']:.2f}; {bound['gap']:.2f} ± {bound['gap_error']:.2f}"


def said(run: Run) -> str:
    """A log-likelihood with its ends and its verdict, in a few characters."""
    found = run["log_likelihood"]
    if found["mean"] is None:
        return run["verdict"]
    if found["lower"] == found["upper"]:
        return f"{found['mean']:.2f} (exact)"
    doubt = "" if run["verdict"] == "ok" else f", {run['verdict']}"
    return f"{found['mean']:.2f} [{found['lower']:.2f}, {found['upper']:.2f}{doubt}]"
