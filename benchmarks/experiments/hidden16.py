"""16 hidden units on MNIST and on MNIST with all pixels flipped, centred and plain: exact test log-likelihood."""

import dataclasses
import statistics

import numpy as np

import harmonium
from experiments.machines import evaluate, said, settings_of, states, train
from experiments.results import Results, Run
from harmonium import Config

# The recipe of the published numbers, which leaves nothing to the library.
RECIPE = Config(
    16,
    method="pcd",
    chains=100,
    batch_size=100,
    epochs=50,
    learning_rate=0.01,
    schedule="constant",
    momentum=0.0,
    weight_decay=0.0,
)
PUBLISHED = {  # PyDeep's tutorial RBM_MNIST_small
    ("recipe, centred", "mnist"): -142.56,
    ("recipe, plain", "mnist"): -149.05,
    ("recipe, centred", "mnist, flipped"): -142.09,
    ("recipe, plain", "mnist, flipped"): -183.36,
}
SEEDS = 3


def run(results: Results, quick: bool) -> None:
    data = harmonium.datasets.load("mnist-5k" if quick else "mnist")
    train_set, valid, test = states(data.train), states(data.valid), states(data.test)
    variants = {
        # The published machines were trained on all 60,000 images.
        "recipe, centred": (dataclasses.replace(RECIPE, centered=True), np.concatenate([train_set, valid])),
        "recipe, plain": (dataclasses.replace(RECIPE, centered=False), np.concatenate([train_set, valid])),
        "all defaults": (Config(16), train_set),
    }
    for seed in range(1 if quick else SEEDS):
        for variant, (config, X) in variants.items():
            for flipped in (False, True):
                rows = 1 - X if flipped else X
                held_out = 1 - test if flipped else test
                epochs = 1 if quick else config.epochs
                chosen = dataclasses.replace(config, seed=seed, epochs=epochs).for_data(*X.shape)
                name = data.name + (", flipped" if flipped else "")
                settings = settings_of(config=chosen, data=name, n_samples=len(X), binarize="threshold")
                results.add(
                    f"{variant}, {name}, seed {seed}",
                    settings,
                    lambda r=rows, t=held_out, c=chosen, v=variant: {"variant": v, **_one(r, t, c)},
                )


def _one(X, test, config: Config) -> Run:
    rbm, trained = train(X, config)
    return {**trained, "train": evaluate(rbm, X), "test": evaluate(rbm, test)}


def table(content: dict) -> str:
    lines = [
        "| machine | data | test, seed 0 | worst to best of the seeds | train, seed 0 | published test | training |",
        "|---|---|---|---|---|---|---|",
    ]
    kinds = dict.fromkeys((x["variant"], x["settings"]["data"]) for x in content["runs"])
    for variant, data in kinds:
        runs = [x for x in content["runs"] if (x["variant"], x["settings"]["data"]) == (variant, data)]
        tests = sorted(x["test"]["log_likelihood"]["mean"] for x in runs)
        published = PUBLISHED.get((variant, data))
        lines.append(
            f"| {variant} | {data}, {runs[0]['settings']['n_samples']:,} | {said(runs[0]['test'])} | "
            f"{tests[0]:.2f} to {tests[-1]:.2f} | {said(runs[0]['train'])} | "
            f"{'' if published is None else f'{published:.2f}'} | "
            f"{statistics.median(x['training_seconds'] for x in runs):.0f} s |"
        )
    apart = {}
    for variant in dict.fromkeys(variant for variant, _ in kinds):
        by_data: dict[bool, dict[int, float]] = {False: {}, True: {}}
        for x in content["runs"]:
            if x["variant"] == variant:
                seed, flipped = x["settings"]["config"]["seed"], x["settings"]["data"].endswith("flipped")
                by_data[flipped][seed] = x["test"]["log_likelihood"]["mean"]
        apart[variant] = max(abs(by_data[True][seed] - by_data[False][seed]) for seed in by_data[False])
    gaps = ", ".join(f"{gap:.2f} nats ({variant})" for variant, gap in apart.items())
    return "\n".join(
        [*lines, "", f"At the same seed, flipping the pixels moved the test log-likelihood by at most {gaps}."]
    )
