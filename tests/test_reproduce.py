"""``harmonium reproduce``: what is refused before any work, what the plans promise, and one small run of everything."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from pages import ROOT

import harmonium
from harmonium.cli import main
from harmonium.datasets import Dataset
from harmonium.errors import InvalidData, UnwritableOutput
from harmonium.reproduce import PLANS, Machine, draws, make_folder, page, provenance
from harmonium.reproduce.busy import Others
from harmonium.reproduce.digits import Digits
from harmonium.reproduce.pictures import N_SAMPLES
from harmonium.reproduce.scores import Score, mean_accuracy
from harmonium.training.run_directory import fingerprint_of

# Hides a package as if it were not installed.
HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
from harmonium.cli import main
sys.exit(main({arguments!r}))
"""

SMALL = """
import json, sys
from harmonium import Config, datasets
from harmonium.reproduce import FineTuning, Machine, Plan, Softmax, reproduce
def machine(n):
    return Machine(Config(n, method="cd", epochs=2, batch_size=100, learning_rate=0.1, momentum=0.9, weight_decay=1e-3,
                          centered=False, binarize="sample"), -1.0)
plan = Plan(8, machine(10), (machine(12), machine(6)), Softmax(2, 50, 0.03, 1e-4), FineTuning(2, 50, 1e-3, 0.1, 0.1),
            Config(10, epochs=2, held_out=0, patience=0), sweeps=20, seed=7)
stages, work = [], []
found = reproduce(datasets.load("digits"), plan, sys.argv[1], n_seeds=2, made_by="made <so>", on_stage=stages.append,
                  on_work=lambda done, total: work.append((done, total)))
print(json.dumps({"found": found, "stages": stages, "work": work}))
"""


def is_installed(module):
    # A directory called keras is not Keras: only a package with a file of its own counts.
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def run_python(code, *arguments, **environment):
    inherited = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    command = [sys.executable, "-c", code, *arguments]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, env=inherited | quiet | environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("hidden", ["keras", "tensorflow"])
def test_what_is_not_installed_is_named_before_any_work(tmp_path, hidden):
    out = tmp_path / "results"
    done = run_python(HIDE.format(hidden=hidden, arguments=["reproduce", "--out", str(out), "--json"]))
    assert done.returncode == 1
    assert "pip install keras tensorflow" in done.stderr
    assert done.stdout == ""
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "digits"], "--data must be one of mnist-5k, mnist. Got 'digits'."),
        (["--seeds", "0"], "--seeds must be"),
        (["--seed", "-1"], "seed must"),
        (["--seeds", "many"], "whole number"),
    ],
)
def test_bad_options(tmp_path, capsys, options, message):
    assert main(["reproduce", *options, "--out", str(tmp_path / "results")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert not (tmp_path / "results").exists()


# The plans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_the_plans_are_those_of_the_seeds(plan):
    assert (plan.rbm_name, plan.stack_name, plan.n_components) == ("rbm_200", "stack_500_200", 200)
    assert plan.likelihood == harmonium.Config(200, method="pt")
    for machine in (plan.rbm, *plan.stack):
        config = machine.config
        # What Keras and the engines have in common, so that the features can be put side by side.
        common = (config.method, config.schedule, config.optimizer, config.centered, config.data_moments)
        assert common == ("cd", "linear", "sgd", False, False)
        assert (config.l1, config.max_norm, config.sparsity_cost, config.clip) == (0, 0, 0, 0)


def test_a_seed_reaches_every_machine_and_the_layers_differ():
    plan = PLANS["mnist"]
    seeded = [[m.config.seed for m in plan.with_seed(seed).machines.values()] for seed in (3, 4)]
    assert seeded[0][:2] == [3, 3]
    assert seeded[0][2] not in (3, seeded[1][2])
    assert plan.with_seed(3).seed == 3


def test_a_machine_starts_as_planned():
    X = harmonium.Key(1).uniform(50, 9).astype(np.float32)
    config = replace(PLANS["mnist"].rbm.config, n_hidden=40)
    rbm = Machine(config, hidden_bias=-3.0).initial(X)
    reference = harmonium.RBM.initialise(X, 40, config.seed)
    np.testing.assert_array_equal(rbm.b, reference.b)
    np.testing.assert_array_equal(rbm.W, reference.W)
    np.testing.assert_array_equal(rbm.c, np.full(40, -3.0))


# Data and scores ------------------------------------------------------------------------------------------------------


def labelled(**changes):
    X, y = harmonium.Key(2).uniform(12, 4), np.arange(12) % 3
    fields = {"train": X[:6], "valid": X[6:8], "test": X[8:], "y_train": y[:6], "y_valid": y[6:8], "y_test": y[8:]}
    return Dataset("labelled", **(fields | changes))


def test_train_and_valid_are_trained_on_and_test_is_not():
    dataset = labelled()
    digits = Digits.of(dataset)
    np.testing.assert_array_equal(digits.X, np.concatenate([dataset.train, dataset.valid]))
    np.testing.assert_array_equal(digits.y, np.concatenate([dataset.y_train, dataset.y_valid]))
    np.testing.assert_array_equal(digits.X_test, dataset.test)
    assert (digits.n_classes, digits.n_valid) == (3, 2)
    assert len(Digits.of(labelled(valid=None, y_valid=None)).X) == 6


@pytest.mark.parametrize("missing", [{"test": None, "y_test": None}, {"y_train": None}, {"y_test": None}])
def test_data_without_labels_or_test_split_are_refused(missing):
    with pytest.raises(InvalidData, match="labelled must have labelled train and test splits"):
        Digits.of(labelled(**missing))


def test_scores_count_true_classes_down_and_predictions_across():
    score = Score.of(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([2, 2]), np.array([2, 0]), 3)
    np.testing.assert_array_equal(score.train, [[1, 1, 0], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(score.test, [[0, 0, 0], [0, 0, 0], [1, 0, 1]])
    assert score.accuracy == {"train": pytest.approx(2 / 3), "test": 0.5}
    perfect = Score(np.eye(3, dtype=int), np.eye(3, dtype=int))
    assert mean_accuracy([score, perfect]) == {"train": pytest.approx(5 / 6), "test": 0.75}


# Places ---------------------------------------------------------------------------------------------------------------


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UnwritableOutput, match="must be a directory"):
            make_folder(place)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_directory_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("harmonium.reproduce.run.os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(UnwritableOutput, match="Permission denied"):
        make_folder(tmp_path)


# Everything, small ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    for module in ("keras", "tensorflow"):
        if not is_installed(module):
            pytest.skip(f"{module} is not installed: pip install keras tensorflow")
    out = tmp_path_factory.mktemp("small")
    done = run_python(SMALL, str(out), KERAS_BACKEND="tensorflow")
    assert done.returncode == 0, done.stderr[-4000:]
    return out, json.loads(done.stdout.splitlines()[-1])


DIGITS = Digits.of(harmonium.datasets.load("digits"))
METHODS = ("raw", "pca_8", "rbm_10", "stack_12_6", "stack_fine_tuned")


def test_the_numbers_are_complete_and_in_the_file(small):
    out, said = small
    found = said["found"]
    assert json.loads((out / "results.json").read_text()) == found
    assert (found["data"], found["seeds"], found["n_train"], found["n_test"]) == ("digits", [7, 8], 1497, 300)
    for part in ("from_scratch", "for_likelihood"):
        own = found[part]
        assert own["engine"] == "native"
        # Ten hidden units are enumerated: both ends are the exact likelihood of the machine that was written.
        likelihood = own["test_log_likelihood"]
        assert likelihood["lower"] == likelihood["upper"] < 0
        assert own["seconds"] > 0
        assert sum(own["samples"]["classes_of_nearest_images"]) == N_SAMPLES
        assert own["samples"]["r_hat"] > 0.9
    assert found["from_scratch"]["test_log_likelihood_thresholded"]["binarize"] == "threshold"
    assert found["made_by"] == "made <so>"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    assert found["data_sha256"] == {
        "train": fingerprint_of(DIGITS.X), "test": fingerprint_of(DIGITS.X_test),
    }  # fmt: skip
    assert list(found["tensorflow"]["accuracy"]) == list(METHODS)
    assert list(found["native_features"]["accuracy"]) == ["rbm_10", "stack_12_6"]
    assert found["tensorflow"]["stack_weights"] == 64 * 12 + 64 + 12 + 12 * 6 + 12 + 6
    assert found["tensorflow"]["seconds"] > 0
    for part in ("tensorflow", "native_features"):
        assert set(found[part]["samples_per_second"]) == {"RBM-10", "stack, layer 1", "stack, layer 2"}
        assert min(found[part]["samples_per_second"].values()) > 0


def test_accuracies_are_those_of_the_confusion_matrices(small):
    _, said = small
    found = said["found"]["tensorflow"]
    for name in METHODS:
        for split, n in (("train", 1497), ("test", 300)):
            counts, by_seed = np.array(found["confusion"][name][split]), found["accuracy_by_seed"][name][split]
            assert counts.shape == (10, 10)
            assert counts.sum() == n
            assert by_seed[0] == pytest.approx(np.trace(counts) / n)
            assert len(by_seed) == 2
            assert found["accuracy"][name][split] == pytest.approx(np.mean(by_seed))
    # Two epochs of softmax regression on 64 pixels: far above the 10 % of guessing.
    assert found["accuracy"]["raw"]["test"] > 0.5


def test_the_machine_that_is_written_has_the_likelihood_that_is_reported(small):
    out, said = small
    rbm = harmonium.RBM.load(out / "model.safetensors")
    key = harmonium.Key(7).derive("evaluation")
    again = harmonium.evaluate(rbm, harmonium.datasets.load("digits").test, binarize="sample", seed=key)
    own = said["found"]["from_scratch"]
    assert again.log_likelihood.value == pytest.approx(own["test_log_likelihood"]["value"])
    assert again.pseudo_log_likelihood == pytest.approx(own["test_pseudo_log_likelihood"])


def test_the_page_has_every_picture_and_every_setting(small):
    out, said = small
    html = (out / "index.html").read_text()
    assert html.count("<img ") == 7 + 10
    pictures = {path.stem for path in out.glob("*.png")}
    confusions = {f"confusion_{name}_{split}" for name in METHODS for split in ("train", "test")}
    machines = {"filters", "reconstructions", "curves", "samples_cd", "samples_likelihood", "nearest", "sweeps"}
    assert pictures == machines | confusions
    alternatives = re.findall(r'alt="([^"]+)"', html)
    assert len(set(alternatives)) == len(alternatives)
    assert html.count("<small>Seed 7. Harmonium") == html.count("<img ")
    assert not re.search(r"<script|@import|url\(|https?:", html)
    for text in (
        "Code from scratch",
        "Trained for likelihood",
        ">TensorFlow<",
        said["found"]["date"],
        said["found"]["data_sha256"]["train"],
        "CD-1",
        "seeds 7, 8",
        "stack [12, 6]",
        "stack, fine-tuned",
        "made &lt;so&gt;",
    ):
        assert text in html
    for field in set(harmonium.Config.__dataclass_fields__) - {
        "restarts",
        "tempered_share",
        "sparsity_target",
    }:  # of no use to CD and PT
        assert f'<th scope="row">{field}</th>' in html
    # What a plan leaves to the data stands there as it was chosen.
    assert re.search(r'"row">sweeps</th>(<td data-of="[^"]*" class="same">1</td>){3}', html)
    for name in METHODS:
        percent = f"{100 * said['found']['tensorflow']['accuracy'][name]['test']:.2f}"
        assert f'<td data-of="test, TensorFlow">{percent}</td>' in html


# Samples --------------------------------------------------------------------------------------------------------------


def test_the_nearest_row_is_the_first_of_those_at_the_smallest_distance(monkeypatch):
    monkeypatch.setattr(draws, "_ROWS", 5)
    rng = np.random.default_rng(0)
    v, X = rng.integers(0, 2, (9, 12), np.uint8), rng.integers(0, 2, (23, 12), np.uint8)
    apart = (v[:, None] != X).sum(axis=2)
    places, distances = draws.nearest_rows(v, X)
    np.testing.assert_array_equal(places, apart.argmin(axis=1))
    np.testing.assert_array_equal(distances, apart.min(axis=1))


def test_walks_from_data_are_gibbs_chains(monkeypatch):
    monkeypatch.setattr(draws, "SWEEPS_FROM_DATA", (0, 1, 3))
    rbm, start = harmonium.RBM(np.eye(4), np.zeros(4), np.zeros(4)), np.eye(4, dtype=np.uint8)
    told = []
    seen = draws.walk_from_data(rbm, start, seed=harmonium.Key(5), engine="native", progress=lambda *x: told.append(x))
    np.testing.assert_array_equal(seen[0], start)
    for sweeps, states in zip((1, 3), seen[1:], strict=True):
        chain = harmonium.gibbs_chain(rbm, start, seed=harmonium.Key(5))
        np.testing.assert_array_equal(states, [next(chain) for _ in range(sweeps)][-1])
    assert told[-1] == (3, 3)


# Speeds and origin ----------------------------------------------------------------------------------------------------


def test_a_busy_machine_is_seen(monkeypatch):
    times = iter([100.0, 103.0])
    monkeypatch.setattr("harmonium.reproduce.busy._busy_seconds", lambda: next(times))
    monkeypatch.setattr("harmonium.reproduce.busy.time.process_time", iter([5.0, 7.0]).__next__)
    monkeypatch.setattr("harmonium.reproduce.busy.time.perf_counter", iter([50.0, 52.0]).__next__)
    assert Others().cores() == 0.5  # three seconds of all programs, two of them our own, in two seconds


@pytest.mark.parametrize(("others", "given"), [(None, True), (0.1, True), (0.3, False)])
def test_speeds_of_a_busy_machine_are_not_given(others, given):
    class Outcome:
        scratch = SimpleNamespace(result=SimpleNamespace(config=harmonium.Config(3)))
        origin, cores_of_others, seconds, native_seconds = {"n_cores": 2}, others, 10.0, 1.0
        native_speeds, speeds = {"RBM-3": [1000.0, 3000.0]}, {"RBM-3": [500.0, 500.0]}

    rows = [table.rows[0][1:] for table in page._speeds(Outcome(), "TensorFlow")]
    assert rows == ([("2,000", "500", "4.0")] if given else [])
    said = " ".join(page._busy_said(Outcome()))
    assert ("not given: other programs took 0.3 of the 2 cores" in said) != given


def test_an_installed_copy_names_no_commit_of_somebody_elses(monkeypatch, tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr("harmonium.reproduce.provenance.harmonium.__file__", str(tmp_path / "lib" / "harmonium" / "x"))
    assert provenance.commit() is None


def test_a_clone_names_its_commit():
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    assert provenance.commit().rstrip("+") == head.strip()


def test_progress_is_told(small):
    _, said = small
    assert said["stages"][0] == "seed 7, 1 of 2"
    assert said["stages"][-1] == "writing"
    assert sum("TensorFlow" in stage or "tensorflow" in stage for stage in said["stages"]) == 2 * 8
    assert all(0 < done <= total for done, total in said["work"])
