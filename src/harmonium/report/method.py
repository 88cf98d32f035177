"""How a machine was trained, in words and in a table, from the configuration alone."""

from __future__ import annotations

from dataclasses import asdict

from harmonium.report.page import Table
from harmonium.training import Config

_BINARIZE = {
    "threshold": "Grey levels became 1 above 0.5 and 0 elsewhere.",
    "sample": "Grey levels were drawn as 0 or 1, with the level as probability, anew in each epoch.",
    "none": "Grey levels were used as they are, standing for probabilities, in the positive phase.",
}
_STATISTIC = {
    "sampled": "The negative statistics take the last sampled visible states",
    "mean_field": "The negative statistics take E[v|h] for the last visible states",
}
_SCHEDULE = {
    "constant": "the learning rate stayed at {}",
    "linear": "the learning rate fell linearly from {} to zero",
    "cosine": "the learning rate fell along a cosine from {} to zero",
}


def describe_method(config: Config, n_samples: int, n_visible: int) -> tuple[str, ...]:
    """Paragraphs that state every choice of a run.

    Parameters
    ----------
    config : Config
    n_samples : int
        Samples trained on.
    n_visible : int
    """
    rate = _SCHEDULE[config.schedule].format(f"{config.learning_rate:g}")
    return (
        f"A binary restricted Boltzmann machine with {n_visible:,} visible and {config.n_hidden:,} hidden units was "
        f"trained on {n_samples:,} samples by {_estimator(config)}. {_STATISTIC[config.last_statistic]} and E[h|v]. "
        f"{_BINARIZE[config.binarize]}",
        f"Training ran for {_count(config.n_epochs, 'epoch')} in mini-batches of {config.batch_size}; {rate}. Momentum "
        f"was {config.momentum:g}, and the weights, but not the biases, decayed (L2) with coefficient "
        f"{config.weight_decay:g}. Seed {config.seed} fixes the initial weights, the order of the samples and all "
        f"noise; the numbers were computed by the {config.engine} engine.",
    )


def settings_table(config: Config) -> Table:
    """Every field of the configuration, by name."""
    rows = [(name, "as batch_size" if value is None else str(value)) for name, value in asdict(config).items()]
    return Table("Every setting of the run, as named in harmonium.Config.", ("setting", "value"), rows, numeric=False)


def _estimator(config: Config) -> str:
    short = f"{config.method.upper()}-{config.sweeps}"
    sweeps = _count(config.sweeps, "Gibbs sweep")
    if config.method == "cd":
        return f"contrastive divergence ({short}: negative chains of {sweeps}, started at the data of each batch)"
    kept = f"{config.chains} chains that are kept, and run for {sweeps} a step"
    return f"persistent contrastive divergence ({short}: {kept})"


def _count(n: int, thing: str) -> str:
    return f"{n:,} {thing}" + ("" if n == 1 else "s")
