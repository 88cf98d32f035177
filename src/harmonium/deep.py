"""Stacks: machines trained greedily, one layer at a time, each on the features of those below."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.engines import make_engine
from harmonium.errors import InvalidParameter, UnreadableFile
from harmonium.inputs import check_count, check_matrix
from harmonium.io import read_tensors, write_tensors
from harmonium.progress import Progress
from harmonium.random import Key, as_seed
from harmonium.rbm import RBM
from harmonium.training import EpochRecord, TrainingResult, train

FloatArray = npt.NDArray[np.float32]

# Rows at a time, so that memory stays small next to the data.
_ROWS = 2000


@dataclass(frozen=True, eq=False)
class Stack:
    """Machines one above the other: the hidden units of each are the visible units of the next.

    Parameters
    ----------
    rbms : sequence of RBM, from the bottom to the top

    Raises
    ------
    InvalidParameter
        No machine, or two that do not fit.
    """

    rbms: tuple[RBM, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rbms", tuple(self.rbms))
        if not self.rbms:
            raise InvalidParameter("A stack must have at least one RBM. Got none. Pass the machines as a list.")
        for below, above in itertools.pairwise(self.rbms):
            if below.n_hidden != above.n_visible:
                raise InvalidParameter(
                    "A machine must have as many visible units as the one below has hidden ones. "
                    f"Got {above.n_visible} above {below.n_hidden}. Pass the machines from the bottom to the top."
                )

    def __iter__(self) -> Iterator[RBM]:
        return iter(self.rbms)

    def __len__(self) -> int:
        return len(self.rbms)

    @property
    def n_parameters(self) -> int:
        """The number of entries of all W, b and c."""
        return sum(rbm.W.size + rbm.b.size + rbm.c.size for rbm in self.rbms)

    def transform(self, X: Any, *, engine: str = "native") -> FloatArray:
        """E[h | v] of the top machine, each machine seeing the means of the one below.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_visible), values in [0, 1]
        engine : {"native", "numpy", "torch"}

        Returns
        -------
        ndarray of shape (n_samples, n_hidden of the top), float32

        Raises
        ------
        InvalidData
            `X` breaks the input contract.
        """
        return _pass_on(check_matrix(X, n_columns=self.rbms[0].n_visible), self.rbms, engine)

    def mean_v_from_top(self, H: Any, *, engine: str = "native") -> FloatArray:
        """E[v | h] passed down from states or means of the top layer.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_hidden of the top), values in [0, 1]
        engine : {"native", "numpy", "torch"}

        Returns
        -------
        ndarray of shape (n_samples, n_visible), float32

        Raises
        ------
        InvalidData
            `H` breaks the input contract.
        """
        H = check_matrix(H, n_columns=self.rbms[-1].n_hidden, name="H")
        # Engines take real values below only, so the stack is turned upside down.
        return _pass_on(H, [rbm.mirror() for rbm in reversed(self.rbms)], engine)

    def reconstruct(self, X: Any, *, engine: str = "native") -> FloatArray:
        """What is left of `X` after the way up and down: means in both directions, shape (n_samples, n_visible)."""
        return self.mean_v_from_top(self.transform(X, engine=engine), engine=engine)

    def save(self, path: str | os.PathLike[str], **attributes: Any) -> None:
        """Write the stack to one safetensors file, atomically; `attributes` (JSON values) are kept beside it.

        Raises
        ------
        UnwritableOutput
            The place cannot be written; an existing file stays as it was.
        """
        tensors = {f"{k}.{name}": getattr(rbm, name) for k, rbm in enumerate(self.rbms) for name in "Wbc"}
        write_tensors(path, "stack", tensors, {"n_layers": len(self.rbms), **attributes})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Stack:
        """Read a stack written by `save`.

        Raises
        ------
        DataUnavailable, UnreadableFile
            No such file; or not a sound stack file.
        """
        tensors, attributes = read_tensors(path, "stack")
        try:
            n_layers = check_count(attributes["n_layers"], "n_layers")
            if len(tensors) != 3 * n_layers:
                raise ValueError(f"{len(tensors)} arrays for {n_layers} machines")
            return cls(tuple(RBM(*(tensors[f"{k}.{name}"] for name in "Wbc")) for k in range(n_layers)))
        except (KeyError, ValueError) as error:
            raise UnreadableFile(f"{path} must hold machines that fit. Got: {error}. Use a copy.") from None


@dataclass(frozen=True)
class StackResult:
    """What `train_stack` returns: the stack, and what `harmonium.train` returned for each of its machines."""

    stack: Stack
    layers: tuple[TrainingResult, ...]


def train_stack(
    X: Any,
    n_hidden: Sequence[int],
    *,
    valid: Any = None,
    layers: Sequence[Mapping[str, Any]] | None = None,
    on_epoch: Callable[[int, EpochRecord], None] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> StackResult:
    """Train a stack greedily: the first machine on `X`, each further one on E[h | v] of the machine below.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_visible), values in [0, 1]
    n_hidden : sequence of int
        Hidden units of each machine, from the bottom to the top.
    valid : array-like of shape (any, n_visible), optional
        Held-out data; scored at each layer, never steering.
    layers : sequence of dict, optional
        Options of single layers, which override `options`; one dict (it may be empty) a layer.
    on_epoch : callable, optional
        Called with the number of the layer, from 0, and each `EpochRecord`.
    progress : callable, optional
        Called as ``progress(done, total)`` after every step; the total grows with each layer. May raise, to stop.
    **options
        The fields of `harmonium.Config` for all layers. `binarize` is for the first: the others see probabilities,
        and draw binary states from them anew each epoch unless `layers` says otherwise.

    Returns
    -------
    StackResult

    Raises
    ------
    InvalidData, InvalidParameter

    References
    ----------
    Hinton, Osindero, Teh, "A fast learning algorithm for deep belief nets", Neural Computation 18, 2006.

    Examples
    --------
    >>> import harmonium
    >>> from harmonium.deep import train_stack
    >>> X = harmonium.datasets.load("bars-and-stripes-3x3").train
    >>> stack = train_stack(X, [8, 4], epochs=5, seed=1).stack
    >>> stack.transform(X).shape[1]
    4
    """
    sizes = [check_count(n, "n_hidden") for n in n_hidden]
    per_layer = [{} for _ in sizes] if layers is None else [dict(layer) for layer in layers]
    if not sizes or len(per_layer) != len(sizes):
        raise InvalidParameter(
            f"n_hidden must name at least one layer, and layers hold one dict for each. Got {len(sizes)} sizes and "
            f"{len(per_layer)} dicts. Pass an empty dict for a layer without options of its own."
        )
    seed = Key(as_seed(options.pop("seed", 0)))
    results: list[TrainingResult] = []
    for k, (size, own) in enumerate(zip(sizes, per_layer, strict=True)):
        # Each layer has noise of its own; the first is what `harmonium.train` makes of the seed.
        defaults = {"seed": seed.derive("layer", k).seed, "binarize": "sample"} if k else {"seed": seed.seed}
        chosen = options | defaults | own
        record = None if on_epoch is None else _for_layer(on_epoch, k)
        steps = None if progress is None else _after(progress, results)
        results.append(train(X, size, valid=valid, on_epoch=record, progress=steps, **chosen))
        below = Stack((results[-1].rbm,))
        engine = results[-1].config.engine
        if k + 1 < len(sizes):
            X, valid = (None if x is None else below.transform(x, engine=engine) for x in (X, valid))
    return StackResult(Stack(tuple(result.rbm for result in results)), tuple(results))


def _for_layer(on_epoch: Callable[[int, EpochRecord], None], k: int) -> Callable[[EpochRecord], None]:
    return lambda record: on_epoch(k, record)


def _after(progress: Progress, layers: Iterable[TrainingResult]) -> Progress:
    before = sum(layer.history[-1].step for layer in layers if layer.history)
    return lambda done, total: progress(before + done, before + total)


def _pass_on(X: npt.NDArray[Any], rbms: Iterable[RBM], engine: str) -> FloatArray:
    """The hidden means of the last machine, each machine seeing those of the one before."""
    engines = [make_engine(rbm, engine) for rbm in rbms]
    chunks = []
    for i in range(0, len(X), _ROWS):
        x = engines[0].visible(X[i : i + _ROWS])  # packed, if it is binary
        for layer in engines:
            x = layer.mean(layer.logits_h(x))
        chunks.append(engines[-1].to_numpy(x))
    return np.concatenate(chunks)
