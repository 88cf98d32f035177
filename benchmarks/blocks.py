"""Chains, covariances and log Z on made genomes: the tables of docs/adr/0011-mixing.md and docs/likelihood.md.

python benchmarks/blocks.py covariances 2400 800 100 5000 pt [DECAY]   R-hat, slope, test log-likelihood, CPU seconds
python benchmarks/blocks.py covariances 4500 800 100                   the same, all defaults
python benchmarks/blocks.py trajectory 1000 240 60 3000 pt             log Z through machines that the run has passed
python benchmarks/blocks.py log-z 1000 800 100 5000 pt                 log Z along tempered ladders, and annealed

The numbers are rows, columns, hidden units and steps of 100 rows. A row of data follows one of six founders of its
population from column to column, and now and then jumps to another, so that columns hang together over long ranges.
"""

import argparse
import time
import warnings
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from harmonium import RBM, Config, TrainingRun, log_likelihood, log_partition
from harmonium.sampling import sample_tempered

POPULATIONS, FOUNDERS, JUMPS, FLIPS = 3, 6, 0.02, 0.02


def genomes(n: int, n_columns: int, seed: int) -> npt.NDArray[np.uint8]:
    """Rows of 0 and 1, by a hidden Markov model whose law is the same for every seed."""
    law, rng = np.random.default_rng(11), np.random.default_rng(seed)
    founders = law.random((POPULATIONS, FOUNDERS, n_columns)) < law.beta(0.5, 0.5, n_columns)
    population, founder = rng.integers(POPULATIONS, size=n), rng.integers(FOUNDERS, size=n)
    X = np.empty((n, n_columns), np.uint8)
    for j in range(n_columns):
        jump = rng.random(n) < JUMPS
        founder = np.where(jump, rng.integers(FOUNDERS, size=n), founder)
        X[:, j] = founders[population, founder, j]
    return X ^ (rng.random(X.shape) < FLIPS)


def slope(samples: npt.NDArray[np.uint8], data: npt.NDArray[np.uint8]) -> float:
    """Of the covariances of samples against those of data, without the variances."""
    of_samples, of_data = (np.cov(X.T.astype(float)) for X in (samples, data))
    pairs = ~np.eye(len(of_data), dtype=bool)
    return float((of_samples[pairs] @ of_data[pairs]) / (of_data[pairs] @ of_data[pairs]))


def covariances(run: TrainingRun, X: npt.NDArray[np.uint8], test: npt.NDArray[np.uint8]) -> None:
    start = time.process_time()
    last = list(run.epochs())[-1]
    seconds, r_hat = time.process_time() - start, last.chains and last.chains.r_hat
    log_z = log_partition(run.rbm, "tempered", X=X, seed=1, sweeps=600, chains=60)
    found = sample_tempered(run.rbm, 1000, X=X, sweeps=600, temperatures="adaptive", seed=1)
    print(f"decay {run.config.weight_decay}, R-hat {r_hat}, {seconds:.0f} s; {'; '.join(last.alarms) or 'no alarm'}")
    of_test, of_train = (slope(found.samples, data) for data in (test, X))
    print(f"slope {of_test:.2f}, against training data {of_train:.2f} (these against test data {slope(X, test):.2f})")
    print(log_likelihood(run.rbm, test, log_z), log_z.reason)


def trajectory(run: TrainingRun, X: npt.NDArray[np.uint8], n_steps: int) -> None:
    passed = trained(run, {n_steps // 16, n_steps // 8, n_steps // 4, n_steps // 2})
    for name, machines in {
        "temperatures": [],
        "1/2": passed[-1:],
        "1/4, 1/2": passed[-2:],
        "1/16 to 1/2": passed,
    }.items():
        found = sample_tempered(run.rbm, 60, X=X, trajectory=machines, sweeps=600, temperatures="adaptive", seed=1)
        told(name, run.rbm, X, "tempered", trajectory=machines, sweeps=600, chains=60)
        print(f"  {len(found.betas)} levels, {found.round_trips} round trips")


def log_z(run: TrainingRun, X: npt.NDArray[np.uint8]) -> None:
    trained(run, set())
    told("tempered", run.rbm, X, "tempered")
    told("tempered, 3,000 sweeps", run.rbm, X, "tempered", sweeps=3000)
    told("annealed, 200 chains", run.rbm, X, "ais", chains=200)


def trained(run: TrainingRun, at: set[int]) -> list[RBM]:
    """The machines after some steps, when all are done."""
    return [run.rbm for step in run.steps() if step in at]


def told(name: str, rbm: RBM, X: npt.NDArray[np.uint8], method: str, **how: object) -> None:
    start = time.process_time()
    found = log_partition(rbm, method, X=X, seed=1, **how)
    print(f"{name}: {found} {found.reason}; {time.process_time() - start:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("covariances", "trajectory", "log-z"))
    for name in ("rows", "columns", "hidden"):
        parser.add_argument(name, type=int)
    parser.add_argument("steps", type=int, nargs="?", help="left out, all is as by default")
    parser.add_argument("method", choices=("cd", "pcd", "pt"), nargs="?")
    parser.add_argument("decay", type=float, nargs="?")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # alarms are printed
    X = genomes(args.rows, args.columns, 1)
    config = Config(args.hidden, args.method, seed=1, weight_decay=args.decay)
    if args.steps is not None:
        config = replace(config, epochs=max(1, args.steps // -(-args.rows // 100)), patience=0, held_out=0)
    run = TrainingRun(X, config)
    if args.table == "covariances":
        covariances(run, X, genomes(4000, args.columns, 2))
    elif args.table == "trajectory":
        trajectory(run, X, args.steps)
    else:
        log_z(run, X)


if __name__ == "__main__":
    main()
