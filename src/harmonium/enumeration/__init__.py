"""Sums over all states of a few units: moments, samples and tables that are exact, whole or given what is observed."""

from harmonium.enumeration.exact import exact_gradient, exact_sample, exact_statistics, probability_table

__all__ = ["exact_gradient", "exact_sample", "exact_statistics", "probability_table"]
