"""Stacks of machines as Keras layers under a softmax head."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import keras

import harmonium
from harmonium.errors import InvalidParameter
from harmonium.inputs import check_count
from harmonium.keras.model import RBM


def classifier(
    rbms: Iterable[harmonium.RBM | RBM], n_classes: int, *, fine_tuned: bool = False, seed: int = 0
) -> keras.Sequential:
    """Machines one above the other as feature layers, and a softmax over `n_classes` on top.

    Parameters
    ----------
    rbms : iterable of harmonium.RBM or harmonium.keras.RBM, from the bottom to the top
        A `harmonium.deep.Stack` is one. Their parameters are copied.
    n_classes : int
    fine_tuned : bool
        Whether backpropagation also changes the machines' W and c; see `fine_tune`.
    seed : int
        Of the first weights of the softmax.

    Returns
    -------
    keras.Sequential
        To be compiled, for instance with ``loss="sparse_categorical_crossentropy"``.

    Raises
    ------
    InvalidParameter
        No machine, or one whose visible units are not as many as the hidden units below.

    References
    ----------
    Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313, 2006.
    """
    machines = [rbm.to_rbm() if isinstance(rbm, RBM) else rbm for rbm in rbms]
    if not machines:
        raise InvalidParameter("A classifier must have at least one RBM. Got none. Pass a list of them or a Stack.")
    for below, above in itertools.pairwise(machines):
        if below.n_hidden != above.n_visible:
            raise InvalidParameter(
                f"A machine must have as many visible units as the one below has hidden ones. Got {above.n_visible} "
                f"above {below.n_hidden}. Pass the machines from the bottom to the top."
            )
    # Without persistent chains, monitors and offsets, which a feature layer does not need.
    options = {"method": "cd", "monitors": False, "centered": False}
    layers = [RBM.from_rbm(rbm, name=f"rbm_{k}", **options) for k, rbm in enumerate(machines)]
    head = keras.layers.Dense(
        check_count(n_classes, "n_classes", minimum=2),
        activation="softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
        dtype="float32",
        name="softmax",
    )
    model = keras.Sequential([keras.Input((machines[0].n_visible,)), *layers, head])
    fine_tune(model, fine_tuned)
    return model


def fine_tune(model: keras.Model, fine_tuned: bool = True) -> None:
    """Let backpropagation change the machines of a classifier, or keep them as they are.

    Compile the model again afterwards, as always in Keras after a change of what is trainable. The visible biases
    never change: features do not depend on them.
    """
    for layer in model.layers:
        if isinstance(layer, RBM):
            layer.trainable = fine_tuned
            layer.b.trainable = False


def count_rbm_parameters(model: Any) -> int:
    """The number of parameters W, b and c of the machines in a model, without its head."""
    machines = [layer for layer in model.layers if isinstance(layer, RBM)]
    return sum(x.shape[0] * x.shape[1] + x.shape[0] + x.shape[1] for x in (rbm.W for rbm in machines))
