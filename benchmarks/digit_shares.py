"""How often a machine of mnist-5k draws each digit, beside the data: a table of docs/adr/0011-mixing.md.

python benchmarks/digit_shares.py pcd|pt [HIDDEN] [SEED]

All defaults but the method, all training images, thresholded; samples are the ends of 300 tempered ladders of 2,000
sweeps, and a logistic regression says which digits they are.
"""

import sys
import time
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression

from harmonium import Config, TrainingRun, datasets, log_likelihood, log_partition
from harmonium.reproduce.digits import Digits
from harmonium.sampling import sample_tempered


def main(method, n_hidden=200, seed=0):
    warnings.simplefilter("ignore")  # alarms are printed
    digits = Digits.of(datasets.load("mnist-5k"))
    X, test = ((x > 0.5).astype(np.uint8) for x in (digits.X, digits.X_test))
    run, start = TrainingRun(X, Config(int(n_hidden), method, seed=int(seed))), time.process_time()
    last = list(run.epochs())[-1]
    seconds = time.process_time() - start
    print(f"{method}: {seconds:.0f} s, R-hat {last.chains.r_hat:.2f}; {'; '.join(last.alarms) or 'no alarm'}")
    print("test", log_likelihood(run.rbm, test, log_partition(run.rbm, "ais", X=X, chains=200)))
    reads = LogisticRegression(C=0.02, max_iter=300).fit(X, digits.y)
    found = sample_tempered(run.rbm, 300, sweeps=2000, temperatures="adaptive", X=X, seed=3)
    data, drawn = (np.bincount(y, minlength=10) / len(y) for y in (digits.y, reads.predict(found.samples)))
    print(f"read right, test: {reads.score(test, digits.y_test):.1%}; {found.round_trips} round trips")
    for name, shares in (("data", data), ("samples", drawn)):
        print(f"{name}, % of 0 to 9: {' '.join(f'{100 * x:.0f}' for x in shares)}")
    print(f"total variation distance {abs(drawn - data).sum() / 2:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
