"""500 hidden units on MNIST, all defaults, three seeds, and one machine of 1,000: two-sided test log-likelihood, the
reverse annealed bound, alarms, how fresh chains mix, and the time of training and evaluation."""

import time

import harmonium
from experiments.machines import bound_said, evaluate, said, scores, settings_of, states, train
from experiments.results import Results, Run
from harmonium import Config

RUNS = (
    *((name, 500, seed) for seed in range(3) for name in ("binarized-mnist", "mnist")),
    ("binarized-mnist", 1000, 0),
)
QUICK = (("mnist-5k", 50, 0),)
PUBLISHED = {
    "mnist": "−84.86, its other side −96.61 (PCD-1 centred, 78 minutes; PyDeep)",
    "binarized-mnist": "−86.34 (CD-25; Salakhutdinov and Murray 2008)",
}


def run(results: Results, quick: bool) -> None:
    for name, n_hidden, seed in QUICK if quick else RUNS:
        data = harmonium.datasets.load(name)
        X, valid, test = (states(x) for x in (data.train, data.valid, data.test))
        config = Config(n_hidden, seed=seed, engine=results.engine, epochs=2 if quick else None).for_data(*X.shape)
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
    found["train"] = scores(harmonium.evaluate(rbm, X, log_z=log_z, engine=config.engine))
    return {**trained, **found, "moments": harmonium.moment_fit(rbm, X, engine=config.engine).as_dict()}


def table(content: dict) -> str:
    lines = [
        "| data | hidden | seed | test | RAISE; gap | train | published | alarms | slope, R-hat | steps | training | "
        "evaluation |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for x in sorted(content["runs"], key=_kind):
        (data, n_hidden, seed), moments = _kind(x), x["moments"]
        lines.append(
            f"| {data} | {n_hidden:,} | {seed} | {said(x['test'])} | {bound_said(x['test'])} | {said(x['train'])} | "
            f"{PUBLISHED.get(data, '') if n_hidden == 500 else ''} | {len(x['alarms'])} | "
            f"{moments['covariance_slope']:.2f}, {moments['r_hat']:.2f} | {x['steps']:,} | "
            f"{x['training_seconds'] / 60:.1f} min | {x['test']['evaluation_seconds']:.0f} s |"
        )
    return "\n".join(lines)


def _kind(run: Run) -> tuple[str, int, int]:
    config = run["settings"]["config"]
    return run["settings"]["data"], config["n_hidden"], config["seed"]
