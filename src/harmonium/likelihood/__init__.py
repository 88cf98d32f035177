"""How probable a machine finds data: exactly where that is possible."""

from harmonium.likelihood.evaluate import Evaluation, LogLikelihood, evaluate, free_energy, log_likelihood
from harmonium.likelihood.partition import LogPartition, log_partition
from harmonium.likelihood.pseudo import pseudo_log_likelihood, reconstruction_error

__all__ = [
    "Evaluation",
    "LogLikelihood",
    "LogPartition",
    "evaluate",
    "free_energy",
    "log_likelihood",
    "log_partition",
    "pseudo_log_likelihood",
    "reconstruction_error",
]
