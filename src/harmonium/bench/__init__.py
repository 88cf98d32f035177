"""Speed, measured side by side in one run: Harmonium, its peers, and the matrix products that bound them."""

from harmonium.bench.suite import run_suite

__all__ = ["run_suite"]
