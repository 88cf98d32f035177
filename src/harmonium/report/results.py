"""What came of a training run, in a directory: scores on held-out data, pictures, the machine, and a page of it all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harmonium.datasets import Dataset, binarize
from harmonium.errors import UnwritableOutput
from harmonium.inputs import check_count
from harmonium.io import atomic_write
from harmonium.likelihood import Evaluation, evaluate
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.report import figures
from harmonium.report.contents import make_page
from harmonium.sampling import sample
from harmonium.training import TrainingResult

SWEEPS = 2000
N_FILTERS, N_SAMPLES, N_RECONSTRUCTED = 64, 64, 20


@dataclass(frozen=True)
class Results:
    """What `write_results` found and wrote.

    Attributes
    ----------
    data : str
        The name of the data set.
    split : {"test", "valid", "train"}
        What the scores are of: held-out data wherever the data set has some.
    evaluation, baseline : Evaluation
        Scores of the machine, and of one without hidden units: independent units with the means of the training data.
    files : dict of str to Path
        What was written, by what it is.
    """

    data: str
    split: str
    evaluation: Evaluation
    baseline: Evaluation
    files: dict[str, Path]


def write_results(
    result: TrainingResult,
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    sweeps: int = SWEEPS,
    notes: Sequence[str] = (),
    made_by: str = "",
    on_stage: Callable[[str], None] | None = None,
) -> Results:
    """Score a trained machine, draw what it has learnt, and write everything to a directory.

    Parameters
    ----------
    result : TrainingResult
        With a history of at least one epoch.
    dataset : Dataset
        What it was trained on. Scores and reconstructions are of its test split, or of what there is instead.
    out : path
        A directory; it is made if need be. Written there are ``filters.png``, ``reconstructions.png``,
        ``samples.png``, ``curves.png``, ``model.safetensors`` and ``index.html``.
    sweeps : int
        Gibbs sweeps for each sample of the machine, from noise.
    notes : sequence of str
        Further paragraphs on the method, for the page.
    made_by : str
        The command that makes the same again, for the page.
    on_stage : callable, optional
        Called with a few words when a longer piece of work begins.

    Returns
    -------
    Results

    Raises
    ------
    InvalidData
        The machine does not fit the data, or the history is empty.
    UnwritableOutput
        The directory cannot be made or written.
    """
    say = on_stage or (lambda _: None)
    check_count(sweeps, "sweeps")
    folder = make_folder(out)
    rbm, config, key = result.rbm, result.config, Key(result.config.seed).derive("results")
    curves = figures.training_curves(result.history)
    split = next(name for name in ("test", "valid", "train") if getattr(dataset, name) is not None)
    X, _ = dataset.split(split)

    def states(X: Any) -> Any:
        return binarize(X, config.binarize, key.derive("states"))

    def scores(machine: RBM) -> Evaluation:
        # A page is made in seconds; an annealed estimate of log Z may take minutes.
        return evaluate(machine, X, convention=config.binarize, log_z="exact", seed=key, engine=config.engine)

    say(f"scoring {len(X):,} {split} samples")
    # Without weights nothing depends on the hidden unit, and the visible ones are independent.
    evaluation, baseline = scores(rbm), scores(RBM.initialise(states(dataset.train), 1, scale=0))
    say(f"sampling {N_SAMPLES} chains of {sweeps:,} Gibbs sweeps")
    v = sample(rbm, N_SAMPLES, sweeps=sweeps, seed=key, engine=config.engine)
    say("drawing")
    drawn = {
        "filters": figures.filters(rbm, dataset.shape, N_FILTERS),
        "samples": figures.image_grid(figures.expected_v(rbm, v, key.derive("samples")), dataset.shape),
        "reconstructions": figures.reconstructions(rbm, states(X[:N_RECONSTRUCTED]), dataset.shape, key),
        "curves": curves,
    }
    pngs = {name: figures.to_png(figure) for name, figure in drawn.items()}
    shown = {"n_filters": min(N_FILTERS, rbm.n_hidden), "n_samples": N_SAMPLES, "sweeps": sweeps}
    page = make_page(result, dataset, split, evaluation, baseline, pngs, **shown, notes=notes, made_by=made_by)
    files = {name: folder / f"{name}.png" for name in pngs}
    files |= {"model": folder / "model.safetensors", "page": folder / "index.html"}
    for name, png in pngs.items():
        atomic_write(files[name], png)
    rbm.save(files["model"], config=asdict(config), data=dataset.name)
    page.save(files["page"])
    return Results(dataset.name, split, evaluation, baseline, files)


def make_folder(out: str | os.PathLike[str]) -> Path:
    """Make the directory `out` and its parents; call it before a training, which is then not lost for want of a place.

    Raises
    ------
    UnwritableOutput
        It is something else, or cannot be made or written.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK | os.X_OK) else "Permission denied"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise UnwritableOutput(
            f"{folder} must be a directory, new or there, that can be written. Got: {reason}. Choose another."
        )
    return folder
