"""What the number of temperatures of `pt` does to the likelihood: a table of docs/adr/0011-mixing.md.

python benchmarks/temperatures.py SET HIDDEN STEPS SEEDS [TEMPERATURES]

SET is mushrooms, adult or ocr_letters (of HARMONIUM_DATA), digits, bars, blocks or ising; 0 STEPS are all defaults.
10 temperatures are held against TEMPERATURES, or against the default: 10, and more where the machine is sharp.

Log-likelihoods are of rows that neither train nor steer: a part of the train split, set aside, or rows of the same law;
of bars, of the rows themselves. No test split is looked at.
"""

import argparse
import time
import warnings

import numpy as np
from blocks import genomes

from harmonium import Config, TrainingRun, datasets, log_likelihood, log_partition

ASIDE = {"mushrooms": 400, "adult": 1000, "ocr_letters": 4000, "digits": 300, "ising": 1500}
ENUMERABLE = 23  # units of the smaller layer


def split(X, n):
    order = np.random.default_rng(7).permutation(len(X))
    return X[order[n:]], X[order[:n]]


def rows_of(name):
    """Rows to train on, rows to steer by if there are any, and rows to judge by."""
    if name == "bars":
        X = datasets.load("bars-and-stripes-4x4").train
        return X, None, X
    if name == "blocks":
        return genomes(1000, 60, 1), None, genomes(4000, 60, 2)
    if name == "ising":
        X, valid = ising(3000), None
    elif name == "digits":
        data = datasets.load("digits")
        X, valid = (np.concatenate([data.train, data.valid]) > 0.5).astype(np.uint8), None
    else:
        data = datasets.load(f"density/{name}")
        X, valid = data.train, data.valid
    X, judge = split(X, ASIDE[name])
    return X, valid, judge


def ising(n, size=8, coupling=0.42, sweeps=500):
    """States of an Ising magnet near its critical point, on a torus."""
    rng = np.random.default_rng(3)
    s = rng.choice([-1, 1], (n, 1, 1)) * np.ones((n, size, size), int)
    black = np.add.outer(np.arange(size), np.arange(size)) % 2 == 0
    for _ in range(sweeps):
        for colour in (black, ~black):
            field = sum(np.roll(s, step, axis) for step in (1, -1) for axis in (1, 2))
            up = rng.random(s.shape) < 1 / (1 + np.exp(-2 * coupling * field))
            s = np.where(colour, 2 * up - 1, s)
    return (s.reshape(n, -1) > 0).astype(np.uint8)


def one(name, n_hidden, n_steps, seed, temperatures):
    X, valid, judge = rows_of(name)
    options = {"batch_size": 32, "weight_decay": 0.0, "learning_rate": 0.1} if name == "bars" else {}
    if n_steps:
        options |= {"epochs": max(1, n_steps // -(-len(X) // options.get("batch_size", 100))), "patience": 0}
    config = Config(n_hidden, "pt", seed=seed, temperatures=temperatures, **options)
    run, start = TrainingRun(X, config, valid=valid), time.process_time()
    last = list(run.epochs())[-1]
    seconds, r_hat = time.process_time() - start, last.chains and last.chains.r_hat
    if min(run.rbm.W.shape) <= ENUMERABLE:
        log_z = log_partition(run.rbm, "exact")
    else:
        log_z = log_partition(run.rbm, "tempered", X=X, seed=1, sweeps=1500, chains=60)
    return log_likelihood(run.rbm, judge, log_z).value, r_hat, last.weight_decay, last.best_epoch, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=("bars", "blocks", *ASIDE))
    for name in ("hidden", "steps", "seeds"):
        parser.add_argument(name, type=int)
    parser.add_argument("temperatures", type=int, nargs="?", default="adaptive")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # alarms
    found, both = [], (10, args.temperatures)
    for seed in range(args.seeds):
        pair = [one(args.set, args.hidden, args.steps, seed, t) for t in both]
        for t, (value, r_hat, decay, best, seconds) in zip(both, pair, strict=True):
            said = "none" if r_hat is None else f"{r_hat:.2f}"
            print(
                f"seed {seed}, {t}: {value:.3f}, R-hat {said}, decay {decay}, epoch {best}, {seconds:.1f} s", flush=True
            )
        found.append([x[0] for x in pair])
    means, difference = np.mean(found, axis=0), np.diff(found, axis=1)[:, 0]
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
    print(f"10: {means[0]:.3f}; {both[1]}: {means[1]:.3f}, by {difference.mean():+.3f} ± {error:.3f}")


if __name__ == "__main__":
    main()
