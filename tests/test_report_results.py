"""The results of a run in a directory: complete, reproducible, honest about which data they are of."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

import harmonium
from harmonium.datasets import Dataset
from harmonium.errors import InvalidData, InvalidParameter, UnwritableOutput
from harmonium.report import write_results
from harmonium.report.results import make_folder

NAMES = {"filters.png", "samples.png", "reconstructions.png", "curves.png", "model.safetensors", "index.html"}


def small(splits=("train", "valid", "test"), shape=(3, 3), grey=False):
    X = harmonium.Key(1).uniform(60, 9)
    X = X if grey else X.round()
    parts = dict(zip(("train", "valid", "test"), (X[:30], X[30:40], X[40:]), strict=True))
    return Dataset("small", shape=shape, source="Noise.", **{split: parts[split] for split in splits})


def trained(dataset, **options):
    options = {"n_hidden": 4, "epochs": 2, "seed": 3, "engine": "numpy"} | options
    return harmonium.train(dataset.train, valid=dataset.valid, **options)


def test_everything_is_written_and_nothing_else(tmp_path):
    found = write_results(trained(small()), small(), tmp_path / "a" / "b", sweeps=5)
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == NAMES
    assert {path.name for path in found.files.values()} == NAMES
    for name in ("filters", "samples", "reconstructions", "curves"):
        assert imread(io.BytesIO(found.files[name].read_bytes()), format="png").ndim == 3


def test_the_model_is_the_trained_one(tmp_path):
    result = trained(small())
    found = write_results(result, small(), tmp_path, sweeps=5)
    loaded = harmonium.RBM.load(found.files["model"])
    for name in "Wbc":
        np.testing.assert_array_equal(getattr(loaded, name), getattr(result.rbm, name))


def test_scores_are_of_the_test_split(tmp_path):
    result, dataset = trained(small()), small()
    found = write_results(result, dataset, tmp_path, sweeps=5)
    assert (found.split, found.evaluation.n_samples) == ("test", 20)
    pseudo = harmonium.pseudo_log_likelihood(result.rbm, dataset.test, engine="numpy").mean()
    exact = result.rbm.log_likelihood(dataset.test).mean()
    assert found.evaluation.pseudo_log_likelihood == pytest.approx(pseudo)
    assert found.evaluation.log_likelihood.mean == pytest.approx(exact, abs=1e-4)


def test_the_baseline_is_independent_units(tmp_path):
    dataset = small()
    found = write_results(trained(dataset), dataset, tmp_path, sweeps=5)
    p = (dataset.train.sum(axis=0) + 0.5) / (len(dataset.train) + 1)
    expected = np.where(dataset.test, np.log(p), np.log(1 - p)).sum(axis=1).mean()
    assert found.baseline.pseudo_log_likelihood == pytest.approx(expected, abs=1e-4)
    assert found.baseline.log_likelihood.mean == pytest.approx(expected, abs=1e-4)
    assert found.baseline.reconstruction_error == pytest.approx(((dataset.test - p) ** 2).mean(), abs=1e-5)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [(("train", "test"), "test"), (("train", "valid"), "valid"), (("train",), "train")],
)
def test_without_held_out_data_the_page_does_not_claim_any(tmp_path, splits, expected):
    dataset = small(splits)
    found = write_results(trained(dataset), dataset, tmp_path, sweeps=5)
    assert found.split == expected
    html = found.files["page"].read_text()
    assert (f"{expected} (held out)" in html) == (expected != "train")
    assert ("The training saw no held-out sample" in html) == (expected != "train")


def test_the_page_shows_the_pictures_the_scores_and_the_choices(tmp_path):
    found = write_results(trained(small()), small(), tmp_path, sweeps=1234, made_by="harmonium demo --seed 3")
    html = found.files["page"].read_text()
    assert html.count("<img ") == 4
    for text in ("small", "Noise.", "1,234 sweeps", "harmonium demo --seed 3", "weight_decay", "threshold"):
        assert text in html
    assert f"{found.evaluation.pseudo_log_likelihood:.2f}".replace("-", "\N{MINUS SIGN}") in html
    assert f"{found.evaluation.log_likelihood.mean:.2f}".replace("-", "\N{MINUS SIGN}") in html


def test_the_number_of_monitored_samples_is_true():
    from harmonium.report.contents import MONITORED
    from harmonium.training import monitors

    assert monitors._ROWS == MONITORED


def test_notes_are_paragraphs_of_the_method(tmp_path):
    found = write_results(trained(small()), small(), tmp_path, sweeps=5, notes=["One thing.", "Another."])
    assert "<p>One thing.</p>\n<p>Another.</p>" in found.files["page"].read_text()


def test_a_likelihood_out_of_reach_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "harmonium.likelihood.partition.log_partition.__kwdefaults__", {"max_units": 2, "engine": "numpy"}
    )
    html = write_results(trained(small()), small(), tmp_path, sweeps=5).files["page"].read_text()
    assert "out of reach" in html
    assert ">log-likelihood (nats)<" not in html


def test_the_same_run_writes_the_same_pictures(tmp_path):
    first, second = (write_results(trained(small()), small(), tmp_path / x, sweeps=5) for x in "ab")
    for name in ("filters", "samples", "reconstructions", "curves", "model"):
        assert first.files[name].read_bytes() == second.files[name].read_bytes()
    pages = [re.sub(r"[\d.]+ seconds", "", x.files["page"].read_text()) for x in (first, second)]
    assert pages[0] == pages[1]


@pytest.mark.parametrize("binarize", ["threshold", "sample", "none"])
@pytest.mark.parametrize("shape", [(3, 3), None])
def test_every_convention_and_data_that_are_no_images(tmp_path, binarize, shape):
    dataset = small(shape=shape, grey=True)
    found = write_results(trained(dataset, binarize=binarize), dataset, tmp_path, sweeps=2)
    assert (found.evaluation.pseudo_log_likelihood is None) == (binarize == "none")
    assert ("undefined" in found.files["page"].read_text()) == (binarize == "none")


def test_stages_are_told(tmp_path):
    stages = []
    write_results(trained(small()), small(), tmp_path, sweeps=5, on_stage=stages.append)
    assert [stage.split()[0] for stage in stages] == ["scoring", "sampling", "drawing"]


def test_an_empty_history_is_refused(tmp_path):
    with pytest.raises(InvalidData, match="at least one epoch"):
        write_results(replace(trained(small()), history=()), small(), tmp_path)


@pytest.mark.parametrize("sweeps", [0, -1, 1.5])
def test_sweeps_must_be_a_count(tmp_path, sweeps):
    with pytest.raises(InvalidParameter, match="sweeps"):
        write_results(trained(small()), small(), tmp_path, sweeps=sweeps)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UnwritableOutput, match="must be a directory"):
            make_folder(place)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_directory_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("harmonium.report.results.os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(UnwritableOutput, match="Permission denied"):
        make_folder(tmp_path)
