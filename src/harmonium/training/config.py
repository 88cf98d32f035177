"""Every choice of a training run, in one frozen record that is also the run's ``config.toml``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from harmonium.engines import ENGINES
from harmonium.errors import InvalidParameter
from harmonium.inputs import check_choice, check_count, check_number
from harmonium.random import Key

# How long a run is where nobody says: what made machines good on sets of all sizes, and the fewest passes.
_STEPS, _EPOCHS = 20_000, 5

METHODS = ("pcd", "cd", "fpcd", "pt", "exact")


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of a training run.

    Parameters
    ----------
    n_hidden : int
        Number of hidden units.
    method : {"pcd", "cd", "fpcd", "pt", "exact"}
        Where the negative side of the gradient comes from: chains that go on where they ended at the last step
        (persistent contrastive divergence); chains that start at the data of the batch (contrastive divergence);
        persistent chains with fast weights; persistent chains at several temperatures that swap states (parallel
        tempering); or enumeration, for small machines. PCD costs the same as CD and fits better: with 16 hidden units
        on mnist-5k the exact held-out log-likelihood was -148 nats after PCD-1 and -170 after CD-1, at equal
        pseudo-likelihood.
    sweeps : int
        k of CD-k and PCD-k: full Gibbs sweeps of the negative chains in a step.
    chains : int
        Number of persistent chains, whatever the batch size; of "pt" at each temperature. "cd" runs one per sample.
    restarts : float in [0, 1]
        The share of persistent chains of "pcd" that start anew from data in each step.
    temperatures : int
        Inverse temperatures of "pt", from 0 to 1.
    last_statistic : {"sampled", "mean_field"}
        The visible states v of the negative statistics v E[h|v]: the last sample of the chain, or E[v|h] (the seeds'
        equation 29, "Hinton's approximation", which is a little less noisy and a little more biased).
    epochs : int, optional
        Passes over the data; left out, as many as make 20,000 steps, and at least 5 (see `for_data`).
    batch_size : int
        Samples a step; the last batch of an epoch may be shorter.
    learning_rate : float
        Step along the gradient of the mean log-likelihood of a batch.
    schedule : {"constant", "linear", "cosine"}
        How the learning rate falls to zero over the run, if at all.
    optimizer : {"sgd", "adam"}
        Gradient ascent with momentum, or Adam.
    momentum : float in [0, 1)
        Share of the last update that is added to the next ("sgd").
    centered : bool
        Whether states are centred by their means in the gradient, which makes learning the same whichever state of a
        unit is called 1, and better conditioned (Melchior, Fischer, Wiskott 2016).
    data_moments : bool
        Whether the gradient of b uses the means of all data in place of those of the batch, which takes the noise of
        the batch out of it.
    weight_decay : float
        Coefficient of -W in the gradient of W (L2); biases are not decayed.
    l1 : float
        Coefficient of -sign(W) in the gradient of W.
    max_norm : float
        The largest Euclidean norm that the weights of a hidden unit may have; 0 for none.
    sparsity_target : float in (0, 1)
        The mean activation that hidden units are drawn to.
    sparsity_cost : float
        How strongly: the coefficient of -(mean activation - target) in the gradient of c; 0 for not at all.
    clip : float
        The largest Euclidean norm of a gradient; 0 for none.
    binarize : {"threshold", "sample", "none"}
        Grey levels in [0, 1] become 1 above 0.5; are drawn anew each epoch with that probability; or are used as they
        are in the positive phase.
    monitor : {"pseudo", "likelihood"}
        What is scored beside the pseudo-likelihood: the likelihood costs more. It is always scored where the machine is
        small enough to be enumerated quickly.
    patience : int
        Stop when the held-out score has not improved for so many evaluations, and keep the best machine; 0 for never.
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
    Hinton, UTML TR 2010-003 (recipe); Tieleman, ICML 2008 (PCD); Tieleman, Hinton, ICML 2009 (fast weights);
    Desjardins et al., AISTATS 2010 (tempering); Melchior, Fischer, Wiskott, JMLR 17(99), 2016 (centring).
    """

    n_hidden: int
    method: str = "pcd"
    sweeps: int = 1
    chains: int = 500
    restarts: float = 0.0
    temperatures: int = 10
    last_statistic: str = "sampled"
    epochs: int | None = None
    batch_size: int = 100
    learning_rate: float = 0.05
    schedule: str = "linear"
    optimizer: str = "sgd"
    momentum: float = 0.5
    centered: bool = True
    data_moments: bool = False
    weight_decay: float = 1e-3
    l1: float = 0.0
    max_norm: float = 0.0
    sparsity_target: float = 0.1
    sparsity_cost: float = 0.0
    clip: float = 0.0
    binarize: str = "threshold"
    monitor: str = "pseudo"
    patience: int = 0
    engine: str = "native"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_hidden", "sweeps", "chains", "batch_size"):
            self._keep(name, check_count(getattr(self, name), name))
        self._keep("temperatures", check_count(self.temperatures, "temperatures", minimum=2))
        self._keep("patience", check_count(self.patience, "patience", minimum=0))
        if self.epochs is not None:
            self._keep("epochs", check_count(self.epochs, "epochs", minimum=0))
        self._keep("learning_rate", check_number(self.learning_rate, "learning_rate", low=0, above=True))
        self._keep("momentum", check_number(self.momentum, "momentum", low=0, high=1, below=True))
        for name in ("weight_decay", "l1", "max_norm", "sparsity_cost", "clip"):
            self._keep(name, check_number(getattr(self, name), name, low=0))
        self._keep("restarts", check_number(self.restarts, "restarts", low=0, high=1))
        target = check_number(self.sparsity_target, "sparsity_target", low=0, high=1, above=True, below=True)
        self._keep("sparsity_target", target)
        self._keep("seed", Key(self.seed).seed)
        for name in ("centered", "data_moments"):
            value = getattr(self, name)
            if value not in (True, False):
                raise InvalidParameter(f"{name} must be True or False. Got {value!r}. Pass one of those.")
            self._keep(name, bool(value))
        check_choice(self.method, "method", METHODS)
        check_choice(self.optimizer, "optimizer", ("sgd", "adam"))
        check_choice(self.monitor, "monitor", ("pseudo", "likelihood"))
        check_choice(self.last_statistic, "last_statistic", ("sampled", "mean_field"))
        check_choice(self.schedule, "schedule", ("constant", "linear", "cosine"))
        check_choice(self.binarize, "binarize", ("threshold", "sample", "none"))
        check_choice(self.engine, "engine", tuple(ENGINES))

    def _keep(self, name: str, number: int | float) -> None:
        object.__setattr__(self, name, number)  # a plain int or float, whatever number type it came as

    def for_data(self, n_samples: int) -> Config:
        """These choices with what was left out chosen for a number of training samples."""
        if self.epochs is not None:
            return self
        n_batches = -(-n_samples // self.batch_size)
        return replace(self, epochs=max(_EPOCHS, -(-_STEPS // n_batches)))

    @property
    def n_epochs(self) -> int:
        """Passes over the data, where they are given or chosen."""
        if self.epochs is None:
            raise InvalidParameter("epochs must be chosen for the data. Got None. Use config.for_data(n_samples).")
        return self.epochs

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate when a share `progress` in [0, 1) of the run is done."""
        factor = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}
        return self.learning_rate * factor[self.schedule]
