"""What records of log Z and of likelihoods promise, in the library and in the command."""

import json
from dataclasses import replace

import numpy as np
import pytest
from oracles import all_states, random_parameters, random_states

import harmonium
from harmonium import RBM, Estimate, Key
from harmonium.cli import main
from harmonium.errors import InvalidParameter, Unreliable

BRACKET = Estimate("log Z", 451.28, 451.2, 451.41, "ais", "ok", "", 61.4, 100, "tempered chains")
DOUBTFUL = Estimate("log Z", 451.28, 440.0, 451.41, "ais", "unreliable", "chains differ", 3.0, 100, "tempered chains")


def test_a_bracket_reads_as_one_line():
    assert str(BRACKET) == "log Z = 451.28 [451.20, 451.41] (AIS ↔ reverse AIS, ESS 61/100, ok)"
    assert str(DOUBTFUL).endswith("ESS 3/100, unreliable)")


def test_an_unreliable_record_is_no_number_unless_told():
    assert float(BRACKET) == BRACKET.number() == 451.28
    with pytest.raises(Unreliable, match=r"Got 451\.28, but chains differ\. Take more .*accept_unreliable=True"):
        float(DOUBTFUL)
    assert DOUBTFUL.number(accept_unreliable=True) == 451.28
    with pytest.raises(Unreliable, match="Got none: too large"):
        Estimate.unknown("log Z", "too large").number(accept_unreliable=True)


def test_likelihoods_know_their_convention_and_their_log_z():
    rbm, X = RBM(*random_parameters(3, 6)), random_states(20, 6)
    found = harmonium.log_likelihood(rbm, X, binarize="threshold")
    assert (found.binarize, found.verdict, found.reason) == ("threshold", "ok", "")
    np.testing.assert_allclose(found.per_sample, rbm.log_likelihood(X), atol=1e-5)
    assert float(found) == found.value == pytest.approx(found.per_sample.mean())
    doubtful = harmonium.log_likelihood(rbm, X, DOUBTFUL)
    assert doubtful.value == pytest.approx(-harmonium.free_energy(rbm, X).mean() - 451.28)
    with pytest.raises(Unreliable, match="log Z is unreliable"):
        float(doubtful)
    with pytest.raises(InvalidParameter, match="Got an estimate of the mean log-likelihood"):
        harmonium.log_likelihood(rbm, X, found)
    with pytest.raises(Unreliable, match="Got none"):
        float(harmonium.log_likelihood(rbm, X, Estimate.unknown("log Z", "too large")))


@pytest.mark.parametrize("repeats", [1, 5])
def test_distinct_samples_cannot_weigh_more_than_one(engine, repeats):
    """All states once are exactly 1; repeats do not count; log Z a little too low is found out."""
    rbm, X = RBM(*random_parameters(3, 6)), np.repeat(all_states(6), repeats, axis=0)
    assert harmonium.log_likelihood(rbm, X, engine=engine).verdict == "ok"
    low = rbm.log_z() - 0.01
    found = harmonium.log_likelihood(rbm, X, Estimate.exact("log Z", low), engine=engine)
    assert found.verdict == "unreliable"
    assert found.reason == "the probabilities of 64 distinct samples sum to exp(0.01): log Z is too low"
    both = harmonium.log_likelihood(rbm, X, replace(Estimate.exact("log Z", low), verdict="wide", reason="why"))
    assert (both.verdict, both.reason) == ("unreliable", f"log Z is wide: why; {found.reason}")
    with pytest.raises(Unreliable, match="64 distinct samples"):
        float(found)


def test_an_evaluation_brackets_what_it_anneals():
    rbm, X = RBM(*(0.1 * x for x in random_parameters(30, 30))), random_states(50, 30)
    found = harmonium.evaluate(rbm, X, log_z="ais", temperatures=100, chains=50)
    key = Key(0).derive("evaluate")
    assert found.log_z == harmonium.log_partition(rbm, "ais", X=X, temperatures=100, chains=50, seed=key)
    assert found.log_likelihood.lower < found.log_likelihood.value < found.log_likelihood.upper
    fields = json.loads(json.dumps(found.as_dict()))["log_z"]
    assert list(fields) == [
        "quantity",
        "value",
        "lower",
        "upper",
        "method",
        "verdict",
        "reason",
        "ess",
        "n_chains",
        "start",
    ]
    assert harmonium.evaluate(rbm, X, log_z=found.log_z) == found
    without = harmonium.evaluate(rbm, X, log_z="exact")
    assert (without.log_z.value, without.log_likelihood.value) == (None, None)
    assert "at most 25 units" in without.log_z.reason
    with pytest.raises(InvalidParameter, match="log_z must be one of"):
        harmonium.evaluate(rbm, X, log_z="often")


def test_the_command_brackets_too(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rbm, X = RBM(*random_parameters(4, 9)), random_states(30, 9)
    rbm.save("m.safetensors")
    np.save("x.npy", X)
    arguments = ["evaluate", "m.safetensors", "x.npy", "--log-z", "ais", "--chains", "40", "--temperatures", "30"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == harmonium.evaluate(rbm, X, log_z="ais", chains=40, temperatures=30).as_dict()
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert f"{found['log_z']['value']:.2f} [{found['log_z']['lower']:.2f}, " in out
    assert "from exact samples" in out
    for name, value in (("--log-z", "never"), ("--chains", "0"), ("--temperatures", "1"), ("--temperatures", "warm")):
        assert main(["evaluate", "m.safetensors", "x.npy", "--log-z", "ais", name, value]) == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {name} must be")
