"""Every density set at hand, all defaults: bracketed test log-likelihood beside the published RBM."""

import dataclasses

import harmonium
from experiments.machines import bound_said, evaluate, said, settings_of, train
from experiments.results import Results, Run
from harmonium import Config

PUBLISHED = {  # 23 hidden units, Larochelle and Murray 2011, as tabulated by Germain et al. 2015
    "adult": -16.26,
    "connect4": -22.66,
    "dna": -96.74,
    "mushrooms": -15.15,
    "nips-0-12": -277.37,
    "nips": -277.37,
    "ocr_letters": -43.05,
    "rcv1": -48.88,
    "web": -29.38,
}
HIDDEN = (100, 23)
SEEDS = 3


def run(results: Results, quick: bool) -> None:
    sets = [name for name in harmonium.datasets.names() if name.startswith("density/")]
    for name in sets:
        data = harmonium.datasets.load(name)
        n_train, n_test = (200, 200) if quick else (len(data.train), len(data.test))
        X, valid, test = data.train[:n_train], data.valid[:n_test], data.test[:n_test]
        for n_hidden in HIDDEN:
            for seed in range(1 if quick else SEEDS):
                config = Config(n_hidden, seed=seed)
                chosen = (dataclasses.replace(config, epochs=20) if quick else config).for_data(*X.shape, valid=True)
                results.add(
                    f"{name}, {n_hidden} hidden, seed {seed}",
                    settings_of(config=chosen, data=name, n_samples=n_train),
                    lambda x=X, v=valid, t=test, c=chosen: _one(x, v, t, c),
                )


def _one(X, valid, test, config: Config) -> Run:
    rbm, trained = train(X, config, valid)
    return {**trained, "test": evaluate(rbm, test, bounded=True), "train": evaluate(rbm, X)}


def table(content: dict) -> str:
    lines = [
        "| set | hidden | test, seed 0 | RAISE, seed 0; gap | worst lower end of the seeds | train, seed 0 | "
        "published RBM (23 hidden) | training | evaluation |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    kinds = dict.fromkeys((x["settings"]["data"], x["settings"]["config"]["n_hidden"]) for x in content["runs"])
    for data, n_hidden in kinds:
        runs = [
            x
            for x in content["runs"]
            if (x["settings"]["data"], x["settings"]["config"]["n_hidden"]) == (data, n_hidden)
        ]
        lowers = [x["test"]["log_likelihood"]["lower"] for x in runs]
        worst = "–" if None in lowers else f"{min(lowers):.2f}"
        published = PUBLISHED.get(data.removeprefix("density/"))
        first = runs[0]
        lines.append(
            f"| {data.removeprefix('density/')} | {n_hidden} | {said(first['test'])} | {bound_said(first['test'])} | "
            f"{worst} | "
            f"{said(first['train'])} | {'' if published is None else f'{published:.2f}'} | "
            f"{first['training_seconds']:.0f} s | {first['test']['evaluation_seconds']:.0f} s |"
        )
    return "\n".join(lines)
