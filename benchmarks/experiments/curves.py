"""Log-likelihood against seconds of training: four methods, centred and plain, 500 hidden units on MNIST."""

import dataclasses
import time

from matplotlib.figure import Figure

import harmonium
from experiments.machines import said, scores, settings_of, states
from experiments.results import Results, Run, tell
from harmonium import Config, TrainingRun

SECONDS = 20.0  # of training, for each method
SHARES = (1 / 4, 1 / 2, 1)  # of a run, after which it is evaluated
# All else is as the defaults have it for 500 hidden units on MNIST; the rate falls linearly to zero over each run.
METHODS = {
    "CD-1": {"method": "cd"},
    "CD-10": {"method": "cd", "sweeps": 10},
    "PCD-1, 500 chains": {"method": "pcd"},
    "PT, 10 × 100 chains": {"method": "pt"},
}
COLOURS = dict(zip(METHODS, ("#b2182b", "#e08214", "#1f77b4", "#1b7837"), strict=True))


def run(results: Results, quick: bool) -> None:
    data = harmonium.datasets.load("mnist-5k" if quick else "mnist")
    X, valid = states(data.train), states(data.valid)
    n_hidden, seconds = (20, 0.5) if quick else (500, SECONDS)
    for name, choices in METHODS.items():
        for centered in (True, False):
            config = Config(n_hidden, centered=centered, **choices)
            # The number of epochs follows from the clock, and so is no setting: it is noted in what is found.
            settings = settings_of(
                config=config.for_data(*X.shape), data=data.name, seconds=seconds, binarize="threshold"
            )
            settings["config"].pop("epochs")
            label = f"{name}, {'centred' if centered else 'plain'}"
            results.add(label, settings, lambda c=config, n=name, s=seconds: {"method": n, **_train(X, valid, c, s)})


def _train(X, valid, config: Config, seconds: float) -> Run:
    config = dataclasses.replace(config, epochs=_affordable_epochs(X, config, seconds))
    run = TrainingRun(X, config)
    looks = sorted({max(1, round(share * run.n_steps)) for share in SHARES})
    curve, trained, step = [], 0.0, 0
    steps = run.steps()
    for look in looks:
        start = time.perf_counter()
        while step < look:
            step = next(steps)
        trained += time.perf_counter() - start
        point = {"step": step, "seconds": trained, **_look(run.rbm, valid, X)}
        curve.append(point)
        tell(f"    {trained:.1f} s, {step:,} steps: {said(point)}; evaluated in {point['evaluation_seconds']:.0f} s")
    return {"epochs": config.epochs, "n_batches": run.n_batches, "curve": curve, "training_seconds": trained}


def _look(rbm, valid, X) -> Run:
    """A quick bracket: wider than the default one, which takes minutes."""
    start = time.perf_counter()
    log_z = harmonium.log_partition(rbm, "ais", X=X, chains=100, temperatures=3000)
    return {
        **scores(harmonium.evaluate(rbm, valid, log_z=log_z)),
        "evaluation_seconds": time.perf_counter() - start,
    }


def _affordable_epochs(X, config: Config, seconds: float) -> int:
    """As many as take about so long, by the time of some steps of a run that is thrown away."""
    run = TrainingRun(X, dataclasses.replace(config, epochs=10**6))
    steps, n_steps = run.steps(), 0
    for _ in range(20):
        next(steps)  # caches, threads and clocks
    start = time.perf_counter()
    while (passed := time.perf_counter() - start) < 0.03 * seconds:
        next(steps)
        n_steps += 1
    return max(1, round(seconds / passed * n_steps / run.n_batches))


def table(content: dict) -> str:
    lines = ["| method | steps | seconds | last | best of the earlier ones |", "|---|---|---|---|---|"]
    for x in content["runs"]:
        last, earlier = x["curve"][-1], [p for p in x["curve"][:-1] if p["log_likelihood"]["mean"] is not None]
        best = max(earlier, key=lambda p: p["log_likelihood"]["lower"], default=None)
        before = "–" if best is None else f"{said(best)} after {best['seconds']:.0f} s"
        lines.append(f"| {x['name']} | {last['step']:,} | {last['seconds']:.0f} | {said(last)} | {before} |")
    return "\n".join(lines)


def figure(content: dict) -> Figure:
    drawing = Figure(figsize=(8, 4), layout="constrained")
    panels = drawing.subplots(1, 2, sharey=True)
    best = -float("inf")
    for axes, centered in zip(panels, (True, False), strict=True):
        for x in content["runs"]:
            if x["settings"]["config"]["centered"] != centered:
                continue
            known = [p for p in x["curve"] if p["log_likelihood"]["mean"] is not None]
            seconds = [p["seconds"] for p in known]
            means, lowers, uppers = ([p["log_likelihood"][end] for p in known] for end in ("mean", "lower", "upper"))
            colour = COLOURS[x["method"]]
            axes.plot(seconds, means, color=colour, label=x["method"])
            axes.vlines(seconds, lowers, uppers, color=colour, lw=3, alpha=0.4)
            for point, second, mean in zip(known, seconds, means, strict=True):
                filled = colour if point["verdict"] != "unreliable" else "white"
                axes.plot(second, mean, "o", ms=4, mfc=filled, mec=colour)
            best = max(best, *means)
        axes.set(xscale="log", xlabel="seconds of training", title="centred" if centered else "plain")
        axes.grid(axis="y", lw=0.4, alpha=0.6)
    panels[0].set(ylabel="validation log-likelihood (nats)", ylim=(best - 60, best + 5))
    panels[1].legend(frameon=False, fontsize=8)
    return drawing
