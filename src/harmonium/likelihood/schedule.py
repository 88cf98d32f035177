"""The plan of an annealing run: the biases of its base, its path, and the temperatures along it.

Short runs with few chains measure how much variance each stretch of temperatures adds to the log weights. If a stretch
adds A_s / k_s with k_s temperatures in it, the total is smallest for k_s proportional to sqrt(A_s): every temperature
then adds the same variance ("equal thermodynamic length"). The same runs give the base its biases where no data do.
Where the linear path asks for many temperatures, a constant-means path is made and tried
(`harmonium.likelihood.constant_means`).
All of this uses noise of its own and ends before the first weight counts, so that it cannot bias the estimate.

References
----------
Salakhutdinov, Murray, "On the quantitative analysis of deep belief networks", ICML 2008 (the 14,503 temperatures).
Grosse, Maddison, Salakhutdinov, "Annealing between distributions by averaging moments", NIPS 2013 (optimal spacing).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.chains import gibbs
from harmonium.chains.gibbs import GibbsState
from harmonium.chains.ladder import place
from harmonium.chains.path import Float64Array, linear_path
from harmonium.engines import States
from harmonium.errors import InvalidParameter
from harmonium.initial import bias_of_means
from harmonium.inputs import check_count
from harmonium.likelihood.annealed import Annealer
from harmonium.likelihood.constant_means import N_SWEEPS, constant_means_path
from harmonium.progress import Counter
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.rows import Rows

SALAKHUTDINOV = "salakhutdinov"
ADAPTIVE = "adaptive"
Temperatures = int | str | npt.ArrayLike

_CHAINS = 64
_LENGTHS = (100, 200, 500)  # temperatures of the three short runs
_LAST = len(_LENGTHS) - 1
_LINEAR_SUFFICES = 2000  # temperatures for which the linear path is good enough
_STRETCHES = 50
_VARIANCE = 0.2  # of the log weights that "adaptive" aims at: an effective sample size of about 80 %
_FEWEST, MOST = 100, 3_000
_SETTLE = 30  # sweeps at beta = 1 whose means become the base
_ROUNDS, _ROUND_SWEEPS, _ROUND_CHAINS = 2, 100, 256  # of a constant-means path; whose sweeps and chains give its means
_LARGEST_BIAS = 15.0


def check_temperatures(temperatures: Any) -> int | str | Float64Array:
    """A number of temperatures, a name, or the temperatures themselves, rising from 0 to 1.

    Raises
    ------
    InvalidParameter
        None of these.
    """
    if isinstance(temperatures, str):
        if temperatures in (ADAPTIVE, SALAKHUTDINOV):
            return temperatures
    elif np.ndim(temperatures) == 0:
        return check_count(temperatures, "temperatures", minimum=2)
    else:
        try:
            betas = np.asarray(temperatures, np.float64)
        except (TypeError, ValueError):
            betas = np.empty(0)
        if betas.ndim == 1 and len(betas) > 1 and betas[0] == 0 and betas[-1] == 1 and np.all(np.diff(betas) >= 0):
            return betas
    got = repr(temperatures) if np.size(temperatures) < 6 else f"{np.size(temperatures)} values"
    raise InvalidParameter(
        f"temperatures must be a number, {ADAPTIVE!r}, {SALAKHUTDINOV!r}, or inverse temperatures that rise from 0 to "
        f"1. Got {got}. Pass one of those."
    )


def salakhutdinov() -> Float64Array:
    """The 14,503 inverse temperatures of Salakhutdinov and Murray (0.5 and 0.9 stand there twice)."""
    return np.concatenate([np.linspace(0, 0.5, 501), np.linspace(0.5, 0.9, 4001), np.linspace(0.9, 1, 10001)])


class Plan(NamedTuple):
    """What a main run needs to know.

    Attributes
    ----------
    annealer : Annealer
    betas : float64 array
        From 0 to 1.
    """

    annealer: Annealer
    betas: Float64Array


def plan(
    rbm: RBM,
    temperatures: int | str | Float64Array,
    rows: Rows | None,
    key: Key,
    engine: str,
    counter: Counter | None = None,
    most: int = MOST,
) -> Plan:
    """Fit the base, choose the path and place the temperatures.

    Parameters
    ----------
    rbm : RBM
    temperatures : int, str or array
        As `check_temperatures` returns them. Those that are given one by one stand on the linear path.
    rows : Rows, optional
        Data whose means become the base. Without, the means of the machine's own states after short runs: of all bases
        of independent units, the one with the means of p(v) itself is the closest to p(v).
    key : Key
    engine : str
    counter : Counter, optional
    most : int
        Temperatures that "adaptive" may take.
    """
    counter = Counter() if counter is None else counter
    given = isinstance(temperatures, np.ndarray) or temperatures == SALAKHUTDINOV
    base = np.clip(rbm.b, -_LARGEST_BIAS, _LARGEST_BIAS) if rows is None else bias_of_means(*rows.totals)
    annealer, spacing, v = _linear(rbm, base, engine), _EVEN, None
    # The first and second fit the base, the second and third the spacing.
    for number in range(0 if rows is None else _LAST if given else 1, _LAST if given else _LAST + 1):
        key_ = key.derive("short run", number)
        spacing, v = _short_run(annealer, spacing, number, key_, counter)
        if rows is None and number < _LAST:
            total, _, n, _ = _own_totals(annealer, v, _SETTLE, key_.derive("settle"), counter)
            annealer = _linear(rbm, bias_of_means(total, n), engine)
    if isinstance(temperatures, np.ndarray):
        return Plan(annealer, temperatures)
    if given:
        return Plan(annealer, salakhutdinov())
    if _LINEAR_SUFFICES * _VARIANCE < spacing.variance_times_n < math.inf:
        key_ = key.derive("level")
        if rows is not None:
            v = annealer.engine.encode((rows.X[key_.permutation(len(rows))[:_ROUND_CHAINS]] > 0.5).astype(np.uint8))
        annealer, spacing = _better(annealer, spacing, v, key_, counter)
    n_betas = temperatures if isinstance(temperatures, int) else spacing.enough(most)
    return Plan(annealer, spacing.place(n_betas))


def _linear(rbm: RBM, base: npt.NDArray[Any], engine: str) -> Annealer:
    return Annealer(rbm, linear_path(np.asarray(base, np.float64), rbm.n_hidden), engine)


def _short_run(
    annealer: Annealer, spacing: _Spacing, number: int, key: Key, counter: Counter
) -> tuple[_Spacing, States]:
    """How the temperatures of a short run should have stood, and where its chains ended."""
    betas = spacing.place(_LENGTHS[number])
    counter.expect(len(betas) - 1)
    ratios, v = np.empty((len(betas) - 1, _CHAINS)), annealer.start(_CHAINS, key)
    for k, step in enumerate(annealer.anneal(v, betas, key)):
        ratios[k], v = step.log_ratio, step.v
        counter.tick()
    return _Spacing.measured(ratios, betas), v


def _better(annealer: Annealer, spacing: _Spacing, v: States, key: Key, counter: Counter) -> tuple[Annealer, _Spacing]:
    """The linear or a constant-means path, whichever loses less work on the way there and back; with its spacing.

    The constant-means path keeps the means of chains from `v`, then, made anew, those of chains that it has led itself.
    """
    other, found, engine = annealer, _EVEN, annealer.engine.name
    for number in range(_ROUNDS):
        key_ = key.derive("aim", number)
        *totals, n, v = _own_totals(annealer, v, _ROUND_SWEEPS, key_.derive("settle"), counter)
        counter.expect(N_SWEEPS)
        bias_path = constant_means_path(
            annealer.rbm, (totals[0] / n, totals[1] / n), key_.derive("road"), engine, counter.tick
        )
        other, found = Annealer(annealer.rbm, bias_path, engine), _EVEN
        for number in range(1, _LAST + 1):
            found, v = _short_run(other, found, number, key_.derive("short run", number), counter)
    *_, v = _own_totals(annealer, v, _ROUND_SWEEPS, key.derive("settle"), counter)
    # Forward runs alone would praise a path on which chains freeze early, and never see what they miss.
    lost, lost_other = (_lost(x, y, v, key.derive("lost"), counter) for x, y in ((annealer, spacing), (other, found)))
    return (other, found) if lost_other < lost else (annealer, spacing)


def _lost(annealer: Annealer, spacing: _Spacing, v: States, key: Key, counter: Counter) -> float:
    """Mean work of chains from the base less that of chains from `v`, in nats: 0 only for infinitely slow runs."""
    betas = spacing.place(_LENGTHS[_LAST])
    counter.expect(2 * (len(betas) - 1))
    there = annealer.run(annealer.start(len(v), key), betas, key.derive("there"), counter.tick).log_w.mean()
    back = annealer.run(v, betas[::-1], key.derive("back"), counter.tick).log_w.mean()
    return -float(there + back)


def _own_totals(
    annealer: Annealer, v: States, sweeps: int, key: Key, counter: Counter
) -> tuple[Float64Array, Float64Array, int, States]:
    """Sums of E[v | h] and E[h | v] over the second half of sweeps at beta = 1, over how many states, and the last."""
    engine, state, n = annealer.engine, GibbsState(v), 0
    v_total, h_total = np.zeros(engine.n_visible), np.zeros(engine.n_hidden)
    counter.expect(sweeps)
    for sweep in range(sweeps):
        counts = sweep >= sweeps // 2
        state, info = gibbs.step(engine, state, key, watched=counts)
        if counts:
            v_sums, h_sums = gibbs.summed_means(engine, info)
            v_total, h_total, n = v_total + v_sums, h_total + h_sums, n + len(v)
        counter.tick()
    return v_total, h_total, n, state.v


class _Spacing(NamedTuple):
    """How far apart temperatures are, in units of the deviation that the log weights gather from one to the next."""

    betas: Float64Array
    lengths: Float64Array
    variance_times_n: float

    @classmethod
    def measured(cls, ratios: Float64Array, betas: Float64Array) -> _Spacing:
        """From the log ratios of a short run, shape (temperatures - 1, chains)."""
        edges = np.linspace(0, len(ratios), _STRETCHES + 1).astype(int)
        sums = np.add.reduceat(ratios, edges[:-1], axis=0)
        variances = sums.var(axis=1, ddof=1)
        lengths = np.sqrt(np.diff(edges) * variances)
        if not np.isfinite(lengths).all():
            return _EVEN
        # Stretches are correlated where the chains lag behind, and then add up to more than the sum of their variances.
        together = ratios.sum(axis=0).var(ddof=1) / max(variances.sum(), np.finfo(float).tiny)
        total = max(together, 1.0) * lengths.sum() ** 2
        # No stretch is left almost empty on the word of a few chains.
        lengths = np.maximum(lengths, 0.05 * lengths.mean()) if lengths.any() else np.ones_like(lengths)
        return cls(betas[edges], lengths, float(total))

    def place(self, n: int) -> Float64Array:
        """`n` temperatures at equal distances, from exactly 0 to exactly 1."""
        return place(self.betas, self.lengths, n)

    def enough(self, most: int) -> int:
        """The number of temperatures that "adaptive" takes, at most `most`."""
        return int(np.clip(self.variance_times_n / _VARIANCE, _FEWEST, most))


_EVEN = _Spacing(np.array([0.0, 1.0]), np.array([1.0]), math.inf)
