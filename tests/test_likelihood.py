"""Likelihoods against brute force, on every engine: log Z in blocks, free energies, pseudo-likelihood, evaluation."""

import json
import math

import numpy as np
import pytest
from oracles import Exact, dyadic_parameters, logistic, random_parameters, random_states, row_number

import harmonium
from harmonium import RBM, Estimate, Key
from harmonium.engines import ENGINES
from harmonium.enumeration import missing
from harmonium.errors import InvalidData, InvalidParameter, OutOfReach
from harmonium.likelihood import partition, pseudo

SHAPES = [(0, 1), (0, 4), (1, 1), (1, 6), (6, 1), (3, 4), (4, 3), (7, 5), (5, 7)]


# log Z ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
@pytest.mark.parametrize("block", [1, 3, 8, 1 << 16])
def test_log_z_equals_brute_force_in_blocks_of_any_size(engine, monkeypatch, n_hidden, n_visible, block):
    monkeypatch.setattr(partition, "_BLOCK", block)
    for seed, scale in enumerate((0.0, 1.0, 10.0)):
        parameters = random_parameters(n_hidden, n_visible, seed, scale)
        got = harmonium.log_partition(RBM(*parameters), engine=engine)
        assert got.value == pytest.approx(Exact(*parameters).log_z, rel=1e-12, abs=1e-12)
        assert (got.lower, got.upper, got.method, got.verdict) == (got.value, got.value, "exact", "ok")


def test_log_z_of_many_states_and_large_terms(engine):
    """17 hidden units, two blocks; a machine of independent parts whose sum is known in closed form."""
    b, c = np.linspace(-400, 400, 20), np.linspace(-3, 3, 17)
    W = np.zeros((17, 20))
    W[:, 0] = 50
    # Given v_0 all is independent: Z = sum over v_0 of e^(b_0 v_0) prod_i (1 + e^(c_i + 50 v_0)) prod_j (1 + e^b_j)
    rest = np.logaddexp(0, b[1:]).sum()
    branches = [np.logaddexp(0, c).sum(), b[0] + np.logaddexp(0, c + 50).sum()]
    assert harmonium.log_partition(RBM(W, b, c), engine=engine).value == pytest.approx(
        rest + np.logaddexp(*branches), rel=1e-13
    )


def test_engines_agree_on_log_z_of_a_trained_like_machine():
    rbm = RBM(*random_parameters(14, 100, scale=0.7))
    values = [harmonium.log_partition(rbm, engine=name).value for name in ("numpy", "native")]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    assert values[0] == pytest.approx(rbm.log_z(), rel=1e-12)


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (5, 5)])
def test_the_limit_is_on_the_smaller_layer(shape):
    rbm = RBM(*random_parameters(*shape))
    assert harmonium.log_partition(rbm, "exact", max_units=5).value == pytest.approx(rbm.log_z(), rel=1e-12)
    with pytest.raises(OutOfReach, match=r"must have at most 4 units .* Got 5 .*\. Raise max_units "):
        harmonium.log_partition(rbm, "exact", max_units=4)
    assert harmonium.log_partition(rbm, max_units=4, chains=10).method == "ais"


def test_auto_is_exact_wherever_that_is_quick_here(monkeypatch):
    """27 x 35 was annealed, though its sum takes seconds: here a short block decides, not a number of units."""
    rbm = RBM(*(0.1 * x for x in random_parameters(27, 35)))
    seconds, sums = {}, []
    monkeypatch.setattr(partition, "_sum_exactly", lambda *arguments: sums.append(arguments) or 1.0)
    for pace in (1e-9, 1e-6):  # seconds for a state
        clock, states = [0.0], []

        def block(machine, first, count, clock=clock, states=states, pace=pace):
            clock[0] += pace * count
            states.append(count)
            return 0.0

        monkeypatch.setattr(partition.time, "perf_counter", lambda clock=clock: clock[0])
        monkeypatch.setattr(ENGINES["native"], "log_partition_block", staticmethod(block))
        seconds[pace] = partition._measured_seconds(rbm, "native", 1.0)
        assert seconds[pace] == pytest.approx(pace * 2**27)
        assert sum(states) <= 3 * 2**22
        found = harmonium.log_partition(rbm, chains=10, temperatures=10)
        assert found.method == ("exact" if seconds[pace] <= 20 else "ais")
    assert (seconds[1e-9] < 20 < seconds[1e-6], len(sums)) == (True, 1)


def test_log_partition_reads_as_a_sentence():
    assert str(harmonium.log_partition(RBM([[0.0]], [0.0], [0.0]))) == "log Z = 1.39 (exact, ok)"
    assert str(Estimate.unknown("log Z", "too large")) == "log Z unknown (too large)"


# Free energy and likelihood ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
def test_free_energies_and_likelihoods_equal_brute_force(engine, n_hidden, n_visible):
    for parameters in (dyadic_parameters(n_hidden, n_visible), random_parameters(n_hidden, n_visible)):
        rbm, exact = RBM(*parameters), Exact(*parameters)
        F = harmonium.free_energy(rbm, exact.v, engine=engine)
        assert F.dtype == np.float64
        np.testing.assert_allclose(-F - exact.log_z, exact.log_p_v, rtol=0, atol=5e-6)
        X = random_states(50, n_visible)
        got = harmonium.log_likelihood(rbm, X, engine=engine)
        assert got.value == pytest.approx(exact.log_p_v[row_number(X)].mean(), abs=5e-6)
        assert (got.lower, got.upper) == (got.value, got.value)


def test_free_energies_of_grey_levels_use_the_levels(engine):
    W, b, c = random_parameters(3, 5)
    X = np.random.default_rng(0).random((20, 5))
    expected = -X @ b - np.logaddexp(0, X @ W.T + c).sum(axis=1)
    np.testing.assert_allclose(harmonium.free_energy(RBM(W, b, c), X, engine=engine), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1e3, 1e5, 1e30])
def test_free_energies_stay_finite_at_huge_logits(engine, size):
    rbm = RBM([[size, -size]], [0.0, 0.0], [0.0])
    got = harmonium.free_energy(rbm, [[1, 0], [0, 1], [1, 1]], engine=engine)
    np.testing.assert_allclose(got, [-size, 0, -math.log(2)], rtol=1e-6, atol=1e-6)


def test_chunks_of_rows_do_not_show(engine, monkeypatch):
    rbm, X = RBM(*dyadic_parameters(4, 9)), random_states(50, 9)
    functions = (
        lambda: harmonium.free_energy(rbm, X, engine=engine),
        lambda: harmonium.pseudo_log_likelihood(rbm, X, engine=engine),
        lambda: harmonium.reconstruction_error(rbm, X, seed=3, engine=engine),
    )
    whole = [function() for function in functions]
    monkeypatch.setattr(pseudo, "_ROWS", 7)
    monkeypatch.setitem(harmonium.free_energy.__globals__, "_ROWS", 7)
    for function, expected in zip(functions, whole, strict=True):
        np.testing.assert_allclose(function(), expected, rtol=1e-12)


def test_bounds_of_log_z_become_bounds_of_the_likelihood():
    rbm, X = RBM(*random_parameters(2, 3)), random_states(5, 3)
    F = harmonium.free_energy(rbm, X).mean()
    got = harmonium.log_likelihood(rbm, X, Estimate("log Z", 2.0, 1.0, 4.0, "ais"))
    assert (got.value, got.lower, got.upper) == pytest.approx((-F - 2, -F - 4, -F - 1))
    unknown = harmonium.log_likelihood(rbm, X, Estimate.unknown("log Z", "no"))
    assert (unknown.value, unknown.lower, unknown.upper) == (None, None, None)


@pytest.mark.parametrize("binarize", [None, "threshold", "sample"])
def test_grey_levels_are_scored_under_no_name_of_another_convention(binarize):
    """They were: as if they were states, under whatever name the caller gave them."""
    rbm, X = RBM(*random_parameters(2, 3)), np.random.default_rng(0).random((5, 3))
    with pytest.raises(InvalidData, match=r"must hold only 0 and 1 .*Got grey levels\. Make them states with"):
        harmonium.log_likelihood(rbm, X, binarize=binarize)
    with pytest.raises(InvalidParameter, match="binarize must be one of threshold, sample, none"):
        harmonium.log_likelihood(rbm, X, binarize="thresholded")
    assert harmonium.log_likelihood(rbm, X, binarize="none").value == pytest.approx(rbm.log_likelihood(X).mean())


@pytest.mark.parametrize("size", [1e38, 1e39, 1e300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_beyond_float32_are_refused_by_everything_that_computes_in_it(engine, size, dtype):
    """They gave NaN, or infinity, and the verdict "ok"; what computes in float64 gives the right values."""
    if size > 1e38 and dtype == np.float32:
        return
    signs = [np.sign(x) * 1.0 for x in random_parameters(4, 5)]
    rbm, X = RBM(*((size * x).astype(dtype) for x in signs)), random_states(3, 5)
    how = {"engine": engine}
    for function in (
        lambda: harmonium.free_energy(rbm, X, **how),
        lambda: harmonium.marginal_free_energy(rbm, X, **how),
        lambda: harmonium.log_likelihood(rbm, X, **how),
        lambda: harmonium.evaluate(rbm, X, **how),
        lambda: harmonium.pseudo_log_likelihood(rbm, X, **how),
        lambda: harmonium.reconstruction_error(rbm, X, **how),
        lambda: harmonium.log_partition(rbm, "ais", **how),
        lambda: harmonium.sample(rbm, 3, sweeps=1, **how),
        lambda: harmonium.sample(rbm, start=X, **how),
        lambda: harmonium.sample_tempered(rbm, 3, **how),
        lambda: next(harmonium.gibbs_chain(rbm, X, **how)),
    ):
        with pytest.raises(InvalidParameter, match=r"must add up to log-odds of at most 1e\+38, .*Scale the machine"):
            function()
    exact = harmonium.log_partition(rbm, engine=engine)
    assert exact.value == pytest.approx(size / 1e6 * RBM(*(1e6 * x for x in signs)).log_z(), rel=1e-5)
    large = RBM(*(1e36 * x for x in signs))
    np.testing.assert_allclose(harmonium.free_energy(large, X, **how), large.free_energy(X), rtol=1e-5)


HOLES = np.where(np.random.default_rng(2).random((30, 7)) < 0.3, np.nan, random_states(30, 7))


def observed_log_likelihood(parameters, X):
    """log p(observed entries) of each row, by summing over all completions."""
    exact = Exact(*parameters)
    agrees = [((exact.v == row) | np.isnan(row)).all(axis=1) for row in X]
    return np.log([exact.p_v[rows].sum() for rows in agrees])


def test_what_is_observed_is_scored(engine):
    parameters = random_parameters(4, 7)
    found = harmonium.evaluate(RBM(*parameters), HOLES, engine=engine)
    expected = observed_log_likelihood(parameters, HOLES)
    np.testing.assert_allclose(found.log_likelihood.per_sample, expected, atol=1e-5)
    assert found.log_likelihood.value == pytest.approx(expected.mean(), abs=1e-5)
    assert found.log_likelihood.n_missing == np.isnan(HOLES).sum()
    assert (found.pseudo_log_likelihood, found.reconstruction_error) == (None, None)
    fields = json.loads(json.dumps(found.as_dict()))["log_likelihood"]
    assert fields["quantity"] == "mean log-likelihood of what is observed"
    grey = harmonium.evaluate(RBM(*parameters), np.where(HOLES == 1, 0.7, HOLES), engine=engine)
    assert grey.log_likelihood == found.log_likelihood


@pytest.mark.false_alarm(1e-9)
def test_annealed_sums_widen_the_likelihood(monkeypatch, seed):
    monkeypatch.setitem(missing.LIMITS, "auto", (-1, -1))
    parameters = random_parameters(4, 7)
    found = harmonium.log_likelihood(RBM(*parameters), HOLES, seed=seed(0))
    two_errors = (found.upper - found.lower) / 2
    assert 0 < two_errors < 0.05
    assert abs(found.value - observed_log_likelihood(parameters, HOLES).mean()) < 3.5 * two_errors


def test_a_bracket_takes_data_with_missing_entries():
    rbm = RBM(*random_parameters(4, 7))
    found = harmonium.evaluate(rbm, HOLES, log_z="ais", chains=50, temperatures=50)
    assert found.log_z.lower <= rbm.log_z() <= found.log_z.upper


# Pseudo-likelihood and reconstruction --------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_hidden", "n_visible"), SHAPES)
@pytest.mark.parametrize("scale", [0.3, 3.0, 20.0])
def test_the_pseudo_likelihood_is_the_sum_of_the_conditionals(engine, n_hidden, n_visible, scale):
    parameters = [x.astype(np.float32) for x in random_parameters(n_hidden, n_visible, scale=scale)]
    exact = Exact(*parameters)
    got = harmonium.pseudo_log_likelihood(RBM(*parameters), exact.v, engine=engine)
    np.testing.assert_allclose(got, exact.pseudo_log_likelihood(), rtol=1e-5, atol=1e-5 * max(1, scale))


def test_for_independent_columns_pseudo_likelihood_is_likelihood(engine):
    rbm, X = RBM(np.zeros((3, 6)), np.linspace(-3, 3, 6), np.ones(3)), random_states(20, 6)
    got = harmonium.pseudo_log_likelihood(rbm, X, engine=engine)
    np.testing.assert_allclose(got, rbm.log_likelihood(X), rtol=1e-6)


def test_grey_levels_have_no_pseudo_likelihood():
    with pytest.raises(InvalidData, match=r"only 0 and 1\. Got values between\. Binarise"):
        harmonium.pseudo_log_likelihood(RBM([[0.0]], [0.0], [0.0]), [[0.5]])


@pytest.mark.parametrize("grey", [False, True])
def test_the_reconstruction_error_by_hand(engine, grey):
    W, b, c = dyadic_parameters(4, 6)
    X = np.random.default_rng(0).integers(0, 5, (30, 6)) / 4 if grey else random_states(30, 6)
    u = Key(9).derive("reconstruction").uniform(30, 4)
    h = u < logistic(X @ W.T + c)
    expected = np.mean((X - logistic(h @ W + b)) ** 2)
    got = harmonium.reconstruction_error(RBM(W, b, c), X, seed=9, engine=engine)
    assert got == pytest.approx(expected, rel=1e-5)


# Evaluation ----------------------------------------------------------------------------------------------------------


def test_an_evaluation_is_the_sum_of_its_parts(engine):
    rbm, X = RBM(*dyadic_parameters(3, 5)), random_states(40, 5)
    got = harmonium.evaluate(rbm, X, seed=2, engine=engine)
    assert (got.n_visible, got.n_hidden, got.n_samples, got.binarize) == (5, 3, 40, "threshold")
    assert got.log_z == harmonium.log_partition(rbm, engine=engine)
    assert got.log_likelihood == harmonium.log_likelihood(rbm, X, engine=engine)
    assert got.pseudo_log_likelihood == harmonium.pseudo_log_likelihood(rbm, X, engine=engine).mean()
    assert got.reconstruction_error == harmonium.reconstruction_error(
        rbm, X, seed=Key(2).derive("evaluate"), engine=engine
    )
    assert json.loads(json.dumps(got.as_dict()))["log_z"]["value"] == got.log_z.value


def test_conventions_are_applied_and_named(engine):
    rbm, X = RBM(*dyadic_parameters(3, 5)), np.random.default_rng(0).random((40, 5))
    threshold, sampled, again, none = (
        harmonium.evaluate(rbm, X, binarize=binarize, seed=1, engine=engine)
        for binarize in ("threshold", "sample", "sample", "none")
    )
    assert threshold.log_likelihood == harmonium.log_likelihood(rbm, X > 0.5, engine=engine)
    assert sampled == again
    assert sampled.log_likelihood != threshold.log_likelihood
    assert none.pseudo_log_likelihood is None
    assert none.log_likelihood == harmonium.log_likelihood(rbm, X, binarize="none", engine=engine)
    assert [x.binarize for x in (threshold, sampled, none)] == ["threshold", "sample", "none"]


def test_an_evaluation_out_of_reach_says_so_instead_of_a_number():
    rbm = RBM(np.zeros((26, 26)), np.zeros(26), np.zeros(26))
    got = harmonium.evaluate(rbm, random_states(3, 26), log_z="exact")
    assert got.log_z.value is None
    assert "at most 25 units" in got.log_z.reason
    assert got.log_likelihood.value is None
    assert got.pseudo_log_likelihood == pytest.approx(-26 * math.log(2))
