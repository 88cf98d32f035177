"""Every choice of the experiments, in frozen records from which they are run and described."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.training import Config

FIRST_WEIGHTS = 0.01  # their standard deviation


@dataclass(frozen=True)
class Machine:
    """How one machine is trained, by either engine.

    Parameters
    ----------
    config : Config
        Contrastive divergence, not centred, with a linear schedule: what both engines have in common.
    hidden_bias : float
        The first c of every hidden unit: below zero, units start out mostly off, and learn to be on for less.

    Examples
    --------
    >>> import harmonium
    >>> harmonium.reproduce.PLANS['mnist-5k'].rbm.hidden_bias
    -2.0
    """

    config: Config
    hidden_bias: float

    def initial(self, X: npt.NDArray[np.floating]) -> RBM:
        """The machine before training on `X`."""
        rbm = RBM.initialise(X, self.config.n_hidden, self.config.seed, scale=FIRST_WEIGHTS)
        return RBM(rbm.W, rbm.b, rbm.c + np.float32(self.hidden_bias))


@dataclass(frozen=True)
class Softmax:
    """How a softmax is trained on features: by Adam, with a rate that falls linearly to zero.

    Parameters
    ----------
    epochs, batch_size : int
    learning_rate : float
    weight_decay : float
        Coefficient of the squared weights in the loss.

    Examples
    --------
    >>> import harmonium
    >>> harmonium.reproduce.PLANS['mnist-5k'].softmax.epochs
    60
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class FineTuning:
    """How the stack and the softmax above it are trained together, by backpropagation and Adam.

    Parameters
    ----------
    epochs, batch_size : int
    learning_rate : float
        It falls linearly to zero.
    drop_visible, drop_hidden : float
        The share of pixels, and of the units of each hidden layer, that are left out at random in each step.

    Examples
    --------
    >>> import harmonium
    >>> harmonium.reproduce.PLANS['mnist-5k'].fine_tuning.drop_visible
    0.2
    """

    epochs: int
    batch_size: int
    learning_rate: float
    drop_visible: float
    drop_hidden: float


@dataclass(frozen=True)
class Plan:
    """All experiments on one data set.

    Parameters
    ----------
    n_components : int
        Of the principal component analysis.
    rbm : Machine
    stack : tuple of Machine
        From the bottom to the top.
    softmax : Softmax
    fine_tuning : FineTuning
    likelihood : Config
        How the machine that samples are shown of is trained: all defaults but the method. Its modes are digits, whose
        shares only chains that cross between them get right.
    sweeps : int
        Of the tempered chains at the end of which each sample is.
    seed : int

    Examples
    --------
    >>> import harmonium
    >>> plan = harmonium.reproduce.PLANS['mnist-5k']
    >>> plan.rbm.config.n_hidden, [machine.config.n_hidden for machine in plan.stack]
    (200, [500, 200])
    """

    n_components: int
    rbm: Machine
    stack: tuple[Machine, ...]
    softmax: Softmax
    fine_tuning: FineTuning
    likelihood: Config
    sweeps: int = 2000
    seed: int = 0

    def with_seed(self, seed: int) -> Plan:
        """The same with another seed for everything; each layer of the stack has noise of its own."""
        layers = [seed, *(Key(seed).derive("layer", k).seed for k in range(1, len(self.stack)))]
        return replace(
            self,
            rbm=_seeded(self.rbm, seed),
            likelihood=replace(self.likelihood, seed=seed),
            stack=tuple(_seeded(machine, own) for machine, own in zip(self.stack, layers, strict=True)),
            seed=seed,
        )

    @property
    def machines(self) -> dict[str, Machine]:
        """All machines by their names in tables."""
        layers = {f"stack, layer {k}": machine for k, machine in enumerate(self.stack, 1)}
        return {f"RBM-{self.rbm.config.n_hidden}": self.rbm, **layers}

    def configs(self, n_samples: int, n_visible: int) -> dict[str, Config]:
        """Of the same machines, with all that is left to the size of the data; each layer sees the one below."""
        layers = [machine.config for machine in self.stack]
        below = [n_visible, n_visible, *(config.n_hidden for config in layers)]
        return {
            name: machine.config.for_data(n_samples, n)
            for (name, machine), n in zip(self.machines.items(), below, strict=False)
        }

    @property
    def rbm_name(self) -> str:
        """The name of the single machine's features in ``results.json``."""
        return f"rbm_{self.rbm.config.n_hidden}"

    @property
    def stack_name(self) -> str:
        """The name of the stack's features in ``results.json``."""
        return "_".join(["stack", *(str(machine.config.n_hidden) for machine in self.stack)])


def _seeded(machine: Machine, seed: int) -> Machine:
    return replace(machine, config=replace(machine.config, seed=seed))


def _machine(n_hidden: int, epochs: int, learning_rate: float, weight_decay: float) -> Machine:
    config = Config(
        n_hidden,
        method="cd",
        epochs=epochs,
        batch_size=100,
        learning_rate=learning_rate,
        momentum=0.95,
        weight_decay=weight_decay,
        centered=False,
        binarize="sample",
    )
    return Machine(config, hidden_bias=-2.0)


# Chosen on the valid split of each data set, training on the train split alone; no test image was looked at. What paid
# was to learn fast, with much momentum, from units that are mostly off at first.
PLANS = {
    "mnist": Plan(
        200,
        rbm=_machine(200, 20, 0.2, 1e-3),
        stack=(_machine(500, 15, 0.2, 1e-3), _machine(200, 10, 0.2, 1e-3)),
        softmax=Softmax(30, 500, 0.03, 1e-5),
        fine_tuning=FineTuning(30, 200, 3e-3, 0.2, 0.3),
        likelihood=Config(200, method="pt"),
    ),
    "mnist-5k": Plan(
        200,
        rbm=_machine(200, 50, 0.1, 3e-3),
        stack=(_machine(500, 50, 0.1, 3e-3), _machine(200, 50, 0.1, 2e-3)),
        softmax=Softmax(60, 50, 0.01, 5e-4),
        fine_tuning=FineTuning(60, 50, 2e-3, 0.2, 0.3),
        likelihood=Config(200, method="pt"),
    ),
}
