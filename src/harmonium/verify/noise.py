"""Noise: the published vectors of Philox4x32-10, and the layout of ours by an implementation of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harmonium.random import Key, philox4x32
from harmonium.verify.check import EXACT, Check, compare

_WORD = 2**32
# Counter, key and output of the reference implementation (Salmon, Moraes, Dror, Shaw, SC 2011: Random123).
_VECTORS = (
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
)
# Addresses with every word in use: seed, stream, step, row.
_ADDRESSES = ((0, 0, 0, 0), (2**64 - 1, 7, 2**32 - 1, 3), (0x0123456789ABCDEF, 2**32 - 1, 12, 2**32 - 9))


def checks(engines: tuple[str, ...]) -> Iterator[Check]:  # noqa: ARG001 (as all of them are called)
    """The generator, the addresses, and uniform numbers from bits."""
    found, expected = [], []
    for counter, key, output in _VECTORS:
        words, (low, high) = _hex(counter), _hex(key)
        found.append(philox4x32(np.array(words, np.uint32), low + _WORD * high))
        expected.append(_hex(output))
    yield compare("noise", "random.philox4x32, published vectors", np.array(found), expected, tolerance=EXACT)
    bits, plain = [], []
    for seed, stream, step, row in _ADDRESSES:
        bits.append(Key(seed, stream, step, row).bits(3, 9))
        plain.append([[_bits(seed, stream, step, row + r, column) for column in range(9)] for r in range(3)])
    yield compare("noise", "Key.bits, layout", np.array(bits), plain, tolerance=EXACT)
    source = Key(5).derive("verify noise")
    middle = (source.bits(4, 6).astype(np.float64) + 0.5) / 2.0**32
    yield compare("noise", "Key.uniform", source.uniform(4, 6), middle, tolerance=EXACT)


def _bits(seed: int, stream: int, step: int, row: int, column: int) -> int:
    """The 32 bits of one address: Philox4x32-10 of the paper, in Python's integers."""
    x = [column // 4, row, step, stream]
    low, high = seed % _WORD, seed // _WORD
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * x[0], _WORD)
        high1, low1 = divmod(0xCD9E8D57 * x[2], _WORD)
        x = [high1 ^ x[1] ^ low, low1, high0 ^ x[3] ^ high, low0]
        low, high = (low + 0x9E3779B9) % _WORD, (high + 0xBB67AE85) % _WORD
    return x[column % 4]


def _hex(words: str) -> list[int]:
    return [int(word, 16) for word in words.split()]
