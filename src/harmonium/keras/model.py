"""The restricted Boltzmann machine as a `keras.Model`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.special import expit

import harmonium
from harmonium.datasets import BINARIZATIONS
from harmonium.errors import InvalidParameter
from harmonium.initial import bias_of_means
from harmonium.inputs import check_choice, check_count, check_matrix, check_number
from harmonium.keras import checks, equations, replicas
from harmonium.keras.checked import CheckedModel
from harmonium.keras.equations import Parameters
from harmonium.keras.monitors import epoch_mean
from harmonium.keras.noise import Noise, uniform
from harmonium.random import Key
from harmonium.training import Config
from harmonium.training.config import STATISTIC, SWEEPS

# While training, the sampled monitors look at this many rows of each batch: enough for a curve, too few to cost time.
_MONITORED_ROWS = 16


@keras.saving.register_keras_serializable(package="harmonium")
class RBM(CheckedModel):
    """A binary restricted Boltzmann machine that `compile` and `fit` train by contrastive divergence.

    The loss is mean F(v_data) - mean F(v_chain), where no gradient flows through the states of the chain. Its gradient
    is therefore the difference of the two phases' statistics, exactly. Its value means nothing by itself.

    As a layer, or by `predict`, the model maps v to E[h | v].

    Parameters
    ----------
    n_hidden : int
    method : {"pcd", "cd"}
        Where the negative chains start: where they ended at the last step, or at the data of the batch.
    sweeps : int
        k of CD-k and PCD-k.
    chains : int, optional
        Number of persistent chains; ignored by "cd". Left out, as many as `harmonium.Config` chooses: 500. Under a
        TensorFlow strategy, the replicas share them.
    last_statistic : {"sampled", "mean_field"}
        The visible states of the negative statistics: the chain's last sample, or E[v | h].
    weight_decay : float, optional
        Coefficient of -W in the ascent of W (L2). It belongs to the loss; for decoupled decay use the optimiser's. Left
        out, `adapt`, or `fit` on an array, chooses it as `harmonium.Config.for_data` does; where the number of rows is
        unknown, as for as many rows as weights.
    binarize : {"threshold", "sample", "none"}
        What becomes of grey levels in `fit` and `evaluate`: 1 above 0.5, drawn anew each step, or left as they are.
    centered : bool
        Train in centred coordinates: W with the biases that belong to the offsets of v (the data's means, by `adapt`;
        1/2 without) and of h (1/2). The model is the same, its gradients are better conditioned.
    monitors : bool
        Whether the logs contain, besides the loss: `free_energy`, `pseudo_log_likelihood` (estimated by one unit a
        row, NaN for grey rows) and `reconstruction_error`. While training, the last two look at the first 16 rows of
        each batch.
    seed : int
        Fixes weights, first chains and noise.
    **options
        `name`, `dtype`, `trainable`: as for every Keras layer.

    Attributes
    ----------
    W, b, c : keras.Variable
        Of shapes (n_hidden, n_visible), (n_visible,) and (n_hidden,), once the model is built. If `centered`, b and c
        are the biases at the offsets; `to_rbm` gives the ordinary ones.
    chain_states : keras.Variable of shape (chains, n_hidden), or None
        Hidden states of the persistent chains; saved with the weights, as is the state of the noise.

    Raises
    ------
    InvalidParameter
        A parameter is outside the ranges above.

    See Also
    --------
    harmonium.train : The same on the native engine, which is faster on a CPU.

    References
    ----------
    Hinton, UTML TR 2010-003; Tieleman, ICML 2008 (PCD); Melchior, Fischer, Wiskott, JMLR 17, 2016 (centring).

    Examples
    --------
    >>> model = harmonium.keras.RBM(200)                                              # doctest: +SKIP
    >>> model.adapt(X)                                                                # doctest: +SKIP
    >>> model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.5))             # doctest: +SKIP
    >>> model.fit(X, batch_size=50, epochs=20, validation_data=(X_valid,))            # doctest: +SKIP
    """

    def __init__(
        self,
        n_hidden: int,
        *,
        method: str = "pcd",
        sweeps: int = SWEEPS,
        chains: int | None = Config.chains,
        last_statistic: str = STATISTIC,
        weight_decay: float | None = Config.weight_decay,
        binarize: str = Config.binarize,
        centered: bool = Config.centered,
        monitors: bool = True,
        seed: int = Config.seed,
        **options: Any,
    ) -> None:
        super().__init__(autocast=False, **options)
        self.n_hidden = check_count(n_hidden, "n_hidden")
        self.method = check_choice(method, "method", ("pcd", "cd"))
        self.sweeps = check_count(sweeps, "sweeps")
        self.chains = None if chains is None else check_count(chains, "chains")
        self.last_statistic = check_choice(last_statistic, "last_statistic", ("sampled", "mean_field"))
        self.weight_decay = None if weight_decay is None else check_number(weight_decay, "weight_decay", low=0)
        self.binarize = check_choice(binarize, "binarize", BINARIZATIONS)
        self.centered, self.monitors = bool(centered), bool(monitors)
        self.seed = Key(seed).seed
        self.noise = Noise(self.seed)
        if self.monitors:
            self.free_energy_monitor = epoch_mean("free_energy")
            self.pseudo_log_likelihood_monitor = epoch_mean("pseudo_log_likelihood")
            self.reconstruction_error_monitor = epoch_mean("reconstruction_error")

    # Construction ---------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the variables, for inputs of shape (batch, n_visible)."""
        if self.built:
            return
        n, m, key = self.n_hidden, int(input_shape[-1]), Key(self.seed)
        # The first weights and chains of `harmonium.train` with this seed, on every backend and every process.
        weights = 0.01 * key.derive("initial weights").normal(n, m)
        self.W = self._add("W", (n, m), weights)
        # Ordinary biases of 0, which are others at the offsets.
        self.b = self._add("b", (m,), weights.sum(axis=0) / 2 if self.centered else 0.0)
        self.c = self._add("c", (n,), weights.sum(axis=1) / 2 if self.centered else 0.0)
        self.chain_states: Any = None
        if self.method == "pcd":
            self.chains = self._choices(1, m).n_chains if self.chains is None else self.chains
            first_chains = key.derive("first chains").uniform(self.chains, n) < 0.5
            # Each replica adds its rows to zeros elsewhere, so that the sum is the whole, everywhere.
            self.chain_states = self._add("chains", (self.chains, n), first_chains, trainable=False, aggregation="sum")
        if self.centered:
            self.v_offset = self._add("v_offset", (m,), 0.5, trainable=False)
            self.h_offset = self._add("h_offset", (n,), 0.5, trainable=False)
        self.built = True

    @property
    def n_visible(self) -> int | None:
        """The number of visible units; None until the model is built."""
        return int(self.W.shape[1]) if self.built else None

    def adapt(self, data: Any) -> None:
        """Fit the visible biases (and the offset of v) to the means of the data: before `fit`, as Keras' layers do.

        Parameters
        ----------
        data : array of shape (n_samples, n_visible) with values in [0, 1], or an iterable of batches

        Notes
        -----
        b = log(p / (1 - p)) with p = (sum of column + 1/2) / (n_samples + 1), as in `harmonium.RBM.initialise`.

        Raises
        ------
        InvalidData
            The data breaks the input contract.
        """
        total, n_samples, highest = np.zeros(()), 0, 0.0
        for batch in checks.batches_of(data, self.n_visible):
            total, n_samples = total + batch.sum(axis=0, dtype=np.float64), n_samples + len(batch)
            highest = max(highest, float(batch.max()))
        b = bias_of_means(total, n_samples)
        self.build((None, len(b)))
        c = ops.convert_to_numpy(self._tensors().c)
        if self.centered:
            self.v_offset.assign(expit(b))
        self._assign_biases(b, c)
        self._see(n_samples, len(b), highest)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        names = ("n_hidden", "method", "sweeps", "chains", "last_statistic", "weight_decay", "binarize", "centered")
        config = {name: getattr(self, name) for name in (*names, "monitors", "seed")}
        base = super().get_config()
        return config | {name: base[name] for name in ("name", "trainable", "dtype") if name in base}

    # Exchange with the core -------------------------------------------------------------------------------------------

    @classmethod
    def from_rbm(cls, rbm: harmonium.RBM, **options: Any) -> RBM:
        """A Keras model with the parameters of `rbm`; `options` are those of the class."""
        model = cls(rbm.n_hidden, **options)
        model.build((None, rbm.n_visible))
        model.W.assign(rbm.W)
        model._assign_biases(rbm.b, rbm.c)
        return model

    def to_rbm(self) -> harmonium.RBM:
        """The machine as a `harmonium.RBM`, with its exact and estimated likelihoods, files and plots.

        Raises
        ------
        InvalidParameter
            The model is not built, or its parameters are not finite.
        """
        self._require_built()
        W, b, c = (ops.convert_to_numpy(x) for x in self._tensors()[:3])
        return harmonium.RBM(W, b, c)

    # Equations --------------------------------------------------------------------------------------------------------

    def call(self, v: Any) -> Any:
        """E[h | v], shape (batch, n_hidden), in the type of the variables under every precision policy."""
        checks.check_width(v, self.n_visible)
        return ops.sigmoid(equations.logits_h(self._cast(v), self._tensors()))

    def free_energy(self, v: Any) -> Any:
        """F(v), shape (batch,)."""
        v, parameters = self._checked(v), self._tensors()
        return equations.free_energy(v, equations.logits_h(v, parameters), parameters)

    def mean_h_from_v(self, v: Any) -> Any:
        """E[h | v], shape (batch, n_hidden)."""
        return ops.sigmoid(equations.logits_h(self._checked(v), self._tensors()))

    def mean_v_from_h(self, h: Any) -> Any:
        """E[v | h], shape (batch, n_visible)."""
        return ops.sigmoid(equations.logits_v(self._checked(h, "h"), self._tensors()))

    def sample_h_from_v(self, v: Any) -> Any:
        """A draw of h given v, shape (batch, n_hidden); advances the model's noise."""
        return self._bernoulli(equations.logits_h(self._checked(v), self._tensors()))

    def sample_v_from_h(self, h: Any) -> Any:
        """A draw of v given h, shape (batch, n_visible); advances the model's noise."""
        return self._bernoulli(equations.logits_v(self._checked(h, "h"), self._tensors()))

    # Training ---------------------------------------------------------------------------------------------------------

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,  # noqa: ARG002 (Keras' signature)
        y_pred: Any = None,  # noqa: ARG002
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Mean F(v_data) - mean F(v_chain), plus weight decay; Keras calls this in `fit` and `evaluate`.

        `y` and `y_pred` are ignored: the learning is unsupervised. `sample_weight` weighs the rows of the batch, and
        the chains of "cd" that start there.
        """
        v, parameters = self._binarized(x), self._tensors()
        logits = equations.logits_h(v, parameters)
        energies = equations.free_energy(v, logits, parameters)
        v_chain, logits_v = self._run_chain(ops.stop_gradient(logits), parameters.constant(), training)
        chain_energies = equations.free_energy(v_chain, equations.logits_h(v_chain, parameters), parameters)
        chain_weight = sample_weight
        if self.method != "cd" and sample_weight is not None:  # chains count alike, and not where no row of data does
            counts = ops.sign(replicas.total(ops.sum(sample_weight)))
            chain_weight = ops.ones_like(chain_energies) * ops.cast(counts, chain_energies.dtype)
        loss = self._mean(energies, sample_weight) - self._mean(chain_energies, chain_weight)
        decay = self._choices(None, v.shape[1]).decay if self.weight_decay is None else self.weight_decay
        if decay:
            loss = loss + decay / 2 * equations.squared_norm(parameters.W) / replicas.count()
        if self.monitors:
            constants = (ops.stop_gradient(logits), ops.stop_gradient(energies), parameters.constant())
            self._monitor(v, *constants, logits_v, training)
        return loss

    def _run_chain(self, logits: Any, parameters: Parameters, training: bool) -> tuple[Any, Any]:
        """The visible states of the negative phase; and the logits of v in its first sweep, if it started at the batch.

        `logits` are those of h given the batch.
        """
        if self.chain_states is None:
            h = self._bernoulli(logits)
        else:
            self._check_chains()
            h = replicas.spread(replicas.own_rows(ops.convert_to_tensor(self.chain_states)))
        first = logits_v = equations.logits_v(h, parameters)
        v = self._bernoulli(logits_v)
        for _ in range(self.sweeps - 1):
            h = self._bernoulli(equations.logits_h(v, parameters))
            logits_v = equations.logits_v(h, parameters)
            v = self._bernoulli(logits_v)
        if self.chain_states is not None and training:
            # A persistent chain goes on from a sample, also where the statistics use a mean.
            h = self._bernoulli(equations.logits_h(v, parameters))
            self.chain_states.assign(replicas.all_rows(h))
        v = ops.sigmoid(logits_v) if self.last_statistic == "mean_field" else v
        return v, first if self.chain_states is None else None

    def _mean(self, values: Any, weights: Any = None) -> Any:
        """The mean over all replicas' rows, of which each replica gives its share: TensorFlow sums the gradients up.

        It is 0 where all weights are.
        """
        weights = ops.ones_like(values) if weights is None else ops.reshape(ops.cast(weights, values.dtype), (-1,))
        return ops.divide_no_nan(ops.sum(values * weights), replicas.total(ops.sum(weights)))

    def _monitor(
        self, v: Any, logits: Any, energies: Any, parameters: Parameters, logits_v: Any, training: bool
    ) -> None:
        """Update the metrics; `logits_v` are of v given an h drawn for each row, where there are such already."""
        self.free_energy_monitor.update_state(energies)
        if training:
            v, logits = v[:_MONITORED_ROWS], logits[:_MONITORED_ROWS]
            logits_v = None if logits_v is None else logits_v[:_MONITORED_ROWS]
        u = uniform(ops.shape(v)[:1], self.noise)
        pseudo = equations.pseudo_log_likelihood(v, logits, u, parameters)
        self.pseudo_log_likelihood_monitor.update_state(pseudo)
        if logits_v is None:
            logits_v = equations.logits_v(self._bernoulli(logits), parameters)
        self.reconstruction_error_monitor.update_state(ops.mean(ops.square(v - ops.sigmoid(logits_v)), axis=1))

    # Files ------------------------------------------------------------------------------------------------------------

    def save_own_variables(self, store: Any) -> None:
        """Write the variables, and the state of the noise, which Keras would leave out."""
        super().save_own_variables(store)
        store["noise"] = ops.convert_to_numpy(self.noise.state)

    def load_own_variables(self, store: Any) -> None:
        """Read what `save_own_variables` wrote."""
        values = {name: store[name] for name in store.keys()}  # noqa: SIM118 (not a dict)
        self.noise.state.assign(np.asarray(values.pop("noise")))
        super().load_own_variables(values)

    # ------------------------------------------------------------------------------------------------------------------

    def _add(self, name: str, shape: tuple[int, ...], value: Any, **options: Any) -> Any:
        """A variable that starts at `value`; never cast for us, as only products may be done in low precision."""
        return self.add_weight(shape=shape, initializer=_constant(value), name=name, autocast=False, **options)

    def _tensors(self) -> Parameters:
        W, b, c = (ops.convert_to_tensor(x) for x in (self.W, self.b, self.c))
        if self.centered:
            b, c = b - ops.matmul(self.h_offset, W), c - ops.matmul(W, self.v_offset)
        return Parameters(W, b, c, self.compute_dtype)

    def _assign_biases(self, b: Any, c: Any) -> None:
        """Make b and c the ordinary biases, whatever the offsets."""
        if self.centered:
            W, v_offset, h_offset = (
                ops.convert_to_numpy(x).astype(np.float64) for x in (self.W, self.v_offset, self.h_offset)
            )
            b, c = b + h_offset @ W, c + W @ v_offset
        self.b.assign(b)
        self.c.assign(c)

    def _choices(self, n_samples: int | None, n_visible: int) -> Config:
        """What `Config` chooses for data of this size; of an unknown number of rows, for as many as weights."""
        n_samples = n_samples or self.n_hidden * n_visible
        return Config(self.n_hidden, method=self.method).for_data(n_samples, n_visible)

    def _see(self, n_samples: int, n_visible: int, highest: float) -> None:
        checks.warn_if_blank(highest, self.binarize)
        if self.weight_decay is None:
            self.weight_decay = self._choices(n_samples, n_visible).decay

    def _bernoulli(self, logits: Any) -> Any:
        """States that are on with probability sigmoid(logits)."""
        u = uniform(ops.shape(logits), self.noise, self.variable_dtype)
        return self._cast(u < ops.sigmoid(logits))

    def _binarized(self, x: Any) -> Any:
        v = self._cast(x)
        if self.binarize == "threshold":
            return self._cast(v > 0.5)
        if self.binarize == "sample":
            return self._cast(uniform(ops.shape(v), self.noise, self.variable_dtype) < v)
        return v

    def _cast(self, v: Any) -> Any:
        return ops.cast(v, self.variable_dtype)

    def _checked(self, x: Any, name: str = "v") -> Any:
        self._require_built()
        n_units = self.n_visible if name == "v" else self.n_hidden
        if checks.is_array(x):
            x = check_matrix(x, n_columns=n_units, name=name)
        checks.check_width(x, n_units, name)
        return self._cast(ops.convert_to_tensor(x))

    def _check_chains(self) -> None:
        if self.chain_states.shape[0] % replicas.count():
            raise InvalidParameter(
                f"chains must be a multiple of the {replicas.count()} replicas of the strategy. Got {self.chains}. "
                "Choose another number of chains."
            )


def _constant(value: Any) -> Any:
    """An initialiser that yields given numbers."""

    def initialise(shape: Any, dtype: Any = None) -> Any:
        return ops.convert_to_tensor(np.broadcast_to(np.asarray(value), shape).astype(np.float64), dtype=dtype)

    return initialise
