"""The exact gradient, by enumeration: no chains, no noise, for small machines."""

from __future__ import annotations

import numpy as np

from harmonium.engines import Engine
from harmonium.likelihood import exact_statistics
from harmonium.statistics import Statistics
from harmonium.training.negative import Arrays, Estimator, Negative, Positive


class Enumerated(Estimator):
    """The averages of h v', v and h under the machine itself (`harmonium.exact_statistics`)."""

    def estimate(self, engine: Engine, positive: Positive, step: int) -> Negative:
        exact = exact_statistics(engine.rbm)
        return Negative(Statistics(*(np.asarray(x, np.float32) for x in exact)))

    def arrays(self, engine: Engine) -> Arrays:
        return {}
