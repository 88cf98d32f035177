"""Special functions. SciPy's are loaded with the first call: they take as long to load as all else together."""

from __future__ import annotations

from typing import Any

import numpy as np


def expit(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    import scipy.special

    return scipy.special.expit(x)


def log_expit(x: Any) -> Any:
    """log(1 / (1 + exp(-x))), accurate for all x."""
    import scipy.special

    return scipy.special.log_expit(x)


def logsumexp(x: Any, axis: int | None = None) -> Any:
    """log(sum(exp(x))), of any size."""
    import scipy.special

    return scipy.special.logsumexp(x, axis=axis)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), finite for every finite x."""
    return np.logaddexp(x, np.zeros((), x.dtype))


def ndtr(x: Any) -> Any:
    """The probability that a standard normal number is below x."""
    import scipy.special

    return scipy.special.ndtr(x)


def ndtri(p: Any) -> Any:
    """The value that a standard normal number is below with probability p."""
    import scipy.special

    return scipy.special.ndtri(p)


def erfcinv(y: Any) -> Any:
    """The inverse of the complementary error function."""
    import scipy.special

    return scipy.special.erfcinv(y)


def stdtrit(degrees: Any, p: Any) -> Any:
    """The value that a number of Student's t distribution is below with probability p."""
    import scipy.special

    return scipy.special.stdtrit(degrees, p)
