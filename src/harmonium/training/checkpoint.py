"""The complete state of a run in one crash-safe file."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.engines import Velocity
from harmonium.errors import InvalidParameter, UnreadableFile
from harmonium.inputs import check_count
from harmonium.io import read_tensors, write_tensors
from harmonium.rbm import RBM
from harmonium.training.checkpoint_contents import check_contents, present_names
from harmonium.training.config import ADAPTIVE, Config
from harmonium.training.estimators import PERSISTENT
from harmonium.training.trainer import TrainingState

# Goes up whenever the same choices and data come to give other bits: a run cannot change over on the way. In version 3
# moments of all states are summed in another order, a run that held-out data steer may end with independent units, and
# norms for `max_norm` and `clip` are of squares in float64; of other runs only the scores in records have other last
# digits. In version 4 temperatures whose number is left open are never fewer than ten.
RESULTS = 4


def save_checkpoint(path: str | os.PathLike[str], state: TrainingState, config: Config, **attributes: Any) -> None:
    """Write `state` and `config`, and further JSON values, atomically.

    Raises
    ------
    UnwritableOutput
        The place cannot be written; the last checkpoint is untouched.

    Examples
    --------
    >>> import harmonium
    >>> X = [[1, 0], [1, 1], [0, 0]] * 10
    >>> run = harmonium.TrainingRun(X, harmonium.Config(1, epochs=1))
    >>> harmonium.training.save_checkpoint('checkpoint.safetensors', run.state, run.config)
    >>> harmonium.training.load_checkpoint('checkpoint.safetensors')[0].step
    0
    """
    rbm, velocity = state.rbm, state.velocity
    tensors: dict[str, npt.NDArray[Any]] = {"W": rbm.W, "b": rbm.b, "c": rbm.c}
    tensors |= {f"velocity.{name}": array for name, array in velocity._asdict().items()}
    if state.chains is not None:
        tensors["chains"] = np.packbits(state.chains, axis=1)
    tensors |= {f"extras.{name}": array for name, array in state.extras.items()}
    header = {"results": RESULTS, "step": state.step, "config": asdict(config)}
    write_tensors(path, "checkpoint", tensors, header | attributes)


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[TrainingState, Config, dict[str, Any]]:
    """Read what `save_checkpoint` wrote: the state, the configuration, and the further values.

    Raises
    ------
    DataUnavailable, UnreadableFile
        No such file; or not a sound checkpoint, or one of a Harmonium that would go on with other bits.

    Examples
    --------
    >>> import harmonium
    >>> X = [[1, 0], [1, 1], [0, 0]] * 10
    >>> run = harmonium.TrainingRun(X, harmonium.Config(1, epochs=1))
    >>> harmonium.training.save_checkpoint('checkpoint.safetensors', run.state, run.config)
    >>> state, config, attributes = harmonium.training.load_checkpoint('checkpoint.safetensors')
    >>> config == run.config
    True
    """
    tensors, attributes = read_tensors(path, "checkpoint")
    results = attributes.pop("results", 1)
    if results not in (2, 3, RESULTS):
        raise _of_other_results(path, results)
    try:
        config = Config(**attributes.pop("config"))
        if results == 2 and (config.method == "exact" or config.patience or config.max_norm or config.clip):
            raise _of_other_results(path, f'{results}, with method "exact", patience, max_norm or clip')
        if results == 3 and config.temperatures == ADAPTIVE:
            raise _of_other_results(path, f"{results}, with adaptive temperatures")
        rbm = RBM(tensors["W"], tensors["b"], tensors["c"])
        velocity = Velocity(*(tensors[f"velocity.{name}"] for name in Velocity._fields))
        if [x.shape for x in velocity] != [rbm.W.shape, rbm.b.shape, rbm.c.shape]:
            raise ValueError("the velocity does not fit the parameters")
        chains = None
        if "chains" in tensors:
            chains = np.unpackbits(tensors["chains"], axis=1)[:, : rbm.n_hidden]
        fits = (chains is not None) == (config.method in PERSISTENT) and (
            chains is None or chains.shape == (config.n_chains, rbm.n_hidden)
        )
        if not fits or rbm.n_hidden != config.n_hidden:
            raise ValueError("the machine or its chains do not fit the configuration")
        extras = {name.removeprefix("extras."): x for name, x in tensors.items() if name.startswith("extras.")}
        extras = present_names(extras)
        check_contents(extras, config, rbm)
        state = TrainingState(rbm, velocity, chains, check_count(attributes.pop("step"), "step", minimum=0), extras)
    except UnreadableFile:
        raise
    except (KeyError, TypeError, ValueError, InvalidParameter) as error:
        raise UnreadableFile(f"{path} must hold the state of a training run. Got: {error!r}. Use a copy.") from None
    return state, config, attributes


def _of_other_results(path: str | os.PathLike[str], got: Any) -> UnreadableFile:
    return UnreadableFile(
        f"{path} must come from a Harmonium whose runs give the same bits as this one's (version {RESULTS} of "
        f"results). Got version {got}. Go on with the Harmonium that began the run, or start a new one; its model file "
        "can still be read."
    )
