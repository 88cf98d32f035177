"""Bars and stripes, 4x4, 16 hidden units: four methods on 32 rows, with the exact log-likelihood all along."""

import dataclasses
import statistics

import numpy as np
from matplotlib.figure import Figure

import harmonium
from experiments.machines import settings_of
from experiments.results import Results, Run, tell
from harmonium import Config, TrainingRun

BEST = 28 * np.log(1 / 32) + 4 * np.log(2 / 32)  # two of the 30 distinct rows occur twice
BAR = -112.0
SEEDS = 10
METHODS = {
    "exact": Config(16, method="exact", batch_size=32, epochs=600, learning_rate=0.5, momentum=0.9, weight_decay=0.0),
    "PT": Config(
        16, method="pt", batch_size=32, epochs=10_000, learning_rate=0.1, weight_decay=0.0, chains=100, temperatures=10
    ),
    "PCD-10": Config(
        16, method="pcd", batch_size=32, epochs=10_000, learning_rate=0.05, weight_decay=0.0, chains=500, sweeps=10
    ),
    "CD-1": Config(
        16,
        method="cd",
        batch_size=32,
        epochs=30_000,
        learning_rate=0.1,
        schedule="constant",
        momentum=0.0,
        weight_decay=0.0,
        centered=False,
    ),
}
COLOURS = {"exact": "#1b7837", "PT": "#1f77b4", "PCD-10": "#9467bd", "CD-1": "#b2182b"}
POINTS = 40  # of a curve


def run(results: Results, quick: bool) -> None:
    X = harmonium.datasets.load("bars-and-stripes-4x4").train
    for name, config in METHODS.items():
        for seed in range(1 if quick else SEEDS):
            epochs = 20 if quick else config.epochs
            chosen = dataclasses.replace(config, seed=seed, epochs=epochs).for_data(*X.shape)
            settings = settings_of(config=chosen, data="bars-and-stripes-4x4")
            results.add(f"{name}, seed {seed}", settings, lambda c=chosen, m=name: _train(X, c, m))


def _train(X, config: Config, method: str) -> Run:
    run = TrainingRun(X, config)
    looks = {0, *(int(x) for x in np.geomspace(1, run.n_steps, POINTS))}
    curve, alarms = [(0, _sum(run, X))], []

    def look(step: int) -> None:
        if step in looks:
            curve.append((step, _sum(run, X)))

    for record in run.epochs(look):
        alarms += [{"step": record.step, "text": text} for text in record.alarms]
    tell(f"    {curve[-1][1]:.2f} nats after {run.step} steps")
    return {"method": method, "log_likelihood": curve[-1][1], "curve": curve, "alarms": alarms}


def _sum(run: TrainingRun, X) -> float:
    """The exact log-likelihood, summed over the rows."""
    return len(X) * harmonium.log_likelihood(run.rbm, X).number()


def table(content: dict) -> str:
    lines = [
        "| method | steps | rate | worst seed | median | best seed | seeds above −112 | seconds a seed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in METHODS:
        runs = [x for x in content["runs"] if x["method"] == name]
        ends = sorted(x["log_likelihood"] for x in runs)
        above = sum(x > BAR for x in ends)
        settings = runs[0]["settings"]["config"]
        lines.append(
            f"| {name} | {runs[0]['curve'][-1][0]:,} | {settings['learning_rate']:g} {settings['schedule']} | "
            f"{ends[0]:.2f} | {statistics.median(ends):.2f} | {ends[-1]:.2f} | {above} of {len(ends)} | "
            f"{statistics.median(x['seconds'] for x in runs):.1f} |"
        )
    falls = [x for x in content["runs"] if x["method"] == "CD-1"]
    peaks = [max(x["curve"], key=lambda point: point[1]) for x in falls]
    lines += [
        "",
        f"CD-1 rises to {min(x[1] for x in peaks):.1f} to {max(x[1] for x in peaks):.1f} nats (after "
        f"{min(x[0] for x in peaks):,} to {max(x[0] for x in peaks):,} steps) and falls to "
        f"{min(x['log_likelihood'] for x in falls):.1f} to {max(x['log_likelihood'] for x in falls):.1f}. "
        + _alarms(content["runs"]),
    ]
    return "\n".join(lines)


def _alarms(runs: list[Run]) -> str:
    """Which runs raised alarms, and the words of a first one."""
    told = []
    for name in METHODS:
        of_method = [x for x in runs if x["method"] == name]
        alarmed = [x for x in of_method if x["alarms"]]
        if alarmed:
            first = alarmed[0]["alarms"][0]
            firsts = [x["alarms"][0]["step"] for x in alarmed]
            least, most = min(firsts), max(firsts)
            after = f"{least:,} to {most:,}" if least < most else f"{most:,}"
            told.append(
                f"{name} raised alarms in {len(alarmed)} of {len(of_method)} runs, first after {after} steps; in "
                f"{alarmed[0]['name']}, after {first['step']:,}: “{first['text']}”"
            )
    silent = [name for name in METHODS if not any(x["alarms"] for x in runs if x["method"] == name)]
    return ". ".join(told + ([f"{', '.join(silent)} raised none"] if silent else [])) + "."


def figure(content: dict) -> Figure:
    drawing = Figure(figsize=(7, 4), layout="constrained")
    axes = drawing.subplots()
    for name, colour in COLOURS.items():
        runs = [x for x in content["runs"] if x["method"] == name]
        steps = [max(step, 1) for step, _ in runs[0]["curve"]]
        values = np.array([[value for _, value in x["curve"]] for x in runs])
        axes.plot(steps, np.median(values, axis=0), color=colour, label=name)
        axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, lw=0)
        alarmed = [x["alarms"][0]["step"] for x in runs if x["alarms"]]
        if alarmed:
            axes.axvline(min(alarmed), color=colour, lw=0.8, ls="--", label=f"first alarm of {name}")
    axes.axhline(BEST, color="black", lw=0.8, ls=":", label=f"maximum, {BEST:.2f}")
    axes.set(xscale="log", xlim=(10, None), xlabel="steps", ylabel="log-likelihood of 32 rows (nats)")
    axes.set_title("Bars and stripes 4×4, 16 hidden units: median and range of the seeds", fontsize=10)
    axes.grid(axis="y", lw=0.4, alpha=0.6)
    axes.legend(frameon=False, fontsize=8)
    return drawing
