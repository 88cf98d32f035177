"""The figure of docs/likelihood.md: a bracket that closes as temperatures grow, beside the exact log Z."""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

import harmonium

mpl.use("Agg")
from matplotlib import pyplot as plt

COLOURS = {"ok": "#1b7837", "wide": "#e08214", "unreliable": "#b2182b"}
TEMPERATURES = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
OUT = Path(__file__).parent.parent / "docs" / "figures" / "bracket.png"


def main(out: Path = OUT) -> None:
    X = harmonium.datasets.load("digits").train > 0.5
    rbm = harmonium.train(X, 20, epochs=500, learning_rate=0.5, method="cd", weight_decay=0, seed=1).rbm
    exact = harmonium.log_partition(rbm).value
    found = [
        harmonium.log_partition(rbm, "ais", X=X, temperatures=n, chains=100, start="chains", seed=n)
        for n in TEMPERATURES
    ]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for n, x in zip(TEMPERATURES, found, strict=True):
        axes.plot([n, n], [x.lower - exact, x.upper - exact], lw=5, color=COLOURS[x.verdict], solid_capstyle="butt")
        axes.plot(n, x.value - exact, "o", ms=5, mfc="white", mec=COLOURS[x.verdict])
        print(n, x)
    for verdict, colour in COLOURS.items():
        axes.plot([], [], lw=5, color=colour, label=verdict)
    axes.axhline(0, color="black", lw=1, label="exact")
    axes.set(xscale="log", xlabel="temperatures", ylabel="log Z less the exact log Z (nats)")
    axes.set_xticks(TEMPERATURES, [str(n) for n in TEMPERATURES], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_yscale("symlog", linthresh=1)
    ticks = [-10, -3, -1, -0.5, 0, 0.5, 1, 3, 10]
    axes.set_yticks(ticks, [f"{x:g}" for x in ticks])
    axes.grid(axis="y", lw=0.4, alpha=0.6)
    axes.legend(frameon=False, loc="upper right")
    axes.set_title(f"20 hidden units on digits, 100 chains: exact log Z = {exact:.2f}", fontsize=10)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    np.set_printoptions(precision=3)
    main(*map(Path, sys.argv[1:2]))
