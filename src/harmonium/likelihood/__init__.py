"""How probable a machine finds data: exactly where that is possible, within a bracket where it is not."""

from harmonium.enumeration.exact import exact_gradient, exact_sample, exact_statistics, probability_table
from harmonium.likelihood.conditional import log_conditional_probability
from harmonium.likelihood.conservative import ConservativeLogLikelihood, conservative_log_likelihood
from harmonium.likelihood.difference import free_energy_difference
from harmonium.likelihood.entropy import entropy
from harmonium.likelihood.estimate import Estimate
from harmonium.likelihood.evaluate import Evaluation, evaluate, log_likelihood
from harmonium.likelihood.marginal import free_energy, marginal_free_energy
from harmonium.likelihood.partition import log_partition
from harmonium.likelihood.pseudo import pseudo_log_likelihood, reconstruction_error

__all__ = [
    "ConservativeLogLikelihood",
    "Estimate",
    "Evaluation",
    "conservative_log_likelihood",
    "entropy",
    "evaluate",
    "exact_gradient",
    "exact_sample",
    "exact_statistics",
    "free_energy",
    "free_energy_difference",
    "log_conditional_probability",
    "log_likelihood",
    "log_partition",
    "marginal_free_energy",
    "probability_table",
    "pseudo_log_likelihood",
    "reconstruction_error",
]
