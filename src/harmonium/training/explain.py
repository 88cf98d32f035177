"""Why a run is set up as it is: every choice, its value, and the reason, in words."""

from __future__ import annotations

from dataclasses import fields
from typing import NamedTuple

from harmonium.training.config import Config

GIVEN = "as given"
UNUSED = "of no use to this method or optimiser"

# "Measured" refers to docs/adr/0003-persistent-chains.md, which has the figures.
_WHY: dict[str, str | dict[str, str]] = {
    "n_hidden": "the size of the machine is yours to choose: more units fit better, and cost time in proportion",
    "method": {
        "pcd": "persistent chains give the better likelihood at the cost of contrastive divergence (measured)",
        "cd": "chains start at the data: quick and good for features, biased for the likelihood",
        "fpcd": "fast weights keep the chains moving where plain persistent ones get stuck",
        "pt": "chains at several temperatures cross between modes, and small machines can afford them (measured)",
        "exact": "no noise and no bias, where the smaller layer can be enumerated in each step",
    },
    "sweeps": "for equal time more chains did better than more sweeps of fewer (measured)",
    "chains": "few persistent chains bias the likelihood: 500 instead of 100 gained 1 to 7 nats; pt has them at each "
    "temperature (measured)",
    "restarts": "chains that start anew have not forgotten the data; persistent ones have",
    "temperatures": "from independent units to the machine, spaced for equal swaps as the run goes on: 10, and more "
    "where it takes more to swap half of the time",
    "last_statistic": "a sampled last state keeps the gradient that of the model",
    "tempered_share": "the last steps take chains of several temperatures, which come to equilibrium where persistent "
    "ones keep to their modes (measured); 0 where pcd is asked for",
    "epochs": "{steps:,} steps in passes over {n_samples:,} samples; 20,000 suit most sets; beyond 65,536 weights, "
    "120 passes of at most 60,000 steps in all teach more; 2,000 passes are enough (measured)",
    "batch_size": "10 to 100 samples a step (Hinton 2010, section 4)",
    "learning_rate": "the largest that was stable on all sets tried; tempered chains bear more (measured)",
    "schedule": "falling to zero, the rate takes the noise out of the end of the run",
    "optimizer": "gradient ascent with momentum; adam takes the general, slower way",
    "momentum": "0.5 from the start (Hinton 2010, section 9, begins there)",
    "centered": "better conditioned, and the same whichever state of a unit is called 1 (Melchior et al. 2016)",
    "data_moments": "the means of all data in place of the batch's in the gradient of b; off",
    "weight_decay": "0.0001 times the weights per sample, within 0.0001 and 0.1: best or nearly so (measured)",
    "max_weight_decay": "how far held-out data may raise weight_decay where the run overfits",
    "l1": "for sparse weights; off",
    "max_norm": "a limit on the weights of each unit; off",
    "sparsity_target": "only with sparsity_cost: the mean activation wanted",
    "sparsity_cost": "for sparse features; off",
    "clip": "a limit on the gradient; off",
    "binarize": {
        "threshold": "grey levels become 1 above 0.5; binary data are used as they are",
        "sample": "grey levels are probabilities, drawn anew in each epoch",
        "none": "grey levels are used as they are, as if they were expectations",
    },
    "monitor": "pseudo-likelihood after an epoch costs little; the likelihood is bracketed with `likelihood`",
    "patience": "so many records that overfit in a row send the run back to its best machine, with three times the "
    "weight decay; the best is kept in the end, or independent units where held-out rows prefer it by less than three "
    "standard errors; 0 for never, as where sets are large or epochs are given",
    "held_out": "rows set aside to steer the run, a tenth of a small set that comes without held-out data",
    "engine": "native is the fast one, torch that of GPUs, numpy the readable one; they do the same",
    "seed": "fixes every bit of the result",
}


class Choice(NamedTuple):
    """One choice of a run.

    Attributes
    ----------
    name : str
        A field of `Config`.
    value : int, float, str or bool, or None
        None for an option that the method or optimiser has no use for.
    why : str
    """

    name: str
    value: int | float | str | bool | None
    why: str


def explain(config: Config, n_samples: int, n_visible: int, *, valid: bool = False) -> list[Choice]:
    """Every choice of `config` for training data of this size, with held-out data or not, and why it is what it is.

    A value that differs from the default is "as given", with what it means where there is more to say.
    """
    chosen = config.for_data(n_samples, n_visible, valid=valid)
    n_samples -= chosen.held_out or 0
    steps = chosen.n_epochs * -(-n_samples // chosen.batch_size)
    choices = []
    for field in fields(Config):
        value, why = getattr(chosen, field.name), _WHY[field.name]
        if value is None and field.name != "sparsity_target":
            why = UNUSED
        elif isinstance(why, dict):
            why = why[value]
        elif field.name != "n_hidden" and getattr(config, field.name) != field.default:
            why = GIVEN
        choices.append(Choice(field.name, value, why.format(steps=steps, epochs=chosen.n_epochs, n_samples=n_samples)))
    return choices
