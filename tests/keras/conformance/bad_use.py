"""On every backend: bad data, batches and options are refused, and what Keras would do wrong is said."""

import importlib
import importlib.util
import math

import keras
import numpy as np
import pytest
from keras_models import BACKEND, BARS, BITS, compiled, numbers, random_rbm

import harmonium.keras as hk
from harmonium.errors import DataWarning, InvalidData, InvalidParameter

# Keras and the frameworks use what NumPy and each other have deprecated; that is theirs to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.mark.parametrize("weights", [np.ones(3), -np.ones(len(BARS)), np.full(len(BARS), np.nan), [0.0] * len(BARS)])
def test_bad_sample_weights_are_refused(machine, weights):
    for use in (machine.fit, machine.evaluate, machine.train_on_batch, machine.test_on_batch):
        with pytest.raises(InvalidData, match="sample_weight must"):
            use(BARS, sample_weight=weights)
    with pytest.raises(InvalidData, match="sample_weight must"):
        machine.fit(BARS, validation_data=(BARS, None, weights))


BAD = {
    "image bytes": (BARS * 255, r"must lie in \[0, 1\].*0 to 255.*Divide by 255"),
    "negative": (BARS - 1, r"must lie in \[0, 1\].*Rescale"),
    "NaN": (np.where(BARS == 1, np.nan, BARS), "must be finite. Got NaN"),
    "infinity": (np.where(BARS == 1, np.inf, BARS), "must be finite. Got infinity"),
    "width": (BARS[:, :8], "must have 9 columns"),
    "1-D": (BARS[0], "must be a 2-D array"),
    "3-D": (BARS.reshape(-1, 3, 3), "must be a 2-D array"),
    "empty": (BARS[:0], "at least one sample"),
    "text": (np.full((2, 9), "a"), "must hold numbers"),
}
ENTRANCES = {
    "fit": lambda model, X: model.fit(X, verbose=0),
    "validation_data": lambda model, X: model.fit(BARS, verbose=0, validation_data=(X,)),
    "evaluate": lambda model, X: model.evaluate(X, verbose=0),
    "predict": lambda model, X: model.predict(X, verbose=0),
    "adapt": lambda model, X: model.adapt(X),
    "call": lambda model, X: model(X),
    "free_energy": lambda model, X: model.free_energy(X),
    "train_on_batch": lambda model, X: model.train_on_batch(X),
    "test_on_batch": lambda model, X: model.test_on_batch(X),
    "predict_on_batch": lambda model, X: model.predict_on_batch(X),
}


@pytest.fixture(scope="module")
def machine():
    return compiled()


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("kind", BAD)
def test_bad_data_are_refused(machine, kind, entrance):
    X, message = BAD[kind]
    with pytest.raises(InvalidData, match=message):
        ENTRANCES[entrance](machine, X)


@pytest.mark.parametrize("entrance", ["fit", "evaluate", "predict", "train_on_batch", "test_on_batch"])
@pytest.mark.parametrize("kind", ["negative", "NaN", "infinity"])
def test_bad_tensors_are_refused_before_they_are_learnt(machine, kind, entrance):
    X, message = BAD[kind]
    before = numbers(machine.W)
    with pytest.raises(InvalidData, match=message):
        ENTRANCES[entrance](machine, keras.ops.convert_to_tensor(X.astype(np.float32)))
    np.testing.assert_array_equal(numbers(machine.W), before)


def test_bad_batches_of_a_generator_are_refused_as_they_pass():
    model = compiled()
    batches = [BARS, BARS, np.where(BARS == 1, np.nan, BARS)]
    # TensorFlow, which pulls the batches, passes the message on in an error of its own.
    with pytest.raises(Exception if BACKEND == "tensorflow" else InvalidData, match="a batch of x must be finite"):
        model.fit(((batch,) for batch in batches), steps_per_epoch=3, verbose=0, shuffle=False)
    assert np.isfinite(numbers(model.W)).all()


def test_a_data_set_of_single_rows_is_answered_with_batch(machine):
    tf = pytest.importorskip("tensorflow")
    rows = tf.data.Dataset.from_tensor_slices(BARS)
    for use in (machine.fit, machine.evaluate, machine.predict, machine.adapt):
        with pytest.raises(InvalidData, match=r"single rows, of shape \(9,\).*batch\(n\)"):
            use(rows)


def test_what_is_not_one_input_is_refused(machine):
    several = (BARS, BARS), {"x": BARS}, None
    for name, use in ENTRANCES.items():
        if name in ("validation_data", "adapt", "free_energy"):
            continue  # a tuple is right, or batches are
        for x in several:
            with pytest.raises(InvalidData, match=f"must be .*Got {type(x).__name__}"):
                use(machine, x)
    for name in ("train_on_batch", "test_on_batch", "predict_on_batch"):
        with pytest.raises(InvalidData, match=r"x must be an array or a tensor\. Got generator"):
            ENTRANCES[name](machine, (batch for batch in [BARS]))
    with pytest.raises(InvalidData, match=r"v must be an array or a tensor\. Got generator"):
        machine.free_energy(batch for batch in [BARS])


def test_frames_are_arrays(machine):
    for library in ("pandas", "polars"):
        if importlib.util.find_spec(library):
            frame = importlib.import_module(library).DataFrame({str(j): column for j, column in enumerate(BARS.T)})
            np.testing.assert_array_equal(machine.predict(frame, verbose=0), machine.predict(BARS, verbose=0))
            machine.evaluate(frame, verbose=0)


def test_overshoot_of_a_few_units_in_the_last_place_is_taken_as_one(machine):
    X = np.where(BARS == 1, np.nextafter(1, 2), BARS)
    assert np.array_equal(machine.predict(X, verbose=0), machine.predict(BARS, verbose=0))


def test_blank_images_are_warned_of():
    """In the words of `harmonium.train`, however they are binarised."""
    model, grey = hk.RBM(4), hk.RBM(4, binarize="sample")
    model.compile(optimizer="sgd")
    for use in (model.adapt, lambda X: model.fit(X, verbose=0)):
        with pytest.warns(DataWarning, match=r"Every row is empty once it is thresholded at 0.5.* is 0.4\."):
            use(0.4 * BARS)
    for use in (model.adapt, grey.adapt):
        with pytest.warns(DataWarning, match=r"is 0.00392, as if bytes were divided by 255 twice"):
            use(BARS / 255)
    grey.adapt(0.4 * BARS)


@pytest.mark.parametrize("options", [{"loss": "mse"}, {"metrics": ["accuracy"]}, {"weighted_metrics": ["mae"]}])
def test_a_loss_and_metrics_of_labels_are_refused(options):
    with pytest.raises(InvalidParameter, match=f"{next(iter(options))} must be left out.*classifier"):
        hk.RBM(3).compile(optimizer="sgd", **options)


def test_hdf5_is_refused_before_a_file_is_left(tmp_path, machine):
    for name in ("model.h5", "model.hdf5"):
        with pytest.raises(InvalidParameter, match=r"must end in \.keras"):
            machine.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_export_writes_the_features_or_says_what_to_do(tmp_path):
    rbm = random_rbm()
    model = hk.RBM.from_rbm(rbm)
    with pytest.raises(InvalidParameter, match="must be built"):
        hk.RBM(3).export(tmp_path / "unbuilt")
    try:
        import tensorflow as tf
    except ImportError:
        tf = None
    if tf is None or BACKEND == "torch":
        with pytest.raises(InvalidParameter, match="format must be one that Keras writes from"):
            model.export(tmp_path / "model", verbose=False)
        return
    model.export(tmp_path / "model", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_allclose(exported.serve(tf.constant(BITS)).numpy(), rbm.mean_h_from_v(BITS), atol=1e-6)


def test_a_format_that_cannot_be_written_is_answered(tmp_path):
    with pytest.raises(InvalidParameter, match=r"format must be one .* Got 'onnx'.*save\('model.keras'\)"):
        hk.RBM.from_rbm(random_rbm()).export(tmp_path / "model.onnx", format="onnx", verbose=False)


def test_the_summary_shows_parameters_and_chains_apart():
    said = []
    hk.RBM(3).summary(print_fn=said.append)
    assert "3 hidden units; not built" in said[0]
    compiled(method="pcd", chains=7).summary(print_fn=said.append)
    lines = {line.split()[0]: line.split()[-1] for line in said[1].splitlines() if line.startswith("  ")}
    assert {"W": "45", "b": "9", "c": "5", "total": "59", "chains": "35"}.items() <= lines.items()
    parameters, states = said[1].split("States")
    assert "chains" in states
    assert "chains" not in parameters
    frozen = compiled(centered=False)
    frozen.trainable = False
    frozen.summary(print_fn=said.append)
    assert said[2].count("frozen") == 3
    assert "States" not in said[2]


def test_the_wrapper_for_scikit_learn_works():
    from keras.wrappers import SKLearnTransformer

    features = SKLearnTransformer(compiled(), fit_kwargs={"verbose": 0, "epochs": 2})
    got = features.fit(BARS, np.zeros(len(BARS))).transform(BARS)
    np.testing.assert_allclose(got, features.model_.to_rbm().mean_h_from_v(BARS), atol=1e-6)


def test_bad_batches_of_a_data_set_are_refused(machine):
    tf = pytest.importorskip("tensorflow")
    for kind in ("image bytes", "NaN", "width"):
        X, message = BAD[kind]
        with pytest.raises(InvalidData, match=message):
            machine.fit(tf.data.Dataset.from_tensor_slices(X.astype(np.float32)).batch(5), verbose=0)


def test_tensors_of_wrong_width_are_refused(machine):
    with pytest.raises(InvalidData, match="must have 9 columns"):
        machine(keras.ops.convert_to_tensor(BARS[:, :8]))
    with pytest.raises(InvalidData, match="must be 2-D"):
        machine(keras.ops.ones((2, 3, 3)))


BAD_OPTIONS = [
    {"n_hidden": 0}, {"n_hidden": 2.5}, {"method": "pt"}, {"sweeps": 0}, {"chains": 0}, {"last_statistic": "x"},
    {"weight_decay": -1}, {"weight_decay": math.nan}, {"binarize": "maybe"}, {"seed": -1}, {"seed": 2**64},
]  # fmt: skip


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=str)
def test_bad_options_are_refused(options):
    with pytest.raises(InvalidParameter, match=next(iter(options))):
        hk.RBM(**({"n_hidden": 3} | options))


def test_an_unbuilt_model_says_so():
    with pytest.raises(InvalidParameter, match="must be built"):
        hk.RBM(3).to_rbm()


def test_diverged_parameters_are_refused():
    model = compiled()
    model.b.assign(np.full(9, np.nan))
    with pytest.raises(InvalidParameter, match="finite"):
        model.to_rbm()
