"""On every backend: Keras' own machinery, such as callbacks, saved models, checkpoints and data sets."""

import keras
import keras_models
import numpy as np
import pytest
from keras_models import BACKEND, BARS, BITS, compiled, numbers, random_rbm

import harmonium
import harmonium.keras as hk

injected = keras_models.injected  # the fixture
# Keras and the frameworks use what NumPy and each other have deprecated; that is theirs to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def state(model):
    """All numbers that the rest of a training depends on."""
    variables = [*model.variables, *(model.optimizer.variables if model.optimizer else [])]
    metrics = {id(v) for v in model.metrics_variables}
    return {id(v): numbers(v) for v in variables if id(v) not in metrics}


def assert_same_state(a, b):
    a, b = (sorted(state(x).values(), key=lambda x: (x.shape, x.tobytes())) for x in (a, b))
    assert len(a) == len(b)
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_logs_and_validation():
    model = compiled()
    history = model.fit(BARS, epochs=2, verbose=0, validation_data=(BARS,), callbacks=[hk.FreeEnergyGap(BARS, BARS)])
    names = {"loss", "free_energy", "pseudo_log_likelihood", "reconstruction_error"}
    assert set(history.history) == names | {f"val_{name}" for name in names} | {"free_energy_gap"}
    assert all(np.isfinite(x).all() for x in history.history.values())
    assert history.history["free_energy_gap"] == [0, 0]
    rbm = model.to_rbm()
    scores = model.evaluate(BARS, verbose=0, return_dict=True)
    assert scores["free_energy"] == pytest.approx(rbm.free_energy(BARS).mean(), abs=1e-4)
    assert scores["pseudo_log_likelihood"] == pytest.approx(
        harmonium.pseudo_log_likelihood(rbm, BARS, engine="numpy").mean(), abs=1.5
    )
    assert 0 < scores["reconstruction_error"] < 1


@pytest.mark.parametrize("method", ["cd", "pcd"])
def test_the_reconstruction_error_is_that_of_a_drawn_h(injected, method):
    rbm = random_rbm()
    model = hk.RBM.from_rbm(rbm, method=method, chains=7, binarize="none")
    model.compute_loss(BITS)
    # cd draws h for its chains, and looks at those; pcd draws h for the monitor alone, last of all.
    u = injected[0 if method == "cd" else -1]
    h = u < rbm.mean_h_from_v(BITS)
    expected = np.square(BITS - rbm.mean_v_from_h(h)).mean()
    assert float(model.reconstruction_error_monitor.result()) == pytest.approx(expected, rel=1e-5)


LOGS = {"loss": "min", "free_energy": "min", "pseudo_log_likelihood": "max", "reconstruction_error": "min"}


def test_callbacks_know_which_way_each_log_is_better():
    """Every log of the model, of training and of held-out rows; what the user has said stays."""
    logs = LOGS | {f"val_{name}": better for name, better in LOGS.items()}
    kinds = keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau
    callbacks = {(kind, name): kind(monitor=name) for kind in kinds for name in logs}
    said = keras.callbacks.EarlyStopping("pseudo_log_likelihood", mode="min")
    compiled().fit(BARS, epochs=1, verbose=0, validation_data=(BARS,), callbacks=[*callbacks.values(), said])
    for (_, name), callback in callbacks.items():
        assert callback.monitor_op is {"min": keras.ops.less, "max": keras.ops.greater}[logs[name]], name
    assert said.monitor_op is keras.ops.less


def test_early_stopping_keeps_the_best_by_the_log_it_watches():
    """The scores are planted, and rise to their best in the third epoch."""
    scores = iter([-5.0, -4.0, -3.0, -4.0, -5.0, -6.0])

    class Planted(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_pseudo_log_likelihood"] = next(scores)

    stop = keras.callbacks.EarlyStopping("val_pseudo_log_likelihood", patience=2)
    compiled().fit(BARS, epochs=6, verbose=0, callbacks=[Planted(), stop])
    assert stop.best == -3
    assert stop.stopped_epoch == 4


def test_monitors_carry_their_direction():
    directions = {metric.name: metric._direction for metric in compiled().metrics if metric.name != "loss"}
    assert directions == {name: {"min": "down", "max": "up"}[LOGS[name]] for name in directions}
    assert len(directions) == 3


def test_monitors_can_be_left_out():
    history = compiled(monitors=False).fit(BARS, epochs=1, verbose=0)
    assert set(history.history) == {"loss"}


@pytest.mark.parametrize("method", ["cd", "pcd"])
def test_a_saved_model_continues_bit_for_bit(tmp_path, method):
    model = compiled(method=method, chains=8, name="machine", centered=method == "pcd")
    model.fit(BARS, batch_size=5, epochs=2, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again, hk.RBM)
    assert again.get_config() == model.get_config()
    assert_same_state(model, again)
    for m in (model, again):
        m.fit(BARS, batch_size=5, epochs=1, verbose=0, shuffle=False)
    assert_same_state(model, again)


def test_configuration_round_trip():
    model = hk.RBM(
        7, method="pcd", sweeps=3, chains=4, last_statistic="mean_field", weight_decay=0.5, binarize="sample",
        centered=True, monitors=False, seed=2**64 - 1, name="machine", dtype="mixed_bfloat16",
    )  # fmt: skip
    assert hk.RBM.from_config(model.get_config()).get_config() == model.get_config()


class Stop(Exception):
    pass


class StopAt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.at = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.at:
            raise Stop


def test_backup_and_restore_continues_bit_for_bit(tmp_path):
    options = {"method": "pcd", "chains": 8}
    fit = {"batch_size": 5, "epochs": 4, "verbose": 0, "shuffle": False}
    whole = compiled(**options)
    whole.fit(BARS, **fit)
    with pytest.raises(Stop):
        compiled(**options).fit(BARS, **fit, callbacks=[keras.callbacks.BackupAndRestore(tmp_path), StopAt(2)])
    again = compiled(**options)
    again.fit(BARS, **fit, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)])
    assert_same_state(whole, again)


def test_checkpoints_continue_bit_for_bit(tmp_path):
    options = {"method": "pcd", "chains": 8}
    fit = {"batch_size": 5, "epochs": 5, "verbose": 0, "shuffle": False}
    whole = compiled(**options)
    whole.fit(BARS, **fit)
    with pytest.raises(Stop):
        compiled(**options).fit(BARS, **fit, callbacks=[hk.Checkpoints(tmp_path), StopAt(3)])
    assert sorted(x.name for x in tmp_path.iterdir()) == ["epoch-00000002.weights.h5", "epoch-00000003.weights.h5"]
    again, checkpoints = compiled(**options), hk.Checkpoints(tmp_path)
    first = checkpoints.restore(again)
    assert first == 3
    again.fit(BARS, **fit, initial_epoch=first, callbacks=[checkpoints])
    assert_same_state(whole, again)
    assert hk.Checkpoints(tmp_path / "nothing").restore(again) == 0


def test_model_checkpoint_keeps_all_of_the_state(tmp_path):
    model = compiled(method="pcd", chains=8)
    model.fit(BARS, epochs=1, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")])
    assert_same_state(model, keras.models.load_model(tmp_path / "1.keras"))


def test_tf_data(tmp_path):
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices(BARS).batch(5)
    model, other = compiled(), compiled()
    model.adapt(data)
    model.fit(data, epochs=2, verbose=0, shuffle=False, validation_data=data)
    other.adapt(BARS)
    other.fit(BARS, batch_size=5, epochs=2, verbose=0, shuffle=False, validation_data=(BARS,))
    np.testing.assert_allclose(numbers(model.W), numbers(other.W), atol=1e-6)


@pytest.mark.skipif(BACKEND != "torch", reason="a DataLoader is PyTorch's")
def test_data_loader():
    import torch

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(BARS)), batch_size=5)
    model = compiled()
    model.adapt(data)
    assert np.isfinite(model.fit(data, epochs=1, verbose=0, shuffle=False).history["loss"]).all()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="one backend is enough for TensorBoard, which TensorFlow writes")
def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    compiled().fit(BARS, epochs=1, verbose=0, callbacks=[keras.callbacks.TensorBoard(tmp_path, write_graph=False)])
    assert list(tmp_path.rglob("events*"))
