"""ONNX export: a converter of `transform` for skl2onnx, which is an extra (``pip install skl2onnx``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from harmonium.sklearn.bernoulli import BernoulliRBM


def register() -> None:
    """Let ``skl2onnx.to_onnx`` and ``convert_sklearn`` know `BernoulliRBM`, alone or in a pipeline.

    The graph is MatMul, Add, Sigmoid, in single precision or, for an input of that type, in double.

    Raises
    ------
    ImportError
        skl2onnx is not installed.

    Examples
    --------
    >>> from harmonium.sklearn import onnx
    >>> onnx.register()  # doctest: +SKIP
    >>> skl2onnx.to_onnx(pipeline, X[:1])  # doctest: +SKIP
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError(
            "skl2onnx must be installed to export a model to ONNX. Got none. Run: pip install skl2onnx"
        ) from error
    update_registered_converter(BernoulliRBM, "HarmoniumBernoulliRBM", _shapes, _convert)


def _shapes(operator: Any) -> None:
    """The output has a row for each of the input's, and a column for each component."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    given = operator.inputs[0].type
    tensor = DoubleTensorType if isinstance(given, DoubleTensorType) else FloatTensorType
    operator.outputs[0].type = tensor([given.shape[0], len(operator.raw_operator.components_)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """sigmoid(v W' + c)."""
    from skl2onnx.algebra.onnx_ops import OnnxAdd, OnnxCast, OnnxMatMul, OnnxSigmoid
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, guess_proto_type

    model, v, version = operator.raw_operator, operator.inputs[0], container.target_opset
    dtype = np.float64 if isinstance(v.type, DoubleTensorType) else np.float32
    if not isinstance(v.type, DoubleTensorType | FloatTensorType):
        v = OnnxCast(v, to=guess_proto_type(FloatTensorType()), op_version=version)
    W, c = (np.asarray(x, dtype) for x in (model.components_.T, model.intercept_hidden_))
    logits = OnnxAdd(OnnxMatMul(v, W, op_version=version), c, op_version=version)
    mean = OnnxSigmoid(logits, op_version=version, output_names=operator.outputs[:1])
    mean.add_to(scope, container)
