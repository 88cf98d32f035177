"""Negative chains by parallel tempering: persistent ladders whose cold ends are the model's side of the gradient.

The temperatures are moved to equal acceptance while the machine changes under them. Where their number is left to the
run there are more where the machine is sharp, so that they swap half of the time, and never fewer than it began with:
fewer would do for the swaps, and cost likelihood (docs/adr/0011-mixing.md). That the ladder follows the machine makes
no difference to what its cold end is a sample of. Ladders serve a whole run ("pt"), or the last steps of one whose
chains are plain before.

References
----------
Desjardins, Courville, Bengio, Vincent, Delalleau, "Parallel tempering for training of restricted Boltzmann machines",
AISTATS 2010.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.chains import tempered
from harmonium.chains.ladder import adapt, n_temperatures
from harmonium.chains.path import linear_path
from harmonium.chains.tempered import Ladder, TemperedState
from harmonium.engines import Contrast, Engine, Phase
from harmonium.engines.records import FloatArray
from harmonium.initial import bias_of_means
from harmonium.random import Key
from harmonium.training.config import ADAPTIVE, Config
from harmonium.training.negative import Arrays, Estimator, Negative, Persistent, Plain, Positive

_ADAPT_EVERY = 100  # sweeps whose acceptances place the temperatures anew
_MOST = 40  # temperatures, where their number is left to the run
_RUNS_ALONG = 400  # steps at most, before ladders count
_SPARE = 0.8  # share of the temperatures that must do before some are taken out


class Tempered(Estimator):
    """Persistent tempered chains.

    Parameters
    ----------
    config : Config
    key : Key
    engine : Engine
    data_means : float array of shape (n_visible,)
        The means of the units at beta = 0.
    n_samples : int
        How many samples they are the means of.
    arrays : mapping of arrays
        What `arrays` returned at the checkpoint; empty for a fresh start.
    """

    def __init__(
        self, config: Config, key: Key, engine: Engine, data_means: FloatArray, n_samples: int, arrays: Arrays
    ) -> None:
        self._config, self._key = config, key.derive("tempered")
        base = bias_of_means(data_means.astype(np.float64) * n_samples, n_samples)
        path = linear_path(base, config.n_hidden)
        if not arrays:
            self._ladder = Ladder(path, np.linspace(0, 1, config.n_temperatures))
            self._state = tempered.init(engine, self._ladder, config.n_ladders, self._key.derive("start"))
            self._swaps = np.zeros((2, config.n_temperatures - 1))
            return
        self._ladder, self._swaps = Ladder(path, arrays["tempered.ladder"]), arrays["tempered.swaps"].copy()
        v = engine.encode(np.unpackbits(arrays["tempered.v"], axis=1)[:, : len(data_means)])
        replica, direction, trips = (arrays[f"tempered.{name}"] for name in ("replica", "direction", "round_trips"))
        self._state = TemperedState(v, int(arrays["tempered.sweep"][0]), replica, direction, trips)

    def estimate(self, engine: Engine, positive: Positive, step: int) -> Negative:
        for _ in range(self._config.n_sweeps):
            self._state, info = tempered.step(engine, self._state, self._key, self._ladder)
            tried = ~np.isnan(info.acceptance)
            self._swaps += np.where(tried, info.acceptance, 0), tried
            if self._state.sweep % _ADAPT_EVERY == 0:
                self._adapt(engine)
        v = self._ladder.cold(engine, self._state.v)
        logits = engine.logits_h(v)
        return Negative(Phase(v, engine.mean(logits)), logits, self._acceptance())

    def _adapt(self, engine: Engine) -> None:
        acceptance, before = self._acceptance(), len(self._ladder.betas)
        n = before
        if self._config.temperatures in (ADAPTIVE, None):
            enough = min(max(n_temperatures(acceptance), self._config.n_temperatures), _MOST)
            n = enough if enough > before or enough <= _SPARE * before else before
        old, self._ladder = self._ladder, self._ladder.at(adapt(self._ladder.betas, acceptance, n))
        if n == before:
            self._swaps /= _ADAPT_EVERY  # those of the ladder before, to be outweighed at once
        else:
            self._state, self._swaps = tempered.spread(engine, old, self._state, n), np.zeros((2, n - 1))

    def _acceptance(self) -> npt.NDArray[np.float64]:
        total, times = self._swaps
        return np.divide(total, times, out=np.full(len(total), np.nan), where=times > 0)

    def arrays(self, engine: Engine) -> Arrays:
        state = self._state
        kept: dict[str, npt.NDArray[Any]] = {
            "v": np.packbits(engine.decode(state.v), axis=1),
            "sweep": np.array([state.sweep]),
            "replica": state.replica,
            "direction": state.direction,
            "round_trips": state.round_trips,
            "ladder": np.asarray(self._ladder.betas),
            "swaps": self._swaps.copy(),
        }
        return {f"tempered.{name}": x for name, x in kept.items()}


class TemperedEnd(Estimator):
    """Persistent chains for most of a run, and tempered ones for its last steps.

    A ladder that sets out from independent units is not at once where the machine is. So it runs along for as many
    steps as it is to count for, or 400 if that is fewer, before it does.

    Parameters
    ----------
    chains : Persistent
        They stay where they are once the ladders count; a run that is trained on takes them up again.
    make : callable
        Makes the ladders: new ones from an empty mapping of arrays, or those of a checkpoint.
    steps : range
        Those that the ladders count for.
    arrays : mapping of arrays
        What `arrays` of the ladders returned at the checkpoint; empty if there were none.
    """

    def __init__(
        self, chains: Persistent, make: Callable[[Engine, Arrays], Tempered], steps: range, arrays: Arrays
    ) -> None:
        self._chains, self._make, self._counts, self._kept = chains, make, steps, arrays
        self._first = steps.start - min(len(steps), _RUNS_ALONG)
        self._tempered: Tempered | None = None

    def estimate(self, engine: Engine, positive: Positive, step: int) -> Negative:
        if step < self._first:
            return self._chains.estimate(engine, positive, step)
        if self._tempered is None:
            self._tempered, self._kept = self._make(engine, self._kept), {}
        tempered = self._tempered.estimate(engine, positive, step)
        return tempered if step in self._counts else self._chains.estimate(engine, positive, step)

    def plain(self, step: int) -> Plain | None:
        return self._chains.plain(step) if step < self._first else None

    def most(self, step: int) -> int:
        return self._first - step if step < self._first else 1

    def keep(self, done: Contrast) -> Negative:
        return self._chains.keep(done)

    def arrays(self, engine: Engine) -> Arrays:
        ladders = self._kept if self._tempered is None else self._tempered.arrays(engine)
        return {**self._chains.arrays(engine), **ladders}
