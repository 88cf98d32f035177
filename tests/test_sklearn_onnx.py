"""Export of `transform` to ONNX, run by onnxruntime."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from harmonium.sklearn import BernoulliRBM, onnx

X = np.random.default_rng(0).random((200, 12))
y = (X[:, 0] > 0.5).astype(int)


@pytest.fixture
def run():
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is an extra: pip install skl2onnx")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime runs what is exported")
    onnx.register()

    def run(model, rows):
        graph = skl2onnx.to_onnx(model, rows[:1], options={"zipmap": False} if hasattr(model, "steps") else None)
        session = runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        kinds = [node.op_type for node in graph.graph.node]
        return session.run(None, {session.get_inputs()[0].name: rows}), kinds

    return run


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_transform_is_exported(run, dtype):
    model = BernoulliRBM(n_components=7, n_iter=2, random_state=0).fit(X)
    rows = np.round(X).astype(dtype)
    (found,), kinds = run(model, rows)
    assert [kind for kind in kinds if kind != "Cast"] == ["MatMul", "Add", "Sigmoid"]
    np.testing.assert_allclose(found, model.transform(rows), rtol=1e-5, atol=1e-7)


def test_a_pipeline_is_exported(run):
    model = make_pipeline(BernoulliRBM(n_components=7, n_iter=2, random_state=0), LogisticRegression()).fit(X, y)
    (labels, p), _ = run(model, X.astype(np.float32))
    np.testing.assert_allclose(p, model.predict_proba(X), atol=1e-5)
    assert np.mean(labels == model.predict(X)) > 0.99


def test_nothing_is_imported_before_it_is_asked_for():
    code = "import sys, harmonium.sklearn, harmonium.sklearn.onnx; print([x for x in sys.modules if 'onnx' in x])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "['harmonium.sklearn.onnx']"


def test_without_the_extra_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match="pip install skl2onnx"):
        onnx.register()
