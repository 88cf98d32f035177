"""The restricted Boltzmann machine on paper: one frozen record (W, b, c) and the equations that follow from it.

With visible states v in {0,1}^m and hidden states h in {0,1}^n,

    E(v, h) = -(h' W v + b' v + c' h),      p(v, h) = exp(-E(v, h)) / Z.

Everything else in Harmonium is a faster way to compute what this file says; this file is the oracle of the tests.
Equation numbers refer to ``docs/mathematics.md``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium.errors import InvalidData, InvalidParameter, OutOfReach, UnreadableFile
from harmonium.initial import initial_parameters
from harmonium.inputs import check_count, check_matrix, check_number, check_rows
from harmonium.io import read_tensors, write_tensors
from harmonium.ising import Ising
from harmonium.random import Key, as_key
from harmonium.special import expit, log_expit, logsumexp, softplus
from harmonium.statistics import Statistics
from harmonium.tiles import filters_html

Array = npt.NDArray[np.floating[Any]]

# The plain enumeration below keeps all states of the smaller layer in memory at once.
ENUMERABLE_UNITS = 16


def all_states(n_units: int, dtype: npt.DTypeLike = np.float64) -> Array:
    """All 2**n_units binary states, shape (2**n_units, n_units); unit 0 is the lowest bit of the row number."""
    return ((np.arange(2**n_units)[:, None] >> np.arange(n_units)) & 1).astype(dtype)


@dataclass(frozen=True, eq=False)
class RBM:
    """A binary restricted Boltzmann machine.

    Parameters
    ----------
    W : array-like of shape (n_hidden, n_visible)
        ``W[i, j]`` joins hidden unit i and visible unit j.
    b : array-like of shape (n_visible,)
        Visible biases.
    c : array-like of shape (n_hidden,)
        Hidden biases.

    Attributes
    ----------
    n_visible, n_hidden : int

    Raises
    ------
    InvalidParameter
        The shapes do not fit together, or a value is not a finite number.

    Notes
    -----
    The three arrays are stored as read-only copies of one float dtype (float32 if all three are, else float64).
    States passed to the methods are 2-D, one state a row, with values in [0, 1].

    Examples
    --------
    >>> rbm = RBM(W=[[1.0, -1.0]], b=[0.0, 0.0], c=[0.5])
    >>> rbm.mean_h_from_v([[1, 0]]).round(4)
    array([[0.8176]])
    """

    W: Array
    b: Array
    c: Array

    def __repr__(self) -> str:
        return f"RBM(n_hidden={self.n_hidden}, n_visible={self.n_visible}, {self.W.dtype})"

    def _repr_html_(self) -> str:
        return f"<div><code>{self!r}</code><br>{filters_html(self.W)}</div>"

    def __post_init__(self) -> None:
        try:
            W, b, c = (np.asarray(x) for x in (self.W, self.b, self.c))
            if not all(x.dtype.kind in "buifO" for x in (W, b, c)):
                raise TypeError("text or complex numbers")
            single = all(x.dtype == np.float32 for x in (W, b, c))
            dtype = np.dtype(np.float32 if single else np.float64)
            W, b, c = (np.array(x, dtype) for x in (W, b, c))
        except (TypeError, ValueError):
            raise InvalidParameter(
                "W, b and c must be numeric arrays. Got something else. Convert them first."
            ) from None
        if W.ndim != 2 or b.shape != W.shape[1:] or c.shape != W.shape[:1] or W.shape[1] == 0:
            raise InvalidParameter(
                "W, b and c must have shapes (n_hidden, n_visible), (n_visible,) and (n_hidden,). "
                f"Got {W.shape}, {b.shape} and {c.shape}. Transpose W, or pass matching biases."
            )
        if not all(np.isfinite(x).all() for x in (W, b, c)):
            raise InvalidParameter(
                "W, b and c must be finite. Got NaN or infinity. Lower the learning rate that made them."
            )
        for name, value in (("W", W), ("b", b), ("c", c)):
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    @classmethod
    def initialise(
        cls, X: Any, n_hidden: int, seed: int | Key = 0, *, scale: float = 0.01, sample_weight: Any = None
    ) -> RBM:
        """A machine to start training from: small random weights, and visible biases that fit the data's means.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_visible), values in [0, 1]
            NaN where an entry is missing.
        n_hidden : int
        seed : int or Key
        scale : float
            Standard deviation of the weights.
        sample_weight : array-like of shape (n_samples,), optional
            How often each row counts.

        Returns
        -------
        RBM of dtype float32
            W normal(0, scale), c = 0, b = log(p / (1 - p)) with p = (sum of column + 1/2) / (n_samples + 1), which
            keeps columns that never change finite; sums and numbers are of what is observed.

        References
        ----------
        Hinton, "A practical guide to training restricted Boltzmann machines", UTML TR 2010-003, section 8.
        """
        rows = check_rows(X, sample_weight=sample_weight)
        n_hidden = check_count(n_hidden, "n_hidden")
        scale = check_number(scale, "scale", low=0)
        return cls(*initial_parameters(rows.totals, n_hidden, as_key(seed), Key.bits, scale))

    @property
    def n_visible(self) -> int:
        """m, the number of visible units."""
        return self.W.shape[1]

    @property
    def n_hidden(self) -> int:
        """n, the number of hidden units."""
        return self.W.shape[0]

    # Energy and conditionals ------------------------------------------------------------------------------------

    def energy(self, v: Any, h: Any) -> Array:
        """E(v, h) = -(h'Wv + b'v + c'h), shape (batch,). (1)"""
        v, h = self._visible(v), self._hidden(h, len(v))
        return -(np.einsum("ri,ri->r", h, v @ self.W.T) + v @ self.b + h @ self.c)

    def log_joint_unnormalised(self, v: Any, h: Any) -> Array:
        """log p(v, h) + log Z = -E(v, h), shape (batch,). (2)"""
        return -self.energy(v, h)

    def logits_h(self, v: Any) -> Array:
        """Wv + c: the log-odds of each hidden unit, shape (batch, n_hidden). (3)"""
        return self._visible(v) @ self.W.T + self.c

    def logits_v(self, h: Any) -> Array:
        """W'h + b: the log-odds of each visible unit, shape (batch, n_visible). (4)"""
        return self._hidden(h) @ self.W + self.b

    def mean_h_from_v(self, v: Any) -> Array:
        """E[h | v] = sigmoid(Wv + c), shape (batch, n_hidden). (5)"""
        return expit(self.logits_h(v))

    def mean_v_from_h(self, h: Any) -> Array:
        """E[v | h] = sigmoid(W'h + b), shape (batch, n_visible). (6)"""
        return expit(self.logits_v(h))

    def sample_h_from_v(self, v: Any, *, seed: int | Key = 0) -> npt.NDArray[np.uint8]:
        """A draw of h given v, shape (batch, n_hidden): each unit on where its noise is below E[h | v]."""
        return _draw(self.mean_h_from_v(v), as_key(seed).derive_for_rows("sample_h_from_v"))

    def sample_v_from_h(self, h: Any, *, seed: int | Key = 0) -> npt.NDArray[np.uint8]:
        """A draw of v given h, shape (batch, n_visible): each unit on where its noise is below E[v | h]."""
        return _draw(self.mean_v_from_h(h), as_key(seed).derive_for_rows("sample_v_from_h"))

    def log_p_h_from_v(self, h: Any, v: Any) -> Array:
        """log p(h | v), shape (batch,): a sum over the independent hidden units. (7)"""
        logits = self.logits_h(v)
        h = self._hidden(h, len(logits))
        return (h * log_expit(logits) + (1 - h) * log_expit(-logits)).sum(axis=1)

    def log_p_v_from_h(self, v: Any, h: Any) -> Array:
        """log p(v | h), shape (batch,): a sum over the independent visible units. (8)"""
        logits = self.logits_v(h)
        v = self._visible(v, len(logits))
        return (v * log_expit(logits) + (1 - v) * log_expit(-logits)).sum(axis=1)

    def free_energy(self, v: Any) -> Array:
        """F(v) = -b'v - sum_i softplus(c_i + W_i v), so p(v) = exp(-F(v)) / Z, shape (batch,). (9)"""
        v = self._visible(v)
        return -(v @ self.b) - softplus(v @ self.W.T + self.c).sum(axis=1)

    def free_energy_h(self, h: Any) -> Array:
        """F(h) = -c'h - sum_j softplus(b_j + (W'h)_j), so p(h) = exp(-F(h)) / Z, shape (batch,). (10)"""
        h = self._hidden(h)
        return -(h @ self.c) - softplus(h @ self.W + self.b).sum(axis=1)

    # Likelihood and gradient of machines small enough to enumerate --------------------------------------------------

    def log_z(self) -> float:
        """log Z = log sum_h exp(-F(h)), over all states of the smaller layer. (11)

        Raises
        ------
        OutOfReach
            Both layers have more than 16 units; `harmonium.log_partition` goes further.
        """
        return float(logsumexp(-self._free_energies_of_smaller_layer()[1]))

    def log_likelihood(self, X: Any) -> Array:
        """log p(v) = -F(v) - log Z for each row of `X`, in nats, shape (n_samples,). (12)"""
        return -self.free_energy(X) - self.log_z()

    def expected_statistics(self, X: Any) -> Statistics:
        """E[p(h|v) v'], E[v] and E[p(h|v)] over the rows of `X`: the positive phase. (13)"""
        v = self._visible(X)
        mean_h = self.mean_h_from_v(v)
        return Statistics(mean_h.T @ v / len(v), v.mean(axis=0), mean_h.mean(axis=0))

    def model_statistics(self) -> Statistics:
        """E[h v'], E[v] and E[h] under the model itself, by enumeration: the negative phase. (14)"""
        states, free_energies = self._free_energies_of_smaller_layer()
        p = np.exp(-free_energies - logsumexp(-free_energies))[:, None]
        v, h = (
            (states, self.mean_h_from_v(states)) if self._visible_is_smaller else (self.mean_v_from_h(states), states)
        )
        return Statistics((p * h).T @ v, (p * v).sum(axis=0), (p * h).sum(axis=0))

    def log_likelihood_gradient(self, X: Any) -> Statistics:
        """The exact gradient of the mean log-likelihood of `X` in W (`hv`), b (`v`) and c (`h`). (15)"""
        return self.expected_statistics(X) - self.model_statistics()

    # Gauges: maps of the parameters with a known effect, by which everything above can be tested --------------------

    def mirror(self) -> RBM:
        """The same machine with the layers' names exchanged: p'(v=x, h=y) = p(v=y, h=x)."""
        return RBM(self.W.T, self.c, self.b)

    def permute(self, hidden: npt.ArrayLike | None = None, visible: npt.ArrayLike | None = None) -> RBM:
        """Reorder the units: unit k of the new machine is unit ``order[k]`` of this one; log Z is unchanged."""
        i = np.arange(self.n_hidden) if hidden is None else np.asarray(hidden)
        j = np.arange(self.n_visible) if visible is None else np.asarray(visible)
        return RBM(self.W[np.ix_(i, j)], self.b[j], self.c[i])

    def flip_visible(self, flipped: npt.ArrayLike) -> tuple[RBM, float]:
        """The machine of v XOR flipped, and the shift of log Z.

        Parameters
        ----------
        flipped : array-like of bool, shape (n_visible,)

        Returns
        -------
        rbm : RBM
            Its p(v XOR flipped) equals this machine's p(v).
        shift : float
            log Z of this machine minus log Z of the returned one.
        """
        s = np.asarray(flipped, dtype=bool)
        sign = np.where(s, -1, 1).astype(self.W.dtype)
        return RBM(self.W * sign, self.b * sign, self.c + self.W @ s.astype(self.W.dtype)), float(self.b @ s)

    def to_ising(self) -> tuple[Ising, float]:
        """The same distribution over spins s = 2v - 1 and t = 2h - 1, and the shift of log Z.

        Returns
        -------
        ising : Ising
        shift : float
            log Z of this machine minus log Z of the Ising model.
        """
        return Ising.of_binary(self.W, self.b, self.c)

    @classmethod
    def from_ising(cls, J: Any, field_v: Any, field_h: Any) -> tuple[RBM, float]:
        """The machine of v = (s + 1) / 2 and h = (t + 1) / 2 for an Ising model, and the shift of log Z.

        Parameters
        ----------
        J : array-like of shape (n_hidden, n_visible)
        field_v : array-like of shape (n_visible,)
        field_h : array-like of shape (n_hidden,)
            As in `Ising`.

        Returns
        -------
        rbm : RBM
        shift : float
            log Z of the Ising model minus log Z of the machine.

        Raises
        ------
        InvalidParameter
            As for `RBM`.
        """
        given = cls(J, field_v, field_h)  # for its checks
        rbm = cls(*Ising(given.W, given.b, given.c).to_binary())
        return rbm, -rbm.to_ising()[1]

    # Files ------------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], **attributes: Any) -> None:
        """Write the machine to a safetensors file, atomically; `attributes` (JSON values) are kept beside it.

        Raises
        ------
        UnwritableOutput
            The place cannot be written; an existing file stays as it was.
        """
        write_tensors(path, "rbm", {"W": self.W, "b": self.b, "c": self.c}, attributes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RBM:
        """Read a machine written by `save`.

        Raises
        ------
        DataUnavailable, UnreadableFile
            No such file; or not a sound model file.
        """
        tensors, _ = read_tensors(path, "rbm")
        try:
            return cls(tensors["W"], tensors["b"], tensors["c"])
        except (KeyError, InvalidParameter) as error:
            raise UnreadableFile(f"{path} must hold W, b and c of fitting shapes. Got: {error}. Use a copy.") from None

    @property
    def _visible_is_smaller(self) -> bool:
        return self.n_visible < self.n_hidden

    def _free_energies_of_smaller_layer(self) -> tuple[Array, Array]:
        n_units = min(self.n_visible, self.n_hidden)
        if n_units > ENUMERABLE_UNITS:
            raise OutOfReach(
                f"The smaller layer must have at most {ENUMERABLE_UNITS} units for plain enumeration. Got {n_units}. "
                "Use harmonium.log_partition(rbm)."
            )
        states = all_states(n_units, self.W.dtype)
        return states, self.free_energy(states) if self._visible_is_smaller else self.free_energy_h(states)

    def _visible(self, v: Any, n_rows: int | None = None) -> Array:
        return self._states(v, self.n_visible, n_rows, "v")

    def _hidden(self, h: Any, n_rows: int | None = None) -> Array:
        return self._states(h, self.n_hidden, n_rows, "h")

    def _states(self, x: Any, n_units: int, n_rows: int | None, name: str) -> Array:
        if n_units == 0:
            x = np.zeros((len(x), 0), self.W.dtype)
        else:
            x = check_matrix(x, n_columns=n_units, name=name).astype(self.W.dtype, copy=False)
        if n_rows is not None and len(x) != n_rows:
            raise InvalidData(
                f"v and h must have the same number of rows. Got {n_rows} and {len(x)}. Pass pairs of states."
            )
        return x


def float64(rbm: RBM) -> RBM:
    """The same machine in double precision."""
    return RBM(*(x.astype(np.float64) for x in (rbm.W, rbm.b, rbm.c)))


def _draw(p: Array, key: Key) -> npt.NDArray[np.uint8]:
    return (key.uniform(*p.shape) < p).astype(np.uint8)
