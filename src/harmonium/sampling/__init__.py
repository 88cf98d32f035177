"""Sampling from a machine: Gibbs and tempered chains, averages over them, and how far to trust them."""

from harmonium.chains.diagnostics import autocorrelation_time, effective_sample_size, r_hat
from harmonium.sampling.conditional import Imputation, complete, impute
from harmonium.sampling.fit import MomentFit, moment_fit
from harmonium.sampling.gibbs import Clamp, gibbs_chain, sample
from harmonium.sampling.moments import Moments, running_moments
from harmonium.sampling.pairs import PairMoments, pair_moments
from harmonium.sampling.samples import Samples
from harmonium.sampling.tempering import sample_tempered
from harmonium.sampling.thinning import thinned_sample

__all__ = [
    "Clamp",
    "Imputation",
    "MomentFit",
    "Moments",
    "PairMoments",
    "Samples",
    "autocorrelation_time",
    "complete",
    "effective_sample_size",
    "gibbs_chain",
    "impute",
    "moment_fit",
    "pair_moments",
    "r_hat",
    "running_moments",
    "sample",
    "sample_tempered",
    "thinned_sample",
]
