"""Every verb of the extension on random shapes, strides, alignments and threads, against NumPy.

Run by `make sanitize` with an extension that is built with the address and the undefined-behaviour sanitizers, which
stop the process at the first thing that C++ does not define. Without them it is one more test.

    python sanitize.py FOLDER-OF-THE-EXTENSION ROUNDS
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    import _kernels
else:
    from harmonium.engines._native import _kernels

SETS = ("amx", "avx512", "avx2", "portable")


def placed(rng, array):
    """The same values somewhere in memory: aligned as its numbers must be, and no more."""
    offset = int(rng.integers(0, 9)) * array.itemsize
    memory = np.zeros(array.nbytes + offset + 64, np.uint8)
    view = memory[offset : offset + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def misaligned(array):
    memory = np.zeros(array.nbytes + 64, np.uint8)
    return np.frombuffer(memory.data, array.dtype, array.size, offset=1).reshape(array.shape)


def strided(rng, array):
    """The same values with other strides, for what takes any."""
    kind = rng.integers(0, 4)
    if kind == 0:
        return np.asfortranarray(array)
    if kind == 1:
        return np.repeat(np.repeat(array, 2, axis=0), 3, axis=1)[::2, ::3]
    if kind == 2:
        return array[::-1, ::-1].copy()[::-1, ::-1]
    return array


def size(rng):
    return int(rng.choice([1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200, int(rng.integers(1, 300))]))


def packed(bits):
    words = np.zeros((len(bits), -(-bits.shape[1] // 64) * 64), np.uint8)
    words[:, : bits.shape[1]] = bits
    return np.packbits(words, axis=1, bitorder="little").view(np.uint64)


def table(rng, rows, *units):
    """An entry for each of several groups of rows, or none at all."""
    if rng.random() < 0.5:
        return None
    groups = int(rng.choice([k for k in range(1, rows + 1) if rows % k == 0]))
    return placed(rng, rng.random((groups, *units)).astype(np.float32))


def refused(call, *arguments):
    try:
        call(*arguments)
    except (ValueError, TypeError):
        return
    raise AssertionError(f"{call} took arguments that do not fit")


def one_round(rng):
    m, n, rows, others = size(rng), int(rng.choice([0, size(rng), size(rng)])), size(rng), size(rng)
    W = rng.standard_normal((m, n)).astype(np.float32) * np.float32(10.0) ** rng.integers(-3, 2)
    b, c = (rng.standard_normal(k).astype(np.float32) for k in (m, n))
    machine = _kernels.Machine(placed(rng, W).T, placed(rng, b), placed(rng, c))
    v, h = ((rng.random((rows, k)) < rng.random()).astype(np.uint8) for k in (m, n))
    words_v, words_h = (placed(rng, packed(x)) for x in (v, h))
    np.testing.assert_array_equal(_kernels.encode(placed(rng, v)), packed(v))
    np.testing.assert_array_equal(_kernels.decode(words_v, m), v)
    key = (int(rng.integers(2**63)), *(int(x) for x in rng.integers(0, 2**32, 3)))
    beta, offset_h, offset_v = (table(rng, rows, *units) for units in ((), (n,), (m,)))
    close = {"rtol": 1e-4, "atol": 1e-4 * max(1.0, float(np.abs(W).max(initial=0)) * 10)}
    logits_h, logits_v = machine.logits_h(words_v), machine.logits_v(words_h)
    np.testing.assert_allclose(logits_h, v.astype(np.float64) @ W + c, **close)
    np.testing.assert_allclose(logits_v, h.astype(np.float64) @ W.T + b, **close)
    np.testing.assert_array_equal(
        machine.sample_h(words_v, key, beta, offset_h), _kernels.bernoulli(logits_h, key, beta, offset_h)
    )
    np.testing.assert_array_equal(
        machine.sample_v(words_h, key, beta, offset_v), _kernels.bernoulli(logits_v, key, beta, offset_v)
    )
    grey = rng.random((rows, m)).astype(np.float32) * (rng.random((rows, m)) < 0.5)
    np.testing.assert_allclose(machine.dense_logits_h(strided(rng, grey)), grey.astype(np.float64) @ W + c, **close)
    assert _kernels.draw(placed(rng, grey), key).shape == words_v.shape
    x = (
        np.repeat(np.ones(1, np.float32) if beta is None else beta, rows // (1 if beta is None else len(beta)))[:, None]
        * logits_h
    )
    if offset_h is not None:
        x += np.repeat(offset_h, rows // len(offset_h), axis=0)
    np.testing.assert_array_equal(_kernels.mean(logits_h, beta, offset_h), _kernels.mean(x, None, None))
    np.testing.assert_array_equal(_kernels.softplus_sum(logits_h, beta, offset_h), _kernels.softplus_sum(x, None, None))
    p = _kernels.mean(logits_h, None, None)
    assert ((p >= 0) & (p <= 1)).all()
    np.testing.assert_allclose(
        _kernels.softplus_sum(logits_h, None, None),
        np.logaddexp(0, logits_h.astype(float)).sum(axis=1),
        rtol=1e-5,
        atol=1e-5,
    )
    np.testing.assert_allclose(_kernels.dot(words_v, placed(rng, b)), v.astype(float) @ b, rtol=1e-6, atol=1e-4)
    assert np.isfinite(machine.pseudo_log_likelihood(words_v[:8])).all()
    for dtype, kernel in ((np.float32, _kernels.matmul_floats), (np.float64, _kernels.matmul_doubles)):
        x, F = rng.standard_normal((rows, m)).astype(dtype), rng.standard_normal((m, n)).astype(dtype)
        np.testing.assert_allclose(kernel(strided(rng, x), placed(rng, F)), x @ F, rtol=1e-3, atol=1e-3)
    z = placed(rng, rng.standard_normal(rows) * 10.0 ** rng.integers(-3, 3))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(_kernels.exp(z), np.exp(z), rtol=1e-14)
        np.testing.assert_allclose(_kernels.log(np.abs(z)), np.log(np.abs(z)), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(_kernels.softplus(z), np.logaddexp(0, z), rtol=1e-14)
        assert _kernels.logistic(z).max() <= 1
    small = min(n, 9)
    W64 = W[:, :small].T.astype(np.float64).copy()
    count = int(rng.integers(1, 2**small + 1))
    total = _kernels.log_partition_block(W64, b.astype(float), c[:small].astype(float), 2**small - count, count)
    assert np.isfinite(total)
    _kernels.random_bits(key, rows, m)

    weights = None if rng.random() < 0.5 else placed(rng, np.full(rows, 1 / rows, np.float32))
    mean_h = placed(rng, p)
    hv, ev, eh = machine.moments(words_v, mean_h, weights)
    np.testing.assert_allclose(hv, v.T.astype(float) @ p / rows, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(ev, v.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(eh, p.mean(axis=0), rtol=1e-4, atol=1e-5)
    other = (rng.random((others, m)) < 0.5).astype(np.uint8)
    other_h = rng.random((others, n)).astype(np.float32)
    centred = rng.random() < 0.5
    mu, lam = (rng.random(k).astype(np.float32) if centred else None for k in (m, n))
    free = placed(rng, packed(rng.random((rows, m)) < 0.5)) if rng.random() < 0.5 else None
    machine.sweeps(words_v, key, key, int(rng.integers(0, 3)), beta, offset_h, None, offset_v, free)
    start = placed(rng, packed(rng.random((others, n)) < 0.5)) if rng.random() < 0.5 else None
    rates = [(0.1, 0.5, 0.01)]
    found = machine.contrasts(
        words_v, None, weights, start, key, key, key, int(rng.integers(1, 3)), rates, mu, lam, 0.5
    )
    assert [x is None for x in found] == [False, False, start is None, start is None, not centred]
    machine.contrasts(grey, None, weights, start, key, key, key, 1, rates, None, None, 0.0)
    numbers = placed(rng, rng.integers(0, rows, (3, 2)))
    machine.contrasts(words_v, numbers, None, start, key, key, key, 1, 3 * rates, mu, lam, 0.5)
    machine.contrasts(grey, numbers, None, start, key, key, key, 1, 3 * rates, None, None, 0.0)
    for _ in range(2):
        machine.ascend(words_v, mean_h, weights, packed(other), other_h, None, 0.1, 0.5, 0.01, mu, lam)
    machine.ascend_along(placed(rng, hv), placed(rng, ev), placed(rng, eh), 0.1, 0.5, 0.01)
    fresh = _kernels.Machine(machine.weights().T, machine.b, machine.c)
    np.testing.assert_array_equal(fresh.logits_h(words_v), machine.logits_h(words_v))
    np.testing.assert_array_equal(fresh.logits_v(words_h), machine.logits_v(words_h))
    np.testing.assert_array_equal(fresh.sample_h(words_v, key, None, None), machine.sample_h(words_v, key, None, None))
    machine.replace(W.T, b, c)
    np.testing.assert_array_equal(machine.logits_h(words_v), logits_h)

    # What does not fit is refused, and nothing is read beyond its end.
    wide = packed(np.zeros((rows, 64 * (m // 64 + 2)), np.uint8))
    for call, arguments in (
        (machine.logits_h, (wide,)),
        (machine.sample_h, (wide, key, None, None)),
        (machine.sample_h, (words_v, key, np.ones(rows + 1, np.float32), None)),
        (machine.sample_v, (words_h, key, None, np.ones((1, m + 1), np.float32))),
        (machine.sweeps, (words_v, key, key, 1, None, None, None, None, wide)),
        (machine.contrasts, (wide, None, None, None, key, key, key, 1, rates, None, None, 0.0)),
        (machine.contrasts, (words_v, None, None, None, key, key, key, 0, rates, None, None, 0.0)),
        (machine.contrasts, (grey, None, None, None, key, key, key, 1, rates, np.ones(m, np.float32), None, 0.0)),
        (machine.contrasts, (words_v, None, None, None, key, key, key, 1, 2 * rates, None, None, 0.0)),
        (machine.contrasts, (words_v, numbers + rows, None, None, key, key, key, 1, 3 * rates, None, None, 0.0)),
        (machine.contrasts, (words_v, -1 - numbers, None, None, key, key, key, 1, 3 * rates, None, None, 0.0)),
        (
            machine.contrasts,
            (np.ones((rows, m + 1), np.float32), None, None, None, key, key, key, 1, rates, None, None, 0.0),
        ),
        (_kernels.softplus_sum, (logits_h, np.ones(0, np.float32), None)),
        (machine.dense_logits_h, (np.zeros((rows, m + 1), np.float32),)),
        (machine.moments, (words_v, np.zeros((rows + 1, n), np.float32), None)),
        (machine.pseudo_log_likelihood, (wide,)),
        (_kernels.dot, (wide, b)),
        (_kernels.decode, (wide, m)),
        (_kernels.matmul_floats, (grey, np.zeros((m + 1, 2), np.float32))),
        (_kernels.draw, (misaligned(grey), key)),
        (_kernels.exp, (misaligned(z),)),
        (machine.logits_h, (misaligned(words_v),)),
    ):
        refused(call, *arguments)


if __name__ == "__main__":
    _kernels.assume_awake(True)
    for name in SETS:
        try:
            _kernels.use(name)
        except ValueError:
            continue
        generator = np.random.default_rng(1)
        for _ in range(int(sys.argv[2])):
            one_round(generator)
        with ThreadPoolExecutor(3) as pool:  # Python's threads in the kernels at the same time
            list(pool.map(one_round, (np.random.default_rng(seed) for seed in range(int(sys.argv[2])))))
        print(name, "is sound on", sys.argv[2], "random machines")
