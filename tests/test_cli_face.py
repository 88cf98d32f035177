"""What the command shows: pictures and curves of a run, what a shell completes, and silence where that is asked for."""

import contextlib
import fcntl
import importlib
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace

import numpy as np
import pytest
from command_runs import DATA, in_terminal, result_of
from typer.testing import CliRunner

import harmonium
from harmonium import RBM, Config, Key, TrainingRun, datasets
from harmonium.cli import app, drawing, main
from harmonium.cli.curves import draw_curves
from harmonium.cli.deferred import COMMANDS
from harmonium.cli.running import how_to_train
from harmonium.cli.watching import visible_chains
from harmonium.cli.words import nats, told, typed
from harmonium.report import model_card, run_page
from harmonium.training import EpochRecord, RunDirectory, Scores

pytestmark = pytest.mark.filterwarnings("ignore::harmonium.errors.TrainingAlarm")
TRAIN = ["train", DATA, "--hidden", "4", "--epochs", "3", "--batch-size", "8"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("face") / "run"
    assert main([*TRAIN, "--watch", "--out", str(path)]) == 0
    return path


def dots(lines):
    """The dots of braille lines, as a grid of 0 and 1."""
    grid = np.zeros((4 * len(lines), 2 * len(lines[0])), int)
    for y, line in enumerate(lines):
        for x, character in enumerate(line):
            for column, bits in enumerate(drawing._DOTS):
                for row, bit in enumerate(bits):
                    grid[4 * y + row, 2 * x + column] = bool((ord(character) - 0x2800) & bit)
    return grid


def test_a_chart_goes_from_the_smallest_value_to_the_largest():
    grid = dots(drawing.chart([0.0, 1.0], 8, 3))
    assert grid.sum(axis=0).min() > 0  # one piece
    assert (grid[-1, 0], grid[0, -1]) == (1, 1)
    falling = dots(drawing.chart([1.0, 0.0], 8, 3))
    np.testing.assert_array_equal(falling, grid[::-1])
    flat = dots(drawing.chart([5.0, 5.0, 5.0], 4, 3))
    assert (flat.sum(axis=1) > 0).sum() == 1


def test_a_picture_has_two_pixels_in_a_cell():
    rgb = np.arange(5 * 3 * 3, dtype=np.uint8).reshape(5, 3, 3)
    text = drawing.picture(rgb)
    assert text.plain == "\n".join(["▀" * 3] * 3)
    colours = [(tuple(s.style.color.triplet), tuple(s.style.bgcolor.triplet)) for s in text.spans]
    assert colours[4] == (tuple(rgb[2, 1]), tuple(rgb[3, 1]))
    assert colours[7] == (tuple(rgb[4, 1]), tuple(rgb[4, 1]))  # the last line of an odd number, twice


def test_curves_are_titled_with_where_they_are_and_fit():
    history = [EpochRecord(train=Scores(-9.0 + i, -5.0, 0.5), epoch=i) for i in range(4)]
    lines = draw_curves(history, 30)
    assert lines[0] == "pseudo-log-likelihood, train (nats), now -6.00"
    assert lines[1].split()[0] == "-6.00"
    assert lines[4].split()[0] == "-9.00"
    assert max(map(len, lines[1:])) <= 30
    assert draw_curves([], 30) == []


@pytest.mark.parametrize("method", ["pcd", "fpcd", "pt", "cd"])
def test_the_chains_that_are_shown_are_those_of_the_run(method):
    X = datasets.load(DATA).train
    run = TrainingRun(X, Config(4, method=method, epochs=1, chains=None if method == "cd" else 6, seed=3))
    next(run.steps())
    state, shown = run.state, visible_chains(run.state, 5)
    if method == "cd":
        assert shown is None
    elif method == "pt":
        v = run.engine.decode(run._estimator._state.v)
        np.testing.assert_array_equal(shown, v[-6:-1])  # the last temperature's
    else:
        np.testing.assert_array_equal(shown, state.rbm.mean_v_from_h(state.chains[:5]))


def test_a_watched_run_leaves_a_page_that_no_longer_renews_itself(run):
    html = (run / "index.html").read_text()
    assert html.count("<img ") == 3
    assert "refresh" not in html
    assert not re.search(r"<script|@import|url\(|https?:", html)


def test_page_and_card_tell_the_alarms_of_a_whole_run():
    """They told those of the last record, and so "no alarms" of a run whose chains had been called stuck before."""
    rbm, config = RBM(np.zeros((2, 4)), np.zeros(4), np.zeros(2)), Config(2).for_data(9, 4, valid=False)
    last = EpochRecord(train=Scores(-2.0, 1.0, 0.1), epoch=4)
    history = [replace(last, alarms=("the chains stick",), epoch=3), last]
    assert "Alarms: epoch 3: the chains stick." in run_page("a", rbm, config, history, data="x").html()
    how = {"data": "x", "n_samples": 9, "made_by": "a test", "version": "0"}
    assert "epoch 3: the chains stick." in model_card("a", rbm, config, history, **how)
    assert "The run raised no alarm." in model_card("a", rbm, config, history[1:], **how)


def test_a_watched_run_is_the_same_run(run, tmp_path):
    assert main([*TRAIN, "--out", str(tmp_path / "a")]) == 0
    assert not (tmp_path / "a" / "index.html").exists()
    np.testing.assert_array_equal(*(RBM.load(x / "model.safetensors").W for x in (run, tmp_path / "a")))


def test_the_command_on_the_page_makes_the_same_run(run, tmp_path, capsys):
    words = how_to_train(RunDirectory.open(run)[0]).split()
    assert words[:2] == ["harmonium", "train"]
    assert main([*words[1:], "--out", str(tmp_path / "again")]) == 0
    capsys.readouterr()
    np.testing.assert_array_equal(*(RBM.load(x / "model.safetensors").W for x in (run, tmp_path / "again")))


def test_in_a_terminal_filters_chains_and_curves_are_drawn(tmp_path):
    text = in_terminal(80, *TRAIN, "--watch", "--out", str(tmp_path / "a"))
    for shown in ("filters", "chains", "▀", "pseudo-log-likelihood", "3/3", "index.html"):
        assert shown in text
    text = in_terminal(60, "inspect", str(tmp_path / "a"))
    assert "pseudo-log-likelihood, train (nats), now -" in text
    assert max(len(line) for line in text.splitlines() if "⠀" in line) <= 60


def test_inspect_makes_the_page_of_a_run_and_says_where(run, capsys):
    (run / "index.html").unlink()
    assert result_of(capsys, "inspect", run)["page"] == str(run / "index.html")
    assert (run / "index.html").read_text().count("<img ") == 3


def test_inspect_of_a_run_that_cannot_be_written_goes_on(run, capsys, monkeypatch):
    def full(*_, **__):
        raise harmonium.errors.UnwritableOutput("full.")

    monkeypatch.setattr("harmonium.cli.inspect.write_page", full)
    found = result_of(capsys, "inspect", run)
    assert "page" not in found
    assert found["run"]["step"] > 0


def test_quiet_leaves_the_result(tmp_path, capsys):
    assert main([*TRAIN, "--quiet", "--out", str(tmp_path / "a")]) == 0
    out, err = capsys.readouterr()
    assert "model" in out
    assert [line for line in err.splitlines() if not line.startswith(("alarm:", "warning:"))] == []
    assert main(["evaluate", "nowhere", DATA, "-q"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_expectations_are_those_of_one_hidden_state_each(run, tmp_path, capsys):
    v, mean = (
        np.load(result_of(capsys, "sample", run, "-n", 7, "--out", tmp_path / f"{k}.npy", *more)["out"])
        for k, more in enumerate(([], ["--expectation"]))
    )
    rbm = RBM.load(run / "model.safetensors")
    h = rbm.sample_h_from_v(v, seed=Key(0).derive("expectation"))
    np.testing.assert_array_equal(mean, rbm.mean_v_from_h(h).astype(np.float32))


def test_units_that_are_held_keep_their_values_among_expectations(run, tmp_path, capsys):
    held = np.full(9, np.nan)
    held[:4] = 1, 0, 0, 1
    np.save(tmp_path / "held.npy", held)
    options = ["--clamp", tmp_path / "held.npy", "-n", 5, "--expectation", "--out", tmp_path / "v.npy"]
    mean = np.load(result_of(capsys, "sample", run, *options)["out"])
    np.testing.assert_array_equal(mean[:, :4], np.tile([1, 0, 0, 1], (5, 1)))
    assert ((mean[:, 4:] > 0) & (mean[:, 4:] < 1)).all()


def test_nothing_given_says_what_to_do_next(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    for line in re.findall(r"^  harmonium (.*)$", err, re.MULTILINE):
        assert line.split()[0] in ("train", "evaluate", "sample", "--help")
    assert len(err.splitlines()) < 13


@pytest.mark.parametrize(
    ("given", "missing"),
    [([], "no DATA nor --hidden"), ([DATA], "no --hidden"), (["--hidden", "3"], "no DATA")],
)
def test_what_is_missing_is_named(capsys, given, missing):
    assert main(["train", *given]) == 2
    assert missing in capsys.readouterr().err


@pytest.mark.parametrize("columns", [50, 80])
def test_the_list_of_commands_is_not_cut(columns):
    environment = {**os.environ, "COLUMNS": str(columns)}
    command = [sys.executable, "-m", "harmonium.cli", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    commands = text.partition("Commands:\n")[2]
    assert len(commands.splitlines()) == 9
    assert "..." not in commands


@pytest.mark.parametrize(
    ("tell", "value", "text"),
    [
        (nats, -22.09861, "-22.10"),
        (nats, -0.001, "0.00"),
        (nats, None, "-"),
        (told, 0.100056, "0.1001"),
        (told, 25708.3, "25,708"),
        (told, 1104, "1,104"),
        (told, True, "yes"),
        (told, None, "-"),
        (typed, 2**60, "1152921504606846976"),
        (typed, 0.0, "0"),
        (typed, 1e-4, "0.0001"),
    ],
)
def test_numbers_are_told_in_one_way(tell, value, text):
    assert tell(value) == text


@pytest.mark.parametrize(("name", "words"), COMMANDS.items())
def test_the_list_says_what_each_command_says_first(name, words):
    assert importlib.import_module(f"harmonium.cli.{name}").HELP.splitlines()[0] == words


def test_what_stands_in_lines_of_its_own_fits_50_columns():
    """Examples, exit codes and names of options are not folded: what is wider is cut in two by a narrow terminal."""
    runner, wide = CliRunner(), []
    for words in ([], ["--help"], *([name, "--help"] for name in COMMANDS)):
        text = runner.invoke(app, words, terminal_width=50, prog_name="harmonium").output
        assert "harmonium" in text
        wide += [line for line in text.splitlines() if len(line) > 50]
    assert wide == []


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("harmonium train di", {"digits"}),
        ("harmonium train digits --method p", {"pcd", "pt"}),
        ("harmonium evaluate x --log-z ", {"auto", "exact", "ais", "tempered"}),
        ("harmonium impute x y --method e", {"exact"}),
        ("harmonium train x --format h", {"hdf5"}),
    ],
)
def test_a_shell_completes_values_and_data_sets(typed, offered, tmp_path):
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    environment = {**os.environ, **words, "_HARMONIUM_COMPLETE": "complete_bash"}
    code = "from harmonium.cli import app; app(prog_name='harmonium')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert set(done.stdout.split()) == offered


def test_seeds_in_json_are_read_alike_by_all(run, tmp_path, capsys):
    seed = 2**60 + 1
    found = result_of(capsys, "sample", run, "-n", 2, "--seed", seed, "--out", tmp_path / "v.npy")
    assert found["seed"] == str(seed)
    assert json.loads(json.dumps(found), parse_int=float)["seed"] == str(seed)


def test_ctrl_c_leaves_one_bar_and_says_how_to_go_on(tmp_path):
    """It was called an error; and the bar, which filled the line, stood there twice because the ^C made that two."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "harmonium.cli", "train", "digits", "--hidden", "8", "--epochs", "100000"]
    environment = {name: x for name, x in os.environ.items() if name not in ("COLUMNS", "LINES")} | {"TERM": "xterm"}
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "a")], stdin=child, stdout=child, stderr=child, env=environment,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(child)
    written = b""
    while b"pseudo-log-likelihood -" not in written:
        written += os.read(parent, 65536)
    os.write(parent, b"\x03")  # as the key does, so that the terminal echoes it
    with contextlib.suppress(OSError):
        while part := os.read(parent, 65536):
            written += part
    os.close(parent)
    assert process.wait(timeout=600) == 130
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode())
    assert "error" not in text
    assert re.search(r"stopped: after step \d+ of \d+; its state is saved", " ".join(text.split()))
    bars = [line for line in re.split(r"[\r\n]+", text) if "━" in line]
    assert bars
    assert max(len(line.removesuffix("^C")) for line in bars) <= 78


def test_a_run_whose_rows_all_have_holes_is_told_by_what_there_is(tmp_path, capsys):
    """It had a dash for a score, in each line and at the end."""
    X = np.where(np.eye(12, dtype=bool), np.nan, 1.0 * (np.arange(144).reshape(12, 12) % 3 == 0))
    np.save(tmp_path / "x.npy", np.tile(X, (3, 1)))
    assert main(["train", str(tmp_path / "x.npy"), "--hidden", "3", "--epochs", "2", "--out", str(tmp_path / "a")]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"epoch 2/2  log-likelihood train -\d", err)
    assert re.search(r"^log-likelihood, train \(nats\) +-\d", out, re.MULTILINE)


def test_a_terminal_folds_a_result_between_words(run):
    lines = in_terminal(50, "inspect", str(run)).splitlines()
    rows = lines[: next(i for i, line in enumerate(lines) if line.startswith("page"))]
    assert max(map(len, rows)) <= 50
    assert any(line.startswith("  ") for line in rows)


def test_a_run_is_described_with_units_and_without_gaps(run, capsys):
    assert main(["inspect", str(run)]) == 0
    told = capsys.readouterr().out
    for words in ("log Z (nats)", "pseudo-log-likelihood (nats) -", "free energy (nats) -", "alarms "):
        assert words in told
    assert "alarms  " not in told
