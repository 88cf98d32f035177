"""Bugs planted in what a machine is, in its noise, and in the engines."""

from __future__ import annotations

from planted import of

ORACLE = "tests/test_rbm.py"
RANDOM = "tests/test_random.py"
VERBS = "tests/conformance/test_verbs.py"
OPTIMIZER = "tests/test_optimizer.py"
STEPS = "tests/test_training_steps.py -k expected_step"
LOGITS = "tests/conformance/test_states_and_logits.py"
DECISIONS = "tests/conformance/test_decisions.py"
SUMS = "tests/conformance/test_sums_and_steps.py"
REPLAY = "tests/test_training_steps.py -k replay"

MACHINE = [
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
            DECISIONS,
        ),
        (
            "temperature forgotten",
            "expit(generic.affine(logits, beta, offset).astype",
            "expit(generic.affine(logits, 1.0, offset).astype",
            DECISIONS,
        ),
        (
            "transposed W in logits of h",
            "return v @ self.W.T + self.c",
            "return v @ self.W.reshape(self.W.shape[::-1]) + self.c",
            LOGITS,
        ),
        ("logits of v without b", "return h @ self.W + self.b", "return h @ self.W", LOGITS),
        ("velocity without momentum", "velocity *= momentum", "velocity *= 0", SUMS),
        (
            "decay of the wrong sign",
            "gradient.hv - weight_decay * self.W",
            "gradient.hv + weight_decay * self.W",
            SUMS,
        ),
        ("pseudo-likelihood flips the wrong way", "flip = 1 - 2 * v[:, j]", "flip = -1 + 2 * v[:, j]", SUMS),
        (
            "centring leaves b",
            "self.b -= offsets.h @ self._velocity[0]",
            "self.b -= 0 * offsets.h @ self._velocity[0]",
            SUMS,
        ),
        (
            "overwriting overwrites all",
            "where[:, None]) > 0, values, x)",
            "where[:, None]) >= 0, values, x)",
            LOGITS,
        ),
    ),
    *of(
        "engines/engine.py",
        ("hidden means jump", "before + np.float32(sliding_factor) * (now - before)", "now", REPLAY),
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
        ("sweeps share their noise", "key_v.at(key_v.step + i)", "key_v", REPLAY),
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
            SUMS,
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
            SUMS,
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
]
