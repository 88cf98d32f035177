"""The negative phase: where its chains start, and how far they run. CD and PCD differ in the first only."""

from __future__ import annotations

from harmonium.engines import Engine, Phase, States
from harmonium.engines.engine import FloatArray
from harmonium.random import Key

HIDDEN, VISIBLE = 0, 1  # noise streams


def run_negative(
    engine: Engine, h: States, key: Key, *, sweeps: int, step: int, mean_field: bool = False
) -> tuple[Phase, FloatArray]:
    """Run chains from hidden states and return their statistics.

    Both layers are sampled on the way; only the last hidden statistic is an expectation, which lowers the noise of the
    gradient without biasing it.

    Parameters
    ----------
    engine : Engine
    h : States of shape (chains, n_hidden)
    key : Key
    sweeps : int
        How often v is drawn from h.
    step : int
        The number of this step of training; it separates its noise from that of the others.
    mean_field : bool
        Use E[v | h] in place of the last v.

    Returns
    -------
    phase : Phase
        The last v (or its mean given h), and E[h | v].
    logits : float array of shape (chains, n_hidden)
        Wv + c for the last sample of v.
    """
    for sweep in range(step * sweeps, (step + 1) * sweeps - 1):
        v = engine.sample_v(h, key.on(VISIBLE).at(sweep))
        h = engine.sample_h(v, key.on(HIDDEN).at(sweep))
    last = key.on(VISIBLE).at((step + 1) * sweeps - 1)
    if mean_field:
        logits_v = engine.logits_v(h)
        mean_v = engine.mean(logits_v)
        # A persistent chain goes on from a sample: going on from the mean would not be Gibbs sampling.
        logits = engine.logits_h(engine.bernoulli(logits_v, last))
        return Phase(mean_v, engine.mean(engine.logits_h(mean_v))), logits
    v = engine.sample_v(h, last)
    logits = engine.logits_h(v)
    return Phase(v, engine.mean(logits)), logits
