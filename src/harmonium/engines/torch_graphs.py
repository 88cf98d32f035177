"""What a step does on a GPU, recorded once and played many times: CUDA graphs.

From Python a step of twelve kernels takes longer to launch than to run. A recording launches them all at once, but with
the arguments that they had: whatever changes from one step to the next must stand in the device's memory. Those are
the clocks, which number the noise (`harmonium.random.MovingStep`) and the rows of tables, and go on with each play.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harmonium.random import MovingStep

Tensors = tuple[Tensor, ...]

_WARM = 2  # steps that run unrecorded first, so that libraries and kernels are ready
_AT_ONCE = 8  # steps in a long recording
_KEPT = 8  # recordings, the latest used
_FEWEST_ROWS = 256  # of the room for tables


class Done(NamedTuple):
    """What a step leaves.

    Attributes
    ----------
    carry : tensors
        What the next step goes on from, of the same shapes as what this one did.
    out : tensors
        What is asked of the last step alone.
    rows : tensors
        What is asked of every step; of `repeat`, that of all steps, stacked.
    """

    carry: Tensors
    out: Tensors = ()
    rows: Tensors = ()


# (steps of the keys, carry, constants, rows of the tables) -> what is left. It may read nothing back to the host.
Body = Callable[[Sequence[MovingStep], Tensors, Tensors, Tensors], Done]


class Recorder:
    """The recordings of one engine."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._recordings: OrderedDict[Hashable, _Recording] = OrderedDict()

    def repeat(
        self,
        name: Hashable,
        body: Body,
        n: int,
        carry: Tensors,
        *,
        steps: Sequence[int] = (),
        strides: Sequence[int] = (),
        constants: Tensors = (),
        tables: Tensors = (),
    ) -> Done:
        """`body`, `n` times.

        Parameters
        ----------
        name : hashable
            Says, with the shapes, which recording is meant: it must contain every number that `body` closes over.
        body : callable
        n : int
        carry : tensors
        steps, strides : sequences of int
            The first step of each key, and by how much it goes on.
        constants : tensors
            What `body` reads and does not change; they may be others in the next call.
        tables : tensors of shape (n, ...)
            A row for each step.
        """
        key = name, *((x.dtype, *x.shape) for x in (*carry, *constants)), *((x.dtype, *x.shape[1:]) for x in tables)
        recording = self._recordings.pop(key, None)
        if recording is None:
            room = [max(_FEWEST_ROWS, len(x)) for x in tables]
            recording = _Recording(self._device, body, carry, constants, tables, tuple(strides), max(room, default=0))
        self._recordings[key] = recording
        if len(self._recordings) > _KEPT:
            self._recordings.popitem(last=False)
        return recording.play(n, carry, steps, constants, tables)


def record(do: Callable[[], Tensors]) -> tuple[Callable[[], None], Tensors]:
    """What plays `do`, and where it then leaves what `do` returned."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = do()
    return graph.replay, out


class _Recording:
    """One program, with its own memory for what goes in."""

    def __init__(
        self,
        device: torch.device,
        body: Body,
        carry: Tensors,
        constants: Tensors,
        tables: Tensors,
        strides: tuple[int, ...],
        room: int,
    ) -> None:
        self._body, self._strides, self._room = body, strides, room
        self._carry = tuple(torch.empty_like(x) for x in carry)
        self._constants = constants  # as they are, until there are others
        self._own = False
        self._tables = tuple(torch.empty((room, *x.shape[1:]), dtype=x.dtype, device=device) for x in tables)
        # The rows of the tables of the next few steps, and the steps of the keys.
        self._clocks = torch.zeros(_AT_ONCE + len(strides), dtype=torch.int64, device=device)
        self._rates = {
            n: torch.tensor([n] * _AT_ONCE + [n * stride for stride in strides], device=device) for n in (1, _AT_ONCE)
        }
        self._rows: Tensors = ()
        self._programs: dict[int, tuple[Callable[[], None], Tensors]] = {}
        self._warm = 0

    def play(self, n: int, carry: Tensors, steps: Sequence[int], constants: Tensors, tables: Tensors) -> Done:
        self._take_over(constants)
        for mine, x in zip(self._carry, carry, strict=True):
            mine.copy_(x)
        out: Tensors = ()
        rows = []
        for first in range(0, n, self._room or n):
            count = min(n - first, self._room or n)
            for room, table in zip(self._tables, tables, strict=True):
                room[:count].copy_(table[first : first + count], non_blocking=True)
            now = [step + first * stride for step, stride in zip(steps, self._strides, strict=True)]
            self._clocks.copy_(torch.tensor([*range(_AT_ONCE), *now]), non_blocking=True)
            out = self._run(count) or out
            rows.append([x[:count].clone() for x in self._rows])
        stacked = (torch.cat(parts) for parts in zip(*rows, strict=True))
        return Done(tuple(x.clone() for x in self._carry), tuple(x.clone() for x in out), tuple(stacked))

    def _take_over(self, constants: Tensors) -> None:
        if all(mine is x for mine, x in zip(self._constants, constants, strict=True)):
            return
        if not self._own:
            self._constants, self._own = tuple(x.clone() for x in constants), True
            self._programs.clear()
            return
        for mine, x in zip(self._constants, constants, strict=True):
            mine.copy_(x)

    def _run(self, n: int) -> Tensors:
        """`n` steps; what the last of them leaves beside the carry."""
        out: Tensors = ()
        while n and self._warm < _WARM:
            out = self._steps(1)
            self._warm += 1
            n -= 1
        for length in (_AT_ONCE, 1):
            if n < length:
                continue
            if length not in self._programs:
                self._programs[length] = record(functools.partial(self._steps, length))
            play, out = self._programs[length]
            while n >= length:
                play()
                n -= length
        return out

    def _steps(self, length: int) -> Tensors:
        done = Done(self._carry)
        for k in range(length):
            steps = [
                MovingStep(self._clocks[_AT_ONCE + i], offset=k * stride) for i, stride in enumerate(self._strides)
            ]
            rows = tuple(table.index_select(0, self._clocks[k : k + 1])[0] for table in self._tables)
            done = self._body(steps, done.carry, self._constants, rows)
            if len(self._rows) < len(done.rows):
                self._rows = tuple(x.new_empty((self._room, *x.shape)) for x in done.rows)
            for mine, x in zip(self._rows, done.rows, strict=True):
                mine.index_copy_(0, self._clocks[k : k + 1], x[None])
        for mine, x in zip(self._carry, done.carry, strict=True):
            mine.copy_(x)
        self._clocks += self._rates[length]
        return done.out
