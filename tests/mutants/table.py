"""Planted bugs: what each replaces in which file, and the tests that must fail with it.

The old text must stand exactly once in its file; `test_table.py` fails as soon as one does not. When code that is named
here changes, change its row with it: the bug stays a bug. Bugs in the kernels are in `native_table`.
"""

from __future__ import annotations

from typing import NamedTuple

ORACLE = "tests/test_rbm.py"
RANDOM = "tests/test_random.py"
CONFORMANCE = "tests/conformance/test_engines.py"
VERBS = "tests/conformance/test_verbs.py"
GIBBS = "tests/test_gibbs.py"
TEMPERING = "tests/test_tempering.py"
RUNGS = "tests/test_rungs.py"
ALONG = "tests/test_along.py"
ESTIMATORS = "tests/test_estimators.py"
OPTIMIZER = "tests/test_optimizer.py"
BATCHES = "tests/test_batches.py"
MISSING = "tests/test_missing.py"
TRAINING = "tests/test_training.py -k replay"
STEPS = "tests/test_training.py -k expected_step"
CHECKPOINTS = "tests/test_checkpoints.py"
TEMPERED_END = "tests/test_tempered_end.py"
RESUME = "tests/test_resume.py -k all_its_records"
IO = "tests/test_io.py"
RUNS = "tests/test_run_directory.py"
ANNEALED = "tests/test_annealed.py -k 'definition or exactly or errors or variance or Bennett or bennett or log_mean'"
EXACT = "tests/test_exact.py"
DIAGNOSTICS = "tests/test_diagnostics.py"
MONITORS = "tests/test_monitors.py"
LEDGER = "tests/test_noise_ledger.py"


class Mutant(NamedTuple):
    """One planted bug."""

    what: str
    file: str
    old: str
    new: str
    tests: str


def of(file: str, *rows: tuple[str, str, str, str]) -> list[Mutant]:
    return [Mutant(what, file, old, new, tests) for what, old, new, tests in rows]


PYTHON = [
    *of(
        "rbm.py",
        (
            "dropped hidden bias",
            "return self._visible(v) @ self.W.T + self.c",
            "return self._visible(v) @ self.W.T",
            ORACLE,
        ),
        ("dropped visible bias", "return self._hidden(h) @ self.W + self.b", "return self._hidden(h) @ self.W", ORACLE),
        ("energy of the wrong sign", "return -(np.einsum(", "return +(np.einsum(", ORACLE),
        ("free energy without b", "return -(v @ self.b) - softplus(v @", "return -softplus(v @", ORACLE),
        (
            "likelihood without log Z",
            "return -self.free_energy(X) - self.log_z()",
            "return -self.free_energy(X)",
            ORACLE,
        ),
        (
            "gradient of the wrong sign",
            "self.expected_statistics(X) - self.model_statistics()",
            "self.model_statistics() - self.expected_statistics(X)",
            ORACLE,
        ),
        (
            "flipping forgets c",
            "self.c + self.W @ s.astype(self.W.dtype)",
            "self.c + 0 * self.W @ s.astype(self.W.dtype)",
            ORACLE,
        ),
    ),
    *of(
        "initial.py",
        (
            "one pseudo-count missing",
            "(np.asarray(total, np.float64) + 0.5) / (n_samples + 1)",
            "(np.asarray(total, np.float64) + 0.5) / (n_samples + 0.5)",
            ORACLE,
        ),
        ("weights of another scale", "rows[:] = scale * ndtri", "rows[:] = scale**2 * ndtri", ORACLE),
    ),
    *of(
        "random.py",
        ("nine rounds", "for _ in range(10):", "for _ in range(9):", RANDOM),
        ("biased uniform", "u += 0.5", "u += 0.0", RANDOM),
        ("noise of one step for all", "counter[..., 2] = self.step", "counter[..., 2] = 0", RANDOM),
        ("noise of one stream for all", "counter[..., 3] = self.stream", "counter[..., 3] = 0", RANDOM),
        (
            "chunks draw the first rows' noise",
            "np.arange(start, start + len(part)) + self.row)",
            "np.arange(start, start + len(part)))",
            RANDOM,
        ),
        (
            "ranks of 32-bit words",
            'np.argsort((high << _SHIFT) | low, kind="stable")',
            'np.argsort(high, kind="stable")',
            RANDOM,
        ),
    ),
    *of(
        "engines/numpy.py",
        (
            "decision at the wrong end",
            "return (key.uniform(*logits.shape) < p)",
            "return (key.uniform(*logits.shape) > p)",
            CONFORMANCE,
        ),
        (
            "temperature forgotten",
            "expit(generic.affine(logits, beta, offset).astype",
            "expit(generic.affine(logits, 1.0, offset).astype",
            CONFORMANCE,
        ),
        (
            "transposed W in logits of h",
            "return v @ self.W.T + self.c",
            "return v @ self.W.reshape(self.W.shape[::-1]) + self.c",
            CONFORMANCE,
        ),
        ("logits of v without b", "return h @ self.W + self.b", "return h @ self.W", CONFORMANCE),
        ("velocity without momentum", "velocity *= momentum", "velocity *= 0", CONFORMANCE),
        (
            "decay of the wrong sign",
            "gradient.hv - weight_decay * self.W",
            "gradient.hv + weight_decay * self.W",
            CONFORMANCE,
        ),
        ("pseudo-likelihood flips the wrong way", "flip = 1 - 2 * v[:, j]", "flip = -1 + 2 * v[:, j]", CONFORMANCE),
        (
            "centring leaves b",
            "self.b -= offsets.h @ self._velocity[0]",
            "self.b -= 0 * offsets.h @ self._velocity[0]",
            CONFORMANCE,
        ),
        (
            "overwriting overwrites all",
            "where[:, None]) > 0, values, x)",
            "where[:, None]) >= 0, values, x)",
            CONFORMANCE,
        ),
    ),
    *of(
        "engines/engine.py",
        ("hidden means jump", "before + np.float32(sliding_factor) * (now - before)", "now", TRAINING),
        ("hidden means without weights", "phase.normalised_weights()[:, None] * ", "", VERBS),
        ("one sweep too few", "n_sweeps - 1)", "n_sweeps - 2)", STEPS),
        ("one sweep too many", "n_sweeps - 1)", "n_sweeps)", STEPS),
        (
            "a mean where a sample is due",
            "Phase(v, self.mean(logits), b",
            "Phase(self.mean(self.logits_v(start)), self.mean(logits), b",
            STEPS,
        ),
        ("chains that persist start at the batch", "if h is None else h\n", "\n", STEPS),
        ("sweeps share their noise", "key_v.at(key_v.step + i)", "key_v", TRAINING),
    ),
    *of(
        "engines/generic.py",
        ("one offset for all groups", "blocks, table[:, None], out", "blocks, table[:1, None], out", VERBS),
        ("offsets times beta", "np.add(blocks, table[:, None]", "np.add(blocks, 0.5 * table[:, None]", VERBS),
    ),
    *of(
        "engines/native.py",
        ("restarts by the wrong rows", "np.where(where, _ALL, _NONE)", "np.where(where, _NONE, _ALL)", VERBS),
        (
            "real data without a mean of v",
            "matmul(weights, v), weighted_h.sum(axis=0))",
            "matmul(0 * weights, v), weighted_h.sum(axis=0))",
            CONFORMANCE,
        ),
        (
            "replaced machine with old weights",
            "self._machine.replace(*_floats(rbm))",
            "self._machine.replace(self.rbm.W, *_floats(rbm)[1:])",
            OPTIMIZER,
        ),
    ),
    *of(
        "engines/engine.py",
        (
            "negative phase added",
            "gradient = self.moments(positive) - self.moments(negative)",
            "gradient = self.moments(positive)",
            CONFORMANCE,
        ),
    ),
    *of(
        "engines/records.py",
        (
            "centring of one layer",
            "gradient.h[:, None] * self.v + self.h[:, None] * gradient.v",
            "gradient.h[:, None] * self.v",
            OPTIMIZER,
        ),
    ),
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
            "total = within * (n - 1) / n + (float(x.mean(axis=1).var(ddof=1)) if len(x) > 1 else 0.0)",
            "total = within * (n - 1) / n",
            DIAGNOSTICS,
        ),
    ),
    *of(
        "training/negative.py",
        ("a sample where the mean is asked for", "    if mean_field:\n", "    if not mean_field:\n", STEPS),
        ("chains do not persist", "self._h = done.h", "_ = done.h", TRAINING),
        ("fast weights that move no chain", "engine.moved(fast)", "engine", ESTIMATORS),
        ("fast weights never forget", "FORGET = 19 / 20", "FORGET = 20 / 20", ESTIMATORS),
        (
            "fast weights lost at a checkpoint",
            "return {**self._chains.arrays(engine), **fast}",
            "return {**self._chains.arrays(engine)}",
            CHECKPOINTS,
        ),
        (
            "restarts share the chains' noise",
            "key, n = self._chains_key.on(RESTART).at(step)",
            "key, n = self._chains_key.on(HIDDEN).at(step)",
            LEDGER,
        ),
        (
            "fast weights take the uncentred gradient",
            "gradient = _centred(engine, gradient, positive.offsets.own(engine))",
            "pass",
            OPTIMIZER,
        ),
        (
            "fast weights forget the weight of a batch",
            "rate = self._config.rate * positive.relative_weight",
            "rate = self._config.rate",
            ESTIMATORS,
        ),
        (
            "every chain restarts",
            "key.uniform(n, 1)[:, 0] < (self._config.restarts or 0.0)",
            "key.uniform(n, 1)[:, 0] > (self._config.restarts or 0.0)",
            ESTIMATORS,
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
        "likelihood/along.py",
        (
            "log Z of the first level is left out",
            "base + sum(x.log_z for x in found)",
            "sum(x.log_z for x in found)",
            ALONG,
        ),
        ("one side has the wrong sign", "ratio(up.ravel(), -down.ravel())", "ratio(up.ravel(), down.ravel())", ALONG),
        ("each sweep counts as a ladder", "float(found.shifts.std(ddof=1)) / math.sqrt(chains)", "0.1 / chains", ALONG),
        ("halves are not compared", "_drift(parts),", '"",', ALONG),
    ),
    *of(
        "training/tempered.py",
        (
            "ladders count while they run along",
            "if step in self._counts else",
            "if step >= self._first else",
            TEMPERED_END,
        ),
        (
            "several steps go past the first that is tempered",
            "return self._first - step if",
            "return 999 if",
            TEMPERED_END,
        ),
        (
            "ladders of a tempered end are not kept",
            "{**self._chains.arrays(engine), **ladders}",
            "{**self._chains.arrays(engine)}",
            CHECKPOINTS,
        ),
        ("a base of zeros", "base = bias_of_means(", "base = 0 * bias_of_means(", ESTIMATORS),
        (
            "the ladder is not restored",
            'Ladder(path, arrays["tempered.ladder"])',
            "Ladder(path, np.linspace(0, 1, config.n_temperatures))",
            CHECKPOINTS,
        ),
        (
            "acceptances are not restored",
            'arrays["tempered.swaps"].copy()',
            'np.zeros_like(arrays["tempered.swaps"])',
            CHECKPOINTS,
        ),
        ("sweeps begin anew", 'int(arrays["tempered.sweep"][0])', "0", CHECKPOINTS),
        ("the ladder never moves", "if self._state.sweep % _ADAPT_EVERY == 0:", "if False:", CHECKPOINTS),
        ("ten temperatures for ever", "if self._config.temperatures == ADAPTIVE:", "if False:", ESTIMATORS),
    ),
    *of(
        "training/estimators.py",
        ("fast weights not restored", "z if x is None else x for x, z", "z for x, z", CHECKPOINTS),
    ),
    *of(
        "training/optimizer.py",
        ("another constant in the sparsity average", "_ACTIVITY_DECAY = 0.95", "_ACTIVITY_DECAY = 0.9", OPTIMIZER),
        (
            "sparsity of the wrong sign",
            "return self._activity - self._config.target",
            "return self._config.target - self._activity",
            OPTIMIZER,
        ),
        ("no L1", "engine.arrays.sign(engine.parameters.hv)", "engine.parameters.hv", OPTIMIZER),
        (
            "Adam without its correction",
            "scale, scale2 = (1 / (1 - beta ** (step + 1))",
            "scale, scale2 = (1",
            OPTIMIZER,
        ),
        (
            "Adam's second moment is lost",
            'zip(("adam", "adam2"), self._adam, strict=True)',
            'zip(("adam", "adam2"), self._adam[:1] * 2, strict=True)',
            CHECKPOINTS,
        ),
        (
            "clipping stretches",
            "return gradient if norm <= clip else",
            "return gradient if norm == clip else",
            OPTIMIZER,
        ),
        (
            "hidden means lost at a checkpoint",
            'kept = {"hidden_means": means, "activity"',
            'kept = {"activity"',
            CHECKPOINTS,
        ),
        ("activity lost at a checkpoint", '"activity": activity}', "}", CHECKPOINTS),
    ),
    *of(
        "training/batches.py",
        ("one order for all epochs", 'self._key.derive("order", number)', 'self._key.derive("order", 0)', BATCHES),
        ("the same draw each epoch", 'self._key.derive("data", number)', 'self._key.derive("data", 0)', BATCHES),
        (
            "the last row of a batch is lost",
            "slice(number * self._batch_size, (number + 1) * self._batch_size)",
            "slice(number * self._batch_size, (number + 1) * self._batch_size - 1)",
            BATCHES,
        ),
        (
            "a short batch by the size of a full one",
            "float(weights.mean() / self.rows.weights.mean())",
            "float(weights.sum() / self._batch_size / self.rows.weights.mean())",
            BATCHES,
        ),
        (
            "missing entries have one noise for all steps",
            "GibbsState(v, step * SWEEPS)",
            "GibbsState(v, 0)",
            LEDGER,
        ),
        (
            "missing entries are forgotten",
            "engine.put(epoch.v, rows, v)",
            "_ = engine",
            BATCHES,
        ),
        (
            "the fill is not an integer",
            "states = np.unpackbits(completions, axis=1, count=self.n_visible)",
            "states = 1 - np.unpackbits(completions, axis=1, count=self.n_visible)",
            BATCHES,
        ),
    ),
    *of(
        "training/trainer.py",
        ("missing entries are not saved", 'extras["completions"] = completions', "pass", CHECKPOINTS),
        (
            "the schedule begins a step late",
            "learning_rate_at((step - self._first) / (self.n_steps",
            "learning_rate_at((step - self._first + 1) / (self.n_steps",
            TRAINING,
        ),
        (
            "the best machine is not kept",
            "        self.engine.replace(steering.best)\n        gain",
            "        gain",
            "tests/test_checkpoints.py -k early",
        ),
        (
            "chance is kept",
            "if gain is not None and not gain.is_told and",
            "if gain is None and",
            "tests/test_steering.py -k 'independent and 120'",
        ),
    ),
    *of(
        "training/gain.py",
        ("two errors are enough", "_ERRORS = 3.0", "_ERRORS = 2.0", "tests/test_steering.py -k gain"),
        ("few rows tell as much", "stdtrit(self.n_rows - 1,", "stdtrit(1e6,", "tests/test_steering.py -k gain"),
        ("log Z is taken as known", "variance + log_z_error**2", "variance", "tests/test_steering.py -k gain"),
    ),
    *of(
        "training/steering.py",
        (
            "the best machine is not restored",
            'best = RBM(*(arrays[f"best.{name}"] for name in "Wbc"))',
            'best = RBM(*(0 * arrays[f"best.{name}"] for name in "Wbc"))',
            CHECKPOINTS,
        ),
        (
            "the records that overfit are counted anew",
            'epoch, start, overfits, stopped = arrays["steering.counts"].tolist()',
            "epoch, start, overfits, stopped = 0, 0, 0, 0",
            CHECKPOINTS,
        ),
        (
            "the raised weight decay is not restored",
            'decay, first, valid, train = arrays["steering.scores"].tolist()',
            'decay, first, valid, train = config.decay, *arrays["steering.scores"].tolist()[1:]',
            CHECKPOINTS,
        ),
    ),
    *of(
        "training/checkpoint.py",
        ("chains are cut", "[:, : rbm.n_hidden]", "[:, : rbm.n_hidden - 1]", IO),
        ("a velocity of another shape passes", "!= [rbm.W.shape, rbm.b.shape, rbm.c.shape]", "== []", IO),
    ),
    *of(
        "training/run_directory.py",
        ("history keeps what is done again", "self.history(before=record.step)", "self.history()", RUNS),
        ("the new name is not on the disk", "fsync_directory(path.parent)", "pass", RUNS),
        ("other data pass", "if fingerprint_of(X) != self.fingerprint:", "if False:", RUNS),
        ("a fingerprint without the shape", "{X.dtype.str} {X.shape} ", "", RUNS),
        ("two processes at a time", "if not lock(descriptor, wait=False):", "if False:", RUNS),
    ),
    *of(
        "cli/running.py",
        (
            "the last record is lost",
            "directory.history(before=state.step + 1)",
            "directory.history(before=state.step)",
            RESUME,
        ),
    ),
    *of(
        "io/atomic.py",
        ("the file is not on the disk", "            os.fsync(file.fileno())\n", "", IO),
        ("the name is not on the disk", "        fsync_directory(path.parent)\n", "", IO),
        ("written in place", "os.replace(temporary, path)  #", "path.write_bytes(content)  #", IO),
    ),
    *of(
        "io/temporary.py",
        (
            "those of living processes are removed",
            "            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n            mode",
            "            mode",
            IO,
        ),
        ("nothing is removed", "if ours.fullmatch(entry.name)]", "if False]", IO),
        ("those of other names are removed", 're.escape(f".{path.name}.") +', '".*" +', IO),
    ),
    *of(
        "io/tensor_file.py",
        ("a digest without shapes", r"\0{array.dtype.str}\0{array.shape}\0", r"\0{array.dtype.str}\0", IO),
        ("a digest of the first array only", "digest.update(array.data)", "pass", IO),
        ("NaN passes", 'if array.dtype.kind == "f" and not np.isfinite(array).all():', "if False:", IO),
        ("any version passes", 'if header.get("version") != str(FORMAT_VERSION):', "if False:", IO),
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
            "tests/test_annealed.py -k 'verdicts or small_machines'",
        ),
    ),
]
