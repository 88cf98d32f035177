"""Every choice of a training run, in one frozen record that is also the run's ``config.toml``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from harmonium.datasets import BINARIZATIONS
from harmonium.engines import check_engine
from harmonium.errors import InvalidParameter
from harmonium.inputs import check_choice, check_count, check_number
from harmonium.random import as_seed

# Defaults that depend on the data (`Config.for_data`). Epochs: as many as make so many steps, between two limits; of
# machines too large to be tempered at least so many, up to a limit of steps.
_DEFAULT_STEPS, _FEWEST_EPOCHS, _MOST_EPOCHS = 20_000, 5, 2000
_LARGE_EPOCHS, _LARGE_STEPS = 120, 60_000
_LEAST_DECAY, _MOST_DECAY = 1e-4, 0.1
# Sets of fewer rows are steered by held-out data: one row in ten, and at most so many.
_STEERED_BELOW, _ROWS_PER_HELD_OUT_ROW, _MOST_HELD_OUT = 10_000, 10, 500
_PATIENCE, _MOST_RAISED_DECAY = 2, 0.3
_LEARNING_RATE, _TEMPERED_LEARNING_RATE = 0.1, 0.2
_TEMPERED_WEIGHTS, _CHAINS, _TEMPERED_CHAINS = 65_536, 500, 100  # up to so many weights a run is tempered
# Of the steps of larger machines: a share, and up to one that makes as many steps as it takes to see chains mix.
_TEMPERED_SHARE, _LARGEST_TEMPERED_SHARE, _TEMPERED_STEPS = 0.05, 0.075, 1500
# Defaults that do not.
SWEEPS, STATISTIC = 1, "sampled"
_RESTARTS, _TEMPERATURES, _MOMENTUM, _SPARSITY_TARGET = 0.0, 10, 0.5, 0.1

Choice = TypeVar("Choice", int, float, str)

ADAPTIVE = "adaptive"  # temperatures: 10, or as many more as swap well
METHODS = ("pcd", "cd", "fpcd", "pt", "exact")

# The options that only some methods have a use for: those methods, and what it is where nobody says; None where that
# depends on the data.
_OF_METHODS: dict[str, tuple[tuple[str, ...], int | float | str | None]] = {
    "sweeps": (("pcd", "cd", "fpcd", "pt"), SWEEPS),
    "chains": (("pcd", "fpcd", "pt"), None),
    "restarts": (("pcd", "fpcd"), _RESTARTS),
    "temperatures": (("pt",), ADAPTIVE),
    "last_statistic": (("pcd", "cd", "fpcd"), STATISTIC),
    "tempered_share": (("pcd",), 0.0),
}


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of a training run.

    Parameters
    ----------
    n_hidden : int
        Number of hidden units.
    method : {"pcd", "cd", "fpcd", "pt", "exact"}, optional
        Where the negative side of the gradient comes from: chains that go on where they ended at the last step
        (persistent contrastive divergence); chains that start at the data of the batch (contrastive divergence);
        persistent chains with fast weights; persistent chains at several temperatures that swap states (parallel
        tempering); or enumeration, for small machines. Left out, it is "pt" for a machine that is small enough to
        afford it, else "pcd" (see `for_data`). PCD costs the same as CD and fits better: with 16 hidden units on
        mnist-5k the exact held-out log-likelihood was -148 nats after PCD-1 and -170 after CD-1, at equal
        pseudo-likelihood.
    sweeps : int, optional
        k of CD-k and PCD-k: full Gibbs sweeps of the negative chains in a step; left out, 1.
    chains : int, optional
        Number of persistent chains, whatever the batch size; of "pt" at each temperature. Left out, 500, and 100 for
        "pt". "cd" runs one per sample.
    restarts : float in [0, 1], optional
        The share of persistent chains of "pcd" and "fpcd" that start anew from data in each step; left out, 0.
    temperatures : int or "adaptive", optional
        How many inverse temperatures "pt" has, from 0 to 1; or 10, and more, up to 40, where it takes more to swap
        half of the time; left out, "adaptive".
    last_statistic : {"sampled", "mean_field"}, optional
        The visible states v of the negative statistics v E[h|v]: the last sample of the chain, or E[v|h] (the seeds'
        equation 29, "Hinton's approximation", which is a little less noisy and a little more biased); left out,
        "sampled".
    tempered_share : float in [0, 1], optional
        The share of the steps of "pcd", the last ones, that take the model's side from tempered chains, as "pt" does:
        half as many as `chains` at each of 10 temperatures or more. They come to equilibrium where persistent chains
        keep to their modes, and give modes the weights that these have. Left out, 0.05 to 0.075 where "pcd" was chosen
        by `for_data`, and 0 where it was asked for.
    epochs : int, optional
        Passes over the data; left out, as many as make 20,000 steps, or up to 60,000 where machine and data are large
        (see `for_data`).
    batch_size : int
        Samples a step; the last batch of an epoch may be shorter.
    learning_rate : float, optional
        Step along the gradient of the mean log-likelihood of a batch; left out, 0.1, and 0.2 for "pt".
    schedule : {"constant", "linear", "cosine"}
        How the learning rate falls to zero over the run, if at all.
    optimizer : {"sgd", "adam"}
        Gradient ascent with momentum, or Adam.
    momentum : float in [0, 1), optional
        Share of the last update that "sgd" adds to the next; left out, 0.5.
    centered : bool
        Whether states are centred by their means in the gradient, which makes learning the same whichever state of a
        unit is called 1, and better conditioned (Melchior, Fischer, Wiskott 2016).
    data_moments : bool
        Whether the gradient of b uses the means of all data in place of those of the batch, which takes the noise of
        the batch out of it.
    weight_decay : float, optional
        Coefficient of -W in the gradient of W (L2); biases are not decayed. Left out, it is chosen from the size of the
        machine and of the data (see `for_data`).
    max_weight_decay : float, optional
        How far held-out data may raise the weight decay during the run (see `patience`). Left out, 0.3 where
        weight_decay is left out too and there is patience, else weight_decay: it stays.
    l1 : float
        Coefficient of -sign(W) in the gradient of W.
    max_norm : float
        The largest Euclidean norm that the weights of a hidden unit may have; 0 for none.
    sparsity_target : float in (0, 1), optional
        The mean activation that hidden units are drawn to, with `sparsity_cost`; left out, 0.1.
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
    patience : int, optional
        For so many records in a row a run may overfit (held-out data score worse than at their best, training data
        better than then). Then it goes back to its best machine and on with three times the weight decay, up to
        max_weight_decay, and then it stops. In the end the best machine is kept, be it the first; or independent units
        (W = 0), where held-out data prefer that by less than three standard errors (see `Gain`). 0 for never. Left out,
        2 where epochs are left out too, the set has fewer than 10,000 rows, and there are held-out data; else 0.
    held_out : int, optional
        How many rows of the data are set aside where no held-out data come with them. Left out, a tenth, at most 500,
        if there is to be patience and all rows weigh the same; else 0.
    engine : {"native", "numpy", "torch"}
        "torch" may be followed by a device: "torch:cpu", "torch:cuda", "torch:cuda:1", "torch:mps".
        Where the numbers live.
    seed : int or Key
        Fixes everything: weights, order, noise. A key is kept as a number that stands for all of it.

    Raises
    ------
    InvalidParameter
        A value outside the ranges above, or an option that the method or optimiser chosen has no use for.

    References
    ----------
    Hinton, UTML TR 2010-003 (recipe); Tieleman, ICML 2008 (PCD); Tieleman, Hinton, ICML 2009 (fast weights);
    Desjardins et al., AISTATS 2010 (tempering); Melchior, Fischer, Wiskott, JMLR 17(99), 2016 (centring).

    Examples
    --------
    >>> import harmonium
    >>> config = harmonium.Config(n_hidden=16).for_data(n_samples=1000, n_visible=64)
    >>> config.method, config.n_epochs
    ('pt', 2000)
    """

    n_hidden: int
    method: str | None = None
    sweeps: int | None = None
    chains: int | None = None
    restarts: float | None = None
    temperatures: int | str | None = None
    last_statistic: str | None = None
    tempered_share: float | None = None
    epochs: int | None = None
    batch_size: int = 100
    learning_rate: float | None = None
    schedule: str = "linear"
    optimizer: str = "sgd"
    momentum: float | None = None
    centered: bool = True
    data_moments: bool = False
    weight_decay: float | None = None
    max_weight_decay: float | None = None
    l1: float = 0.0
    max_norm: float = 0.0
    sparsity_target: float | None = None
    sparsity_cost: float = 0.0
    clip: float = 0.0
    binarize: str = "threshold"
    monitor: str = "pseudo"
    patience: int | None = None
    held_out: int | None = None
    engine: str = "native"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_hidden", "batch_size"):
            self._keep(name, check_count(getattr(self, name), name))
        counts = {"sweeps": 1, "chains": 1, "epochs": 0, "patience": 0, "held_out": 0}
        if isinstance(self.temperatures, str):
            check_choice(self.temperatures, "temperatures", (ADAPTIVE,))
        else:
            counts["temperatures"] = 2
        for name, minimum in counts.items():
            if getattr(self, name) is not None:
                self._keep(name, check_count(getattr(self, name), name, minimum=minimum))
        if self.learning_rate is not None:
            self._keep("learning_rate", check_number(self.learning_rate, "learning_rate", low=0, above=True))
        if self.momentum is not None:
            self._keep("momentum", check_number(self.momentum, "momentum", low=0, high=1, below=True))
        for name in ("weight_decay", "max_weight_decay"):
            if getattr(self, name) is not None:
                self._keep(name, check_number(getattr(self, name), name, low=0))
        for name in ("l1", "max_norm", "sparsity_cost", "clip"):
            self._keep(name, check_number(getattr(self, name), name, low=0))
        for name in ("restarts", "tempered_share"):
            if getattr(self, name) is not None:
                self._keep(name, check_number(getattr(self, name), name, low=0, high=1))
        if self.sparsity_target is not None:
            target = check_number(self.sparsity_target, "sparsity_target", low=0, high=1, above=True, below=True)
            self._keep("sparsity_target", target)
        self._keep("seed", as_seed(self.seed))
        for name in ("centered", "data_moments"):
            value = getattr(self, name)
            if value not in (True, False):
                raise InvalidParameter(f"{name} must be True or False. Got {value!r}. Pass one of those.")
            self._keep(name, bool(value))
        if self.method is not None:
            check_choice(self.method, "method", METHODS)
        check_choice(self.optimizer, "optimizer", ("sgd", "adam"))
        check_choice(self.monitor, "monitor", ("pseudo", "likelihood"))
        if self.last_statistic is not None:
            check_choice(self.last_statistic, "last_statistic", ("sampled", "mean_field"))
        check_choice(self.schedule, "schedule", ("constant", "linear", "cosine"))
        check_choice(self.binarize, "binarize", BINARIZATIONS)
        check_engine(self.engine)
        self._refuse_void()

    def _refuse_void(self) -> None:
        """Refuse what would be accepted and do nothing."""
        for name, (methods, _) in _OF_METHODS.items():
            if self.method is not None and self.method not in methods and getattr(self, name) is not None:
                *others, last = (f'"{x}"' for x in methods)
                listed = f"{', '.join(others)} or {last}" if others else last
                raise InvalidParameter(
                    f'{name} must come with method {listed}. Got it with "{self.method}", which has no use for it. '
                    "Leave it out, or choose such a method."
                )
        if self.optimizer != "sgd" and self.momentum is not None:
            raise InvalidParameter(
                f'momentum must come with optimizer "sgd". Got it with "{self.optimizer}", which has averages of its '
                'own. Leave it out, or choose "sgd".'
            )
        if not self.sparsity_cost and self.sparsity_target is not None:
            raise InvalidParameter(
                "sparsity_target must come with a sparsity_cost above 0. Got no cost, without which it does nothing. "
                "Give a cost, or leave it out."
            )

        if self.patience == 0 and self.max_weight_decay not in (None, self.weight_decay):
            raise InvalidParameter(
                "max_weight_decay must come with patience above 0. Got patience 0, with which it is never "
                "raised. Leave it out, or let held-out data steer."
            )

    def _keep(self, name: str, number: int | float) -> None:
        object.__setattr__(self, name, number)  # a plain int or float, whatever number type it came as

    def moved_to(self, engine: str) -> Config:
        """The same run on another engine.

        Raises
        ------
        InvalidParameter
            The engine does not give the same bits, so that it would be another run.
        """
        families = {name.partition(":")[0] for name in (self.engine, check_engine(engine))}
        if "numpy" in families and len(families) > 1:
            raise InvalidParameter(
                f"engine must be one whose bits are those of the run's. Got {engine!r} for a run on {self.engine!r}. "
                "Runs move between native and torch."
            )
        return replace(self, engine=engine)

    def for_data(self, n_samples: int, n_visible: int, *, valid: bool = False) -> Config:
        """These choices with what was left out chosen for data of a certain size.

        method is "pt" up to 65,536 weights, where ten times the chains are still quick, and "pcd" beyond, with a
        tempered_share of 0.05, or up to 0.075 where that makes 1,500 steps. chains are
        100 for "pt", which has ten times as many, else 500. learning_rate is 0.2 for "pt", whose chains keep up with
        it, else 0.1. epochs make 20,000 steps; beyond 65,536 weights they are at least 120, or as many as make 60,000
        steps where that is fewer, as a large machine goes on learning from a large set; in any case they are at least
        5 and at most 2,000. weight_decay is 0.0001 times the weights for each sample, from 0.0001 to 0.1: the
        more weights there are for each sample, the less it says about each. Where held-out data can steer
        (`patience`), and none come with the data, some are set aside (`held_out`).

        Parameters
        ----------
        n_samples, n_visible : int
            Of the training data, before any are set aside.
        valid : bool
            Whether held-out data come with them.
        """
        n_weights = self.n_hidden * n_visible
        method, chains, epochs, rate = self.method, self.chains, self.epochs, self.learning_rate
        decay, most = self.weight_decay, self.max_weight_decay
        patience, held_out = self._steering(n_samples, valid)
        n_trained = max(1, n_samples - held_out)
        if method is None:
            method = "pt" if n_weights <= _TEMPERED_WEIGHTS else "pcd"
        if chains is None and method in _OF_METHODS["chains"][0]:
            chains = _TEMPERED_CHAINS if method == "pt" else _CHAINS
        if rate is None:
            rate = _TEMPERED_LEARNING_RATE if method == "pt" else _LEARNING_RATE
        if epochs is None:
            n_batches = -(-n_trained // self.batch_size)
            steps = _DEFAULT_STEPS
            if n_weights > _TEMPERED_WEIGHTS:
                steps = max(steps, min(_LARGE_STEPS, _LARGE_EPOCHS * n_batches))
            epochs = max(_FEWEST_EPOCHS, min(_MOST_EPOCHS, -(-steps // n_batches)))
        if decay is None:
            decay = float(f"{min(max(_LEAST_DECAY * n_weights / n_trained, _LEAST_DECAY), _MOST_DECAY):.2g}")
        if most is None:
            most = max(decay, _MOST_RAISED_DECAY) if self.weight_decay is None and patience else decay
        rest: dict[str, Any] = {
            name: default
            for name, (methods, default) in _OF_METHODS.items()
            if name != "chains" and method in methods and getattr(self, name) is None
        }
        if self.method is None and "tempered_share" in rest:
            seen = _TEMPERED_STEPS / (epochs * -(-n_trained // self.batch_size)) if epochs else 0.0
            rest["tempered_share"] = float(f"{min(max(_TEMPERED_SHARE, seen), _LARGEST_TEMPERED_SHARE):.2g}")
        if self.optimizer == "sgd" and self.momentum is None:
            rest["momentum"] = self.sgd_momentum
        if self.sparsity_cost:
            rest["sparsity_target"] = self.target
        return replace(
            self,
            method=method,
            chains=chains,
            epochs=epochs,
            learning_rate=rate,
            weight_decay=decay,
            max_weight_decay=most,
            patience=patience,
            held_out=held_out,
            **rest,
        )

    def _steering(self, n_samples: int, valid: bool) -> tuple[int, int]:
        """Patience, and how many rows to set aside."""
        patience, held_out = self.patience, self.held_out
        wanted = self.epochs is None and n_samples < _STEERED_BELOW if patience is None else patience > 0
        if held_out is None:
            set_aside = wanted and not valid and n_samples > 1  # one row cannot be divided
            held_out = min(_MOST_HELD_OUT, -(-n_samples // _ROWS_PER_HELD_OUT_ROW)) if set_aside else 0
        if patience is None:
            patience = _PATIENCE if wanted and (valid or held_out) else 0
        return patience, held_out

    @property
    def estimator(self) -> str:
        """The method, where it is given or chosen."""
        return _chosen(self.method, "method")

    @property
    def n_chains(self) -> int:
        """The number of chains, where it is given or chosen."""
        return _chosen(self.chains, "chains")

    @property
    def n_ladders(self) -> int:
        """Chains at each temperature: of "pt", or of the last steps of "pcd"."""
        return self.n_chains if self.method == "pt" else max(1, self.n_chains // 2)

    @property
    def n_sweeps(self) -> int:
        """Sweeps of the chains in a step, given or not."""
        return SWEEPS if self.sweeps is None else self.sweeps

    @property
    def n_temperatures(self) -> int:
        """Temperatures of "pt", given or not; those to begin with, if they are adaptive."""
        return self.temperatures if isinstance(self.temperatures, int) else _TEMPERATURES

    @property
    def sgd_momentum(self) -> float:
        """The momentum of "sgd", given or not; 0 for another optimiser."""
        return 0.0 if self.optimizer != "sgd" else _MOMENTUM if self.momentum is None else self.momentum

    @property
    def target(self) -> float:
        """The mean activation that `sparsity_cost` draws units to, given or not."""
        return _SPARSITY_TARGET if self.sparsity_target is None else self.sparsity_target

    @property
    def n_epochs(self) -> int:
        """Passes over the data, where they are given or chosen."""
        return _chosen(self.epochs, "epochs")

    @property
    def rate(self) -> float:
        """The learning rate of the first step, where it is given or chosen."""
        return _chosen(self.learning_rate, "learning_rate")

    @property
    def decay(self) -> float:
        """The weight decay, where it is given or chosen."""
        return _chosen(self.weight_decay, "weight_decay")

    @property
    def most_decay(self) -> float:
        """The largest weight decay of the run, where it is given or chosen."""
        return _chosen(self.max_weight_decay, "max_weight_decay")

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate when a share `progress` in [0, 1) of the run is done."""
        if self.schedule == "constant":
            return self.rate
        return self.rate * (1 - progress if self.schedule == "linear" else (1 + math.cos(math.pi * progress)) / 2)


def _chosen(value: Choice | None, name: str) -> Choice:
    if value is None:
        raise InvalidParameter(f"{name} must be chosen for the data. Got None. Use config.for_data(...).")
    return value
