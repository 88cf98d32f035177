"""Autocorrelation, R-hat, moments without stored chains, thinning: against definitions, exact chains, and replays."""

import itertools
import math

import numpy as np
import pytest
from oracles import Exact, random_parameters, row_number
from scipy.stats import norm, rankdata

from harmonium import RBM, Key, exact_sample, gibbs_chain, sample
from harmonium.chains.diagnostics import autocovariance
from harmonium.chains.gibbs import GibbsState, step
from harmonium.engines import make_engine
from harmonium.errors import InvalidData, InvalidParameter, Unreliable
from harmonium.sampling import autocorrelation_time, effective_sample_size, r_hat, running_moments, thinned_sample


def autoregressive(phi, chains, draws, seed=0):
    """x_t = phi x_(t-1) + noise from a stationary start: the autocorrelation at lag t is phi**t."""
    z = np.random.default_rng(seed).standard_normal((draws, chains))
    x = [z[0] / math.sqrt(1 - phi**2)]
    for noise in z[1:]:
        x.append(phi * x[-1] + noise)
    return np.array(x).T


def tau_by_definition(x):
    """Vehtari et al. (2021), equations 10 to 13, with sums in place of Fourier transforms."""
    x = np.asarray(x, np.float64)
    m, n = x.shape
    y = x - x.mean(axis=1, keepdims=True)
    within = np.mean([(row**2).sum() / (n - 1) for row in y])
    between = x.mean(axis=1).var(ddof=1) if m > 1 else 0
    total = within * (n - 1) / n + between
    rho = [1 - (within - np.mean([(r[: n - t] * r[t:]).sum() / n for r in y])) / total if t else 1.0 for t in range(n)]
    tau, least = -1.0, math.inf
    for even, odd in zip(rho[0::2], rho[1::2], strict=False):
        if even + odd <= 0:
            break
        least = min(least, even + odd)
        tau += 2 * least
    return tau


@pytest.mark.parametrize(("chains", "draws"), [(1, 4), (1, 7), (3, 50), (2, 64), (5, 101)])
@pytest.mark.parametrize("phi", [0.0, 0.6, 0.95])
def test_autocorrelation_times_are_their_definition(chains, draws, phi):
    x = autoregressive(phi, chains, draws, seed=draws)
    centred = x - x.mean(axis=1, keepdims=True)
    direct = [[(row[: draws - t] * row[t:]).sum() / draws for t in range(draws)] for row in centred]
    np.testing.assert_allclose(autocovariance(x), direct, atol=1e-12)
    found = autocorrelation_time(x)
    assert found == pytest.approx(max(tau_by_definition(x), 1 / draws), rel=1e-9)
    assert effective_sample_size(x) == pytest.approx(x.size / found)
    assert autocorrelation_time(7 - 3 * x) == pytest.approx(found, rel=1e-9)  # scale and sign do not matter
    assert autocorrelation_time(x[::-1]) == pytest.approx(found, rel=1e-9)


# The standard error of an estimate from N draws is about tau sqrt(2 (2 M + 1) / N) with M about 5 tau lags in the sum
# (Sokal): at most 0.031 tau for what follows. The tolerance is 6.4 of them, and catches an error of 40 % always.
TOLERANCE = 0.2


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
@pytest.mark.false_alarm(1e-9)
def test_the_autocorrelation_time_of_an_autoregressive_chain(phi, seed):
    tau = (1 + phi) / (1 - phi)
    assert autocorrelation_time(autoregressive(phi, 8, 50_000, seed(0))) == pytest.approx(tau, rel=TOLERANCE)


@pytest.mark.parametrize(("up", "down"), [(0.5, 0.5), (0.02, 0.08), (0.1, 0.3)])
@pytest.mark.false_alarm(1e-9)
def test_the_autocorrelation_time_of_a_chain_of_two_states(up, down, seed):
    """It jumps up and down with these probabilities; its autocorrelation at lag t is (1 - up - down)**t."""
    u = np.random.default_rng(seed(1)).random((50_000, 8))
    state, x = np.zeros(8, bool), []
    for row in u:
        state = np.where(state, row >= down, row < up)
        x.append(state)
    decay = 1 - up - down
    found = autocorrelation_time(np.array(x, np.uint8).T)
    assert found == pytest.approx((1 + decay) / (1 - decay), rel=TOLERANCE)


PARAMETERS = random_parameters(3, 4, seed=1, scale=1.5)


def exact_tau(exact, f):
    """1 + 2 sum_t f'T^t f / f'f of a centred function, summed as a geometric series of matrices."""
    f = f - exact.p_v @ f
    rest = np.linalg.solve(np.eye(len(f)) - exact.sweep + np.outer(np.ones(len(f)), exact.p_v), f)  # sum of T^t f
    return 2 * (exact.p_v * f) @ rest / ((exact.p_v * f) @ f) - 1


@pytest.mark.false_alarm(1e-9)
def test_the_autocorrelation_time_of_gibbs_sampling_is_that_of_its_transition_matrix(engine, seed):
    exact, rbm = Exact(*PARAMETERS), RBM(*PARAMETERS)
    chain = gibbs_chain(rbm, sample(rbm, 40, sweeps=100, seed=seed(1)), seed=seed(2), engine=engine)
    states = np.array([row_number(v) for v in itertools.islice(chain, 2000)]).T
    for f in (exact.log_p_v, exact.v[:, 0], exact.v @ [1, -2, 0, 1]):
        assert autocorrelation_time(f[states]) == pytest.approx(exact_tau(exact, f), rel=TOLERANCE)


def test_r_hat_is_its_definition():
    """Splits, ranks with ties, normal scores and folding written out, with SciPy's ranks."""
    for chains, draws in ((1, 10), (4, 9), (3, 40)):
        x = np.round(autoregressive(0.5, chains, draws) * 3)
        half = draws // 2
        y = np.concatenate([x[:, :half], x[:, draws - half :]])
        expected = []
        for values in (y, np.abs(y - np.median(y))):
            z = norm.ppf((rankdata(values).reshape(values.shape) - 0.375) / (values.size + 0.25))
            within = z.var(axis=1, ddof=1).mean()
            expected.append(math.sqrt(((half - 1) / half * within + z.mean(axis=1).var(ddof=1)) / within))
        assert r_hat(x) == pytest.approx(max(expected), rel=1e-12)


def test_r_hat_sees_what_chains_do_wrong():
    x = autoregressive(0.5, 6, 2000)
    assert abs(r_hat(x) - 1) < 0.01
    place, spread, trend = x.copy(), x.copy(), x + np.linspace(0, 3, 2000)
    place[0] += 2
    spread[0] *= 4
    for wrong in (place, spread, trend):
        assert r_hat(wrong) > 1.03
        assert r_hat(np.exp(np.clip(wrong, -9, 9))) > 1.03  # ranks see through monotone maps
    assert r_hat(np.repeat([[0.0], [1.0]], 10, axis=1)) == math.inf


def test_equal_values_are_equal_whatever_rounding_makes_of_their_mean():
    """The mean of many times 0.1 can be another number: that is no memory, and no variance within a chain."""
    for x in (np.full((10, n), value) for n in (57, 198, 400) for value in (0.1, 1 / 3, -27.725887222397812)):
        assert autocorrelation_time(x) == 1
        assert r_hat(x) < 1
    assert r_hat(np.repeat(np.arange(7.0)[:, None] / 10, 198, axis=1)) == np.inf


def test_chains_that_stand_still_somewhere_else_are_not_independent_draws():
    x = autoregressive(0.5, 6, 2000) + np.array([[0, 0, 0, 30, 30, 30]]).T
    assert autocorrelation_time(x) > 500
    assert effective_sample_size(x) < 20
    assert autocorrelation_time(np.full((3, 10), 2.5)) == 1
    assert r_hat(np.full((3, 10), 2.5)) == pytest.approx(math.sqrt(0.8))


@pytest.mark.parametrize(
    "x", [np.zeros(9), np.zeros((2, 3)), np.zeros((0, 9)), np.full((2, 9), np.nan), [["a"] * 5], np.zeros((2, 2, 9))]
)
@pytest.mark.parametrize("function", [autocorrelation_time, effective_sample_size, r_hat])
def test_what_are_no_draws_is_refused(function, x):
    with pytest.raises(InvalidData, match=r"must be finite numbers of shape \(chains, draws\)"):
        function(x)


# Averages without chains ----------------------------------------------------------------------------------------------


def chain_of(rbm, chains, key, engine):
    """The start that `sample` draws with a key, and the states of the sweeps from there with the same key."""
    start, engine_ = sample(rbm, chains, sweeps=0, seed=key, engine=engine), make_engine(rbm, engine)

    def sweeps():
        state = GibbsState(engine_.encode(start), 0)
        while True:
            state, _ = step(engine_, state, key)
            yield engine_.decode(state.v)

    return start, sweeps()


@pytest.mark.parametrize(("chains", "groups"), [(2, 2), (10, 10), (23, 10)])
def test_running_moments_are_averages_over_the_chains(engine, chains, groups):
    """Of one Gibbs chain: means over all of them, errors from groups."""
    rbm = RBM(*PARAMETERS)
    start, chain = chain_of(rbm, chains, Key(3).derive("running_moments"), engine)
    v = np.array(list(itertools.islice(chain, 12)))[5:].astype(np.float64)
    h = rbm.mean_h_from_v(v.reshape(-1, 4)).reshape(7, chains, 3)
    each = np.einsum("sci,scj->cij", h, v) / 7, v.mean(axis=0), h.mean(axis=0)
    found = running_moments(rbm, sweeps=7, burn_in=5, start=start, seed=3, engine=engine)
    for of_chain, mean, error in zip(each, found.mean, found.error, strict=True):
        assert mean.dtype == error.dtype == np.float64
        np.testing.assert_allclose(mean, of_chain.mean(axis=0), atol=1e-6)
        sums = [x.sum(axis=0) for x in np.array_split(of_chain - of_chain.mean(axis=0), groups)]
        expected = np.sqrt(groups / (groups - 1) * np.sum(np.square(sums), axis=0)) / chains
        np.testing.assert_allclose(error, expected, atol=1e-6)
    energies = rbm.free_energy(v.reshape(-1, 4)).reshape(7, chains).T
    assert found.r_hat > r_hat(energies.round(4)) - 0.05


@pytest.mark.false_alarm(1e-9)
def test_running_moments_are_those_of_the_model(engine, seed):
    """50 chains of 1,000 sweeps, tau below 4: standard deviations below 0.0045, of which 0.03 are 6.6. The errors, of
    10 groups, are of that size."""
    rbm, exact = RBM(*PARAMETERS), Exact(*PARAMETERS)
    found = running_moments(rbm, method="gibbs", chains=50, sweeps=1000, burn_in=50, seed=seed(4), engine=engine)
    for mean, error, expected in zip(found.mean, found.error, exact.moments, strict=True):
        assert np.abs(mean - expected).max() < 0.03
        assert 0.0005 < error.mean() <= error.max() < 0.015
    assert found.r_hat < 1.02
    assert (found.exact, found.verdict) == (False, "ok")
    quick = running_moments(rbm, engine=engine)
    assert (quick.exact, quick.verdict, quick.r_hat) == (True, "ok", 1)
    for mean, error, expected in zip(quick.mean, quick.error, exact.moments, strict=True):
        np.testing.assert_allclose(mean, expected, rtol=1e-9)
        assert not error.any()


@pytest.mark.false_alarm(1e-9)
def test_two_modes_of_which_one_is_far_from_the_biases(seed):
    """Chains that all start from the visible biases see one mode, agree (R-hat 1), and miss half of all units' means.

    Small machines are enumerated; chains start apart, and say so where they do not come together. All units go
    together: 0.06 are 6.7 standard deviations of the difference of 4,000 and 16,000 samples.
    """
    xi = np.random.default_rng(0).choice([-1.0, 1.0], 40)
    W, b = 1.2 * np.tile(xi, (12, 1)), -7.05 * xi
    rbm = RBM(W, b, np.full(12, -0.6 * xi.sum()))
    expected = exact_sample(rbm, 16_000, seed=seed(0))[0].mean(axis=0)
    assert np.abs(expected - 1 / (1 + np.exp(-b))).max() > 0.1
    assert running_moments(rbm).exact
    np.testing.assert_allclose(running_moments(rbm).mean.v, expected, atol=0.05)
    chains = running_moments(rbm, method="gibbs", sweeps=200, burn_in=200, seed=seed(0))
    assert (chains.r_hat > 1.1, chains.verdict) == (True, "unreliable")
    np.testing.assert_allclose(sample(rbm, 4000, seed=seed(1)).mean(axis=0), expected, atol=0.06)
    found = thinned_sample(rbm, 4000, seed=seed(2))
    assert found.exact
    np.testing.assert_allclose(found.samples.mean(axis=0), expected, atol=0.06)
    with pytest.raises(Unreliable, match="to be thinned"):
        thinned_sample(rbm, 20, method="gibbs", max_sweeps=800)


STUCK = np.full((4, 10), 4.0)  # all units on, or all off
PLANTED = RBM(STUCK, -STUCK.sum(axis=0) / 2, -STUCK.sum(axis=1) / 2)
BOTH_MODES = np.repeat([[0] * 10, [1] * 10], 5, axis=0)


def test_running_moments_of_chains_that_disagree_say_so():
    assert running_moments(PLANTED, sweeps=100, burn_in=50, start=BOTH_MODES).r_hat > 2


@pytest.mark.parametrize("options", [{"chains": 1}, {"sweeps": 3}, {"burn_in": -1}, {"start": np.zeros((1, 4))}])
def test_moments_of_too_little_are_refused(options):
    with pytest.raises(InvalidParameter):
        running_moments(RBM(*PARAMETERS), **options)


# Thinning -------------------------------------------------------------------------------------------------------------


def test_thinned_samples_are_states_of_the_chains(engine):
    rbm = RBM(*PARAMETERS)
    start, chain = chain_of(rbm, 4, Key(6).derive("thinned_sample"), engine)
    found = thinned_sample(rbm, 25, start=start, chains=4, seed=6, engine=engine)
    states = list(itertools.islice(chain, found.sweeps))
    kept = np.concatenate(states[:: -found.every][6::-1])
    np.testing.assert_array_equal(found.samples, kept[:25])
    assert (found.samples.shape, found.samples.dtype) == ((25, 4), np.uint8)
    assert found.every == math.ceil(2 * found.tau)


@pytest.mark.false_alarm(5e-9)
def test_thinning_follows_the_slowest_direction(engine, seed):
    """tau of the slowest feature, exactly; and neighbours in a thinned chain that know little of each other."""
    rbm, exact = RBM(*PARAMETERS), Exact(*PARAMETERS)
    directions = np.linalg.svd(PARAMETERS[0])[2][:2]
    expected = max(exact_tau(exact, f) for f in (exact.log_p_v, *(exact.v @ directions.T).T))
    found = thinned_sample(rbm, 20_000, method="gibbs", chains=100, seed=seed(7), engine=engine)
    assert found.tau == pytest.approx(expected, rel=0.4)  # measured on 50 times its length, in 100 chains: 6.3 errors
    assert expected > 2
    x = (found.samples @ directions.T).reshape(200, 100, 2)
    x = x - x.mean(axis=(0, 1))
    correlation = (x[1:] * x[:-1]).mean(axis=(0, 1)) / (x**2).mean(axis=(0, 1))
    assert (np.abs(correlation) < 0.02 + 6 / math.sqrt(20_000)).all()
    frequency = np.bincount(row_number(found.samples), minlength=16) / 20_000
    # Total variation of 16 states, with a false-alarm rate of 1e-9.
    assert np.abs(frequency - exact.p_v).sum() < math.sqrt(2 * (16 * math.log(2) + 9 * math.log(10)) / 20_000)


def test_chains_that_never_mix_are_not_thinned():
    with pytest.raises(Unreliable, match=r"must cover 50 autocorrelation times .* Got 1600 sweeps.*sample_tempered"):
        thinned_sample(PLANTED, 10, start=BOTH_MODES, max_sweeps=2000)


def test_thinning_shows_how_far_it_is():
    seen = []
    found = thinned_sample(RBM(*PARAMETERS), 10, method="gibbs", chains=5, progress=lambda *x: seen.append(x))
    assert [done for done, _ in seen] == list(range(1, found.sweeps + 2))
    assert seen[-1] == (found.sweeps + 1, found.sweeps + 1)


@pytest.mark.parametrize("options", [{"n": 0}, {"chains": 0}, {"max_sweeps": 10}, {"engine": "none"}])
def test_bad_counts_are_refused(options):
    with pytest.raises(InvalidParameter):
        thinned_sample(RBM(*PARAMETERS), **{"n": 5, **options})
