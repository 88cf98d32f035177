"""A model card: what a reader of a model file must know, as Markdown with the front matter of model hubs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harmonium.rbm import RBM
from harmonium.report.method import describe_method
from harmonium.training import Config
from harmonium.training.alarms import last_alarms
from harmonium.training.reports import Report, kept_record, read_reports


def model_card(
    name: str,
    rbm: RBM,
    config: Config,
    history: Sequence[Any],
    *,
    data: str,
    n_samples: int,
    made_by: str,
    version: str,
) -> str:
    """The card of a run's machine, to lie beside ``model.safetensors`` as ``README.md``.

    Parameters
    ----------
    name : str
    rbm : RBM
    config : Config
        Of the run.
    history : sequence of records
        Of the run.
    data : str
        The name of the training data.
    n_samples : int
        How many rows they have.
    made_by : str
        The command that makes the machine again.
    version : str
        Of Harmonium.

    Examples
    --------
    >>> import harmonium
    >>> from harmonium.report import model_card
    >>> X = harmonium.datasets.load("bars-and-stripes-3x3").train
    >>> run = harmonium.train(X, 4, epochs=3, patience=0, held_out=0)
    >>> card = model_card("bars", run.rbm, run.config, run.history, data="bars-and-stripes-3x3", n_samples=len(X),
    ...                   made_by="harmonium train bars-and-stripes-3x3 --hidden 4 --epochs 3", version="0.1.0")
    >>> print(card[:34])
    ---
    library_name: harmonium
    tags:
    """
    kept = kept_record(history)
    reports = read_reports([kept] if kept is not None else [])
    alarms = last_alarms(history)
    lines = [
        "---",
        "library_name: harmonium",
        "tags:",
        "- restricted-boltzmann-machine",
        "- density-estimation",
        "---",
        "",
        f"# {name}",
        "",
        f"A binary restricted Boltzmann machine with {rbm.n_visible:,} visible and {rbm.n_hidden:,} hidden units, "
        f"trained on {data} by Harmonium {version}.",
        "",
        "## Use",
        "",
        "```py",
        "import harmonium",
        "",
        'rbm = harmonium.RBM.load("model.safetensors")  # runs no code',
        "harmonium.sample(rbm, 16, sweeps=1000)",
        "```",
        "",
        f"Inputs are {rbm.n_visible} columns of 0 and 1; where data were grey, they were made so by "
        f"binarize `{config.binarize}`.",
        "",
        "## Training",
        "",
        *(f"{paragraph}\n" for paragraph in describe_method(config, n_samples, rbm.n_visible)),
        "```sh",
        made_by,
        "```",
        "",
        "## Scores",
        "",
        *_scores(reports),
        "",
        "## Limits",
        "",
        f"The run raised alarms: {'; '.join(alarms)}." if alarms else "The run raised no alarm.",
        "",
        "What it holds of people or things is what was in the data, imbalances included. A log-likelihood under one "
        "choice of `binarize` cannot be compared with one under another.",
    ]
    return "\n".join(lines) + "\n"


def _scores(reports: Sequence[Report]) -> list[str]:
    if not reports or reports[0].train is None:
        return ["None were taken."]
    columns = {"training data": reports[0].train, "held-out data": reports[0].valid}
    shown = {name: x for name, x in columns.items() if x is not None}
    rows = [f"| nats a sample | {' | '.join(shown)} |", "|---" * (1 + len(shown)) + "|"]
    for field in ("log_likelihood", "pseudo_log_likelihood", "free_energy"):
        values = [getattr(x, field) for x in shown.values()]
        if None not in values:
            rows.append(f"| {field.replace('_', '-')} | {' | '.join(f'{x:.2f}' for x in values)} |")
    return rows
