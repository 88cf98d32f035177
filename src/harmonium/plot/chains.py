"""Chains side by side: where they were, and how long they remember it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.chains.diagnostics import autocorrelation, autocorrelation_time, effective_sample_size, r_hat
from harmonium.plot.figures import own_axes, tidy

_DRAWN = 8  # chains in the left panel; more hide each other
_TIMES = 6  # autocorrelation times in the right panel


def chains(draws: Any, label: str = "", *, axes: Any = None) -> npt.NDArray[np.object_]:
    """A number of each chain at each draw, such as the free energy, and its autocorrelation over all chains.

    Parameters
    ----------
    draws : array-like of shape (n_chains, n_draws)
        One number a draw. The first eight chains are drawn; R-hat, the autocorrelation time and the effective sample
        size in the titles are of all.
    label : str
        What the numbers are, with their unit.
    axes : two Axes, optional
        A new figure if left out.

    Returns
    -------
    array of Axes of shape (2,)

    Raises
    ------
    InvalidData
        Not such an array, not finite, or fewer than 4 draws.

    Examples
    --------
    >>> import harmonium
    >>> import numpy as np
    >>> from harmonium import plot
    >>> rbm = harmonium.RBM.initialise(harmonium.datasets.load("digits").train, 16, seed=1)
    >>> walk = harmonium.gibbs_chain(rbm, harmonium.sample(rbm, 8, sweeps=0, seed=1), seed=2)
    >>> F = np.array([rbm.free_energy(next(walk)) for _ in range(100)]).T
    >>> left, right = plot.chains(F, "free energy (nats)", axes=plot.bare_axes(9.6, 3.2, columns=2))
    >>> left.get_ylabel()
    'free energy (nats)'
    """
    tau, agreement, ess = autocorrelation_time(draws), r_hat(draws), effective_sample_size(draws)
    x = np.asarray(draws, np.float64)
    rho = autocorrelation(x)
    left, right = axes = own_axes(9.6, 3.2, columns=2) if axes is None else np.ravel(np.asarray(axes, object))
    left.plot(x[:_DRAWN].T, linewidth=0.8)
    left.set_title(f"{len(x)} chains, R-hat {agreement:.2f}", fontsize="medium")
    left.set_xlabel("draw")
    left.set_ylabel(label)
    shown = rho[: max(10, min(len(rho), round(_TIMES * tau)))]
    right.plot(shown)
    right.axhline(0, color="black", linewidth=0.8)
    right.set_title(f"autocorrelation time {tau:.3g}, worth {ess:,.0f} draws", fontsize="medium")
    right.set_xlabel("lag (draws)")
    right.set_ylabel("autocorrelation")
    for ax in axes:
        tidy(ax)
    return axes
