"""A ledger of noise: every address (seed, stream, step, row) that is drawn, and a complaint where one is drawn again.

All noise comes out of `Key.bits` and `Key.uniform_at`, or goes as a key into a method of an engine that draws by
itself. Columns count from 0 in every draw, so two draws share noise exactly where seed, stream and step agree and their
rows overlap. Rows in chunks do not.
"""

import contextlib
import functools
import inspect
from collections import defaultdict

from harmonium.engines import ENGINES, Engine, NumpyEngine, native
from harmonium.random import Key

# What an engine may do in one go draws what its default body draws: conformance holds that the results are the same.
WHOLE = "sweeps", "contrast", "contrasts", "permutation", "bits"


class Repeated(AssertionError):
    """Noise was drawn twice."""


class Ledger:
    """What was drawn, by whom.

    Parameters
    ----------
    held : tuples of labels
        Purposes whose noise is meant to be the same each time: where these labels stand in a key's derivation.
    """

    def __init__(self, held=()):
        self.held, self.used = held, set()
        self.drawn = defaultdict(list)  # rows by (seed, stream, step)
        self.purposes = {}  # the labels that a derived seed comes from

    def purpose(self, seed):
        """The labels by which a key was derived, from the first to the last."""
        return self.purposes.get(seed, ())

    def derived(self, key, labels, child):
        """Note where a key comes from."""
        self.purposes[child.seed] = (*self.purpose(key.seed), *labels)

    def draw(self, key, n_rows, n_columns):
        """Note a draw, and complain if any of it was drawn before."""
        if n_rows == 0 or n_columns == 0:
            return
        rows = range(key.row, key.row + n_rows)
        earlier = self.drawn[key.seed, key.stream, key.step]
        if any(_overlap(rows, other) for other in earlier) and not self._is_held(key.seed):
            raise Repeated(f"{self.purpose(key.seed)} drew {key} again, {n_rows} rows of {n_columns}")
        earlier.append(rows)

    def shared_with(self, other):
        """Purposes of this ledger whose noise the other one has drawn, too."""
        return {
            self.purpose(address[0])
            for address in self.drawn.keys() & other.drawn.keys()
            if any(_overlap(a, b) for a in self.drawn[address] for b in other.drawn[address])
        }

    def _is_held(self, seed):
        purpose = self.purpose(seed)
        held = {x for x in self.held if any(purpose[i : i + len(x)] == x for i in range(len(purpose)))}
        self.used |= held
        return bool(held)


def _overlap(a, b):
    return a.start < b.stop and b.start < a.stop


@contextlib.contextmanager
def recording(ledger, monkeypatch):
    """Write down all noise that is drawn meanwhile, by whatever engine."""
    depth = 0  # above 0, an engine is drawing by itself

    def noting(method):
        signature = inspect.signature(method)

        @functools.wraps(method)
        def drawing(*args, **kwargs):
            nonlocal depth
            depth += 1
            try:
                states = method(*args, **kwargs)
            finally:
                depth -= 1
            if not depth:  # a verb that another one has called draws the noise of that one
                ledger.draw(signature.bind(*args, **kwargs).arguments["key"], len(states), states.n_units)
            return states

        return drawing

    bits, uniform_at, derive, words = Key.bits, Key.uniform_at, Key.derive, native._words

    def noted_uniform_at(key, rows, columns):
        ledger.draw(key, int(rows.max(initial=-1)) + 1, len(columns))
        return uniform_at(key, rows, columns)

    def noted_bits(key, n_rows, n_columns):
        ledger.draw(key, n_rows, n_columns)
        return bits(key, n_rows, n_columns)

    def noted_derive(key, *labels):
        child = derive(key, *labels)
        ledger.derived(key, labels, child)
        return child

    def noted_words(*args):
        assert depth, "a key went into the kernels past the ledger: give the method an argument called `key`"
        return words(*args)

    with monkeypatch.context() as patch:
        patch.setattr(Key, "bits", noted_bits)
        patch.setattr(Key, "uniform_at", noted_uniform_at)
        patch.setattr(Key, "derive", noted_derive)
        patch.setattr(native, "_words", noted_words)
        for engine in set(ENGINES.values()) - {NumpyEngine}:
            for name, method in inspect.getmembers(engine, inspect.isfunction):
                if "key" in inspect.signature(method).parameters:
                    patch.setattr(engine, name, noting(method))
            for name in WHOLE:
                patch.setattr(engine, name, inspect.getattr_static(Engine, name))
        yield ledger
