"""Engines whose states and reals are on a pretended device: nobody else may look into them, NumPy least of all."""

import copy

from harmonium.engines import Contrast, Phase

# The verbs by what they return, and those that take states or reals as their first argument.
OWN = {"encode", "visible", "visible_of_unit", "draw", "take", "overwrite", "logits_h", "logits_v", "mean", "bernoulli"}
OWN |= {"sample_h", "sample_v", "sweeps", "slide", "contrast", "contrasts", "anneal", "table", "permutation"}
NUMPY = {"put", "decode", "to_numpy", "softplus_sum", "dot", "column_sums", "pseudo_log_likelihood", "moments"}
NUMPY |= {"free_energy", "visible_biases", "replace", "write", "holds", "ascend", "ascend_along", "own"}
NUMPY |= {"wide", "offset_sums", "moved"}
TAKING_OWN = {"take", "put", "overwrite", "decode", "logits_h", "logits_v", "mean", "bernoulli", "sample_h", "sample_v"}
TAKING_OWN |= {"sweeps", "anneal", "softplus_sum", "dot", "column_sums", "free_energy", "pseudo_log_likelihood"}


class OnDevice:
    """An array that only its engine can look into. It has a length, and nothing else."""

    __array_ufunc__ = None  # an operator of NumPy's gives up on it

    def __init__(self, held):
        self._held = held

    def __array__(self, *_, **__):
        raise TypeError("what is on a device is no NumPy array")

    def __len__(self):
        return len(self._held)


class TableOnDevice(OnDevice):
    """What may also be sliced."""

    def __getitem__(self, part):
        assert isinstance(part, slice)
        return TableOnDevice(self._held[part])

    def reshape(self, *shape):
        return TableOnDevice(self._held.reshape(*shape))


def _inside(x):
    """An argument of a verb as the engine below takes it."""
    if isinstance(x, tuple):
        parts = [_inside(part) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return x._held if isinstance(x, OnDevice) else x


def _outside(name, x):
    """What a verb returns, hidden."""
    if x is None or name not in OWN:
        return x
    if isinstance(x, Contrast):
        side = Phase(OnDevice(x.negative.v), OnDevice(x.negative.mean_h), x.negative.weights)
        return Contrast(side, *(_outside(name, part) for part in x[1:]))
    if name == "anneal":
        return OnDevice(x[0]), *x[1:]
    return TableOnDevice(x) if name in ("table", "permutation") else OnDevice(x)


def _verb(name):
    def call(self, *args, **kwargs):
        if name in TAKING_OWN and not isinstance(args[0], OnDevice):
            raise TypeError(f"{name} must get what an engine holds. Got {type(args[0]).__name__}.")
        verb = getattr(self.below, name)
        found = verb(*(_inside(x) for x in args), **{key: _inside(x) for key, x in kwargs.items()})
        return _outside(name, found)

    return call


def strict(base):
    """The class of engines that compute as `base` does, on a pretended device."""

    class Strict:
        name = "native"  # which is what everything asks for
        log_partition_block = staticmethod(base.log_partition_block)
        bits = staticmethod(base.bits)
        term_seconds, sweeps_at_once, order = base.term_seconds, 3, base.order

        def __init__(self, rbm, velocity=None):
            self.below = base(rbm, velocity)

        n_visible = property(lambda self: self.below.n_visible)
        n_hidden = property(lambda self: self.below.n_hidden)
        rbm = property(lambda self: self.below.rbm)
        velocity = property(lambda self: self.below.velocity)
        parameters = property(lambda self: self.below.parameters)
        arrays = base.arrays

        def moved(self, by):
            other = copy.copy(self)
            other.below = self.below.moved(by)
            return other

    for name in (OWN | NUMPY) - {"moved"}:
        setattr(Strict, name, _verb(name))
    return Strict
