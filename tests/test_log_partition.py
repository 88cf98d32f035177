"""log_partition: machines that can be listed are bracketed, planted failures are never "ok", and what is refused."""

import math

import numpy as np
import pytest
from oracles import random_parameters

import harmonium
from harmonium import RBM
from harmonium.errors import InvalidData, InvalidParameter, OutOfReach
from harmonium.likelihood import partition


def hole(depth=10.0, n_hidden=10, n_visible=40):
    """Nearly independent units, but for one pattern that a single hidden unit holds: annealing cannot find it."""
    rng = np.random.default_rng(0)
    W, b = rng.normal(0, 0.1, (n_hidden, n_visible)), rng.normal(0, 0.3, n_visible)
    W[0], c = 5 * rng.choice([-1, 1], n_visible), np.zeros(n_hidden)
    without, alone = (harmonium.log_partition(RBM(W[1:], b + x, c[1:])).value for x in (0, W[0]))
    c[0] = depth + without - alone
    return RBM(W, b, c)


# log_partition -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["exact", "chains"])
@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (3, 4), (5, 3)])
def test_small_machines_are_bracketed(engine, start, shape):
    rbm = RBM(*random_parameters(*shape))
    found = harmonium.log_partition(rbm, "ais", start=start, seed=3, temperatures=50, chains=100, engine=engine)
    assert found.verdict == "ok"
    assert found.lower - 1e-4 <= rbm.log_z() <= found.upper + 1e-4
    assert (found.method, found.n_chains) == ("ais", 100)
    assert found.start == {"exact": "exact samples", "chains": "tempered chains"}[start]


def test_the_same_seed_gives_the_same_bracket_and_another_another():
    rbm = RBM(*random_parameters(4, 6))
    first, again, other = (harmonium.log_partition(rbm, "ais", seed=s, temperatures=20) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_auto_is_exact_where_that_is_quick(monkeypatch):
    rbm = RBM(*random_parameters(4, 6))
    assert harmonium.log_partition(rbm, "auto").method == "exact"
    assert harmonium.log_partition(rbm, "auto", max_units=3, temperatures=20).method == "ais"
    monkeypatch.setattr(partition, "_AUTO_SECONDS", 0)
    assert harmonium.log_partition(rbm, "auto", temperatures=20).method == "ais"


def test_what_is_out_of_reach_says_how_long_it_would_take():
    rbm = RBM(np.zeros((40, 784)), np.zeros(784), np.zeros(40))
    for how in ({"method": "exact"}, {"method": "ais", "start": "exact"}):
        with pytest.raises(
            OutOfReach, match=r"Got 40 \(2\*\*40 states, about \d\d hours on two cores\)\. Raise max_units"
        ):
            harmonium.log_partition(rbm, **how)


@pytest.mark.parametrize("how", [{}, {"method": "ais"}, {"method": "ais", "start": "chains", "temperatures": 9}])
def test_progress_reaches_its_end_and_can_stop(how, monkeypatch):
    monkeypatch.setattr(partition, "_BLOCK", 4)
    rbm, calls = RBM(*random_parameters(5, 6)), []
    harmonium.log_partition(rbm, progress=lambda *x: calls.append(x), **how)
    done, total = zip(*calls, strict=True)
    assert len(calls) >= 8
    assert list(done) == sorted(done)
    assert done[-1] == total[-1]
    assert all(x <= y for x, y in calls)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harmonium.log_partition(rbm, progress=stop, **how)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("chains", 1, InvalidParameter),
        ("chains", 2.0, InvalidParameter),
        ("start", "noise", InvalidParameter),
        ("method", "AIS", InvalidParameter),
        ("seed", -1, InvalidParameter),
        ("X", np.zeros((3, 5)), InvalidData),
        ("X", np.full((3, 6), np.inf), InvalidData),
        ("X", np.zeros((0, 6)), InvalidData),
    ],
)
def test_bad_arguments(name, value, error):
    with pytest.raises(error, match=r"\. Got "):
        harmonium.log_partition(RBM(*random_parameters(4, 6)), **{"method": "ais", name: value})


def test_grey_data_give_the_base_its_biases():
    rbm, X = RBM(*random_parameters(4, 6)), np.random.default_rng(0).random((50, 6))
    assert harmonium.log_partition(rbm, "ais", X=X, temperatures=50, start="chains").verdict == "ok"


# Planted failures ----------------------------------------------------------------------------------------------------

# Hidden units that all want one of two opposite patterns.
_PATTERN = np.random.default_rng(1).choice([-1.0, 1.0], 40)
STRONG = RBM(np.tile(0.5 * _PATTERN, (12, 1)), -3.0 * _PATTERN, np.full(12, -0.25 * _PATTERN.sum()))


@pytest.mark.parametrize(
    ("rbm", "how"),
    [
        (STRONG, {"temperatures": 2}),
        (STRONG, {"temperatures": 2, "start": "chains"}),
        (STRONG, {"temperatures": [0, 1], "start": "chains"}),
        (STRONG, {"X": np.tile(np.arange(40) % 2, (9, 1)), "temperatures": 4}),
        (STRONG, {"X": np.tile(np.arange(40) % 2, (9, 1)), "temperatures": 4, "start": "chains"}),
        (STRONG, {"chains": 5, "start": "chains"}),
        (STRONG, {"chains": 5, "start": "exact"}),
        (hole(), {"start": "chains"}),
        (hole(2.0), {"start": "chains"}),
        (hole(-2.0), {"start": "chains"}),
    ],
)
def test_planted_failures_are_never_ok(rbm, how):
    """Two temperatures, a base that fits other data, too few chains, a mode that annealing misses."""
    for seed in range(2):
        found = harmonium.log_partition(rbm, "ais", seed=seed, **{"chains": 100, **how})
        assert found.verdict in ("wide", "unreliable")
        assert found.reason


def test_a_missed_mode_is_what_the_check_of_the_starts_is_for(monkeypatch):
    """Without it the same run would be a wrong "ok"."""
    rbm = hole()
    monkeypatch.setattr("harmonium.likelihood.two_sided.visited", lambda *_: -math.inf)
    monkeypatch.setattr("harmonium.likelihood.two_sided.spread_out", lambda *x: np.zeros((x[3], 40), np.uint8))
    found = harmonium.log_partition(rbm, "ais", start="chains")
    assert found.verdict == "ok"
    assert found.upper < rbm.log_z() - 5


def test_exact_starts_bracket_a_mode_that_annealing_misses():
    rbm = hole(0.0)
    found = harmonium.log_partition(rbm, "ais", start="exact", X=np.zeros((9, 40)))
    assert found.lower <= rbm.log_z() <= found.upper


@pytest.mark.parametrize("start", ["exact", "chains"])
@pytest.mark.filterwarnings("ignore:(overflow|invalid)")
def test_weights_beyond_all_bounds_have_no_number(engine, start):
    rbm = RBM(np.full((3, 4), 3e38), np.full(4, -3e38), np.zeros(3))
    with pytest.raises(InvalidParameter, match="must add up to log-odds of at most"):
        harmonium.log_partition(rbm, "ais", start=start, engine=engine, temperatures=5)
