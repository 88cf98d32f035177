"""Data sets: named ones, the user's own files, and the step from grey levels to states."""

from harmonium.datasets.binarize import POLICIES, binarize
from harmonium.datasets.catalogue import load, names
from harmonium.datasets.dataset import Dataset

__all__ = ["POLICIES", "Dataset", "binarize", "load", "names"]
