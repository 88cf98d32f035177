"""Data sets: named ones, the user's own files, and the step from grey levels to states."""

from harmonium.datasets.binarize import BINARIZATIONS, binarize
from harmonium.datasets.catalogue import load, names
from harmonium.datasets.dataset import Dataset
from harmonium.datasets.reading import Reading

__all__ = ["BINARIZATIONS", "Dataset", "Reading", "binarize", "load", "names"]
