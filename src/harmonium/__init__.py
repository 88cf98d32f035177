"""Harmonium: restricted Boltzmann machines, exact where exactness is possible and honest where it is not."""

from harmonium import datasets, errors, theory
from harmonium.likelihood import (
    Evaluation,
    LogLikelihood,
    LogPartition,
    LogProbability,
    conditional_probability,
    evaluate,
    exact_gradient,
    exact_sample,
    exact_statistics,
    free_energy,
    log_likelihood,
    log_partition,
    probability_table,
    pseudo_log_likelihood,
    reconstruction_error,
)
from harmonium.random import Key
from harmonium.rbm import RBM, Statistics
from harmonium.sampling import (
    Clamp,
    Imputation,
    Moments,
    TemperedSamples,
    ThinnedSamples,
    complete,
    gibbs_chain,
    impute,
    running_moments,
    sample,
    sample_tempered,
    thinned_sample,
)
from harmonium.training import Config, TrainingResult, TrainingRun, train

__version__ = "0.1.0"

__all__ = [
    "RBM",
    "Clamp",
    "Config",
    "Evaluation",
    "Imputation",
    "Key",
    "LogLikelihood",
    "LogPartition",
    "LogProbability",
    "Moments",
    "Statistics",
    "TemperedSamples",
    "ThinnedSamples",
    "TrainingResult",
    "TrainingRun",
    "complete",
    "conditional_probability",
    "datasets",
    "errors",
    "evaluate",
    "exact_gradient",
    "exact_sample",
    "exact_statistics",
    "free_energy",
    "gibbs_chain",
    "impute",
    "log_likelihood",
    "log_partition",
    "probability_table",
    "pseudo_log_likelihood",
    "reconstruction_error",
    "running_moments",
    "sample",
    "sample_tempered",
    "theory",
    "thinned_sample",
    "train",
]
