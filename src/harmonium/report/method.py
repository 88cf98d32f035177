"""How machines were trained, in words and in a table, from their configurations alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

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
_CENTERED = {
    True: "Both layers were centred by their means in the gradient.",
    False: "The gradient was not centred.",
}


def describe_method(config: Config, n_samples: int, n_visible: int) -> tuple[str, ...]:
    """Paragraphs that state every ordinary choice of a run; `settings_table` has those of the rarer options too.

    Parameters
    ----------
    config : Config
    n_samples : int
        Samples trained on.
    n_visible : int

    Examples
    --------
    >>> import harmonium
    >>> config = harmonium.Config(n_hidden=16, method='cd').for_data(1000, 64)
    >>> print(harmonium.report.describe_method(config, 1000, 64)[0][:60])
    A binary restricted Boltzmann machine with 64 visible and 16
    """
    config = config.for_data(n_samples, n_visible)
    rate = _SCHEDULE[config.schedule].format(f"{config.rate:g}")
    optimizer = "Adam was the optimiser" if config.optimizer == "adam" else f"Momentum was {config.sgd_momentum:g}"
    statistics = f"{_STATISTIC[config.last_statistic or 'sampled']} and E[h|v]"
    if config.method == "exact":
        statistics = "The negative statistics are sums over all states"
    return (
        f"A binary restricted Boltzmann machine with {n_visible:,} visible and {config.n_hidden:,} hidden units was "
        f"trained on {n_samples:,} samples by {_estimator(config)}. {statistics}. "
        f"{_CENTERED[config.centered]} {_BINARIZE[config.binarize]}",
        f"Training ran for {_count(config.n_epochs, 'epoch')} in mini-batches of {config.batch_size}; {rate}. "
        f"{optimizer}, and the weights, but not the biases, decayed (L2) with coefficient {config.decay:g}. "
        f"Seed {config.seed} fixes the initial weights, the order of the samples and all noise; the numbers were "
        f"computed by the {config.engine} engine.",
    )


def settings_table(configs: Mapping[str, Config], caption: str, **more: Mapping[str, Any]) -> Table:
    """The fields of several configurations, a column each, and `more` of the same, such as ``epochs={"a": 3}``.

    Parameters
    ----------
    configs : mapping from what it is the configuration of
        Fields that are None have been of no use, and are left out where that holds for all.
    caption : str
    **more : mapping
        Values of a further setting, by the same names; those that are missing are left empty.

    Examples
    --------
    >>> import harmonium
    >>> config = harmonium.Config(n_hidden=16)
    >>> harmonium.report.settings_table({'run': config}, 'Settings.').rows[0]
    ('n_hidden', '16')
    """
    columns = [asdict(config) for config in configs.values()]
    used = [field for field in columns[0] if any(c[field] is not None for c in columns)]
    rows = [(field, *("unused" if c[field] is None else str(c[field]) for c in columns)) for field in used]
    rows += [(setting, *(str(values.get(name, "")) for name in configs)) for setting, values in more.items()]
    return Table(caption, ("setting", *configs), rows, numeric=False)


def _estimator(config: Config) -> str:
    short = f"{config.estimator.upper()}-{config.n_sweeps}"
    sweeps = _count(config.n_sweeps, "Gibbs sweep")
    if config.estimator == "cd":
        return f"contrastive divergence ({short}: negative chains of {sweeps}, started at the data of each batch)"
    if config.estimator == "exact":
        return "the exact gradient of the likelihood, by enumeration"
    names = {"pcd": "persistent contrastive divergence", "fpcd": "persistent contrastive divergence with fast weights"}
    name = names.get(config.estimator, f"parallel tempering at {_temperatures(config)}")
    end = ""
    if config.tempered_share:
        end = f"; for the last {config.tempered_share:.0%} of the steps {config.n_ladders} chains at each of "
        end += _temperatures(config)
    return f"{name} ({short}: {config.n_chains} chains that are kept, and run for {sweeps} a step{end})"


def _temperatures(config: Config) -> str:
    given = isinstance(config.temperatures, int)
    return f"{config.temperatures} temperatures" if given else "10 temperatures, or as many more as swap well"


def _count(n: int, thing: str) -> str:
    return f"{n:,} {thing}" + ("" if n == 1 else "s")
