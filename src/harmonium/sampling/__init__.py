"""Sampling from a trained machine."""

from harmonium.sampling.gibbs import Clamp, gibbs_chain, sample

__all__ = ["Clamp", "gibbs_chain", "sample"]
