"""The proof: all of it passes here, every equation has its place in it, and bugs that are planted make it fail."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import harmonium.rbm
from harmonium import Key, verify
from harmonium.cli import main
from harmonium.engines import NumpyEngine
from harmonium.errors import InvalidParameter
from harmonium.verify import agreement, chains, check, conditionals, decisions, likelihoods, noise, scores

PAGE = (Path(__file__).parents[1] / "docs" / "mathematics.md").read_text(encoding="utf-8")
SEEDS = re.findall(r"^\| (seed [12][^|]*) \| .* \| `([\w.]+)` \|$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def proof():
    return list(verify.verify())


def test_everything_is_proved_here(proof):
    assert [x for x in proof if not x.passed] == []
    assert {x.engine for x in proof} >= {None, "numpy", "native", "native, portable, 4 threads"}
    assert len({(x.equation, x.name, x.engine) for x in proof}) == len(proof)


def test_every_numbered_equation_is_in_the_proof(proof):
    equations = {x.equation for x in proof}
    assert {f"seed 1 ({k})" for k in range(1, 31)} <= equations
    assert {f"seed 2 ({k})" for k in range(5, 12)} <= equations
    assert {f"({k})" for k in re.findall(r"\\tag\{(\d+)\}", PAGE)} == {x for x in equations if x.startswith("(")}


def test_the_table_of_the_seeds_is_the_proof(proof):
    proved = {(x.equation, x.name.partition(",")[0]) for x in proof if x.equation.startswith("seed")}
    assert len(SEEDS) == len(re.findall(r"^\| seed", PAGE, re.MULTILINE)) == len({row[0] for row in SEEDS})
    assert set(SEEDS) <= proved
    assert {row[0] for row in SEEDS} == {x[0] for x in proved}


def test_the_command_prints_one_object(capsys, proof):
    assert main(["verify", "--engine", "native", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"checks", "passed", "failed"}
    assert (result["passed"], result["failed"]) == (len(result["checks"]), 0)
    assert all(set(x) == {"equation", "name", "engine", "max_error", "passed"} for x in result["checks"])
    assert not [x for x in result["checks"] if x["engine"] == "numpy"]


def test_the_command_fails_where_a_check_does(capsys, monkeypatch):
    mean = NumpyEngine.mean
    monkeypatch.setattr(NumpyEngine, "mean", lambda self, logits: mean(self, logits) * 0.999)
    assert main(["verify", "--engine", "numpy"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^seed 1 \(6\) .* FAILED \(at most 5e-06\)  engines.Engine.mean \[numpy\]$", out, re.MULTILINE)
    assert re.search(r"^checks  \d+ passed, [1-9]\d* failed$", out, re.MULTILINE)


def test_a_function_that_raises_is_a_check_that_fails(capsys, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(harmonium.rbm.RBM, "energy", broken)
    assert main(["verify", "--engine", "numpy", "--json"]) == 1
    failed = [x for x in json.loads(capsys.readouterr().out)["checks"] if not x["passed"]]
    assert {"equation": "conditionals", "name": "ZeroDivisionError: planted", "engine": None, "max_error": None,
            "passed": False} in failed  # fmt: skip


def test_an_unknown_engine_is_refused(capsys):
    with pytest.raises(InvalidParameter, match="engine must be one of"):
        next(verify.verify("abacus"))
    assert main(["verify", "--engine", "abacus"]) == 2


def plant_energy(monkeypatch):
    energy = harmonium.RBM.energy
    monkeypatch.setattr(harmonium.RBM, "energy", lambda self, v, h: energy(self, v, h) * (1 + 1e-9))


def plant_free_energy(monkeypatch):
    free_energy = harmonium.RBM.free_energy
    monkeypatch.setattr(harmonium.RBM, "free_energy", lambda self, v: free_energy(self, v) - 1e-9)


def plant_gradient(monkeypatch):
    """One row for the mean of all."""
    expected = harmonium.RBM.expected_statistics
    monkeypatch.setattr(harmonium.RBM, "expected_statistics", lambda self, X: expected(self, X[:1]))


def plant_threshold(monkeypatch):
    """Noise rounded to single precision, so that decisions next to the threshold turn."""
    uniform = Key.uniform
    wrong = lambda self, n, m: uniform(self, n, m) + 3e-6  # noqa: E731
    bernoulli = NumpyEngine.bernoulli

    def planted(self, *arguments, **options):
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Key, "uniform", wrong)
            return bernoulli(self, *arguments, **options)

    monkeypatch.setattr(NumpyEngine, "bernoulli", planted)


def plant_shared_noise(monkeypatch):
    """Both layers of a chain draw with the same numbers."""
    for name in ("on", "at"):
        monkeypatch.setattr(Key, name, lambda self, _: self)


def plant_one_sweep_less(monkeypatch):
    run = chains.run_gibbs
    monkeypatch.setattr(chains, "run_gibbs", lambda *a, sweeps, **o: run(*a, sweeps=sweeps - 1, **o))


def plant_philox(monkeypatch):
    monkeypatch.setattr(noise, "philox4x32", lambda counter, seed: harmonium.random.philox4x32(counter, seed ^ 1))


def plant_layout(monkeypatch):
    bits = Key.bits
    monkeypatch.setattr(Key, "bits", lambda self, n, m: bits(self, n, m)[::-1])


def plant_swaps(monkeypatch):
    right = scores.swap_gains
    monkeypatch.setattr(scores, "swap_gains", lambda *a: right(*a) / 2)


def plant_uncentred_biases(monkeypatch):
    """The step is made in the centred coordinates, and the biases are not told."""
    ascend = NumpyEngine.ascend_along
    monkeypatch.setattr(NumpyEngine, "ascend_along", lambda self, g, rates, *_: ascend(self, g, rates))


BUGS = {
    plant_energy: conditionals, plant_free_energy: likelihoods, plant_gradient: likelihoods,
    plant_threshold: decisions, plant_shared_noise: chains, plant_one_sweep_less: chains, plant_philox: noise,
    plant_layout: noise, plant_swaps: scores, plant_uncentred_biases: agreement,
}  # fmt: skip


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_planted_bugs_make_it_fail(monkeypatch, plant):
    plant(monkeypatch)
    assert not all(x.passed for x in BUGS[plant].checks(("numpy",)))


def test_a_kernel_that_gives_other_bits_fails(monkeypatch):
    """On one instruction set only: a value that is wrong in the last place."""
    battery = agreement._battery

    def planted(*arguments):
        found = battery(*arguments)
        if agreement.instruction_set() != "portable":
            found["mean"] = np.nextafter(found["mean"], np.float32(0))
        return found

    monkeypatch.setattr(agreement, "_battery", planted)
    verdicts = {x.engine: x.passed for x in agreement.checks(("native",)) if x.name.endswith("same bits")}
    if len(verdicts) == len(agreement._THREADS):
        pytest.skip("this processor runs the portable kernels only")
    assert all(passed == ("portable" in engine) for engine, passed in verdicts.items())


def test_nothing_is_broadcast_into_agreement_and_nan_is_none():
    with pytest.raises(ValueError, match="shapes"):
        check.compare("", "", np.zeros(3), np.zeros((2, 3)))
    assert not check.compare("", "", np.array([np.nan, 0]), np.zeros(2)).passed
    assert check.compare("", "", (np.zeros(2), 1.0), (np.zeros(2), 1 + 1e-13)).passed
