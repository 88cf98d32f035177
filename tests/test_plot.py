"""Pictures: what is drawn is what was given, on one scale, into axes that were given or a figure of pyplot's."""

import base64
import io
import json
import re
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from matplotlib.image import imread

import harmonium
from harmonium import plot, sampling
from harmonium.errors import InvalidData, InvalidParameter, UnwritableOutput
from harmonium.tiles import as_images, tile
from harmonium.training import EpochRecord, Scores
from harmonium.training.mixing import ChainHealth


def machine(n_hidden=3, n_visible=4, seed=0):
    key = harmonium.Key(seed)
    return harmonium.RBM(key.normal(n_hidden, n_visible), np.zeros(n_visible), np.zeros(n_hidden))


def filters(*arguments, **options):
    return plot.filters(*arguments, ax=plot.bare_axes(), **options)


def samples(*arguments, **options):
    return plot.samples(*arguments, ax=plot.bare_axes(), **options)


def reconstructions(*arguments, **options):
    return plot.reconstructions(*arguments, ax=plot.bare_axes(), **options)


def curves(history):
    return plot.curves(history, axes=plot.bare_axes(9.6, 3.2, columns=plot.panels_of(history)))


def confusion_matrix(*arguments):
    return plot.confusion_matrix(*arguments, ax=plot.bare_axes(5, 5, columns=1)[0])


def pixels(axes):
    return imread(io.BytesIO(plot.to_png(axes)), format="png")[..., :3]


def drawn(ax):
    """The data array of a grid, with NaN between the images, and its limits."""
    (image,) = ax.images
    return np.ma.filled(image.get_array().astype(float), np.nan), image.get_clim()


def tiles(ax, shape, gap=1):
    array, _ = drawn(ax)
    height, width = shape
    lines, columns = ((size - gap) // (side + gap) for size, side in zip(array.shape, shape, strict=True))
    return np.array(
        [
            array[gap + y * (height + gap) :, gap + x * (width + gap) :][:height, :width]
            for y in range(lines)
            for x in range(columns)
        ]
    )


def records(n, valid=True, pseudo=-3.0):
    scores = [Scores(None if pseudo is None else pseudo + i, -5.0 + i, 0.5 / (i + 1)) for i in range(n)]
    held_out = [Scores(None if pseudo is None else pseudo - 1, -4.0, 0.5) if valid else None for _ in range(n)]
    return [
        EpochRecord(train=train, valid=other, epoch=i + 1, step=10 * (i + 1))
        for i, (train, other) in enumerate(zip(scores, held_out, strict=True))
    ]


def test_filters_are_the_weights_in_order_on_a_symmetric_scale():
    rbm = machine(n_hidden=5, n_visible=6)
    figure = filters(rbm, (2, 3), n=4, columns=2)
    np.testing.assert_array_equal(tiles(figure, (2, 3)), rbm.W[:4].reshape(4, 2, 3))
    _, (low, high) = drawn(figure)
    assert low == -high
    assert high == np.percentile(np.abs(rbm.W[:4]), 99.5)


def test_one_huge_weight_does_not_wash_out_the_others():
    W = np.full((10, 100), 0.5)
    W[0, 0] = 1e6
    _, (_, high) = drawn(filters(harmonium.RBM(W, np.zeros(100), np.zeros(10))))
    assert high < 1


def test_filters_colours_tell_sign_and_zero_apart():
    rbm = harmonium.RBM([[1.0, -1.0, 0.0, 0.0]], np.zeros(4), [0.0])
    image = pixels(filters(rbm, (1, 4)))
    middle = image[image.shape[0] // 2]
    positive, negative, zero = (middle[int(len(middle) * x)] for x in (0.2, 0.4, 0.6))
    assert positive[0] > positive[2]  # red
    assert negative[2] > negative[0]  # blue
    assert np.ptp(zero) < 0.01  # grey
    assert zero[0] < 1  # and not the white around it


@pytest.mark.parametrize("n_hidden", [1, 64, 65])
def test_filters_shows_at_most_what_there_is(n_hidden):
    figure = filters(machine(n_hidden, 4), n=64)
    n_drawn = sum(not np.isnan(tile).any() for tile in tiles(figure, (2, 2)))
    assert n_drawn == min(n_hidden, 64)


def test_all_zero_weights_can_be_drawn():
    drawn = pixels(filters(harmonium.RBM(np.zeros((2, 4)), np.zeros(4), np.zeros(2))))
    blue, red = drawn[..., 2].astype(int), drawn[..., 0].astype(int)
    assert np.abs(blue - red).max() < 10  # neither positive nor negative anywhere: greys and white only


def test_a_machine_without_hidden_units_has_no_filters():
    with pytest.raises(InvalidData, match="hidden units"):
        filters(harmonium.RBM(np.zeros((0, 4)), np.zeros(4), np.zeros(0)))


@pytest.mark.parametrize(
    ("n_visible", "shape", "expected"),
    [(9, None, (3, 3)), (6, None, (1, 6)), (6, (3, 2), (3, 2)), (1, None, (1, 1))],
)
def test_samples_shapes(n_visible, shape, expected):
    X = harmonium.Key(1).uniform(3, n_visible)
    figure = samples(X, shape, columns=1)
    np.testing.assert_array_equal(tiles(figure, expected), X.reshape(3, *expected))
    assert drawn(figure)[1] == (0, 1)


def test_the_grid_is_about_square_and_wide_images_are_stacked():
    square = samples(np.zeros((64, 16))).figure
    assert square.get_figwidth() == square.get_figheight()
    strips, _ = drawn(samples(np.zeros((20, 30))))
    assert strips.shape[0] > 20  # one strip a line


def test_data_pixels_are_whole_and_equal_screen_pixels():
    X = (np.arange(2 * 28 * 28) % 2).reshape(2, -1)
    image = pixels(samples(X, (28, 28), columns=2))[..., 0]
    array, _ = drawn(samples(X, (28, 28), columns=2))
    scale = image.shape[1] // array.shape[1]
    assert image.shape == tuple(scale * size for size in array.shape)
    expected = np.repeat(np.repeat(np.nan_to_num(array, nan=1.0), scale, axis=0), scale, axis=1)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    ("images", "shape", "message"),
    [
        (np.zeros((2, 4)), (2, 3), "shape must be"),
        (np.zeros((2, 4)), (4,), "shape must be"),
        (np.full((2, 4), 255), None, "Divide by 255"),
        (np.full((2, 4), np.nan), None, "finite"),
        (np.zeros(4), None, "2-D"),
        (np.zeros((0, 4)), None, "at least one"),
    ],
)
def test_samples_refuses_bad_input(images, shape, message):
    with pytest.raises(InvalidData, match=message):
        samples(images, shape)


@pytest.mark.parametrize("columns", [0, -1, 1.5])
def test_columns_must_be_a_count(columns):
    with pytest.raises(InvalidParameter, match="columns"):
        samples(np.zeros((2, 4)), columns=columns)


def test_reconstructions_stand_below_their_data():
    rbm, X = machine(3, 4), harmonium.Key(2).uniform(13, 4).round()
    lines = tiles(reconstructions(rbm, X, (2, 2), seed=7), (2, 2)).reshape(4, 10, 4)
    expected = rbm.mean_v_from_h(rbm.sample_h_from_v(X, seed=harmonium.Key(7).derive("reconstructions")))
    np.testing.assert_array_equal(lines[[0, 2]].reshape(20, 4)[:13], X)
    np.testing.assert_array_equal(lines[[1, 3]].reshape(20, 4)[:13], expected)
    assert np.isnan(lines[2, 3:]).all()  # the last line is not full


def test_reconstructions_refuse_data_of_another_width():
    with pytest.raises(InvalidData, match="4 columns"):
        reconstructions(machine(3, 4), np.zeros((2, 5)))


def lines_of(ax):
    return {line.get_label(): np.array(line.get_ydata()) for line in ax.lines}


def test_training_curves_show_scores_and_the_gap():
    pseudo, gap, error = curves(records(4))
    np.testing.assert_array_equal(lines_of(pseudo)["train"], [-3, -2, -1, 0])
    np.testing.assert_array_equal(lines_of(pseudo)["held out"], [-4] * 4)
    np.testing.assert_array_equal(gap.lines[-1].get_ydata(), [-1, 0, 1, 2])
    np.testing.assert_allclose(lines_of(error)["train"], [1 / 2, 1 / 4, 1 / 6, 1 / 8])


@pytest.mark.parametrize(("valid", "pseudo"), [(False, -3.0), (True, None), (False, None)])
@pytest.mark.parametrize("n", [1, 3])
def test_training_curves_without_some_scores(n, valid, pseudo):
    figure = curves(records(n, valid, pseudo))
    texts = [text.get_text() for ax in figure for text in ax.texts]
    assert ("no held-out data" in texts) == (not valid)
    assert any("not defined for grey data" in text for text in texts) == (pseudo is None)
    pixels(figure)


def test_training_curves_of_rows_with_holes_are_of_the_estimate_that_steers():
    scores = [Scores(None, 5.0, None, log_likelihood_estimate=-9.0 + i) for i in range(3)]
    ax = curves([EpochRecord(train=x, valid=x, epoch=i + 1) for i, x in enumerate(scores)])[0]
    assert ax.get_title() == "Log-likelihood, estimated"
    np.testing.assert_array_equal(lines_of(ax)["held out"], [-9, -8, -7])


def test_records_without_scores_are_passed_over():
    history = [*records(2), EpochRecord(train=None, epoch=3)]
    (ax, *_) = curves(history)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2])
    with pytest.raises(InvalidData, match=r"what train returned.*Got RBM"):
        curves(machine(3, 4))
    with pytest.raises(InvalidData, match="at least one scored epoch"):
        curves([EpochRecord(train=None, epoch=3)])


def test_one_epoch_is_visible():
    assert all(ax.lines[-1].get_marker() == "o" for ax in curves(records(1)))


def test_an_empty_history_is_refused():
    with pytest.raises(InvalidData, match="at least one scored epoch"):
        curves([])


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("PNG", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_save_writes_the_format_of_the_suffix(tmp_path, suffix, magic):
    path = tmp_path / f"figure.{suffix}"
    plot.save(samples(np.eye(4)), path)
    assert path.read_bytes().startswith(magic)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_format_holds_no_date(tmp_path, suffix):
    path = tmp_path / f"figure.{suffix}"
    plot.save(curves(records(2)), path)
    assert b"CreationDate" not in path.read_bytes()
    assert b"dc:date" not in path.read_bytes()


@pytest.mark.parametrize("name", ["figure", "figure.txt", "figure.jpg", ".png"])
def test_save_refuses_other_suffixes(tmp_path, name):
    with pytest.raises(InvalidParameter, match=r"\.png, \.svg or \.pdf"):
        plot.save(samples(np.eye(4)), tmp_path / name)


def test_save_refuses_a_place_that_is_not_there(tmp_path):
    with pytest.raises(UnwritableOutput, match="can be written"):
        plot.save(samples(np.eye(4)), tmp_path / "missing" / "figure.png")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    figure = samples(np.eye(4))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harmonium.io.atomic.os.fsync", full)
    with pytest.raises(UnwritableOutput, match="No space left"):
        plot.save(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_figure_has_the_same_bytes():
    first, second = (plot.to_png(curves(records(3))) for _ in range(2))
    assert first == second


def test_bare_axes_do_without_pyplot():
    code = (
        "import sys, numpy, harmonium.plot as p; p.to_png(p.samples(numpy.eye(4), ax=p.bare_axes()));"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_confusion_matrix_shows_every_count_in_its_place():
    counts = np.array([[5, 2, 0], [0, 7, 1], [1000, 0, 0]])
    ax = confusion_matrix(counts, ["a", "b", "c"])
    shown = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in ax.texts}
    assert shown == {(i, j): str(count) for (i, j), count in np.ndenumerate(counts) if count}
    shares = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ax.images[0].get_array(), shares)
    assert ax.images[0].get_clim() == (0, 1)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true", "predicted")


def test_a_class_that_does_not_occur_has_an_empty_row():
    ax = confusion_matrix([[0, 0], [1, 3]])
    assert not np.asarray(ax.images[0].get_array())[0].any()
    assert len(ax.texts) == 2


@pytest.mark.parametrize("counts", [[[1, 2]], [1, 2], [[1.5, 0.0], [0.0, 1.0]], [[-1, 0], [0, 1]]])
def test_what_is_no_confusion_matrix_is_refused(counts):
    with pytest.raises(InvalidData, match="square table"):
        confusion_matrix(counts)


def test_curves_show_what_the_chains_do():
    chains = ChainHealth(9, None, None, 0.0, 1.0, r_hat=1.25)
    history = [replace(x, chains=chains) for x in records(3)]
    assert (plot.panels_of(records(3)), plot.panels_of(history)) == (3, 4)
    ax = curves(history)[3]
    np.testing.assert_array_equal(ax.lines[-1].get_ydata(), [1.25] * 3)
    assert ax.get_title() == "R-hat of the chains"


def test_curves_take_the_lines_of_a_run_directory():
    history = [json.loads(json.dumps(asdict(x))) for x in records(2)]
    np.testing.assert_array_equal(curves(history)[0].lines[0].get_ydata(), [-3, -2])


def test_chains_are_drawn_with_their_numbers():
    x = harmonium.Key(0).normal(10, 400)
    left, right = plot.chains(x, "F (nats)", axes=plot.bare_axes(9, 3, columns=2))
    assert len(left.lines) == 8
    np.testing.assert_array_equal(left.lines[0].get_ydata(), x[0])
    assert left.get_title() == f"10 chains, R-hat {sampling.r_hat(x):.2f}"
    assert left.get_ylabel() == "F (nats)"
    assert right.lines[0].get_ydata()[0] == 1
    assert np.abs(right.lines[0].get_ydata()[1:]).max() < 0.1
    with pytest.raises(InvalidData, match="at least 4 draws"):
        plot.chains(np.zeros((3, 2)))


def test_without_axes_pyplot_shows_the_figure():
    code = """
import matplotlib; matplotlib.use("agg")
import numpy as np, harmonium
from harmonium import plot
from matplotlib import pyplot
from harmonium.training import EpochRecord, Scores
from harmonium.training.mixing import ChainHealth
rbm, X = harmonium.RBM(np.eye(4), np.zeros(4), np.zeros(4)), np.eye(4)
axes = [plot.filters(rbm), plot.samples(X), plot.reconstructions(rbm, X), plot.confusion_matrix([[1]]),
        plot.chains(np.random.default_rng(0).random((3, 9)))[0],
        plot.curves([EpochRecord(train=Scores(-1.0, 0.0, 0.5), epoch=1)])[0]]
assert [pyplot.figure(n) for n in pyplot.get_fignums()] == [ax.figure for ax in axes]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_grid_fits_into_axes_of_another_figure():
    left, right = plot.bare_axes(8, 4, columns=2)
    assert plot.samples(np.eye(4), ax=right) is right
    assert right.get_aspect() == 1
    assert left.figure.get_figwidth() == 8


@pytest.mark.parametrize("shape", [(5, 9), (0, 9), (70, 6)])
def test_a_notebook_shows_the_filters_of_a_machine(shape):
    rbm = harmonium.RBM(harmonium.Key(1).normal(*shape), np.zeros(shape[1]), np.zeros(shape[0]))
    html = rbm._repr_html_()
    assert repr(rbm) in html
    found = re.search(r'src="data:image/png;base64,([^"]+)" alt="([^"]+)"', html)
    if shape[0] == 0:
        assert found is None
        return
    image = imread(io.BytesIO(base64.b64decode(found[1])), format="png")[..., :3]
    canvas = tile(as_images(rbm.W[:64], None))
    expected = pixels(filters(rbm))
    step = expected.shape[0] // canvas.shape[0]
    np.testing.assert_allclose(image, expected[step // 2 :: step, step // 2 :: step], atol=0.02)
    assert f"first {min(shape[0], 64)} hidden units" in found[2]
