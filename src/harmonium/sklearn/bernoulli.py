"""The scikit-learn face: `BernoulliRBM`, a drop-in replacement for the class of that name in scikit-learn.

The estimator checks its input, keeps the parameters as attributes and speaks scikit-learn's language; the mathematics
is that of the engines, of the steps of training, of `sample`, `impute` and the scores.
"""

from __future__ import annotations

import time
from functools import lru_cache, partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints

from harmonium.datasets import BINARIZATIONS
from harmonium.engines import NAMES, Engine, Velocity
from harmonium.errors import InvalidParameter
from harmonium.inputs import FloatArray, missing_entries
from harmonium.random import Key
from harmonium.sampling.conditional import complete
from harmonium.sklearn.conditionals import Conditionals
from harmonium.sklearn.data import as_dense, check_data, dense_chunks, float_dtype, rows_that_count
from harmonium.sklearn.kept import kept_of
from harmonium.sklearn.learning import Learning, with_velocity
from harmonium.sklearn.scores import Scores
from harmonium.training import Config

# Rows that the progress lines of `fit` are scored on.
_MONITORED_ROWS = 500
# Gibbs sweeps of missing entries that are drawn afresh for a trained machine.
_SETTLING = 20


@lru_cache(maxsize=8)
def _config(**choices: Any) -> Config:
    """The record of some choices; to check them anew takes longer than to learn from one row."""
    return Config(**choices)


@lru_cache(maxsize=8, typed=True)
def _check_parameters(estimator: type[BernoulliRBM], **parameters: Any) -> None:
    validate_parameter_constraints(estimator._parameter_constraints, parameters, caller_name=estimator.__name__)


class BernoulliRBM(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Conditionals, Scores):  # type: ignore[misc]
    """Restricted Boltzmann machine with binary visible and hidden units, as a scikit-learn transformer.

    Takes the place of `sklearn.neural_network.BernoulliRBM` by a change of the import: same parameters, defaults,
    attributes, methods and dtypes.

    Parameters
    ----------
    n_components : int, default=256
        Number of hidden units.
    learning_rate : float, default=0.1
        Step along the gradient of the mean log-likelihood of a batch; the same throughout.
    batch_size : int, default=10
        Samples a step, and number of persistent chains. The last batch of a pass may be shorter.
    n_iter : int, default=10
        Passes of `fit` over the data, each in a new random order.
    verbose : int, default=0
        If not zero, `fit` prints a line after each pass.
    random_state : int, RandomState instance or None, default=None
        Fixes everything random: weights, order, chains, `gibbs` and `sample`. An int is the seed of the core: the
        fitted parameters are those of `harmonium.train` with that seed and the same choices.
    method : {"pcd", "cd"}, default="pcd"
        Where the chains of the negative phase start: where they ended at the last step (persistent contrastive
        divergence, what scikit-learn does), or at the data of the batch.
    sweeps : int, default=1
        Gibbs sweeps of each chain in a step: k of PCD-k and CD-k.
    momentum : float in [0, 1), default=0.0
        Share of the last update that is added to the next.
    weight_decay : float, default=0.0
        Coefficient of the L2 penalty on the weights.
    binarize : {"none", "sample", "threshold"}, default="none"
        What training makes of grey levels, which stand for probabilities: they are used as they are, which is what
        scikit-learn's class does; are drawn anew as 0 or 1 in each pass; or become 1 above 0.5.
        docs/results/sklearn.md has what a classifier makes of the features.
    centered : bool, default=False
        Whether states are centred by their means in the gradient, which makes learning the same whichever state of a
        unit is called 1. Scikit-learn's class does not, and after few passes features classify better without.
    missing_sweeps : int, default=200
        Sweeps that `transform` and the scores average over, in each of 20 chains, for a row with many missing entries;
        half as many go before. Less is quicker and noisier.
    engine : {"native", "numpy", "torch"}, default="native"
        Where the numbers live. All compute in single precision; "torch" gives the bits of "native", also on a GPU.
    device : {"cpu", "cuda", "mps"}, default=None
        Where "torch" computes: None for "cuda" if there is one, else "cpu".

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Weights W.
    intercept_hidden_ : ndarray of shape (n_components,)
        Hidden biases c.
    intercept_visible_ : ndarray of shape (n_features,)
        Visible biases b.
    h_samples_ : ndarray of shape (batch_size, n_components)
        Hidden states of the persistent chains, 0 or 1; of shape (0, n_components) under ``method="cd"``.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features seen during `fit`; defined only where all of them are strings.

    See Also
    --------
    harmonium.train : The same training outside scikit-learn, with schedules, held-out data and a history.
    harmonium.RBM : The fitted machine, of which `rbm_` is one, with its equations.

    Notes
    -----
    What differs from scikit-learn's class, on purpose: samples are shuffled in each pass; visible biases start at the
    log-odds of the column means; each phase of the gradient is divided by its own number of rows; `partial_fit` works
    in batches and returns the estimator; `score_samples` is exact and deterministic; values outside [0, 1] are
    clipped, with a `DataRangeWarning`, everywhere; NaN is a missing entry, for all methods that do not sample; `fit`,
    `partial_fit` and `score` take `sample_weight`.

    A weight is how often a row counts. Where one batch holds all rows, training with a weight of 2 and with a row twice
    follows the same gradient. Smaller batches do so on average only: their rows are drawn in another order.

    References
    ----------
    Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood gradient", ICML 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from harmonium.sklearn import BernoulliRBM
    >>> X = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    >>> model = BernoulliRBM(n_components=2, random_state=0).fit(X)
    >>> model.transform(X).shape
    (4, 2)
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn reads it from the class, as it stands
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_iter": [Interval(Integral, 0, None, closed="left")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "method": [StrOptions({"pcd", "cd"})],
        "sweeps": [Interval(Integral, 1, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "binarize": [StrOptions(set(BINARIZATIONS))],
        "centered": ["boolean"],
        "missing_sweeps": [Interval(Integral, 2, None, closed="left")],
        "engine": [StrOptions(set(NAMES))],
        "device": [str, None],
    }

    def __init__(
        self,
        n_components: int = 256,
        *,
        learning_rate: float = 0.1,
        batch_size: int = 10,
        n_iter: int = 10,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
        method: str = "pcd",
        sweeps: int = 1,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        binarize: str = "none",
        centered: bool = False,
        missing_sweeps: int = 200,
        engine: str = "native",
        device: str | None = None,
    ) -> None:
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.verbose = verbose
        self.random_state = random_state
        self.method = method
        self.sweeps = sweeps
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.binarize = binarize
        self.centered = centered
        self.missing_sweeps = missing_sweeps
        self.engine = engine
        self.device = device

    # Learning ---------------------------------------------------------------------------------------------------------

    def _validate_params(self) -> None:
        """As all of scikit-learn does, which takes longer than to learn from one row: once for the same parameters."""
        kind: Any = type(self)
        try:
            _check_parameters(kind, **{name: getattr(self, name) for name in self._parameter_constraints})
        except TypeError:  # of no use as a key, and of no sound type either
            super()._validate_params()

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Train a new machine on `X`. After Ctrl-C the estimator is as after the last whole pass.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Values in [0, 1], NaN where missing.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; not negative.

        Returns
        -------
        self : BernoulliRBM
        """
        X = check_data(self, X, reset=True, allow_nan=True)
        rows, weights = rows_that_count(X, sample_weight)
        dtype = float_dtype(X)
        self._reseed()
        kept_of(self).drop()
        start_anew = partial(Learning, rows, self._config(), self._first_key(), weights)
        run, monitored = start_anew(), None
        if not self.n_iter:
            self._adopt(run, dtype)
        for iteration in range(1, self.n_iter + 1):
            start = time.perf_counter()
            try:
                run.one_pass()
            except BaseException:
                if iteration == 1:
                    self._adopt(start_anew(), dtype)
                raise
            self._adopt(run, dtype)
            if self.verbose:
                seconds = time.perf_counter() - start
                if monitored is None:  # evenly spaced rows, so that data sorted by class are represented
                    n_rows = rows.shape[0]
                    chosen = np.linspace(0, n_rows - 1, min(n_rows, _MONITORED_ROWS)).astype(int)
                    monitored = as_dense(rows[chosen])
                shown = self._completed(monitored, self._first_key().derive("progress", iteration))
                score = self._pseudo_log_likelihood(shown).mean()
                print(
                    f"[{type(self).__name__}] Iteration {iteration}, "
                    f"pseudo-likelihood = {score:.2f}, time = {seconds:.2f}s"
                )
        return self

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:  # noqa: ARG002 - as above
        """Go on training with one pass over `X`, in batches of `batch_size`, or start with it.

        Chains, momentum and noise go on from the last call, of `fit` or `partial_fit`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Values in [0, 1], NaN where missing.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row of this call counts, relative to its other rows.

        Returns
        -------
        self : BernoulliRBM
        """
        fresh = "components_" not in self.__dict__
        X = check_data(self, X, reset=fresh, allow_nan=True)
        rows, weights = rows_that_count(X, sample_weight)
        if fresh:
            self._reseed()
        # Each call is a run of its own with a key of its own, so no noise is drawn twice however calls differ in size.
        config, key = self._config(), self._key("partial_fit")
        if fresh:
            run = Learning(rows, config, key, weights)
        else:
            chains = self._chains()
            completions = self._completions(rows)
            engine = self._engine_to_train()
            averages = getattr(self, "_averages", None)
            run = Learning(
                rows, config, key, weights, engine=engine, chains=chains, completions=completions, averages=averages
            )
        run.one_pass()
        self._adopt(run, float_dtype(X if fresh else np.asarray(self.__dict__["components_"])))
        return self

    def _config(self) -> Config:
        return _config(
            n_hidden=self.n_components,
            method=self.method,
            sweeps=self.sweeps,
            chains=self.batch_size if self.method == "pcd" else None,
            epochs=1,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule="constant",
            momentum=self.momentum,
            centered=self.centered,
            weight_decay=self.weight_decay,
            binarize=self.binarize,
            engine=self._place,
        )

    def _chains(self) -> npt.NDArray[np.uint8] | None:
        """Where the chains stand; None to start them."""
        n_components, _ = self._shape
        if n_components != self.n_components:
            raise InvalidParameter(
                f"n_components must stay {n_components}, as it was fitted, for partial_fit. Got {self.n_components}. "
                "Set it back, or fit a new model."
            )
        chains = getattr(self, "h_samples_", ())
        if self.method != "pcd" or len(chains) == 0:  # method or attributes set since
            return None
        return np.asarray(chains).astype(np.uint8)

    def _engine_to_train(self) -> Engine:
        """The engine of the parameters as they are now, with the momentum of the last call."""
        engine = self._keeper().take(self._place, self.__dict__)
        return with_velocity(engine, getattr(self, "_velocity", None)) if self.momentum else engine

    def _completions(self, X: Any) -> npt.NDArray[np.uint8] | None:
        """Draws of what is missing, as the batches take them.

        One pass is too short for draws from the columns' means to become draws given the rows.
        """
        if not scipy.sparse.issparse(X):
            missing = missing_entries(X)
            if missing is None:
                return None
            filled = self._completed(X, self._key("completions"))
            return np.packbits(np.where(missing, filled, 0).astype(np.uint8), axis=1)
        if missing_entries(X.data) is None:
            return None
        drawn, key = [], self._key("completions")
        for rows, chunk in dense_chunks(X):
            part = X[rows]
            row = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
            drawn.append(self._completed(chunk, key.rows_from(rows.start))[row, part.indices][np.isnan(part.data)])
        return np.concatenate(drawn).astype(np.uint8)

    def _completed(self, X: npt.NDArray[Any], key: Key) -> npt.NDArray[Any]:
        """`X` with a draw of what is missing given the rest."""
        if missing_entries(X) is None:
            return X
        return complete(self.rbm_, X, sweeps=_SETTLING, seed=key, engine=self._place)

    def _adopt(self, run: Learning, dtype: np.dtype[Any]) -> None:
        """Take over what a run has come to."""
        kept_of(self).keep(run.engine, self.__dict__, dtype)
        self.h_samples_ = run.chains.astype(dtype)
        # Without momentum or centring, what these go on from is forgotten at once.
        self._velocity: Velocity | None = run.engine.velocity if self.momentum else None
        self._averages = run.averages

    # ------------------------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> FloatArray:
        """E[h | v]: the probability of each hidden unit to be on, given what is observed in the rows of `X`.

        For a row with missing entries it is the expectation over them, given the others, and as exact as in `impute`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Values in [0, 1], NaN where missing.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            float32 for float32 data, else float64.
        """
        # A vector is refused, and an array where there were names is warned of, as all of scikit-learn does.
        if type(X) is np.ndarray and X.ndim == 2 and "feature_names_in_" not in self.__dict__:
            return self.mean_hidden(X)
        return self._mean_hidden(self._engine(), check_data(self, X, allow_nan=True))

    @property
    def _n_features_out(self) -> int:
        return self._shape[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
