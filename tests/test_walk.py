"""A walk of the data: each module is entered with them at most twice, and each scan of them is made once."""

import collections
import sys

import numpy as np
import pytest

import harmonium
from harmonium import RBM, inputs
from harmonium.rows import Rows

N, M = 1201, 23  # rows enough for a part of them to be told from the whole
RNG = np.random.default_rng(4)
GREY = RNG.random((N, M)).astype(np.float32) ** 3
BITS = (GREY > 0.3).astype(np.uint8)
FLOATS = BITS.astype(np.float64)
HOLES = np.where(RNG.random((N, M)) < 0.1, np.nan, GREY)
WEIGHTS = RNG.integers(0, 3, N).astype(float)
MACHINE = RBM(*(0.1 * RNG.standard_normal(shape) for shape in ((4, M), M, 4)))


def train(X, **options):
    return harmonium.train(X, 4, epochs=1, batch_size=300, method="pcd", chains=10, **options)


def bracket(X):
    return harmonium.log_partition(MACHINE, "ais", X=X, temperatures=[0, 0.5, 1], chains=10)


WALKS = {
    "train": lambda X=BITS: train(X),
    "train, binary floats": lambda X=FLOATS: train(X),
    "train, thresholded": lambda X=GREY: train(X),
    "train, drawn": lambda X=GREY: train(X, binarize="sample"),
    "train, grey": lambda X=GREY: train(X, binarize="none"),
    "train, steered": lambda X=GREY: train(X, patience=1),
    "train, holes": lambda X=HOLES: train(X, held_out=100, patience=1),
    "train, weighted": lambda X=GREY: train(X, sample_weight=WEIGHTS, held_out=100, patience=1),
    "log_partition": lambda X=BITS: bracket(X),
    "log_partition, holes": lambda X=HOLES: bracket(X),
    "sample": lambda X=BITS: harmonium.sample(MACHINE, start=X, sweeps=2),
    "sample, exact": lambda X=BITS: harmonium.sample(MACHINE, len(X)),
    "sample_tempered": lambda X=GREY: harmonium.sample_tempered(MACHINE, 3, sweeps=4, temperatures=3, X=X),
}
pytestmark = pytest.mark.filterwarnings(
    "ignore::harmonium.errors.TrainingAlarm", "ignore::harmonium.errors.DataWarning"
)


def are_data(x):
    """Whether these are most of the rows, as numbers, and not one row for all."""
    X = x.__dict__.get("X") if isinstance(x, Rows) else x
    return isinstance(X, np.ndarray) and X.shape[1:] == (M,) and len(X) > N // 2 and X.strides[0] > 0


def rooms_of(call):
    """The modules whose functions are given the data, in order; a row of functions of one module is one stay."""
    stays = []

    def look(frame, event, _):
        module = frame.f_globals.get("__name__", "")
        code = frame.f_code
        if event != "call" or not module.startswith("harmonium.") or module.startswith("harmonium.engines"):
            return  # in an engine they live from then on, and each step asks for some
        if code.co_name == "__len__" or code.co_filename == "<string>":
            return  # their number; and the making of a record, which is nobody's code
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        given = any(are_data(frame.f_locals.get(name)) for name in names)
        if given and stays[-1:] != [module]:
            stays.append(module)

    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(None)
    return stays


@pytest.mark.parametrize("name", WALKS)
def test_each_module_is_visited_at_most_twice(name):
    WALKS[name]()  # modules are loaded
    stays = rooms_of(WALKS[name])
    assert stays or "exact" in name
    often = {module: n for module, n in collections.Counter(stays).items() if n > 2}
    assert not often, stays


SCANS = collections.Counter()


class Scanned(np.ndarray):
    """An array that notes what is done to all of it, but for copies."""

    def note(self, name, arrays, others=()):
        if any(isinstance(x, Scanned) and len(x) == N for x in arrays):
            SCANS[(name, *(x for x in others if np.isscalar(x)))] += 1

    def __array_ufunc__(self, ufunc, method, *arrays, **options):
        self.note(f"{ufunc.__name__} {method}", arrays, arrays)
        return getattr(ufunc, method)(*(np.asarray(x) if isinstance(x, Scanned) else x for x in arrays), **options)

    def __array_function__(self, function, types, arrays, options):
        self.note(function.__name__, arrays)
        plain = (np.asarray(x) if isinstance(x, Scanned) else x for x in arrays)
        return function(*plain, **options)


@pytest.mark.parametrize("name", [name for name in WALKS if "exact" not in name])
def test_each_scan_of_the_data_is_made_once(name, monkeypatch):
    real = inputs.as_plain_array
    monkeypatch.setattr(inputs, "as_plain_array", lambda X, what: real(X, what).view(Scanned))
    SCANS.clear()
    WALKS[name]()
    assert SCANS
    assert max(SCANS.values()) == 1, SCANS


def test_the_walk_sees_a_second_visit(monkeypatch):
    """A planted one: data that are checked again where they have come to."""
    from harmonium.training import trainer

    real = trainer.describe_blank

    def again(rows, binarize):
        inputs.check_matrix(rows.X)
        return real(rows, binarize)

    monkeypatch.setattr(trainer, "describe_blank", again)
    with pytest.raises(AssertionError, match=r"harmonium\.inputs"):
        test_each_module_is_visited_at_most_twice("train")
