"""The torch engine's arithmetic on NVIDIA's GPUs in Triton, with the bits of `harmonium.engines.torch_arithmetic`.

Functions of the same names and arguments, for states in half precision. Products are the library's, which is as fast as
a kernel of our own that does all; what surrounds them is one elementwise kernel (`sampling`), and a few for a step of
learning (`learning`) and for likelihoods (`likelihood`).
"""

from harmonium.engines._triton.launch import (
    column_sums,
    decide,
    dot,
    draw,
    gains,
    learn,
    log_partition_block,
    logits,
    mean,
    pseudo_log_likelihood,
    real_product,
    sample,
    slide,
    softplus_sum,
)
from harmonium.engines._triton.step import contrast, temperature
from harmonium.engines.torch_arithmetic import as_states, moments, ordered_sum, repack

__all__ = [
    "as_states",
    "column_sums",
    "contrast",
    "decide",
    "dot",
    "draw",
    "gains",
    "learn",
    "log_partition_block",
    "logits",
    "mean",
    "moments",
    "ordered_sum",
    "pseudo_log_likelihood",
    "real_product",
    "repack",
    "sample",
    "slide",
    "softplus_sum",
    "temperature",
]
