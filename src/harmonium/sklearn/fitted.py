"""What all methods of the estimator start from: its machine, an engine for it, noise, and checked rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
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
from harmonium.sklearn.data import CELLS, as_rows, check_data, dense_chunks, has_right_shape
from harmonium.sklearn.kept import KeptEngine, Parameter, kept_of, machine_of


class Fitted(BaseEstimator):  # type: ignore[misc]
    """The parameters as attributes, as scikit-learn names them."""

    components_ = Parameter()
    intercept_visible_ = Parameter()
    intercept_hidden_ = Parameter()
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
        return machine_of(self.__dict__)

    @property
    def _shape(self) -> tuple[int, int]:
        """n_components and n_features of the fitted machine."""
        self._check_fitted()
        n_components, n_features = np.shape(self.__dict__["components_"])
        return n_components, n_features

    def _check_fitted(self) -> None:
        """Raise scikit-learn's error if there are no parameters; its own check takes longer than one row's product."""
        if "components_" not in self.__dict__:
            check_is_fitted(self)

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        if "components_" not in state:
            return state
        kept_of(self).given_away = True  # as far as one can tell: a shallow copy has the same arrays
        return {**state, "_kept": KeptEngine(given_away=True)}

    def _keeper(self) -> KeptEngine:
        self._check_fitted()
        return kept_of(self)

    def _engine(self) -> Engine:
        """An engine that holds the parameters as they are now."""
        return self._keeper().of(self._place, self.__dict__)

    def _mirror(self) -> Engine:
        """The same with the layers exchanged."""
        return self._keeper().mirror_of(self._place, self.__dict__)

    def _rows(self, X: Any, engine: Engine, *, allow_nan: bool = False) -> tuple[Any, bool, Any]:
        """Checked rows, whether it was one vector that they are made of, and their states if these were found first.

        All that has to be checked of an array of the right shape is its range, as its states are made. Names it
        need not have, as what `gibbs` returns has none.
        """
        X, one = as_rows(X, named="feature_names_in_" in self.__dict__)
        if has_right_shape(self, X) and X.size <= CELLS and (states := engine.visible_of_unit(X)) is not None:
            return X, one, states
        return check_data(self, X, allow_nan=allow_nan), one, None

    # Noise ------------------------------------------------------------------------------------------------------------

    def _reseed(self) -> None:
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**63 - 1, dtype=np.int64)
        self._seed = int(seed)
        self._n_keys: Counter[str] = Counter()

    def _first_key(self) -> Key:
        if "_seed" not in self.__dict__:  # the attributes were set by hand, not by `fit`
            self._reseed()
        return Key(self._seed)

    def _key(self, purpose: str, seed: int | Key | None = None) -> Key:
        """The key of `seed` for a purpose; without one, a key that was not used before since the last `fit`."""
        if seed is not None:
            return as_key(seed).derive(purpose)
        first = self._first_key()
        number = self._n_keys[purpose] = self._n_keys[purpose] + 1
        return first.derive(purpose, number)


def by_block(
    engine: Engine,
    X: Any,
    states: Any,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    compute: Callable[[Any, slice], Any],
) -> npt.NDArray[Any]:
    """What `compute` makes of the states of some rows, for all of them: an array of that shape and dtype."""
    if states is not None:
        all_at_once: npt.NDArray[Any] = compute(states, slice(0, len(X))).astype(dtype, copy=False)
        return all_at_once
    out = np.empty(shape, dtype)
    for rows, chunk in dense_chunks(X):
        out[rows] = compute(engine.visible(chunk), rows)
    return out


def only(rows: npt.NDArray[Any], one: bool) -> npt.NDArray[Any]:
    """The rows, or the first of them where `one` vector was given."""
    return rows[0] if one else rows
