"""From the works of both directions to a bracket and its verdict: Bennett's ratio, errors, margins, contradictions."""

import math
import re

import numpy as np
import pytest
from oracles import Exact, all_states, log_sum_exp, logistic, random_parameters
from scipy.special import ndtri

from harmonium import RBM, Key
from harmonium.chains.path import linear_path
from harmonium.engines import make_engine
from harmonium.likelihood.annealed import Annealer, log_mean
from harmonium.likelihood.bracket import WIDE, acceptance_ratio, bracket, margin, standard_error


def quantiles(n, mean, deviation):
    """What n normal numbers would be without luck."""
    return mean + deviation * ndtri((np.arange(n) + 0.5) / n)


@pytest.mark.parametrize("deviation", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("sizes", [(100, 100), (400, 100), (50, 200)])
def test_bennett_s_ratio_of_normal_works(deviation, sizes):
    """Normal works obey the relation when their means stand half a variance either side of log Z."""
    forward, reverse = (quantiles(n, 7 + s * deviation**2 / 2, deviation) for n, s in zip(sizes, (-1, 1), strict=True))
    tolerance = 1e-8 if sizes[0] == sizes[1] else 0.05
    assert acceptance_ratio(forward, reverse) == pytest.approx(7, abs=tolerance)
    assert acceptance_ratio(forward + 1e4, reverse + 1e4) == pytest.approx(1e4 + acceptance_ratio(forward, reverse))
    assert acceptance_ratio(-reverse, -forward) == pytest.approx(-acceptance_ratio(forward, reverse))


def test_bennett_s_equation_holds_exactly_for_the_distributions_of_works():
    """On a listed machine with one ratio: the two expectations that Bennett's equation sets equal, at log Z only."""
    exact = Exact(*random_parameters(3, 4))
    rbm = RBM(*random_parameters(3, 4))
    annealer = Annealer(rbm, linear_path(np.zeros(4), rbm.n_hidden), "numpy")
    first = next(annealer.anneal(annealer.engine.encode(exact.v), np.array([0.0, 1.0]), Key(0)))
    x = annealer.path.log_z_base + first.log_ratio
    p_forward = np.full(16, 1 / 16)
    for log_z, equal in ((exact.log_z, True), (exact.log_z + 0.1, False)):
        sides = p_forward @ logistic(x - log_z), exact.p_v @ logistic(log_z - x)
        assert math.isclose(*sides, rel_tol=1e-5) == equal


def test_errors_and_margins():
    log_w = np.log(np.random.default_rng(0).gamma(5, size=200))
    w = np.exp(log_w)
    assert standard_error(log_w) == pytest.approx(w.std(ddof=1) / w.mean() / math.sqrt(200), rel=1e-9)
    assert 1.96 < margin(log_w) / standard_error(log_w) < 2.0
    assert margin(np.array([0.0, -1e9, -1e9])) == pytest.approx(math.log(40))  # Markov, whatever the weights
    assert margin(np.zeros(5)) == 0


GOOD = quantiles(100, -0.1, 0.4), quantiles(100, 0.1, 0.4)


@pytest.mark.parametrize(
    ("forward", "reverse", "rest", "verdict", "reason"),
    [
        (*GOOD, {}, "ok", ""),
        (GOOD[0] - 0.6, GOOD[1] + 0.6, {}, "wide", r"1\.\d nats apart"),
        (quantiles(100, -8, 4), quantiles(100, 8, 4), {}, "unreliable", "effective sample size"),
        (GOOD[0][::12], GOOD[1][::12], {}, "unreliable", "effective sample size"),
        (GOOD[0] + 2, GOOD[1], {}, "unreliable", r"the sides contradict each other: they cross by 1\.9"),
        (*GOOD, {"doubt": "chains differ"}, "unreliable", "chains differ"),
        (*GOOD, {"floor": 3.0}, "unreliable", "visited weigh more"),
        (np.append(GOOD[0], np.nan), GOOD[1], {}, "unknown", "not finite"),
        (GOOD[0], np.append(GOOD[1], np.inf), {}, "unknown", "not finite"),
    ],
)
def test_verdicts(forward, reverse, rest, verdict, reason):
    found = bracket(forward, reverse, **rest)
    assert found.verdict == verdict
    assert re.search(reason, found.reason)
    if verdict != "unknown":
        assert found.lower <= found.value <= found.upper
    assert verdict != "ok" or found.upper - found.lower <= WIDE


def test_ends_that_contradict_each_other_give_their_union():
    """Margins of 0.08: sides 0.1 apart the wrong way cross and agree, sides 0.3 apart cannot both be right."""
    for crossing, verdict in ((0.1, "ok"), (0.3, "unreliable")):
        forward, reverse = (quantiles(100, 7 + s * (0.08 - crossing / 2), 0.4) for s in (-1, 1))
        found = bracket(forward, reverse)
        sides = log_mean(forward), -log_mean(-reverse)
        assert sides[0] - sides[1] == pytest.approx(crossing, abs=0.01)
        assert found.verdict == verdict
        assert found.lower <= sides[1] - margin(-reverse)
        assert found.upper >= sides[0] + margin(forward)


@pytest.mark.false_alarm(9e-9)
@pytest.mark.parametrize("deviation", [0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("bias", [0.0, 0.1])
def test_a_bracket_that_is_ok_covers_though_the_starts_are_biased(deviation, bias, seed):
    """Normal works of 500 chains, the reverse ones too low by `bias`: how many of 1,500 brackets are wrong, but "ok".

    Without bias 0.2 % are; if twice as many were, more than 24 would be with probability 6e-9. With it at most 2.8 %
    are, and more than 82 with probability 9e-9. Brackets whose crossed ends shrink to the value are up to 4 % and 86 %.
    """
    rng, wrong = np.random.default_rng(seed(0)), 0
    for _ in range(1500):
        forward, reverse = (rng.normal(s * deviation**2 / 2, deviation, 500) for s in (-1, 1))
        found = bracket(forward, reverse - bias)
        wrong += found.verdict == "ok" and not found.lower <= 0 <= found.upper
    assert wrong <= (82 if bias else 24)


def test_a_part_of_z_raises_the_lower_end():
    free, raised = bracket(*GOOD), bracket(*GOOD, floor=-0.05)
    assert (free.lower < -0.05, raised.lower, raised.verdict) == (True, -0.05, "ok")


def test_log_sum_exp_of_the_oracle_is_the_floor():
    """What was visited is a part of Z: with every state visited, all of it."""
    from harmonium.likelihood.bracket import visited

    rbm = RBM(*random_parameters(3, 6))
    engine, v = make_engine(rbm), all_states(6).astype(np.uint8)
    assert visited(engine, np.concatenate([v, v])) == pytest.approx(rbm.log_z(), abs=1e-5)
    assert visited(engine, v[:5]) == pytest.approx(log_sum_exp(-rbm.free_energy(v[:5])), abs=1e-5)
