"""Results keep their bits from one version of the code to the next, but for what `golden_results.json` shows."""

import json

import golden_results
import numpy as np
import pytest
import results
from strict import NUMPY, OWN, strict

from harmonium.engines import Engine, NativeEngine, NumpyEngine

GOLDEN = json.loads(golden_results.FILE.read_text())


def test_the_numpy_engine_gives_what_it_gave():
    got = golden_results.digests_on(NumpyEngine)
    if got["fingerprint"] != GOLDEN["numpy"]["fingerprint"]:
        pytest.skip("another BLAS library or processor than the digests were made with: their last bits differ")
    assert got == GOLDEN["numpy"]


def test_every_result_has_a_digest():
    assert all(set(results.CALLS) <= set(found) for found in GOLDEN.values())


def test_no_algorithm_looks_into_what_an_engine_holds():
    """Every public function and training method computes the same on an engine that hides its states and reals."""
    got = golden_results.digests_on(strict(NativeEngine))
    assert {name: got[name] for name in results.CALLS} == GOLDEN["native"]


def test_the_strict_engine_hides_every_array_and_has_every_verb():
    verbs = {name for name in vars(Engine) if not name.startswith("_") and callable(getattr(Engine, name))}
    assert verbs - {"log_partition_block", "bits"} == OWN | NUMPY
    engine = strict(NumpyEngine)(results.SMALL)
    logits = engine.logits_h(engine.encode(results.XS))
    assert len(logits) == len(results.XS)
    for use in (np.asarray, np.exp, lambda x: 2.0 * x, lambda x: np.float32(2) * x, lambda x: x[0], lambda x: x.shape):
        with pytest.raises((TypeError, AttributeError)):
            use(logits)
    with pytest.raises(TypeError, match=r"mean must get what an engine holds\. Got ndarray"):
        engine.mean(np.zeros((1, 9), np.float32))
