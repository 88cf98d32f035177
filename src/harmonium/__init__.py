"""Harmonium: restricted Boltzmann machines, exact where exactness is possible and honest where it is not."""

import importlib
import types

from harmonium import datasets, errors, theory
from harmonium.likelihood import (
    Estimate,
    Evaluation,
    entropy,
    evaluate,
    exact_gradient,
    exact_sample,
    exact_statistics,
    free_energy,
    free_energy_difference,
    log_conditional_probability,
    log_likelihood,
    log_partition,
    marginal_free_energy,
    probability_table,
    pseudo_log_likelihood,
    reconstruction_error,
)
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.sampling import (
    Clamp,
    Imputation,
    MomentFit,
    Moments,
    PairMoments,
    Samples,
    complete,
    gibbs_chain,
    impute,
    moment_fit,
    pair_moments,
    running_moments,
    sample,
    sample_tempered,
    thinned_sample,
)
from harmonium.statistics import Statistics
from harmonium.training import Config, TrainingResult, TrainingRun, train

# Modules that load scikit-learn, Keras or Matplotlib do so when they are first asked for.
_LAZY = frozenset({"deep", "keras", "plot", "report", "sklearn"})

__version__ = "0.1.0"

__all__ = [
    "RBM",
    "Clamp",
    "Config",
    "Estimate",
    "Evaluation",
    "Imputation",
    "Key",
    "MomentFit",
    "Moments",
    "PairMoments",
    "Samples",
    "Statistics",
    "TrainingResult",
    "TrainingRun",
    "complete",
    "datasets",
    "entropy",
    "errors",
    "evaluate",
    "exact_gradient",
    "exact_sample",
    "exact_statistics",
    "free_energy",
    "free_energy_difference",
    "gibbs_chain",
    "impute",
    "log_conditional_probability",
    "log_likelihood",
    "log_partition",
    "marginal_free_energy",
    "moment_fit",
    "pair_moments",
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


def __getattr__(name: str) -> types.ModuleType:
    if name in _LAZY:
        return importlib.import_module(f"harmonium.{name}")
    raise AttributeError(f"module 'harmonium' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
