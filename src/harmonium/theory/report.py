"""All bounds of the bias of CD-k at once, the sweeps that suffice, and what is exact where the machine is small."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from harmonium.inputs import check_count, check_number
from harmonium.rbm import RBM
from harmonium.theory import bounds
from harmonium.theory.bounds import coupling_bias
from harmonium.theory.cd_bias import worst_cd_bias
from harmonium.theory.contraction import contraction_rate
from harmonium.theory.transition import transition_matrix


@dataclass(frozen=True)
class CDBiasBounds:
    """Upper bounds of the largest component of the bias of CD-k.

    Attributes
    ----------
    k : int
    distance : float
        TV(q, p) between data and model, or 1: the trivial bound.
    bounds : dict of str to float
        By name of the function in `harmonium.theory` that computed it; "trivial" is `distance`.
    tightest : str
        The name of the smallest.
    value : float
        The smallest.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.cd_bias_bounds(rbm, 5).tightest
    'coupling_bias'
    """

    k: int
    distance: float
    bounds: dict[str, float]
    tightest: str
    value: float


@dataclass(frozen=True)
class MixingSummary:
    """What can be said about sampling and training a machine by blocked Gibbs sampling, without data.

    Attributes
    ----------
    sweeps : int
        The k of CD-k.
    bias_bound : float
        The tightest bound of any component of the bias of CD-k, whatever the data.
    certified_sweeps : int or None
        So many sweeps provably bring any start within total-variation distance 0.01 of the model; None where no bound
        certifies it (which does not mean that the chain mixes slowly).
    spectral_gap, relaxation_time, worst_distance, worst_bias : float or None
        Exact, or None where the machine is too large: the gap of the sweep and -1 / log(lambda_2), the largest
        TV(T^k(v, .), p) over starts v, and the largest bias over data sets and parameters.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> round(harmonium.theory.mixing_summary(rbm).spectral_gap, 3)
    0.83
    """

    sweeps: int
    bias_bound: float
    certified_sweeps: int | None
    spectral_gap: float | None
    relaxation_time: float | None
    worst_distance: float | None
    worst_bias: float | None

    def as_dict(self) -> dict[str, float | None]:
        """Plain numbers, ready for JSON; an infinite relaxation time becomes None."""
        return {k: None if v is not None and math.isinf(v) else v for k, v in asdict(self).items()}


def cd_bias_bounds(rbm: RBM, k: int = 1, *, distance: float = 1.0) -> CDBiasBounds:
    """Every bound of the bias of CD-k, and the tightest.

    Parameters
    ----------
    rbm : RBM
    k : int
        Full sweeps of the chain.
    distance : float
        TV(q, p) between the data and the model, or any upper bound of it; see `data_model_distance`.

    Returns
    -------
    CDBiasBounds

    Raises
    ------
    InvalidParameter

    Examples
    --------
    >>> from harmonium import RBM
    >>> found = cd_bias_bounds(RBM(W=[[0.5, -0.5]], b=[0.0, 0.0], c=[0.0]), k=2)
    >>> found.tightest, round(found.value, 6)
    ('coupling_bias', 0.000928)
    """
    parts = coupling_bias(rbm, k, distance=distance)
    found = {
        "trivial": float(distance),
        "bengio_delalleau": bounds.bengio_delalleau(rbm, k),
        "fischer_igel": bounds.fischer_igel(rbm, k, distance=distance),
        "site_wise": bounds.site_wise(rbm, k, distance=distance),
        "dobrushin": bounds.dobrushin(rbm, k, distance=distance),
        "path_coupling": bounds.path_coupling(rbm, k, distance=distance),
        "path_coupling_rate": bounds.path_coupling_rate(rbm, k, distance=distance),
        "coupling_bias": max(float(x.max(initial=0)) for x in parts),
    }
    tightest = min(found, key=lambda name: found[name])
    return CDBiasBounds(k, float(distance), found, tightest, found[tightest])


def certified_sweeps(rbm: RBM, tolerance: float = 0.01) -> int | None:
    """So many sweeps provably bring every start within a total-variation distance of the model.

    Parameters
    ----------
    rbm : RBM
    tolerance : float in (0, 1)

    Returns
    -------
    int or None
        The smallest k with (delta_h delta_v)^k or m rho^k at most `tolerance`; the latter is log(m / tolerance) /
        log(1 / rho) sweeps, few even for wide layers. None where neither gives a number below 10**12.

    Raises
    ------
    InvalidParameter

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.certified_sweeps(rbm)
    4
    """
    tolerance = check_number(tolerance, "tolerance", low=0, high=1, above=True, below=True)
    counts = []
    for start, factor in ((1.0, bounds.dobrushin(rbm)), (float(rbm.n_visible), contraction_rate(rbm))):
        if factor == 0:
            return 1
        if factor < 1:
            counts.append(max(1.0, math.log(tolerance / start) / math.log(factor)))
    best = min(counts, default=math.inf)
    return math.ceil(best) if best < 1e12 else None


def mixing_summary(rbm: RBM, k: int = 1, *, max_units: int = 16) -> MixingSummary:
    """Bounds at any size, and exact numbers where the machine is small enough to count all of its states.

    Parameters
    ----------
    rbm : RBM
    k : int
    max_units : int
        The largest machine that is counted out, both layers together.

    Returns
    -------
    MixingSummary

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.theory.mixing_summary(rbm).certified_sweeps
    4
    """
    k = check_count(k, "k")
    gap = time = distance = bias = None
    if rbm.n_visible + rbm.n_hidden <= check_count(max_units, "max_units", minimum=0):
        chain = transition_matrix(rbm, max_units=max_units)
        gap, time = chain.gap, chain.relaxation_time
        if rbm.n_visible <= max_units // 2:
            chain = transition_matrix(rbm, "visible", max_units=max_units)
            distance = float(chain.distances(k).max())
        bias = max(float(x.max(initial=0)) for x in worst_cd_bias(rbm, k, max_units=max_units))
    return MixingSummary(k, cd_bias_bounds(rbm, k).value, certified_sweeps(rbm), gap, time, distance, bias)
