"""The scikit-learn face: `BernoulliRBM`, a drop-in replacement for the class of that name in scikit-learn.

The estimator checks its input, keeps the parameters as attributes and speaks scikit-learn's language; the mathematics
is that of `TrainingRun`, `sample`, `pseudo_log_likelihood` and the engines.
"""

from __future__ import annotations

import time
from collections import Counter
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from harmonium.datasets import POLICIES, binarize
from harmonium.engines import ENGINES, Velocity, make_engine
from harmonium.inputs import FloatArray, check_count, check_matrix, missing_entries
from harmonium.likelihood import pseudo_log_likelihood
from harmonium.random import Key
from harmonium.rbm import RBM
from harmonium.sampling import sample
from harmonium.sampling.conditional import complete, impute
from harmonium.sampling.gibbs import HIDDEN, VISIBLE
from harmonium.sklearn.data import as_dense, check_data, dense_chunks, float_dtype, rows_that_count
from harmonium.training import Config, TrainingRun, TrainingState

# Rows that the progress lines of `fit` are scored on.
_MONITORED_ROWS = 500
# Gibbs sweeps of missing entries that are drawn afresh for a trained machine.
_SETTLING = 20


class BernoulliRBM(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
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
    binarize : {"none", "threshold", "sample"}, default="none"
        What training makes of grey levels: they stand for probabilities; become 1 above 0.5; or are drawn anew in each
        pass.
    engine : {"native", "numpy"}, default="native"
        Where the numbers live. Both compute in single precision.

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
    feature_names_in_ : ndarray of shape (n_features_in_,)
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
    clipped, with a `DataRangeWarning`, everywhere; NaN is a missing entry, for `fit`, `partial_fit`, `transform` and
    `impute`; `fit` and `partial_fit` take `sample_weight`.

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
        "binarize": [StrOptions(set(POLICIES))],
        "engine": [StrOptions(set(ENGINES))],
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
        engine: str = "native",
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
        self.engine = engine

    @property
    def rbm_(self) -> RBM:
        """The fitted machine as a record of the core: a copy of the parameters as they are now."""
        check_is_fitted(self)
        return RBM(self.components_, self.intercept_visible_, self.intercept_hidden_)

    # Learning ---------------------------------------------------------------------------------------------------------

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
        dense, weights = rows_that_count(as_dense(X), sample_weight)
        dtype = float_dtype(X)
        self._reseed()
        run = TrainingRun(dense, self._config(self.n_iter, self._seed), **weights)
        self._adopt(run, dtype)
        steps = run.steps()
        # Evenly spaced rows, so that data sorted by class are represented.
        monitored = dense[np.linspace(0, len(dense) - 1, min(len(dense), _MONITORED_ROWS)).astype(int)]
        for iteration in range(1, self.n_iter + 1):
            start = time.perf_counter()
            for _ in range(run.n_batches):
                next(steps)
            self._adopt(run, dtype)
            if self.verbose:
                seconds = time.perf_counter() - start
                score = self._pseudo_log_likelihood(self._completed(monitored)).mean()
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
        fresh = not hasattr(self, "components_")
        X = check_data(self, X, reset=fresh, allow_nan=True)
        dense, weights = rows_that_count(as_dense(X), sample_weight)
        if fresh:
            self._reseed()
        # Each call is a run of its own with a key of its own, so no noise is drawn twice however calls differ in size.
        config = self._config(1, self._key("partial_fit").seed)
        if fresh:
            run = TrainingRun(dense, config, **weights)
        elif self.method == "pcd" and len(getattr(self, "h_samples_", ())) == 0:  # method or attributes set since
            run = TrainingRun(dense, config, initial=self.rbm_, **weights)
        else:
            run = TrainingRun(dense, config, state=self._state(dense), **weights)
        for _ in run.steps():
            pass
        self._adopt(run, float_dtype(X) if fresh else self.components_.dtype)
        return self

    def _config(self, epochs: int, seed: int) -> Config:
        return Config(
            n_hidden=self.n_components,
            method=self.method,
            sweeps=self.sweeps,
            chains=self.batch_size,
            epochs=epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule="constant",
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            binarize=self.binarize,
            engine=self.engine,
            seed=seed,
        )

    def _state(self, X: npt.NDArray[Any]) -> TrainingState:
        """Where training goes on with the data `X`."""
        rbm, missing = self.rbm_, missing_entries(X)
        velocity = getattr(self, "_velocity", None)
        if velocity is None:
            velocity = Velocity(*(np.zeros_like(x, np.float32) for x in (rbm.W, rbm.b, rbm.c)))
        chains = self.h_samples_.astype(np.uint8) if self.method == "pcd" else None
        if missing is None:
            return TrainingState(rbm, velocity, chains, 0)
        # One pass is too short for draws from the columns' means to become draws given the rows.
        drawn = np.where(missing, self._completed(X), 0).astype(np.uint8)
        return TrainingState(rbm, velocity, chains, 0, {"completions": np.packbits(drawn, axis=1)})

    def _completed(self, X: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """`X` with a draw of what is missing given the rest."""
        if missing_entries(X) is None:
            return X
        return complete(self.rbm_, X, sweeps=_SETTLING, seed=self._first_key().derive("complete"), engine=self.engine)

    def _adopt(self, run: TrainingRun, dtype: npt.DTypeLike) -> None:
        state = run.state
        self.components_ = state.rbm.W.astype(dtype)
        self.intercept_visible_ = state.rbm.b.astype(dtype)
        self.intercept_hidden_ = state.rbm.c.astype(dtype)
        chains = np.empty((0, state.rbm.n_hidden)) if state.chains is None else state.chains
        self.h_samples_ = chains.astype(dtype)
        self._velocity = state.velocity if self.momentum else None  # without momentum it is forgotten at once

    # Conditionals and scores ------------------------------------------------------------------------------------------

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
        check_is_fitted(self)
        return self._mean(self.rbm_, check_data(self, X, allow_nan=True))

    def impute(
        self,
        X: Any,
        *,
        return_std: bool = False,
        method: str = "auto",
        chains: int = 20,
        burn_in: int = 100,
        sweeps: int = 200,
    ) -> FloatArray | tuple[FloatArray, FloatArray]:
        """`X` with each missing entry replaced by its probability to be 1, given the observed entries of its row.

        Deterministic after a `fit`. Exact where the machine has at most 16 hidden units or a row at most 10 missing
        entries; else an average over Gibbs chains.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Values in [0, 1], NaN where missing.
        return_std : bool, default=False
            Whether to return standard errors too.
        method, chains, burn_in, sweeps
            As in `harmonium.impute`.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features)
            float32 for float32 data, else float64.
        std : ndarray of shape (n_samples, n_features)
            Monte Carlo standard errors, zero where the value is exact; only with ``return_std=True``.
        """
        rbm, X = self.rbm_, check_data(self, X, allow_nan=True)
        filled, std = np.empty(X.shape, float_dtype(X)), np.empty(X.shape, float_dtype(X))
        for rows, chunk in dense_chunks(X):
            found = impute(
                rbm,
                chunk,
                method=method,
                chains=chains,
                burn_in=burn_in,
                sweeps=sweeps,
                seed=self._first_key().derive("impute", rows.start),
                engine=self.engine,
            )
            filled[rows], std[rows] = found.mean, found.standard_error
        return (filled, std) if return_std else filled

    def inverse_transform(self, X: Any) -> FloatArray:
        """E[v | h]: the probability of each visible unit to be on, given hidden states or probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)
            Values in [0, 1], such as `transform` returns.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            float32 for float32 data, else float64.

        Raises
        ------
        InvalidData
            `X` is not within [0, 1], or not as wide as there are components.
        """
        rbm = self.rbm_
        # In the mirrored machine the hidden layer is the visible one.
        return self._mean(rbm.mirror(), check_matrix(X, n_columns=rbm.n_hidden))

    def score_samples(self, X: Any) -> npt.NDArray[np.float64]:
        """Exact pseudo-log-likelihood: the sum over features of log p(v_j | all other features).

        Deterministic. On binary data it is the expectation of what scikit-learn's class estimates from one random
        feature a sample. Grey levels are first thresholded at 0.5, since a grey level is not a state of the machine.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Values in [0, 1].

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats.
        """
        check_is_fitted(self)
        return self._pseudo_log_likelihood(check_data(self, X))

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002 - scikit-learn's signature
        """The mean of `score_samples`, by which model selection such as `GridSearchCV` compares machines.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Values in [0, 1].
        y : None
            Ignored.

        Returns
        -------
        float
        """
        return float(self.score_samples(X).mean())

    def _mean(self, rbm: RBM, X: Any) -> FloatArray:
        """E[h | v] of `rbm` for validated rows, in the dtype that belongs to `X`."""
        engine = make_engine(rbm, self.engine)
        mean = np.empty((X.shape[0], rbm.n_hidden), float_dtype(X))
        for rows, chunk in dense_chunks(X):
            missing = missing_entries(chunk)
            if missing is None:
                mean[rows] = engine.mean(engine.logits_h(engine.visible(chunk)))
                continue
            holes, noise = missing.any(axis=1), self._first_key().derive("transform", rows.start)
            if not holes.all():
                mean[rows][~holes] = engine.mean(engine.logits_h(engine.visible(chunk[~holes])))
            mean[rows][holes] = impute(rbm, chunk[holes], seed=noise, engine=self.engine).mean_h
        return mean

    def _pseudo_log_likelihood(self, X: Any) -> npt.NDArray[np.float64]:
        rbm = self.rbm_
        scores = [pseudo_log_likelihood(rbm, binarize(v, "threshold"), engine=self.engine) for _, v in dense_chunks(X)]
        return np.concatenate(scores)

    # Sampling ---------------------------------------------------------------------------------------------------------

    def gibbs(self, v: Any) -> npt.NDArray[np.bool_]:
        """One full Gibbs sweep: h ~ p(h | v), then v ~ p(v | h).

        Successive calls use fresh noise, so that calling it in a loop runs a chain; with an int as `random_state` the
        whole sequence of calls after `fit` is reproducible.

        Parameters
        ----------
        v : {array-like, sparse matrix} of shape (n_samples, n_features)
            Values in [0, 1] to start from.

        Returns
        -------
        ndarray of shape (n_samples, n_features), bool
        """
        check_is_fitted(self)
        v = check_data(self, v)
        engine, key = make_engine(self.rbm_, self.engine), self._key("gibbs")
        new = np.empty(v.shape, bool)
        for rows, chunk in dense_chunks(v):
            noise = key.rows_from(rows.start)
            h = engine.bernoulli(engine.logits_h(engine.visible(chunk)), noise.on(HIDDEN))
            new[rows] = engine.decode(engine.sample_v(h, noise.on(VISIBLE)))
        return new

    def sample(self, n_samples: int = 1, *, sweeps: int = 1000) -> npt.NDArray[np.bool_]:
        """Visible states of independent Gibbs chains, started from noise with the visible biases.

        Successive calls differ, and are reproducible, as those of `gibbs`.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains, of which each gives one sample.
        sweeps : int, default=1000
            Gibbs sweeps of each chain. They must be enough for the chains to forget their start.

        Returns
        -------
        ndarray of shape (n_samples, n_features), bool
        """
        rbm = self.rbm_
        n_samples, sweeps = check_count(n_samples, "n_samples"), check_count(sweeps, "sweeps", minimum=0)
        return sample(rbm, n_samples, sweeps=sweeps, seed=self._key("sample"), engine=self.engine).astype(bool)

    # ------------------------------------------------------------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:
        return int(self.components_.shape[0])

    def _reseed(self) -> None:
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**63 - 1, dtype=np.int64)
        self._seed = int(seed)
        self._n_keys: Counter[str] = Counter()

    def _key(self, purpose: str) -> Key:
        """A key that was not used before since the last `fit`; each purpose counts for itself."""
        first = self._first_key()
        self._n_keys[purpose] += 1
        return first.derive(purpose, self._n_keys[purpose])

    def _first_key(self) -> Key:
        if not hasattr(self, "_seed"):  # the attributes were set by hand, not by `fit`
            self._reseed()
        return Key(self._seed)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
