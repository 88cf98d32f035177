"""Second moments of the visible units, E[v v'] and covariances, with their standard errors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harmonium.chains import gibbs
from harmonium.chains.diagnostics import verdict_of
from harmonium.chains.gibbs import GibbsState
from harmonium.chains.path import Float64Array
from harmonium.engines import make_engine
from harmonium.engines.arithmetic import matmul
from harmonium.enumeration.pairs import exact_pair_moments, pairs_are_quick
from harmonium.inputs import check_choice
from harmonium.progress import Progress, check_progress
from harmonium.random import Key, as_key
from harmonium.rbm import RBM
from harmonium.reprs import short_repr
from harmonium.sampling.moments import GROUPS, check_chains, first_states, largest_r_hat
from harmonium.sampling.watch import Watch


class PairMoments(NamedTuple):
    """First and second moments of the visible units under the model, exact or as chains see them.

    Attributes
    ----------
    mean : float64 array of shape (n_visible,)
        E[v].
    product : float64 array of shape (n_visible, n_visible)
        E[v v']; the diagonal is E[v].
    covariance : float64 array of shape (n_visible, n_visible)
        E[v v'] - E[v] E[v]'.
    product_error, covariance_error : float64 array of shape (n_visible, n_visible)
        Their standard errors, from groups of chains that know nothing of each other (9 degrees of freedom).
    r_hat : float
        The largest of the free energy and of the two leading directions of W; 1 where the moments are exact.
    exact : bool
        Whether all states of the smaller layer were enumerated.

    Examples
    --------
    >>> import harmonium
    >>> rbm = harmonium.RBM(W=[[2.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> harmonium.pair_moments(rbm).mean.round(3)
    array([0.814, 0.309])
    """

    mean: Float64Array
    product: Float64Array
    covariance: Float64Array
    product_error: Float64Array
    covariance_error: Float64Array
    r_hat: float
    exact: bool = False

    @property
    def verdict(self) -> str:
        """Whether to rely on them: "ok", or "unreliable" where R-hat is above 1.1."""
        return verdict_of(self.r_hat)

    def __repr__(self) -> str:
        return short_repr(self)


def pair_moments(
    rbm: RBM,
    *,
    method: str = "auto",
    chains: int = 100,
    sweeps: int = 1000,
    burn_in: int = 1000,
    start: npt.NDArray[Any] | None = None,
    seed: int | Key = 0,
    engine: str = "native",
    progress: Progress | None = None,
) -> PairMoments:
    """E[v v'] and the covariances of the visible units: exactly, or by Gibbs sampling whose states are never stored.

    Parameters
    ----------
    rbm : RBM
    method : {"auto", "exact", "gibbs"}
        "exact" sums over all states of the smaller layer, "gibbs" averages over chains. "auto" is exact where that
        takes seconds and no `start` is given.
    chains, sweeps, burn_in, start
        As in `running_moments`.
    seed : int or Key
    engine : {"native", "numpy", "torch"}
    progress : callable, optional
        Called as ``progress(done, total)`` after every sweep. May raise, to stop.

    Returns
    -------
    PairMoments
        In probabilities; of the order of n_visible**2 numbers for each of ten groups of chains are held meanwhile.

    Raises
    ------
    OutOfReach
        The method is "exact", and the smaller layer has more than 25 units.
    InvalidParameter, InvalidData
        A count is out of range, or states do not fit the machine.

    Notes
    -----
    Given h, visible units are independent, so that v_j E[v_k | h] has the mean of v_j v_k for j != k and less variance
    (Rao and Blackwell); it is averaged with v_k E[v_j | h].

    Examples
    --------
    >>> found = pair_moments(RBM(W=[[4.0, 4.0]], b=[-2.0, -2.0], c=[-2.0]))
    >>> found.covariance.round(3)
    array([[0.166, 0.061],
           [0.061, 0.166]])
    """
    check_progress(progress)
    check_choice(method, "method", ("auto", "exact", "gibbs"))
    chains, sweeps, burn_in = check_chains(rbm, chains, sweeps, burn_in, start)
    if method == "exact" or (method == "auto" and start is None and pairs_are_quick(rbm)):
        mean, product = exact_pair_moments(rbm, engine=engine, progress=progress)
        none = np.zeros_like(product)
        return PairMoments(mean, product, product - np.outer(mean, mean), none, none.copy(), 1.0, True)
    key, engine_, watch = as_key(seed).derive("pair_moments"), make_engine(rbm, engine), Watch(rbm)
    state = GibbsState(engine_.encode(first_states(rbm, chains, start, key, engine)))
    groups = np.array_split(np.arange(chains), min(GROUPS, chains))
    means, products = np.zeros((len(groups), rbm.n_visible)), np.zeros((len(groups), rbm.n_visible, rbm.n_visible))
    traces = []
    for sweep in range(-burn_in, sweeps):
        state, info = gibbs.step(engine_, state, key, watched=sweep >= 0)
        if sweep >= 0:
            logits = engine_.logits_h(state.v)
            traces.append(watch.features(engine_, state.v, logits))
            state = state._replace(logits=logits)
            v, p = engine_.to_numpy(state.v).astype(np.float32), engine_.to_numpy(engine_.mean(info.logits_v))
            for rows, mean, product in zip(groups, means, products, strict=True):
                mean += p[rows].mean(axis=0, dtype=np.float64)
                product += matmul(v[rows].T, np.ascontiguousarray(p[rows])) / len(rows)
        if progress is not None:
            progress(burn_in + sweep + 1, burn_in + sweeps)
    products = (products + products.transpose(0, 2, 1)) / (2 * sweeps)
    means /= sweeps
    diagonal = np.arange(rbm.n_visible)
    products[:, diagonal, diagonal] = means
    sizes = np.array([len(rows) for rows in groups], np.float64)
    return _combined(means, products, sizes / chains, largest_r_hat(traces))


def _combined(means: Float64Array, products: Float64Array, shares: Float64Array, agreement: float) -> PairMoments:
    """Of all groups, with standard errors by leaving out one group at a time (the jackknife)."""
    n = len(shares)
    mean, product = (shares[:, None] * means).sum(axis=0), (shares[:, None, None] * products).sum(axis=0)
    squares, centres = np.zeros((2, *product.shape)), np.zeros((2, *product.shape))
    for group, part, share in zip(means, products, shares, strict=True):
        m, p = (mean - share * group) / (1 - share), (product - share * part) / (1 - share)
        for k, left in enumerate((p, p - np.outer(m, m))):
            centres[k] += left / n
            squares[k] += left**2 / n
    errors = np.sqrt(np.maximum(squares - centres**2, 0) * (n - 1))
    return PairMoments(mean, product, product - np.outer(mean, mean), errors[0], errors[1], agreement)
