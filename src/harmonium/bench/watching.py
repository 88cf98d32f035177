"""What it costs to watch a run: one that is watched and reported on beside one that nobody looks at."""

from __future__ import annotations

import statistics
import time
from typing import Any

from harmonium.bench.contenders import ENDLESS, Shape
from harmonium.training import Config, TrainingRun

_ROWS, _HELD_OUT = 10_000, 1000
_TURN = 50  # steps: long enough that the caches are each run's own for most of its turn


class _Blind:
    """Takes the place of a run's monitor and sees nothing."""

    def due(self, _epoch: int) -> bool:
        return False

    def unobserved(self, _step: int) -> int:
        return 1

    def observe(self, *_: Any) -> None:
        pass


def cost_of_watching(shape: Shape, reports: int, **choices: Any) -> dict[str, Any]:
    """Time a run by ``epochs()``, records and looks at the chains included, beside one without any.

    The two take turns of a few steps, so that a drift of the machine's speed meets both alike.

    Parameters
    ----------
    shape : Shape
    reports : int
        The records over which is measured; the first two are left out, as the first is made after one epoch already.
    **choices
        Of `Config`, where they are not to be the defaults.

    Returns
    -------
    dict
        ``share``: the median over the records of the time with them over that without, less 1; ``shares``, all of them;
        ``steps``, from one record to the next.
    """
    X, valid = shape.binary(shape.n_visible, _ROWS), shape.binary(shape.n_visible, _HELD_OUT, stream=1)
    config = Config(shape.n_hidden, batch_size=shape.batch, sweeps=shape.sweeps, epochs=ENDLESS, **choices)
    watched, blind = TrainingRun(X, config, valid=valid), TrainingRun(X, config, valid=valid)
    # There is no switch: a run is meant to be watched. So the observer is taken out of it.
    blind._monitor = _Blind()  # type: ignore[assignment]
    blind_steps, blind_seconds = blind.steps(), 0.0

    def beside(step: int) -> None:
        nonlocal blind_seconds
        if step % _TURN == 0:
            start = time.perf_counter()
            for _ in range(_TURN):
                next(blind_steps)
            blind_seconds += time.perf_counter() - start

    records = watched.epochs(beside)
    for _ in range(2):
        next(records)
    shares, first = [], watched.step
    for _ in range(reports):
        start, blind_seconds, before = time.perf_counter(), 0.0, blind.step
        begin = watched.step
        next(records)
        seconds = time.perf_counter() - start - blind_seconds
        # Turns need not end where records do.
        per_step = seconds / (watched.step - begin), blind_seconds / (blind.step - before)
        shares.append(per_step[0] / per_step[1] - 1)
    return {"share": statistics.median(shares), "shares": shares, "steps": (watched.step - first) // reports}
