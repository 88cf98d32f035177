"""Every choice of a training run, in one frozen record that is also the run's ``config.toml``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harmonium.engines import ENGINES
from harmonium.inputs import check_choice, check_count, check_number
from harmonium.random import Key


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of a training run.

    Parameters
    ----------
    n_hidden : int
        Number of hidden units.
    method : {"pcd", "cd"}
        Where the negative chains start: where they ended at the last step (persistent contrastive divergence), or at
        the data of the batch (contrastive divergence). PCD costs the same and fits better: with 16 hidden units on
        mnist-5k the exact held-out log-likelihood was -148 nats after PCD-1 and -170 after CD-1, at equal
        pseudo-likelihood.
    sweeps : int
        k of CD-k and PCD-k: full Gibbs sweeps of the negative chains in a step.
    chains : int
        Number of persistent chains. Ignored by "cd", which runs a chain per sample.
    last_statistic : {"sampled", "mean_field"}
        The visible states v of the negative statistics v E[h|v]: the last sample of the chain, or E[v|h] (the seeds'
        equation 29, "Hinton's approximation", which is a little less noisy and a little more biased).
    epochs : int
        Passes over the data.
    batch_size : int
        Samples a step; the last batch of an epoch may be shorter.
    learning_rate : float
        Step along the gradient of the mean log-likelihood of a batch.
    schedule : {"constant", "linear", "cosine"}
        How the learning rate falls to zero over the run, if at all.
    momentum : float in [0, 1)
        Share of the last update that is added to the next.
    weight_decay : float
        Coefficient of -W in the gradient of W (L2); biases are not decayed.
    binarize : {"threshold", "sample", "none"}
        Grey levels in [0, 1] become 1 above 0.5; are drawn anew each epoch with that probability; or are used as they
        are in the positive phase.
    engine : {"native", "numpy"}
        Where the numbers live.
    seed : int
        Fixes everything: weights, order, noise.

    Raises
    ------
    InvalidParameter
        A value outside the ranges above.

    References
    ----------
    Hinton, UTML TR 2010-003 (recipe); Tieleman, ICML 2008 (PCD).
    """

    n_hidden: int
    method: str = "pcd"
    sweeps: int = 1
    chains: int = 100
    last_statistic: str = "sampled"
    epochs: int = 50
    batch_size: int = 50
    learning_rate: float = 0.05
    schedule: str = "linear"
    momentum: float = 0.5
    weight_decay: float = 1e-3
    binarize: str = "threshold"
    engine: str = "native"
    seed: int = 0

    def __post_init__(self) -> None:
        counts = {"n_hidden": 1, "sweeps": 1, "chains": 1, "epochs": 0, "batch_size": 1}
        for name, minimum in counts.items():
            self._keep(name, check_count(getattr(self, name), name, minimum=minimum))
        self._keep("learning_rate", check_number(self.learning_rate, "learning_rate", low=0, above=True))
        self._keep("momentum", check_number(self.momentum, "momentum", low=0, high=1, below=True))
        self._keep("weight_decay", check_number(self.weight_decay, "weight_decay", low=0))
        self._keep("seed", Key(self.seed).seed)
        check_choice(self.method, "method", ("pcd", "cd"))
        check_choice(self.last_statistic, "last_statistic", ("sampled", "mean_field"))
        check_choice(self.schedule, "schedule", ("constant", "linear", "cosine"))
        check_choice(self.binarize, "binarize", ("threshold", "sample", "none"))
        check_choice(self.engine, "engine", tuple(ENGINES))

    def _keep(self, name: str, number: int | float) -> None:
        object.__setattr__(self, name, number)  # a plain int or float, whatever number type it came as

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate when a share `progress` in [0, 1) of the run is done."""
        factor = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}
        return self.learning_rate * factor[self.schedule]
