"""500 hidden units on MNIST, all defaults, three seeds: two-sided test log-likelihood, and the time of training."""

import dataclasses
import time

import harmonium
from experiments.machines import bound_said, evaluate, said, scores, settings_of, states, train
from experiments.results import Results, Run
from harmonium import Config

SEEDS = range(3)
PUBLISHED = {
    "mnist": "−84.86, its other side −96.61 (PCD-1 centred, 78 minutes; PyDeep)",
    "binarized-mnist": "−86.34 (CD-25; Salakhutdinov and Murray 2008)",
}


def run(results: Results, quick: bool) -> None:
    n_hidden, epochs = (50, 2) if quick else (500, None)
    for seed in range(1) if quick else SEEDS:
        for name in ("mnist-5k",) if quick else ("binarized-mnist", "mnist"):
            data = harmonium.datasets.load(name)
            X, valid, test = (states(x) for x in (data.train, data.valid, data.test))
            config = dataclasses.replace(Config(n_hidden, seed=seed, engine=results.engine), epochs=epochs)
            config = config.for_data(*X.shape)
            results.add(
                f"{name}, {n_hidden} hidden, seed {seed}",
                settings_of(config=config, data=name, n_samples=len(X), binarize="threshold"),
                lambda x=X, v=valid, t=test, c=config: _one(x, v, t, c),
            )


def _one(X, valid, test, config: Config) -> Run:
    rbm, trained = train(X, config, valid)
    # Machines put their modes near what they have learnt, so that is what the annealing is shown.
    start = time.perf_counter()
    log_z = harmonium.log_partition(rbm, "auto", X=X, engine=config.engine)
    seconds = time.perf_counter() - start
    found = {"test": evaluate(rbm, test, bounded=True, log_z=log_z, engine=config.engine)}
    found["test"]["evaluation_seconds"] += seconds
    return {**trained, **found, "train": scores(harmonium.evaluate(rbm, X, log_z=log_z, engine=config.engine))}


def table(content: dict) -> str:
    lines = [
        "| data | test | width | RAISE; gap | train | published test | steps | training | evaluation |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for x in content["runs"]:
        found = x["test"]["log_likelihood"]
        width = "–" if found["mean"] is None else f"{found['upper'] - found['lower']:.2f}"
        lines.append(
            f"| {x['settings']['data']} | {said(x['test'])} | {width} | {bound_said(x['test'])} | "
            f"{said(x['train'])} | "
            f"{PUBLISHED.get(x['settings']['data'], '')} | {x['steps']:,} | {x['training_seconds'] / 60:.1f} min | "
            f"{x['test']['evaluation_seconds']:.0f} s |"
        )
    return "\n".join(lines)
