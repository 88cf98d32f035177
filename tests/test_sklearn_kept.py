"""The engine that is kept between calls: quick for few rows, and never older than the parameters."""

import copy
import pickle
import sys

import numpy as np
import pytest

from harmonium.errors import InvalidData, InvalidParameter
from harmonium.sklearn import BernoulliRBM, kept

KEY = np.random.default_rng(0)
X = KEY.integers(0, 2, (40, 6)).astype(float)
NAMES = ("components_", "intercept_visible_", "intercept_hidden_")


def fitted(**parameters):
    return BernoulliRBM(**{"n_components": 5, "n_iter": 2, "random_state": 0} | parameters).fit(X)


def fresh(model):
    """Another estimator with the parameters as they are now, which has never made an engine."""
    other = BernoulliRBM(n_components=5, random_state=0, engine=model.engine)
    for name in NAMES:
        setattr(other, name, np.array(getattr(model, name)))
    return other


@pytest.fixture
def n_made(monkeypatch):
    made = []
    make = kept.make_engine
    monkeypatch.setattr(kept, "make_engine", lambda *arguments: made.append(1) or make(*arguments))
    return made


def test_calls_share_one_engine(n_made, engine):
    model = fitted(engine=engine)
    for rows in (X, X[:1], X / 2):
        model.transform(rows)
        model.gibbs(rows)
        model.score_samples(X)
        model.free_energy(rows)
    model.gibbs(X[0])
    assert not n_made  # that of the fit
    model.partial_fit(X[:1])
    model.transform(X)
    assert not n_made
    H = model.transform(X)
    model.inverse_transform(H)
    model.inverse_transform(H)
    assert len(n_made) == 1  # the mirror image, for real hidden values


def change_an_entry(model, name):
    getattr(model, name).flat[3] += 0.25


def change_the_last_bit(model, name):
    array = getattr(model, name)
    array.flat[0] = np.nextafter(array.flat[0], np.inf)


def reverse(model, name):
    getattr(model, name)[:] = getattr(model, name)[::-1].copy()


def replace(model, name):
    setattr(model, name, getattr(model, name) * 2 + 1)


def transpose_strides(model, name):
    setattr(model, name, np.ascontiguousarray(getattr(model, name) + 1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", [change_an_entry, change_the_last_bit, reverse, replace, transpose_strides])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_that_change_in_place_are_noticed(name, change, dtype):
    model = BernoulliRBM(n_components=5, n_iter=2, random_state=0).fit(X.astype(dtype))
    H = model.transform(X / 2)
    model.inverse_transform(H)
    change(model, name)
    other = fresh(model)
    np.testing.assert_array_equal(model.transform(X), other.transform(X))
    np.testing.assert_array_equal(model.inverse_transform(H), other.inverse_transform(H))
    np.testing.assert_array_equal(model.score_samples(X), other.score_samples(X))
    np.testing.assert_array_equal(model.free_energy(X), other.free_energy(X))


def test_training_goes_on_from_parameters_changed_in_place(engine):
    one, two = fitted(engine=engine, learning_rate=1e-9), fitted(engine=engine, learning_rate=1e-9)
    for model in (one, two):
        model.components_[:] = 3.0
        model.intercept_hidden_ = np.full(5, -2.0)
    two = pickle.loads(pickle.dumps(two))
    for model in (one, two):
        model.partial_fit(X)
        np.testing.assert_allclose(model.components_, 3.0, atol=1e-5)
        np.testing.assert_allclose(model.intercept_hidden_, -2.0, atol=1e-5)
    np.testing.assert_array_equal(one.components_, two.components_)


def test_an_error_in_training_leaves_the_estimator_as_it_was(monkeypatch):
    model = fitted()
    before, H = model.components_.copy(), model.transform(X)

    def fail(run):
        run._batches.at(run.engine, 0)
        run.engine.replace(run.engine.rbm.mirror().mirror())
        raise KeyboardInterrupt

    monkeypatch.setattr("harmonium.sklearn.learning.Learning.one_pass", fail)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X)
    np.testing.assert_array_equal(model.components_, before)
    np.testing.assert_array_equal(model.transform(X), H)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    np.testing.assert_array_equal(model.components_, fitted(n_iter=0).components_)
    np.testing.assert_array_equal(model.transform(X), fitted(n_iter=0).transform(X))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_do_not_share_an_engine_that_learns(again):
    model = fitted()
    other = again(model)
    H = model.transform(X)
    other.set_params(learning_rate=1.0).partial_fit(X)
    np.testing.assert_array_equal(model.transform(X), H)
    assert not np.array_equal(other.transform(X), H)


def test_pickles_hold_no_engine():
    model = fitted()
    size = len(pickle.dumps(model))
    model.transform(X)
    assert len(pickle.dumps(model)) == size


def test_one_row_costs_no_more_calls_than_a_few():
    """A guard against what made one row slow: counted in Python calls, which no other work on the machine changes."""
    model = fitted()
    for name, most in (("transform", 70), ("gibbs", 100), ("score_samples", 80), ("partial_fit", 500)):
        n_calls = 0

        def count(frame, event, argument):
            nonlocal n_calls
            n_calls += event == "call"

        getattr(model, name)(X[:1])
        sys.setprofile(count)
        getattr(model, name)(X[:1])
        sys.setprofile(None)
        assert n_calls <= most, (name, n_calls)


def test_arrays_are_compared_from_when_somebody_has_had_them_until_the_next_training(monkeypatch):
    model = fitted()
    model.transform(X)
    engine, compared = model._kept._engine, []
    monkeypatch.setattr(type(engine), "holds", lambda *_: compared.append(1) or True)
    model.transform(X)
    assert not compared
    for share in (lambda: model.components_, lambda: copy.copy(model), lambda: model.set_params(n_components=5)):
        share()
        model.transform(X)
    assert len(compared) == 3
    model.partial_fit(X)
    assert len(compared) == 4
    place = model.__dict__["components_"].ctypes.data
    model.partial_fit(X)
    model.fit(X)
    model.transform(X)
    assert len(compared) == 4
    assert model.__dict__["components_"].ctypes.data == place  # nobody has had them, so they are trained in place
    loaded = pickle.loads(pickle.dumps(model))
    loaded.transform(X)
    loaded.transform(X)
    assert len(compared) == 4


@pytest.mark.parametrize("loaded", [False, True])
def test_shallow_copies_notice_what_is_written_to_the_arrays_that_they_share(loaded):
    model = pickle.loads(pickle.dumps(fitted())) if loaded else fitted()
    other = copy.copy(model)
    H = [m.transform(X) for m in (model, other)]
    other.components_[:] += 1
    for m, before in zip((model, other), H, strict=True):
        assert not np.array_equal(m.transform(X), before)
        np.testing.assert_array_equal(m.transform(X), fresh(m).transform(X))
    W = model.components_
    other.partial_fit(X)
    model.transform(X)
    W[:] = 0
    np.testing.assert_array_equal(model.transform(X), fresh(model).transform(X))


@pytest.mark.parametrize("ones", [np.ones((5, 6), int), np.ones((5, 6), int).tolist()], ids=["array", "list"])
def test_whole_numbers_set_by_hand_are_learnt_from_as_numbers(ones):
    model = fitted(learning_rate=0.01)
    model.components_ = ones
    model.partial_fit(X)
    assert model.components_.dtype == np.float64
    assert 0 < np.abs(model.components_ - 1).max() < 0.5


def test_arrays_that_a_user_has_stay_as_they_were():
    model = fitted()
    mine = [getattr(model, name) for name in NAMES]
    before = [x.copy() for x in mine]
    model.set_params(learning_rate=1.0).partial_fit(X)
    for x, y in zip(mine, before, strict=True):
        np.testing.assert_array_equal(x, y)
    assert not np.array_equal(model.components_, before[0])


def test_arrays_put_into_the_dictionary_are_their_owners():
    """Past the attributes, as `vars(model).update(...)` and restored checkpoints do."""
    mine = np.ones((5, 6))
    for train in (BernoulliRBM.partial_fit, BernoulliRBM.fit):
        for model in (fitted(), pickle.loads(pickle.dumps(fitted()))):
            vars(model)["components_"] = mine
            train(model, X)
            np.testing.assert_array_equal(mine, 1)
    by_hand = BernoulliRBM(n_components=5, random_state=0)
    vars(by_hand).update({name: np.array(getattr(model, name)) for name in NAMES})
    for model in (fitted(), by_hand):
        model.transform(X)
        vars(model)["components_"] = changing = mine.copy()
        H = model.transform(X)
        changing[:] = -1
        assert not np.array_equal(model.transform(X), H)
        np.testing.assert_array_equal(model.transform(X), fresh(model).transform(X))


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_machine_set_by_hand_has_a_width(engine):
    by_hand, replaced = BernoulliRBM(n_components=5, engine=engine), fitted(engine=engine)
    by_hand.components_ = replaced.components_ = np.zeros((5, 7))
    with pytest.raises(InvalidParameter, match=r"must be set together.*no intercept_visible_"):
        by_hand.transform(X)
    by_hand.intercept_hidden_ = np.zeros(5)
    by_hand.intercept_visible_ = replaced.intercept_visible_ = np.zeros(7)
    for name in ("transform", "gibbs", "score_samples", "free_energy", "impute", "partial_fit"):
        for model in (by_hand, replaced):
            with pytest.raises(InvalidData, match="must have 7 columns"):
                getattr(model, name)(X)
    for n_columns in (6, 8, 200):
        with pytest.raises(InvalidData, match="must have 7 columns"):
            by_hand.score(np.ones((2, n_columns)))
    assert by_hand.transform(np.ones((2, 7))).shape == (2, 5)


def test_a_missing_parameter_is_a_missing_attribute():
    model = BernoulliRBM()
    assert not hasattr(model, "components_")
    with pytest.raises(AttributeError, match="'BernoulliRBM' object has no attribute 'components_'"):
        del model.components_
    assert "components_" in vars(fitted())
