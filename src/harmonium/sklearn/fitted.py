"""What all methods of the estimator start from: its machine, an engine for it, noise, and checked rows."""

from __future__ import annotations

from collections import Counter
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from harmonium.engines import Engine, on_device
from harmonium.inputs import FloatArray
from harmonium.random import Key, as_key
from harmonium.rbm import RBM
from harmonium.sklearn.data import check_data
from harmonium.sklearn.kept import KeptEngine


class Fitted(BaseEstimator):  # type: ignore[misc]
    """The parameters as attributes, as scikit-learn names them."""

    components_: FloatArray
    intercept_visible_: FloatArray
    intercept_hidden_: FloatArray
    h_samples_: FloatArray
    random_state: int | np.random.RandomState | None
    engine: str
    device: str | None

    @property
    def _place(self) -> str:
        """The engine and its device as one name."""
        return on_device(self.engine, self.device)

    @property
    def rbm_(self) -> RBM:
        """The fitted machine as a record of the core: a copy of the parameters as they are now."""
        self._check_fitted()
        return RBM(self.components_, self.intercept_visible_, self.intercept_hidden_)

    def _parameters(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self.components_, self.intercept_visible_, self.intercept_hidden_

    def _check_fitted(self) -> None:
        """Raise scikit-learn's error if there are no parameters; its own check takes longer than one row's product."""
        if not hasattr(self, "components_"):
            check_is_fitted(self)

    def _keeper(self) -> KeptEngine:
        self._check_fitted()
        if not hasattr(self, "_kept"):  # the attributes were set by hand, not by `fit`
            self._kept = KeptEngine()
        return self._kept

    def _engine(self) -> Engine:
        """An engine that holds the parameters as they are now."""
        return self._keeper().of(self._place, *self._parameters())

    def _mirror(self) -> Engine:
        """The same with the layers exchanged."""
        return self._keeper().mirror_of(self._place, *self._parameters())

    def _rows(self, X: Any, *, allow_nan: bool = False) -> tuple[Any, bool]:
        """Checked rows of a fitted machine, and whether it was one vector that they are made of."""
        self._check_fitted()
        if type(X) is not np.ndarray and not hasattr(X, "ndim"):
            X = np.asarray(X)
        one = X.ndim == 1
        return check_data(self, X.reshape(1, -1) if one else X, allow_nan=allow_nan), one

    # Noise ------------------------------------------------------------------------------------------------------------

    def _reseed(self) -> None:
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**63 - 1, dtype=np.int64)
        self._seed = int(seed)
        self._n_keys: Counter[str] = Counter()

    def _first_key(self) -> Key:
        if not hasattr(self, "_seed"):  # the attributes were set by hand, not by `fit`
            self._reseed()
        return Key(self._seed)

    def _key(self, purpose: str, seed: int | Key | None = None) -> Key:
        """The key of `seed` for a purpose; without one, a key that was not used before since the last `fit`."""
        if seed is not None:
            return as_key(seed).derive(purpose)
        first = self._first_key()
        self._n_keys[purpose] += 1
        return first.derive(purpose, self._n_keys[purpose])


def only(rows: npt.NDArray[Any], one: bool) -> npt.NDArray[Any]:
    """The rows, or the first of them where `one` vector was given."""
    return rows[0] if one else rows
