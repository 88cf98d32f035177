"""Small sets, all defaults: test log-likelihood beside independent units and the best fixed weight decay of a grid."""

import dataclasses

import numpy as np

import harmonium
from experiments.machines import bound_said, evaluate, settings_of, states, train
from experiments.results import Results, Run
from harmonium import RBM, Config, Key
from harmonium.initial import bias_of_means

# From the least work to the most, so that what an interruption leaves is a table already.
KINDS = (
    ("density/mushrooms", 200, 100),
    ("density/adult", 200, 100),
    ("topics", 400, 100),
    ("coins", 400, 100),
    ("density/ocr_letters", 200, 100),
    ("mnist-5k", 200, 64),
    ("density/mushrooms", 1000, 100),
    ("density/adult", 1000, 100),
    ("topics", 1600, 100),
    ("blocks", 400, 64),
    ("density/ocr_letters", 1000, 100),
    ("mnist-5k", 400, 100),
    ("mnist-5k", 1000, 100),
    ("density/adult", 4000, 100),
    ("density/ocr_letters", 4000, 100),
    ("mnist-5k", 4000, 100),
    ("density/mushrooms", 400, 500),
    ("density/adult", 400, 500),
    ("blocks", 400, 500),
    ("mnist-5k", 400, 500),
    ("mnist-5k", 4000, 500),
)
DECAYS = (0.01, 0.003, 0.03)
_GRID = 13  # sets for which these are tried: the first ones
ROWS = 500  # of test data
PAGE = "training-small.md"


def run(results: Results, quick: bool) -> None:
    for decay in (None, *DECAYS):  # all defaults first: they are what the page is about
        for name, n, n_hidden in KINDS[:2] if quick else KINDS[: None if decay is None else _GRID]:
            X, test = data_of(name, n)
            # What is fixed learns from all rows, and from as many passes as the default run may make.
            fixed = {} if decay is None else {"weight_decay": decay, "patience": 0, "held_out": 0}
            config = Config(n_hidden, **fixed).for_data(*X.shape)
            config = dataclasses.replace(config, epochs=20) if quick else config
            results.add(
                f"{name}, {n} rows, {n_hidden} hidden, {'all defaults' if decay is None else f'decay {decay}'}",
                settings_of(config=config, data=name, n_samples=n),
                lambda x=X, t=test, c=config: _one(x, t, c),
            )


def data_of(name: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and test rows: a random part of a set's own splits, or of a made-up distribution."""
    if name in MADE:
        return MADE[name](n, Key(1)), MADE[name](ROWS, Key(2))
    data = harmonium.datasets.load(name)
    rows = Key(5).derive("rows").permutation(len(data.train))[:n]
    return states(np.asarray(data.train)[rows]), states(np.asarray(data.test)[:ROWS])


def _one(X, test, config: Config) -> Run:
    rbm, trained = train(X, config)
    independent = RBM(np.zeros((1, X.shape[1])), bias_of_means(X.sum(axis=0), len(X)), [0.0])
    found = evaluate(rbm, test, bounded=True, chains=100, temperatures=1000)
    alone = harmonium.log_likelihood(independent, test, harmonium.log_partition(independent)).value
    return {**trained, "test": found, "independent": alone}


def table(content: dict) -> str:
    lines = [
        "| set | rows × columns | hidden | independent units | all defaults | RAISE; gap | best epoch | "
        "last weight decay | best fixed decay of those tried | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    runs = content["runs"]
    for name, n, n_hidden in KINDS:
        here = [
            x
            for x in runs
            if (x["settings"]["data"], x["settings"]["n_samples"], x["settings"]["config"]["n_hidden"])
            == (name, n, n_hidden)
        ]
        default = [x for x in here if x["name"].endswith("all defaults")]
        if not default:
            continue
        first = default[0]
        fixed = [x for x in here if x is not first and x["test"]["log_likelihood"]["mean"] is not None]
        best = max(fixed, key=lambda x: x["test"]["log_likelihood"]["mean"], default=None)
        grid = "–" if best is None else f"{_told(best)} at {best['settings']['config']['weight_decay']:g}"
        lines.append(
            f"| {name.removeprefix('density/')} | {n:,} × {first['n_visible']} | {n_hidden} | "
            f"{first['independent']:.2f} | {_told(first)} | {bound_said(first['test'])} | "
            f"{_kept(first)} | {first['weight_decay']:g} | "
            f"{grid}{f', of {len(fixed)}' if fixed else ''} | {first['training_seconds']:.0f} |"
        )
    return "\n".join(lines)


def _kept(run: Run) -> str:
    """The epoch whose machine was kept, or that none was told from independent units."""
    nothing = any("ends with independent units" in alarm["text"] for alarm in run["alarms"])
    return "independent units" if nothing else f"{run['best_epoch']:,}"


def _told(run: Run) -> str:
    found, verdict = run["test"]["log_likelihood"], run["test"]["verdict"]
    if found["mean"] is None:
        return verdict
    doubt = "" if verdict == "ok" else f", {verdict}"
    return f"{found['mean']:.2f} [{found['lower']:.2f}, {found['upper']:.2f}{doubt}]"


# Made-up distributions -----------------------------------------------------------------------------------------------


def _topics(n: int, key: Key, n_words: int = 500, n_topics: int = 12) -> np.ndarray:
    """Rows are short texts of a few topics; columns, mostly rare, are whether a word occurs."""
    law = np.random.default_rng(99)
    base = -3.2 + 0.9 * law.normal(size=n_words)
    words = np.where(law.random((n_topics, n_words)) < 0.12, 1.8 + 0.8 * law.normal(size=(n_topics, n_words)), 0)
    rng = np.random.default_rng(key.seed)
    shares = rng.gamma(0.25, size=(n, n_topics))
    shares /= shares.sum(axis=1, keepdims=True)
    return (rng.random((n, n_words)) < 1 / (1 + np.exp(-base - 2 * shares @ words))).astype(np.uint8)


def _blocks(n: int, key: Key, n_sites: int = 800, n_founders: int = 4) -> np.ndarray:
    """Rows are genomes: long pieces of a few founders, which four populations have in different shares."""
    law = np.random.default_rng(7)
    founders = np.clip(law.beta(0.4, 0.4, size=(n_founders, n_sites)), 0.02, 0.98)
    shares = law.dirichlet([0.6] * n_founders, size=4).cumsum(axis=1)
    rng = np.random.default_rng(key.seed)
    shares = shares[rng.choice(4, p=[0.4, 0.3, 0.2, 0.1], size=n)]
    rows, founder = np.empty((n, n_sites), np.uint8), np.zeros(n, int)
    for site in range(n_sites):
        drawn = np.minimum((rng.random((n, 1)) > shares).sum(axis=1), n_founders - 1)
        founder = np.where(rng.random(n) < (0.02 if site else 1), drawn, founder)
        rows[:, site] = rng.random(n) < founders[founder, site]
    return rows


def _coins(n: int, key: Key, n_columns: int = 200) -> np.ndarray:
    """Independent columns: there is nothing to learn, and much to lose."""
    p = np.random.default_rng(3).beta(0.5, 2, size=n_columns)
    return (np.random.default_rng(key.seed).random((n, n_columns)) < p).astype(np.uint8)


MADE = {"topics": _topics, "blocks": _blocks, "coins": _coins}
