"""Run as a program with TRITON_INTERPRET=1: counts, for each kernel, the results that differ from the native engine's.

Prints one JSON object. Triton decides when it is imported whether to interpret, so this is a process of its own.
"""

import json
import sys

import numpy as np
import torch
import triton
import triton.language as tl
from oracles import random_parameters, random_states

from harmonium import RBM, Key
from harmonium.engines import Centring, NativeEngine, Phase, Rates, _triton, arithmetic
from harmonium.engines import torch_arithmetic as plain
from harmonium.engines._triton import functions, learning, likelihood
from harmonium.engines.torch import as_noise
from harmonium.engines.torch_kernels import is_sound
from harmonium.engines.torch_recorded import RecordedEngine
from harmonium.random import MovingStep

ROWS, N_HIDDEN, N_VISIBLE = 9, 21, 37
KEY = Key(0x9123456789ABCDEF, 3, 0xF0000001, 7)

found = {}


def compare(name, got, expected):
    """Count what is not equal; NaN is."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, (name, got.shape, expected.shape)
    before = found.get(name, [0, 0])
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    found[name] = [before[0] + int((~same).sum()), before[1] + got.size]


class Interpreted(RecordedEngine):
    """What runs on a GPU, on the processor: states are halves, and nothing is recorded."""

    def __init__(self, rbm, velocity=None):
        super().__init__(rbm, velocity)
        m = self._machine
        m.states = torch.float16
        m.to_hidden, m.to_visible = (plain.pack(x, torch.float16) for x in (m.W, m.W.T))
        self.do = _triton


@triton.jit
def elementwise(x_ptr, wide_ptr, logistic_ptr, softplus_ptr, exp_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    x = tl.load(x_ptr + at)
    tl.store(logistic_ptr + at, functions.logistic(x))
    tl.store(softplus_ptr + at, functions.softplus(x))
    tl.store(exp_ptr + at, functions.exponential(tl.load(wide_ptr + at)))


def check_functions():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, s, 500) for s in (0.1, 3, 30, 200)] + [[0.0, -0.0, 87.0, -87.0, 1e30, -1e30]])
    x = torch.tensor(np.resize(x, 2048), dtype=torch.float32)
    wide = torch.tensor(np.resize(np.concatenate([rng.uniform(-746, 710, 500), [-746, 710, 0]]), 2048))
    out = [torch.empty_like(x), torch.empty_like(x), torch.empty_like(wide)]
    elementwise[(1,)](x, wide, *out, N=2048, enable_fp_fusion=False)
    engine = NativeEngine(RBM(*random_parameters(1, 1)))
    compare("logistic", out[0], engine.mean(x.numpy()[:, None])[:, 0])
    compare("softplus", out[1].double(), engine.softplus_sum(x.numpy()[:, None]))
    compare("exponential", out[2], arithmetic.exp(wide.numpy()))


def check_verbs(native, mine, v):
    """Everything that is not learning; `v` is NumPy."""
    theirs, here = native.encode(v), mine.encode(v)
    logits, z = native.logits_h(theirs), mine.logits_h(here)
    compare("logits", mine.to_numpy(z), logits)
    rng = np.random.default_rng(1)
    table = rng.normal(size=(3, N_HIDDEN)).astype(np.float32)
    for beta, offset in ((1.0, None), (0.3, table[0]), (rng.random(3), table), (rng.random(ROWS), None)):
        compare("mean", mine.to_numpy(mine.mean(z, beta, offset)), native.mean(logits, beta, offset))
        expected = native.decode(native.bernoulli(logits, KEY, beta, offset))
        compare("decide", mine.decode(mine.bernoulli(z, KEY, beta, offset)), expected)
        compare("sample", mine.decode(mine.sample_h(here, KEY, beta, offset)), expected)
        compare("softplus sum", mine.softplus_sum(z, beta, offset), native.softplus_sum(logits, beta, offset))
    h = native.sample_h(theirs, KEY)
    got = mine.decode(mine.sample_v(mine.sample_h(here, KEY), KEY))
    compare("sample v", got, native.decode(native.sample_v(h, KEY)))
    p = rng.random((ROWS, N_VISIBLE)).astype(np.float32)
    compare("draw", mine.decode(mine.draw(p, KEY)), native.decode(native.draw(p, KEY)))
    x = rng.normal(size=N_VISIBLE).astype(np.float32)
    compare("dot", mine.dot(here, x), native.dot(theirs, x))
    compare("column sums", mine.column_sums(z), native.column_sums(logits))
    compare("real product", mine.to_numpy(mine.logits_h(mine.encode(p, real=True))), native.logits_h(p))
    compare("pseudo-likelihood", mine.pseudo_log_likelihood(here), native.pseudo_log_likelihood(theirs))


def check_close_calls(native, mine, v):
    """Where every decision is made in double precision."""
    functions.CLOSE = tl.constexpr(2.0)
    expected = native.decode(native.sample_h(native.encode(v), KEY))
    compare("exact decision", mine.decode(mine.sample_h(mine.encode(v), KEY)), expected)
    functions.CLOSE = tl.constexpr(2.0**-19)


def check_noise_of_a_moving_step(native, mine, v):
    step = MovingStep(torch.tensor(5), 3, 2**32 - 10)
    noise = as_noise(KEY)._replace(step=step)
    m = mine._machine
    got = _triton.sample(mine.encode(v).x, m.to_hidden, m.c, N_HIDDEN, noise, 1.0, None, torch.float16)
    expected = native.decode(native.sample_h(native.encode(v), KEY.at((3 * 5 + 2**32 - 10) % 2**32)))
    compare("moving step", got[:, :N_HIDDEN], expected)


def check_contrast(v, *, centred, persistent, weighted):
    learning.AT_ONCE = tl.constexpr(4)  # so that the ordered sums have whole parts and a rest
    rbm = RBM(*random_parameters(N_HIDDEN, N_VISIBLE, scale=0.3))
    weights = np.linspace(1, 2, ROWS).astype(np.float32) if weighted else None
    results = []
    for engine in (NativeEngine(rbm), Interpreted(rbm)):
        h = engine.encode(random_states(ROWS, N_HIDDEN, 4)) if persistent else None
        centring = Centring(v.mean(axis=0).astype(np.float32), None, 0.01) if centred else None
        for step in range(2):
            keys = Key(1, 0, step), Key(2, 0, 2 * step), Key(2, 1, 2 * step)
            batch = Phase(engine.encode(v), None, weights)
            done = engine.contrast(batch, h, keys, 2, Rates(0.3, 0.5, 0.01), centring)
            h = done.h
            centring = None if centring is None else centring._replace(h=done.mean_h)
        reals = [
            done.negative.mean_h,
            *(() if h is None else (done.logits,)),
            *(() if centring is None else (centring.h,)),
        ]
        states = [done.negative.v, *(() if h is None else (h,))]
        rbm_after = engine.rbm
        after = rbm_after.W, rbm_after.b, rbm_after.c, *engine.velocity
        results.append([*after, *map(engine.to_numpy, reals), *map(engine.decode, states)])
        if isinstance(engine, Interpreted):  # what is packed step by step is what packing anew makes
            m = engine._machine
            for packed, W in ((m.to_hidden, m.W), (m.to_visible, m.W.T)):
                for x, y in zip(packed, plain.pack(W, torch.float16), strict=True):
                    compare("packing", x, y)
    for x, y in zip(*results, strict=True):
        compare("contrast", y, x)


def check_annealing(v):
    """Two temperatures, so few that they are not recorded; the loops have whole parts and a rest."""
    likelihood.AT_ONCE, likelihood.WORDS_AT_ONCE = tl.constexpr(1), tl.constexpr(5)
    engines = [engine(RBM(*random_parameters(N_HIDDEN, N_VISIBLE))) for engine in (NativeEngine, Interpreted)]
    rng = np.random.default_rng(0)
    betas = np.array([0.2, 0.5, 0.9], np.float32)
    y, x = (rng.normal(size=(3, units)).astype(np.float32) for units in (N_HIDDEN, N_VISIBLE))
    slopes = rng.normal(size=(2, 2, N_VISIBLE)).astype(np.float32)
    for offsets in ((y, x), (None, x), (None, None)):
        results = []
        for engine in engines:
            after, *sums = engine.anneal(engine.encode(v), (KEY, KEY.on(4)), betas, *offsets, slopes)
            results.append([engine.decode(after), *sums])
        for native, mine in zip(*results, strict=True):
            compare("annealing", mine, native)


def check_enumeration():
    W, b, c = (x.astype(np.float64) for x in random_parameters(12, 19, scale=0.3))
    _triton.launch._LOW_BITS = 5
    worst = 0.0
    for first, count in ((0, 4096), (17, 300), (64, 5), (30, 40)):
        got = _triton.log_partition_block(*(torch.tensor(x) for x in (W, b, c)), first, count)
        worst = max(worst, abs(got - NativeEngine.log_partition_block(RBM(W, b, c), first, count)))
    found["enumeration"] = worst


def main():
    plain.product = lambda x, y: torch.mm(x.float(), y.float())  # the processor has no product of halves
    native, mine = (engine(RBM(*random_parameters(N_HIDDEN, N_VISIBLE))) for engine in (NativeEngine, Interpreted))
    v = random_states(ROWS, N_VISIBLE, 2)
    check_functions()
    check_verbs(native, mine, v)
    check_close_calls(native, mine, v)
    check_noise_of_a_moving_step(native, mine, v)
    check_contrast(v, centred=True, persistent=True, weighted=False)
    check_contrast(v, centred=False, persistent=False, weighted=True)
    compare("small case", is_sound(_triton, torch.device("cpu")), True)
    check_annealing(v)
    check_enumeration()
    json.dump(found, sys.stdout)


main()
