"""Markov chains over the verbs of any engine: Gibbs and tempered chains, the paths they take, and what they tell.

Either kind of chain, `gibbs` and `tempered`, has a state, an ``init`` and a ``step(engine, state, key, ...)``, which
returns the next state and some information, and computes with the machine that the engine holds at the time.
"""

from harmonium.chains import gibbs, tempered
from harmonium.chains.diagnostics import autocorrelation_time, effective_sample_size, r_hat
from harmonium.chains.gibbs import GibbsInfo, GibbsState
from harmonium.chains.path import MACHINE, BiasPath, Point, linear_path
from harmonium.chains.rungs import Rungs
from harmonium.chains.tempered import Ladder, Levels, SwapInfo, TemperedState

__all__ = [
    "MACHINE",
    "BiasPath",
    "GibbsInfo",
    "GibbsState",
    "Ladder",
    "Levels",
    "Point",
    "Rungs",
    "SwapInfo",
    "TemperedState",
    "autocorrelation_time",
    "effective_sample_size",
    "gibbs",
    "linear_path",
    "r_hat",
    "tempered",
]
