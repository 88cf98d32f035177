"""Bugs planted in training, in what is kept of it, and in how files are written."""

from __future__ import annotations

from planted import of

ESTIMATORS = "tests/test_estimators.py"
OPTIMIZER = "tests/test_optimizer.py"
BATCHES = "tests/test_batches.py"
STEPS = "tests/test_training_steps.py -k expected_step"
CHECKPOINTS = "tests/test_checkpoints.py"
RESUME = "tests/test_resume.py -k all_its_records"
IO = "tests/test_io.py"
RUNS = "tests/test_run_directory.py"
LEDGER = "tests/test_noise_ledger.py"
TEMPERED_END = "tests/test_tempered_end.py"
REPLAY = "tests/test_training_steps.py -k replay"
ATOMIC = "tests/test_atomic_files.py"

TRAINING = [
    *of(
        "training/negative.py",
        ("a sample where the mean is asked for", "    if mean_field:\n", "    if not mean_field:\n", STEPS),
        ("chains do not persist", "self._h = done.h", "_ = done.h", REPLAY),
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
        ("ten temperatures for ever", "if self._config.temperatures in (ADAPTIVE, None):", "if False:", ESTIMATORS),
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
            REPLAY,
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
        ("the file is not on the disk", "            os.fsync(file.fileno())\n", "", ATOMIC),
        ("the name is not on the disk", "        fsync_directory(path.parent)\n", "", ATOMIC),
        ("written in place", "os.replace(temporary, path)  #", "path.write_bytes(content)  #", ATOMIC),
    ),
    *of(
        "io/temporary.py",
        (
            "those of living processes are removed",
            "            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n            mode",
            "            mode",
            ATOMIC,
        ),
        ("nothing is removed", "if ours.fullmatch(entry.name)]", "if False]", ATOMIC),
        ("those of other names are removed", 're.escape(f".{path.name}.") +', '".*" +', ATOMIC),
    ),
    *of(
        "io/tensor_file.py",
        ("a digest without shapes", r"\0{array.dtype.str}\0{array.shape}\0", r"\0{array.dtype.str}\0", IO),
        ("a digest of the first array only", "digest.update(array.data)", "pass", IO),
        ("NaN passes", 'if array.dtype.kind == "f" and not np.isfinite(array).all():', "if False:", IO),
        ("any version passes", 'if header.get("version") != str(FORMAT_VERSION):', "if False:", IO),
    ),
]
