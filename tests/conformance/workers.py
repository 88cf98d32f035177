"""Fits and transforms in the parent, then in workers, and compares. See `test_processes.py`."""

import hashlib
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits

import harmonium
from harmonium.engines._native import _kernels
from harmonium.sklearn import BernoulliRBM

X = (np.random.default_rng(0).random((300, 130)) < 0.3).astype(np.float32)


def work(seed):
    """A digest of what a fit, a transformation of grey data and samples give: all that starts threads."""
    model = BernoulliRBM(40, n_iter=1, batch_size=100, random_state=seed).fit(X)
    parts = (
        model.components_,
        model.transform(X / 2),
        model.score_samples(X),
        harmonium.sample(model.rbm_, 300, sweeps=3),
    )
    return hashlib.blake2b(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def queue_worker(tasks, results):
    """As a loader of data works: it takes numbers from a queue until there is none."""
    for seed in iter(tasks.get, None):
        results.put(work(seed))


def by_queue(seeds):
    fork = multiprocessing.get_context("fork")
    tasks, found = fork.Queue(), fork.Queue()
    worker = fork.Process(target=queue_worker, args=(tasks, found), daemon=True)
    worker.start()
    for seed in seeds:
        tasks.put(seed)
    got = [found.get() for _ in seeds]
    tasks.put(None)
    worker.join()
    return got


def while_a_thread_works(seeds):
    """A fork while another thread is in the kernels."""
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            work(9)

    thread = threading.Thread(target=busy)
    thread.start()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        got = list(pool.map(work, seeds))
    stop.set()
    thread.join()
    return got


def while_a_thread_packs(seeds):
    """Forks while another thread copies the weights of the machine that the new processes then draw from."""
    W = (np.random.default_rng(1).random((900, 900)) < 0.5).astype(np.float32) - np.float32(0.5)
    machine, rows = _kernels.Machine(W.T, W[1], W[0]), np.full((1, 15), 5, np.uint64)
    wanted = machine.sample_h(rows, (1, 0, 0, 0), None, None).tobytes()
    stop = threading.Event()

    def pack():
        while not stop.is_set():
            machine.replace(W.T, W[1], W[0])
            machine.logits_h(rows)

    thread = threading.Thread(target=pack)
    thread.start()
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)  # ends a process that waits for a lock which nobody holds any more
            os._exit(machine.sample_h(rows, (1, 0, 0, 0), None, None).tobytes() != wanted)
        if os.waitpid(pid, 0)[1] != 0:
            break
    else:
        wanted = None
    stop.set()
    thread.join()
    return [work(seed) for seed in seeds] if wanted is None else ["a forked process waited, or drew something else"]


def run(start, seeds):
    if start in ("fork", "forkserver", "spawn"):
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(start)) as pool:
            return list(pool.map(work, seeds))
    if start == "pool":
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(work, seeds)
    if start == "loky":
        return list(get_reusable_executor(2).map(work, seeds))
    if start == "joblib":
        return joblib.Parallel(2, backend="multiprocessing")(joblib.delayed(work)(seed) for seed in seeds)
    if start == "threads":
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(work, seeds))
    return {"worker queue": by_queue, "packing": while_a_thread_packs}.get(start, while_a_thread_works)(seeds)


if __name__ == "__main__":
    seeds = [0, 1, 0, 2]
    _kernels.assume_awake(True)
    with threadpool_limits(2, "openmp"):
        assert _kernels.max_threads() == 2
        here = [work(seed) for seed in seeds]
        there = run(sys.argv[1], seeds)
        again = [work(seed) for seed in seeds]
    print("same" if here == there == again else f"{here} {there} {again} in {os.getpid()}")
