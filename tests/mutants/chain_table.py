"""Bugs planted in chains, in sums over all states, and in what is made of both: log Z."""

from __future__ import annotations

from planted import of

GIBBS = "tests/test_gibbs.py"
TEMPERING = "tests/test_tempering.py"
RUNGS = "tests/test_rungs.py"
TEMPERED = "tests/test_tempered_log_z.py"
ANNEALED = "tests/test_annealed.py -k 'definition or exactly or variance or log_mean'"
EXACT = "tests/test_exact.py"
DIAGNOSTICS = "tests/test_diagnostics.py"

CHAINS = [
    *of(
        "chains/gibbs.py",
        (
            "held units move",
            "    if free is not None:\n        v = engine.overwrite(state.v, free, v)\n    return",
            "    return",
            GIBBS,
        ),
        (
            "a sweep's number stands still",
            "return GibbsState(v, state.sweep + 1), ",
            "return GibbsState(v, state.sweep), ",
            GIBBS,
        ),
    ),
    *of(
        "chains/tempered.py",
        (
            "swaps of the wrong sign",
            "return exp(np.minimum(gains[0] + gains[1], 0))",
            "return exp(np.minimum(-gains[0] - gains[1], 0))",
            TEMPERING,
        ),
        ("only even pairs swap", "np.arange(state.sweep % 2, n - 1, 2)", "np.arange(0, n - 1, 2)", TEMPERING),
        (
            "rows draw at their old temperature",
            ".take(order.ravel())",
            ".take(np.repeat(np.arange(len(order)), chains))",
            TEMPERING,
        ),
        ("one noise for all sweeps", "key.at(state.sweep), np", "key.at(0), np", TEMPERING),
        (
            "the hot end is taken for the cold",
            "np.arange(len(v) - chains, len(v))",
            "np.arange(chains)",
            TEMPERING,
        ),
    ),
    *of(
        "chains/path.py",
        ("swaps without the visible bias", "width * b + rise)", "rise)", TEMPERING),
        ("swaps without the base", "width * b + rise)", "width * b)", TEMPERING),
        ("the base does not wane", "(1 - part) * z[low] + part * z[low + 1]", "z[low] + part * z[low + 1]", TEMPERING),
        (
            "weights of the wrong sign",
            "*after.of_h) - engine.softplus_sum(logits, *before.of_h)",
            "*before.of_h) - engine.softplus_sum(logits, *after.of_h)",
            ANNEALED,
        ),
        ("the segment that a temperature is in", "(betas - self.betas[:-1])", "(betas - self.betas[1:])", ANNEALED),
    ),
    *of(
        "chains/ladder.py",
        ("lengths in place of their sum", "np.cumsum(lengths)", "lengths", TEMPERING),
    ),
    *of(
        "chains/diagnostics.py",
        ("correlations wrap around", "scipy.fft.next_fast_len(2 * n, real=True)", "n", DIAGNOSTICS),
        (
            "chains that disagree count as one",
            "total = within * (n - 1) / n + (_mean_and_variance(means)[1] if len(x) > 1 else 0.0)",
            "total = within * (n - 1) / n",
            DIAGNOSTICS,
        ),
    ),
    *of(
        "chains/rungs.py",
        (
            "a machine is asked of its own states only",
            "other[here] = machines[here], machines[here].logits_h(v[there])",
            "other[here] = machines[here], machines[here].logits_h(v[here])",
            RUNGS,
        ),
        (
            "states draw at the machine that they leave",
            "machine.bernoulli(other[k], here.on(MOVED))",
            "machine.bernoulli(own[k], here.on(MOVED))",
            RUNGS,
        ),
        ("one noise for all rungs", "key.rows_from(k * order.shape[1])", "key.rows_from(0)", RUNGS),
        ("the second milestone is passed first", "along - k)", "1 - along + k)", RUNGS),
    ),
    *of(
        "likelihood/tempered.py",
        (
            "log Z of the first level is left out",
            "base + sum(x.log_z for x in found)",
            "sum(x.log_z for x in found)",
            TEMPERED,
        ),
        (
            "one side has the wrong sign",
            "ratio(up.ravel(), -down.ravel())",
            "ratio(up.ravel(), down.ravel())",
            TEMPERED,
        ),
        (
            "each sweep counts as a ladder",
            "float(found.shifts.std(ddof=1)) / math.sqrt(chains)",
            "0.1 / chains",
            TEMPERED,
        ),
        ("halves are not compared", "_drift(parts),", '"",', TEMPERED),
    ),
    *of(
        "enumeration/exact.py",
        ("blocks of some mass are skipped", "NEGLIGIBLE = 1e-30", "NEGLIGIBLE = 1e-3", EXACT),
    ),
    *of(
        "likelihood/annealed.py",
        (
            "a stale temperature",
            "GibbsState(v, k, logits), key, after)",
            "GibbsState(v, k, logits), key, point)",
            ANNEALED,
        ),
        ("one noise for all temperatures", "GibbsState(v, k, logits)", "GibbsState(v, 0, logits)", ANNEALED),
        ("one noise for every stretch", "betas[k : k + n + 1], key.at(k))", "betas[k : k + n + 1], key)", ANNEALED),
        (
            "a stretch at the temperatures before",
            "np.asarray(points.beta), points.y",
            "np.asarray(points.beta) * np.float32(0.9), points.y",
            ANNEALED,
        ),
        ("a mean of logarithms", "float(high + log(exp(log_w - high).mean()))", "float(log_w.mean())", ANNEALED),
    ),
    *of(
        "likelihood/bracket.py",
        (
            "the sides lean inwards",
            "lower, upper = ends[0][0], ends[1][1]",
            "lower, upper = ends[0][1], ends[1][0]",
            "tests/test_bracket_verdicts.py",
        ),
    ),
]
