"""The scikit-learn face: a drop-in replacement for scikit-learn's `BernoulliRBM`."""

from harmonium.sklearn.bernoulli import BernoulliRBM
from harmonium.sklearn.data import DataRangeWarning

__all__ = ["BernoulliRBM", "DataRangeWarning"]
