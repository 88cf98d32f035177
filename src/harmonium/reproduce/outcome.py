"""What the experiments found, gathered while they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from harmonium.likelihood import Estimate, Evaluation
from harmonium.reproduce.digits import Digits
from harmonium.reproduce.pictures import Gallery
from harmonium.reproduce.plan import Plan
from harmonium.reproduce.scores import Score
from harmonium.reproduce.scratch import Trained


@dataclass
class Outcome:
    """What the experiments found; lists have an entry for each repetition.

    Attributes
    ----------
    digits : Digits
    plans : list of Plan
        One for each seed.
    scratch : Trained
        The machine of the first seed, by contrastive divergence on an engine of our own.
    evaluation : Evaluation
        Its scores on the test images, as it saw its data.
    thresholded : Estimate
        Its likelihood of the thresholded test images.
    likely, likely_evaluation
        The same of the machine that is trained for likelihood.
    gallery : Gallery
        Pictures of both.
    scores, native_scores : dict of str to list of Score
        By features; of softmax regression on features from Keras, and on those from an engine of our own.
    speeds, native_speeds : dict of str to list of float
        Samples a second in training, by machine.
    stack_weights : int
        Parameters of the stack.
    seconds, native_seconds : float
        That everything in Keras took; and the training on an engine of our own.
    cores_of_others : float or None
        How many cores other programs took meanwhile.
    backend : str
        Of Keras.
    origin : dict
        Command, date, versions, commit, machine and data.
    """

    digits: Digits
    plans: list[Plan]
    scratch: Trained = field(init=False)
    evaluation: Evaluation = field(init=False)
    thresholded: Estimate = field(init=False)
    likely: Trained = field(init=False)
    likely_evaluation: Evaluation = field(init=False)
    gallery: Gallery = field(init=False)
    scores: dict[str, list[Score]] = field(default_factory=dict)
    native_scores: dict[str, list[Score]] = field(default_factory=dict)
    speeds: dict[str, list[float]] = field(default_factory=dict)
    native_speeds: dict[str, list[float]] = field(default_factory=dict)
    stack_weights: int = 0
    seconds: float = 0.0
    native_seconds: float = 0.0
    cores_of_others: float | None = None
    backend: str = ""
    origin: dict[str, Any] = field(default_factory=dict)
