"""Keyed noise: Philox4x32-10, a pure function from (seed, stream, step, row, column) to 32 random bits.

A counter-based generator has no state to carry, share or corrupt. The same key gives the same bits for any
thread count, any chunking of rows and any engine, so a sampler can be replayed, resumed and probed.

Layout (part of the file format and of the published test vectors; it never changes):

* key words: the seed's low and high 32 bits;
* counter words: (column // 4, row, step, stream); word ``column % 4`` of the output belongs to the column.

A unit with probability p is on exactly when ``(bits + 1/2) / 2**32 < p``.

References
----------
Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmonium import special
from harmonium.errors import InvalidParameter
from harmonium.inputs import check_count

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_BLOCK = 2**13  # counters at a time: what each takes on the way, some 400 bytes, stays in the caches
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox4x32(counter: npt.NDArray[np.uint32], seed: int) -> npt.NDArray[np.uint32]:
    """Ten rounds of Philox4x32.

    Parameters
    ----------
    counter : ndarray of shape (..., 4), uint32
    seed : int in [0, 2**64)
        The two key words, low word first.

    Returns
    -------
    ndarray of shape (..., 4), uint32
    """
    x0, x1, x2, x3 = (counter[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        product0, product1 = _MULTIPLIERS[0] * x0, _MULTIPLIERS[1] * x2
        x0, x1, x2, x3 = (
            (product1 >> _SHIFT) ^ x1 ^ np.uint64(k0),
            product1 & _LOW,
            (product0 >> _SHIFT) ^ x3 ^ np.uint64(k1),
            product0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([x0, x1, x2, x3], axis=-1).astype(np.uint32)


@dataclass(frozen=True, slots=True)
class MovingStep:
    """A step of noise that a recorded program finds anew whenever it runs: ``stride * clock + offset``.

    It stands for the number of a step where an engine records what a step does (`harmonium.engines.torch_graphs`), and
    knows just the arithmetic that numbers the steps of keys: whatever else is asked of it is an error, since the answer
    would be one step's.

    Attributes
    ----------
    clock : int64 tensor of no dimension
        Steps done, on the engine's device.
    stride, offset : int
    """

    clock: Any
    stride: int = 1
    offset: int = 0

    def __add__(self, other: int) -> MovingStep:
        return MovingStep(self.clock, self.stride, self.offset + other)

    def __sub__(self, other: int) -> MovingStep:
        return self + -other

    def __mul__(self, other: int) -> MovingStep:
        return MovingStep(self.clock, self.stride * other, self.offset * other)

    __radd__, __rmul__ = __add__, __mul__

    def tensor(self) -> Any:
        """Its value when the program runs, an int64 tensor of no dimension."""
        return self.clock * self.stride + self.offset


@dataclass(frozen=True)
class Key:
    """The address of a block of noise. Immutable: a new purpose or a new step is a new key.

    Every public function derives a key for its own purpose from the seed or key that it is given, and numbers the
    streams and steps of that one itself: two functions never draw the same noise, and keys that differ are separate.

    Parameters
    ----------
    seed : int in [0, 2**64)
    stream, step : int in [0, 2**32)
        `step` counts time; `stream` separates uses of one seed.
    row : int in [0, 2**32)
        The number of the first row, so that a chunk of rows draws what the whole would have drawn.

    Examples
    --------
    >>> import harmonium
    >>> key = harmonium.Key(0)
    >>> bool((key.uniform(2, 3) == key.uniform(2, 3)).all())
    True
    >>> bool((key.derive('noise').uniform(2, 3) == key.uniform(2, 3)).any())
    False
    """

    seed: int = 0
    stream: int = 0
    step: int = 0
    row: int = 0

    def __post_init__(self) -> None:
        # Keys are made several times a step of training, so the ordinary case is quick.
        seed, stream, step, row = self.seed, self.stream, self.step, self.row
        if type(seed) is type(stream) is type(step) is type(row) is int:
            top = 2**32
            if 0 <= seed < 2**64 and 0 <= stream < top and 0 <= step < top and 0 <= row < top:
                return
        for name, n_bits in (("seed", 64), ("stream", 32), ("step", 32), ("row", 32)):
            value = getattr(self, name)
            if name == "step" and isinstance(value, MovingStep):
                continue
            value = check_count(value, name, minimum=0)
            if value >= 2**n_bits:
                raise InvalidParameter(f"{name} must be below 2**{n_bits}. Got {value}. Use a smaller number.")
            object.__setattr__(self, name, value)  # a plain int, whatever integer type it came as

    def at(self, step: int) -> Key:
        """The same noise source at another time step."""
        return self if type(step) is int and step == self.step else Key(self.seed, self.stream, step, self.row)

    def on(self, stream: int) -> Key:
        """The same seed and step on another stream."""
        return self if stream == self.stream else Key(self.seed, stream, self.step, self.row)

    def rows_from(self, row: int) -> Key:
        """The same noise, starting `row` rows further down."""
        return Key(self.seed, self.stream, self.step, self.row + row) if row else self

    def derive(self, *labels: str | int) -> Key:
        """An independent key for a purpose: its seed is a 64-bit BLAKE2b hash of this whole key and `labels`.

        So labels are part of the results: one that is given a better name draws other noise.
        """
        # A key that is only a seed is written as a number, any other as four: no two keys have the same text.
        rest = self.stream, self.step, self.row
        address = (self.seed, *rest) if rest != (0, 0, 0) else self.seed
        text = repr((address, *[x if isinstance(x, str) else int(x) for x in labels])).encode()
        return Key(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))

    def derive_for_rows(self, *labels: str | int) -> Key:
        """As `derive`, but with the rows still to be counted: a chunk of rows draws what the whole would have drawn."""
        return Key(self.seed, self.stream, self.step).derive(*labels).rows_from(self.row)

    def bits(self, n_rows: int, n_columns: int) -> npt.NDArray[np.uint32]:
        """Uniform 32-bit integers, shape (n_rows, n_columns).

        Raises
        ------
        InvalidParameter
            The rows go beyond 2**32, where they would start from 0 again.
        """
        n_blocks = -(-n_columns // 4)
        words = np.empty((n_rows, 4 * n_blocks), np.uint32)
        self._check_rows(n_rows)
        size = max(1, _BLOCK // max(1, n_blocks))
        for start in range(0, n_rows, size):
            part = words[start : start + size]
            counter = np.empty((len(part), n_blocks, 4), np.uint32)
            counter[..., 0] = np.arange(n_blocks, dtype=np.uint32)
            counter[..., 1] = (np.arange(start, start + len(part)) + self.row).astype(np.uint32)[:, None]
            counter[..., 2] = self.step
            counter[..., 3] = self.stream
            part[:] = philox4x32(counter, self.seed).reshape(part.shape)
        return words[:, :n_columns]

    def uniform(self, n_rows: int, n_columns: int) -> npt.NDArray[np.float64]:
        """Uniform numbers strictly inside (0, 1), shape (n_rows, n_columns): (bits + 1/2) / 2**32, exactly."""
        return uniform_of(self.bits(n_rows, n_columns))

    def uniform_at(self, rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """What `uniform` holds in some places, given by their rows and columns, shape (n_places,)."""
        counter = np.empty((len(rows), 4), np.uint32)
        self._check_rows(int(rows.max(initial=-1)) + 1)
        counter[:, 0] = columns // 4
        counter[:, 1] = rows + self.row
        counter[:, 2] = self.step
        counter[:, 3] = self.stream
        return uniform_of(philox4x32(counter, self.seed)[np.arange(len(rows)), columns % 4])

    def _check_rows(self, n_rows: int) -> None:
        if self.row + n_rows > 2**32:
            raise InvalidParameter(
                f"Rows of noise must end before 2**32. Got {n_rows} from {self.row} on. Use another key for them."
            )

    def normal(self, n_rows: int, n_columns: int) -> npt.NDArray[np.float64]:
        """Standard normal numbers by inversion, shape (n_rows, n_columns)."""
        z: npt.NDArray[np.float64] = special.ndtri(self.uniform(n_rows, n_columns))
        return z

    def permutation(self, n: int) -> npt.NDArray[np.intp]:
        """A uniformly random order of range(n): the ranks of n 64-bit numbers."""
        if n == 1:
            return np.zeros(1, np.intp)
        return order_of(self.bits(2, n))


def uniform_of(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
    """(bits + 1/2) / 2**32, exactly."""
    u = bits.astype(np.float64)
    u += 0.5
    u *= 2.0**-32
    return u


def order_of(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
    """The order that sorts n 64-bit numbers, given as their upper and lower halves, shape (2, n)."""
    high, low = words.astype(np.uint64)
    return np.argsort((high << _SHIFT) | low, kind="stable")


def as_key(seed: int | Key | Any) -> Key:
    """`seed` itself if it is a key, else `Key(seed)`."""
    return seed if isinstance(seed, Key) else Key(check_count(seed, "seed", minimum=0))


def as_seed(seed: int | Key | Any) -> int:
    """The number that stands for a seed or key: of a key that is more than its seed, a hash of all of it."""
    key = as_key(seed)
    return key.seed if key == Key(key.seed) else key.derive("seed").seed
