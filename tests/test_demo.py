"""``harmonium demo``: what is printed, what is written, and how it fails."""

import json

import pytest

from harmonium.cli import main

SMALL = ["demo", "--data", "bars-and-stripes-3x3", "--hidden", "4", "--epochs", "2", "--engine", "numpy"]


@pytest.fixture(autouse=True)
def few_sweeps(monkeypatch):
    import harmonium.report.results as results

    monkeypatch.setitem(results.write_results.__kwdefaults__, "sweeps", 3)


def test_results_are_on_stdout_and_progress_on_stderr(tmp_path, capsys):
    assert main([*SMALL, "--out", str(tmp_path / "demo")]) == 0
    out, err = capsys.readouterr()
    assert "pseudo-log-likelihood" in out
    assert "reconstruction error" in out
    assert str(tmp_path / "demo" / "index.html") in out
    assert "epoch 2/2" in err
    assert (tmp_path / "demo" / "index.html").is_file()


def test_json(tmp_path, capsys):
    assert main([*SMALL, "--seed", "5", "--json", "--out", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["data"] == "bars-and-stripes-3x3"
    assert found["split"] == "train"
    assert found["config"]["seed"] == 5
    assert found["config"]["n_hidden"] == 4
    assert found["evaluation"]["n_samples"] == 16
    assert found["evaluation"]["pseudo_log_likelihood"] < 0
    assert set(found["files"]) == {"filters", "samples", "reconstructions", "curves", "model", "page"}


def test_the_page_says_how_to_make_it_again(tmp_path):
    assert main([*SMALL, "--out", str(tmp_path)]) == 0
    html = (tmp_path / "index.html").read_text()
    assert "harmonium demo --data bars-and-stripes-3x3 --hidden 4 --epochs 2 --seed 0 --engine numpy" in html


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--hidden", "0"], 2, "--hidden must be"),
        (["--epochs", "0"], 2, "--epochs must be"),
        (["--seed", "-1"], 2, "--seed must be"),
        (["--engine", "abacus"], 2, "--engine must be"),
        (["--data", "no-such-data"], 1, "no-such-data"),
    ],
)
def test_bad_options(tmp_path, capsys, options, code, message):
    assert main([*SMALL, "--out", str(tmp_path), *options]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told_before_training(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main([*SMALL, "--out", str(tmp_path / "file")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "must be a directory" in err
    assert "epoch" not in err
